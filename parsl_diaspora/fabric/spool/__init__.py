"""Store and forward in front of any fabric that is remote: a slow, hanging or absent service costs no event.

    spool:/scratch/events?to=kafka://host:9092
    spool:/scratch/events?limit=200MB&to=octopus:namespace

    publisher.py  writes the embedded log on the local disk; past it if that cannot be written
    backlog.py    what waits on the disk, and how far it is handed on; count.py says how many events that is
    owners.py     which segments are this process's to hand on: its own and those of the dead
    handover.py   bringing a batch to safety in the fabric behind, with pauses while it refuses or hangs
    forwarder.py  the thread that does so; offers.py holds what could not be written to the disk
    room.py       the limit on the disk, and what goes first; thinning.py takes a topic out of a segment
    lag.py        when too much waits, and when that is over
    keeper.py     the thread that looks after room, lag and a forwarder that hangs
    spool.py      these parts together
    fabric.py     all of it as a fabric; late.py opens the one behind when it can be; url.py reads the URL

An event is written to the disk of the node first; that makes it safe against the death of its process. A
thread reads it there and hands it on, stamp and all. Only when the fabric behind has confirmed a batch, its
position is kept and segments that are at their end are deleted. So delivery is at least once and in the order
of each source; readers deduplicate by (boot, seq).

Processes may share a directory. Each hands on what it wrote itself and what dead processes left; they are
told apart by host name and process id, so containers that share a directory need host names of their own.

Example:
    >>> import tempfile
    >>> from parsl_diaspora.events import TaskSubmitted
    >>> from parsl_diaspora.fabric import open_fabric
    >>> fabric = open_fabric(f"spool:{tempfile.mkdtemp()}?to=memory:")
    >>> publisher = fabric.publisher("me")
    >>> publisher.publish(TaskSubmitted(task=7))
    >>> publisher.flush().safe  # on the local disk
    1
    >>> fabric.drain(), fabric.lag()  # and in the fabric behind
    (True, 0)
    >>> [event.task for event in fabric.consumer("reader").poll()]
    [7]
    >>> publisher.close().safe
    1
    >>> fabric.close()
"""

from parsl_diaspora.fabric.spool.fabric import HOST, SpooledFabric
from parsl_diaspora.fabric.spool.spool import SpoolReport
from parsl_diaspora.fabric.spool.url import open_spool

__all__ = ["HOST", "SpoolReport", "SpooledFabric", "open_spool"]
