"""What travels with a try to its worker, and what comes back with it.

Plain data in msgpack, so that either side can read it whatever happens to the user's own objects.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from parsl_diaspora.checkpoint.instructions import Instructions
from parsl_diaspora.events import Event, Failure

#: Import path of the function that runs tries on workers. Named, not imported: it lives in a higher layer.
RUNNER = "parsl_diaspora.monitoring.runner.run"
MAGIC = b"PDr1"
MAX_DECLINES = 8
_LENGTH = 4
_BEGIN = len(MAGIC) + _LENGTH


class Launch(msgspec.Struct, array_like=True, gc=False):
    """What a worker must know of the try that it is given.

    Attributes:
        run: Parsl's run id.
        task: Parsl's task id.
        try_id: number of the try.
        executor: label.
        url: fabric that the worker publishes to; empty for none.
        avoid: managers that hand this try back, or ``worker:MANAGER/RANK``, ``node:HOST``, ``block:ID``.
        declined: how often it was handed back.
        traceback_limit: bytes of traceback to keep.
        redact: ``package.module:function`` for texts, or empty.
        restore: what the try changes in its worker is put back.
        plain: the arguments are plain data, which ``pickle`` alone can read.
        memory: bytes that the try needs: a worker with less hands it back; 0 if that is not known.
        seconds: that the try may need: a worker whose block ends before hands it back; 0 if not known.
        checkpoint: how the task's state is saved; None if it is not.
    """

    run: str
    task: int
    try_id: int
    executor: str
    url: str = ""
    avoid: tuple[str, ...] = ()
    declined: int = 0
    traceback_limit: int = 8_192
    redact: str = ""
    restore: bool = True
    plain: bool = False
    memory: int = 0
    seconds: float = 0.0
    checkpoint: Instructions | None = None


class Report(msgspec.Struct, array_like=True, gc=False):
    """What a worker tells of a try, whether it succeeded or not.

    Attributes:
        block: block id.
        manager: manager id.
        worker: rank.
        node: host name.
        pid: of the worker.
        seconds: wall time of the try.
        failure: why it failed; None for success.
        declined: the try was handed back before it began.
        unsaid: why the worker could not publish its events; empty if it could.
        plain: the result is plain data, which ``pickle`` alone can read.
        memory: most resident bytes of the worker during the try; None if it cannot tell.
        cpu: seconds of a core that the worker and children that it waited for used in it.
        stuck: what tasks changed in this worker that could not be put back, in words.
    """

    block: str
    manager: str
    worker: int
    node: str
    pid: int
    seconds: float = 0.0
    failure: Failure | None = None
    declined: bool = False
    unsaid: str = ""
    plain: bool = False
    memory: int | None = None
    cpu: float | None = None
    stuck: tuple[str, ...] = ()

    def put_place_on(self, event: Event) -> None:
        """Write on an event where the try ran."""
        event.block, event.manager = self.block, self.manager
        event.worker, event.node = self.worker, self.node


pack = msgspec.msgpack.Encoder().encode
read_launch = msgspec.msgpack.Decoder(Launch).decode
read_report = msgspec.msgpack.Decoder(Report).decode


def seal(header: bytes, body: bytes) -> bytes:
    """A packed report and a serialized result as one object: a worker's serializer charges by the object."""
    return b"".join((MAGIC, len(header).to_bytes(_LENGTH, "big"), header, body))


def unseal(sealed: Any) -> tuple[bytes, bytes] | None:
    """What `seal` has joined; None if this is something else.

    Example:
        >>> unseal(seal(b"report", b"result"))
        (b'report', b'result')
        >>> unseal(42)
    """
    if not isinstance(sealed, bytes) or not sealed.startswith(MAGIC):
        return None
    end = _BEGIN + int.from_bytes(sealed[len(MAGIC) : _BEGIN], "big")
    return sealed[_BEGIN:end], sealed[end:]


class _Launching(threading.local):
    """The try that this thread is about to submit: Parsl's executors are not told the task's id.

    Attributes:
        launch: what its worker is told.
        task: Parsl's record of the task, for pools of executors.
        placed: why it goes to this one of a pool's executors, in words.
        adopted: future of a try that runs already, which this one stands for; None for a new one.
    """

    launch: Launch | None = None
    task: Any = None
    placed: str = ""
    adopted: Any = None


launching = _Launching()
