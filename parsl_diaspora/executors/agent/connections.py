"""Whether the connection that a node has opened to this process is still there.

The kernel closes a connection when its process dies, and keeps it when that process is only paused: that is
what tells a dead node from a slow one.
"""

from __future__ import annotations

from typing import Any

import psutil

Address = tuple[str, int]


class Connections:
    """Established TCP connections of this process, by the address at their other end.

    A network may translate addresses on the way. So a connection that is missing means something only if it
    has been seen before.
    """

    def __init__(self) -> None:
        self._known: set[Address] = set()
        self._now: set[Address] = set()

    def look(self) -> None:
        """See which connections there are."""
        self._now = _established()

    def note(self, address: Address) -> None:
        """Remember a node's address if its connection is to be seen while the node is well."""
        if address in self._now:
            self._known.add(address)

    def is_open(self, address: Address | None) -> bool | None:
        """Whether the connection was there at the last look; None if that could never be told."""
        if address is None or address not in self._known:
            return None
        return address in self._now


def read_address(value: Any) -> Address | None:
    """What a node has said of its own end of the connection; None if it makes no sense."""
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], int):  # noqa: PLR2004
        return _plain(str(value[0])), value[1]
    return None


def _established() -> set[Address]:
    process = psutil.Process()
    list_them = getattr(process, "net_connections", None) or process.connections  # before psutil 6
    return {
        (_plain(each.raddr.ip), each.raddr.port)
        for each in list_them(kind="tcp")
        if each.status == psutil.CONN_ESTABLISHED and each.raddr
    }


def _plain(ip: str) -> str:
    return ip.removeprefix("::ffff:")
