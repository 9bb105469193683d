"""The process's side of the sockets: two threads, so that its main thread can give itself to the binding."""

from __future__ import annotations

import queue
import socket
import threading

from parsl_diaspora.fabric.diaspora_stream import wire

BEAT = 0.5  # seconds
ORPHANED = 20.0  # seconds for what is not confirmed when the program has gone


class Mailbox:
    """Takes messages in and gives answers out.

    Attributes:
        turns: rounds of the dispatcher; told with each beat, which comes only while the interpreter runs.
        left: items that were given out and are not sent yet.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.turns = 0
        self._sock = sock
        self._in: queue.SimpleQueue[wire.ToSide] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[wire.ToProgram | None] = queue.SimpleQueue()
        self._rung = threading.Event()
        self._writer = threading.Thread(target=self._write, name="diaspora-stream-answers", daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, name="diaspora-stream-orders", daemon=True).start()

    def take(self) -> wire.ToSide | None:
        """The next message, if there is one."""
        try:
            return self._in.get_nowait()
        except queue.Empty:
            return None

    def wait(self, seconds: float) -> None:
        """Wait for a message."""
        if self._in.empty():
            self._rung.wait(seconds)
        self._rung.clear()

    def give(self, answer: wire.ToProgram) -> None:
        """Send an answer."""
        self._out.put(answer)

    def close(self, seconds: float) -> None:
        """Send what was given, if that takes no longer than this."""
        self._out.put(None)
        self._writer.join(seconds)

    def _read(self) -> None:
        with self._sock.makefile("rb", 256 * 1024) as stream:
            while (body := wire.receive(stream)) is not None:
                self._arrived(wire.at_side.decode(body))
        self._arrived(wire.Quit(ORPHANED))

    def _arrived(self, message: wire.ToSide) -> None:
        self._in.put(message)
        self._rung.set()

    def _write(self) -> None:
        while True:
            try:
                answer = self._out.get(timeout=BEAT)
            except queue.Empty:
                answer = wire.Beat(self.turns)
            if answer is None:
                return
            try:
                wire.send(self._sock, answer)
            except OSError:
                return  # the program has gone, which the reader notices as well
