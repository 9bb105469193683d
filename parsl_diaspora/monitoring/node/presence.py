"""Whether, and how, a supervisor can give signs of life through the interchange's port."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from parsl_diaspora.executors.supervision.nodefile import NodeFile
from parsl_diaspora.monitoring.node.command import PoolCommand, parsl_version
from parsl_diaspora.monitoring.node.htex_link import HtexLink, host_facts

_NONE = ("", "None")


def open_link(
    command: PoolCommand, told: NodeFile, place: Mapping[str, str], now: Callable[[], float]
) -> HtexLink | None:
    """The link, if the pool's command line tells where the interchange is; else None.

    A registration must name the versions of the pool's environment, as the interchange ends itself for
    another version of Parsl: so there is no link where the pool has another interpreter than this one.

    Raises:
        OSError: the certificates cannot be read.
        LookupError: Parsl is not installed here.
    """
    addresses = [one for one in command.value("-a", "--addresses").split(",") if one]
    port, keys = command.value("-P", "--port"), command.value("--cert_dir")
    if not addresses or not port or not command.is_ours():
        return None
    facts = {**host_facts(), "parsl_v": parsl_version(), "python_v": platform.python_version()}
    link = HtexLink(
        addresses,
        int(port),
        None if keys in _NONE else Path(keys),
        command.uid,
        facts,
        beat=told.beat,
        now=now,
    )
    link.said.update(real_block=place["block"], supervises=place["manager"], events=[])
    return link
