"""From one fabric to another: site to global, and back.

    bridge.py     reads, forwards, commits behind what is safe; one thread, or a program's own loop
    source.py     the named consumer, opened anew after a fault
    target.py     all lives of a bridge as one writer of an embedded log
    loops.py      an event knows the fabrics it crossed
    identity.py   which fabric is which
    selection.py  topics, filter and reduction, in order per source
    reduction.py  the rules: last value, statistics, net effect
    marks.py      what stands for numbers that were left behind
    portions.py   batches that fit into memory
    words.py      lag, and faults of its own

Losses and outages are handled by the spool's `Handover`.
"""

from parsl_diaspora.fabric.bridge.bridge import Bridge
from parsl_diaspora.fabric.bridge.identity import fabric_id
from parsl_diaspora.fabric.bridge.reduction import Reduction
from parsl_diaspora.fabric.bridge.selection import Filter
from parsl_diaspora.fabric.bridge.status import BridgeStatus

__all__ = ["Bridge", "BridgeStatus", "Filter", "Reduction", "fabric_id"]
