"""``spool:DIRECTORY?[limit=SIZE&][drop=TOPIC,...&]to=URL``: behind ``to=`` stands the other URL, as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events.envelope import Topic
from parsl_diaspora.fabric.spool.fabric import SpooledFabric
from parsl_diaspora.fabric.spool.late import LateFabric
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.sizes import parse_bytes

_HINT = "Write it as in 'spool:/scratch/events?to=kafka://host:9092', or with 'limit=200MB&' before 'to='."
TOPICS: tuple[str, ...] = get_args(Topic)


def open_spool(url: str) -> SpooledFabric:
    """The spooled fabric that a URL names. The fabric behind may be unavailable; it is tried again later.

    Options before ``to=``:

    * ``limit=SIZE``: how much of the disk the spool may take, as ``200MB``.
    * ``drop=TOPIC,TOPIC``: whose events go when the limit is met, the first first, each topic from its oldest
      event on, counted and said. Events of topics that are not named are never dropped: they wait in memory,
      and when that is full, too, the newest are lost, counted and said. By default all go,
      ``drop=resources,tasks,failures,control``: samples before transitions. ``drop=`` names none.

    ``{host}`` in the directory stands for the name of the node.

    Raises:
        FabricError: the URL is incomplete or has an option that a spool does not have.
        UnknownFabric: the other fabric's URL names none.

    Example:
        >>> import tempfile
        >>> fabric = open_spool(f"spool:{tempfile.mkdtemp()}?limit=64MB&drop=resources&to=memory:")
        >>> fabric.limit_bytes, fabric.drop_order
        (64000000, ('resources',))
    """
    place, _, query = url.partition(":")[2].partition("?")
    options, found, behind = f"&{query}".partition("&to=")
    if not place or not found or not behind:
        raise _error("A spool needs a directory and, behind 'to=', the URL of a fabric.", url)
    if behind.lower().startswith("spool:"):
        raise _error("A spool cannot lead to another spool.", url)
    arguments = _arguments(options, url)
    return SpooledFabric(LateFabric(behind), _absolute(place, url), **arguments)


def _arguments(options: str, url: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for option in filter(None, options.split("&")):
        name, _, value = option.partition("=")
        if name not in _OPTIONS:
            raise _error(f"A spool has no option {name!r} before 'to='.", url)
        argument, read = _OPTIONS[name]
        try:
            arguments[argument] = read(value)
        except ValueError as error:
            raise _error(f"The option {name!r} of a spool: {error}", url) from error
    return arguments


def _topics(text: str) -> tuple[str, ...]:
    topics = tuple(filter(None, (topic.strip() for topic in text.split(","))))
    if unknown := sorted(set(topics) - set(TOPICS)):
        raise ValueError(f"{', '.join(unknown)} is no topic; there are {', '.join(TOPICS)}.")
    if len(set(topics)) < len(topics):
        raise ValueError(f"{text!r} names a topic twice.")
    return topics


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "limit": ("limit_bytes", parse_bytes),
    "drop": ("drop_order", _topics),
}


def _absolute(place: str, url: str) -> Path:
    try:
        return Path(place).expanduser().absolute()
    except RuntimeError as error:
        raise _error(f"The home directory in {place!r} is not known.", url) from error


def _error(message: str, url: str) -> FabricError:
    return FabricError(message, url=without_secrets(url), hint=_HINT)
