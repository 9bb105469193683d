"""The life of the process that holds the binding."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target
from parsl_diaspora.fabric.diaspora_stream.side.dispatcher import Dispatcher
from parsl_diaspora.fabric.diaspora_stream.side.mailbox import Mailbox

logger = logging.getLogger(__name__)

DONE, FAILED = 0, 3
_COLLECT = 50_000  # objects
_SWITCH = 0.0005  # seconds until the busy dispatcher lets the threads that read and write messages run

_held: list[object] = []  # to the end: the binding's objects must not be dropped while they are at work


def main(descriptor: int) -> NoReturn:
    """Serve the program at the other end of a socket, and leave without the interpreter's usual end.

    Dropping a consumer, which that end does, may abort the process; so may a producer whose server is dead.
    """
    _prefer_throughput()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the program; its end is ours
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
    mailbox = Mailbox(socket.socket(fileno=descriptor))
    code = FAILED
    try:
        code = _serve(mailbox)
    except BaseException:  # whatever it is, the usual end must not be taken
        logger.exception("The process for the stream ended by a fault of its own.")
    mailbox.close(2.0)
    sys.stderr.flush()
    os._exit(code)


def _prefer_throughput() -> None:
    """Many small objects live here for a moment, none in cycles: collections are seldom worth their time."""
    sys.setswitchinterval(_SWITCH)
    gc.freeze()
    gc.set_threshold(_COLLECT, 20, 100)


def _serve(mailbox: Mailbox) -> int:
    hello = _hello(mailbox)
    if hello is None:
        return DONE
    target = hello.target
    try:
        from diaspora_stream.api import Driver  # type: ignore[import-not-found,unused-ignore]

        driver = _open(Driver, target)
        _held.append(driver)
        dispatcher = Dispatcher(target, driver, mailbox)
        _held.append(dispatcher)
        dispatcher.run()
    except (RuntimeError, ImportError, OSError) as error:
        mailbox.give(wire.Trouble(str(error) or type(error).__name__))
        return FAILED
    return DONE


def _open(make: Any, target: Target) -> Any:
    try:
        return make(backend=target.backend, options=dict(target.options))
    except TypeError as error:
        message = f"diaspora_stream.api has another interface than release 0.5 of it ({error})."
        raise RuntimeError(message) from error


def _hello(mailbox: Mailbox) -> wire.Hello | None:
    while True:
        message = mailbox.take()
        if isinstance(message, wire.Hello):
            return message
        if message is not None:
            return None
        mailbox.wait(1.0)
