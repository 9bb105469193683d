"""Events of a run wait on the disk while the service that is to take them is away."""

from __future__ import annotations

import logging
import time
import zlib
from pathlib import Path

from parsl_diaspora.fabric import Fabric
from parsl_diaspora.fabric.spool import HOST, SpooledFabric

logger = logging.getLogger(__name__)

SERVICES = frozenset({"kafka", "mofka", "octopus"})  # schemes of fabrics that may be away
_SLICE, _LONGEST = 3.0, 15.0  # seconds without progress, and in all, that a run's end waits for the service


def behind_spool(fabric: Fabric, runs: Path) -> Fabric:
    """A fabric that is a service, behind a spool on the disk; any other as it is.

    Args:
        fabric: as the settings name it.
        runs: the directory of all runs: what one run leaves in the spool, the next one hands on.

    Example:
        >>> from parsl_diaspora.fabric import open_fabric
        >>> behind_spool(open_fabric("memory:"), Path("runinfo")).url
        'memory:'
    """
    if fabric.url.partition(":")[0] not in SERVICES:
        return fabric
    return SpooledFabric(fabric, runs / "spool" / f"{zlib.crc32(fabric.url.encode()):08x}" / HOST)


def hand_on(fabric: Fabric) -> None:
    """At the end of a run: wait a while for what is not handed on yet, and say where the rest waits."""
    if not isinstance(fabric, SpooledFabric):
        return
    deadline = time.monotonic() + _LONGEST
    waiting, before = fabric.lag(), None
    while waiting and waiting != before and time.monotonic() < deadline:
        before = waiting
        fabric.drain(_SLICE)
        waiting = fabric.lag()
    fabric.close()
    if waiting := fabric.lag():
        logger.warning(
            "parsl_diaspora: %d events of this run wait in %s until %s takes them. The next run hands them "
            "on, or: parsl-diaspora runs --fabric 'spool:%s?to=%s'",
            waiting,
            fabric.directory,
            fabric.url,
            fabric.directory,
            fabric.url,
        )
