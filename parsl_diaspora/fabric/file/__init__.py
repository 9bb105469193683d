"""The embedded log: a directory of segments, one file per writing process, no server.

    frames.py     how events lie in a segment: framing, checksums, finding the way after damage
    segment.py    the one writer of a segment
    publisher.py  publishing through a thread
    immediate.py  publishing at once, for processes that may be killed
    consumer.py   reading all segments of a directory, positions of named consumers
    positions.py  where readers stand, kept durably
    verify.py     is the log whole?

Safe on shared file systems: no locks, no mmap, no file with two writers.
"""

from parsl_diaspora.fabric.file.fabric import FileFabric

__all__ = ["FileFabric"]
