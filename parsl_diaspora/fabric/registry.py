"""Which scheme is which backend.

What only other packages' backends and errors need is imported there: every worker opens a fabric.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from parsl_diaspora.errors import FabricUnavailable, UnknownFabric
from parsl_diaspora.fabric.protocols import Fabric
from parsl_diaspora.hints import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "parsl_diaspora.fabrics"

_BACKENDS = {
    "file": "parsl_diaspora.fabric.file:FileFabric",
    "files+diaspora": "parsl_diaspora.fabric.diaspora_stream:StreamFabric",
    "kafka": "parsl_diaspora.fabric.kafka:KafkaFabric",
    "memory": "parsl_diaspora.fabric.memory:open_memory",
    "mofka": "parsl_diaspora.fabric.diaspora_stream:StreamFabric",
    "octopus": "parsl_diaspora.fabric.octopus:OctopusFabric",
    "relay": "parsl_diaspora.fabric.relay:RelayFabric",
    "spool": "parsl_diaspora.fabric.spool:open_spool",
}


def open_fabric(url: str) -> Fabric:
    """Open the fabric that a URL names.

    Args:
        url: as ``file:./events`` or ``memory:``.

    Raises:
        UnknownFabric: no backend of this installation has that scheme.
        FabricUnavailable: the backend cannot be loaded or opened now.

    Example:
        >>> fabric = open_fabric("memory:")
        >>> fabric.url
        'memory:'
    """
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise UnknownFabric(
            f"{url!r} is no fabric URL: it has no scheme.", url=url, hint=f"Try 'file:{url or './events'}'."
        )
    return _backend(scheme.lower(), url)(url)


def _backend(scheme: str, url: str) -> Callable[[str], Fabric]:
    if target := _BACKENDS.get(scheme):
        module, _, name = target.partition(":")
        return cast("Callable[[str], Fabric]", getattr(import_module(module), name))
    from importlib.metadata import entry_points

    from parsl_diaspora.masking import without_secrets

    plugins = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if plugin := plugins.get(scheme):
        return _load(plugin, url)
    known = sorted({*_BACKENDS, *plugins})
    hint = nearest(scheme, known, listed="The schemes are", end=":")
    message = f"No fabric backend is installed for {scheme!r}."
    raise UnknownFabric(message, url=without_secrets(url), hint=hint)


def _load(plugin: EntryPoint, url: str) -> Callable[[str], Fabric]:
    from parsl_diaspora.masking import without_secrets

    try:
        return cast("Callable[[str], Fabric]", plugin.load())
    except Exception as error:  # another package's import may raise anything
        message = f"The fabric backend for {plugin.name!r}, {plugin.value}, cannot be loaded: {error}."
        hint = "Mend or uninstall the package that brings it."
        raise FabricUnavailable(message, url=without_secrets(url), hint=hint) from error
