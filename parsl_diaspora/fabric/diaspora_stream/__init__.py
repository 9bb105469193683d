"""The Diaspora stream API as a fabric: Mofka, and the stream API's own file driver.

    mofka:/path/to/group.json?topic=NAME    a running Mofka server
    files+diaspora:/dir?topic=NAME          the stream API's file driver

Why a process of its own holds the binding: some of its calls stop the whole interpreter while they block, for
minutes when the server is dead, for ever with one transport; a fork after its use loses events or hangs; a
consumer that is dropped may abort the process. No thread can help against these. So one process for each
target holds it, one thread of that process makes all calls, and the program speaks to it over a pair of
sockets, watches it, and replaces it.
"""

from parsl_diaspora.fabric.diaspora_stream.consumer import StreamConsumer
from parsl_diaspora.fabric.diaspora_stream.fabric import StreamFabric
from parsl_diaspora.fabric.diaspora_stream.frame import NO_MORE, Framed, join_frame, split_frame
from parsl_diaspora.fabric.diaspora_stream.publisher import StreamPublisher

__all__ = [
    "NO_MORE",
    "Framed",
    "StreamConsumer",
    "StreamFabric",
    "StreamPublisher",
    "join_frame",
    "split_frame",
]
