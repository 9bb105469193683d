"""Which fabric is which: short ids that are the same for every bridge that meets the fabric."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from parsl_diaspora.fabric.bridge.target import behind
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.protocols import Fabric

ID_FILE = "fabric.id"  # in the directory of an embedded log: two hosts may have logs under one path
LENGTH = 12
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def fabric_id(fabric: Fabric) -> str:
    """The id of a fabric, 12 hex digits.

    An embedded log keeps its own, whatever path leads to it. Others have one of their URL, without options
    and secrets; what is only reachable on this host has the host's name in it.

    Args:
        fabric: whose id it is; a directory gets one if it has none.

    Example:
        >>> from parsl_diaspora.fabric import open_fabric
        >>> fabric_id(open_fabric("memory:site")) == fabric_id(open_fabric("memory:site"))
        True
        >>> fabric_id(open_fabric("memory:")) == fabric_id(open_fabric("memory:"))
        False
    """
    fabric = behind(fabric)
    if isinstance(fabric, FileFabric):
        with suppress(OSError, ValueError):
            return _kept_id(fabric.directory)
    return _digest(_essence(fabric))


def pair_id(source: str, target: str) -> str:
    """The default name of a bridge, from the ids of what it connects."""
    return f"bridge-{_digest(f'{source} {target}')}"


def _essence(fabric: Fabric) -> str:
    url = fabric.url.partition("?")[0]
    if url == "memory:":
        return f"memory:{id(fabric)}:{os.getpid()}"
    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        return f"{url}:{os.getpid()}"
    host = _host(url) if rest.startswith("//") else rest.partition(":")[0]
    place = os.uname().nodename if not host or host.startswith("/") or host in _LOOPBACK else ""
    return f"{scheme}:{rest.removeprefix('//').rpartition('@')[2]}:{place}"


def _host(url: str) -> str | None:
    with suppress(ValueError):  # several addresses in one URL
        return urlsplit(url).hostname
    return None


def _kept_id(directory: Path) -> str:
    path = directory / ID_FILE
    for _ in range(2):  # the second time, what another process has made at the same moment
        with suppress(FileNotFoundError):
            kept = path.read_text(encoding="ascii").strip()
            if len(kept) == LENGTH and int(kept, 16) >= 0:
                return kept
        _make_id(directory, path)
    raise ValueError(f"{path} holds no id.")


def _make_id(directory: Path, path: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_text(f"{secrets.token_hex(LENGTH // 2)}\n", encoding="ascii")
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
