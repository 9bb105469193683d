"""Starting, feeding and ending the process that holds the binding, as the program sees it."""

from __future__ import annotations

import logging
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target

logger = logging.getLogger(__name__)


class SideProcess:
    """One life of the process, with a thread that reads what it says.

    It is a session of its own, so it outlives a kill of the program for as long as it takes to deliver what
    it was given.

    Args:
        target: where events go.
        heard: called in the reading thread with each message.
        ended: called there when the process has gone.

    Raises:
        OSError: no process or descriptor is to be had.
    """

    def __init__(
        self, target: Target, heard: Callable[[wire.ToProgram], None], ended: Callable[[], None]
    ) -> None:
        self._heard, self._ended = heard, ended
        self.sock, theirs = socket.socketpair()
        try:
            self._process = _spawn(target, theirs)
        except OSError:
            self.sock.close()
            raise
        finally:
            theirs.close()
        seconds, rest = divmod(target.patience, 1)
        limit = struct.pack("ll", int(seconds), int(rest * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)  # for sending only
        self._stream = self.sock.makefile("rb", 256 * 1024)
        self._thread = threading.Thread(target=self._listen, name="diaspora-stream-listener", daemon=True)
        self._thread.start()
        self.send(wire.Hello(target))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, message: wire.ToSide) -> bool:
        """Send a message; whether the process, or what the system keeps for it, has taken it in time."""
        try:
            wire.send(self.sock, message)
        except OSError:
            return False
        return True

    def end(self, patience: float) -> None:
        """Wait so long for its own end, then kill it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._process.kill()
        self._process.wait()
        self._close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def forget(self) -> None:
        """In a forked child: close the parent's descriptors, so that its death is still seen."""
        self._process.returncode = 0  # it is no child of this process, so it is not to be waited for
        os.close(self.sock.detach())

    def _close(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _listen(self) -> None:
        try:
            with self._stream:  # as long as it is open, so is the socket
                while (body := wire.receive(self._stream)) is not None:
                    self._heard(wire.at_program.decode(body))
        except Exception:
            logger.exception("The process for a stream was not understood; another one takes its place.")
        self._ended()


def _spawn(target: Target, theirs: socket.socket) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(part for part in sys.path if part)
    environment = {**target.traits.environment, **os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", __package__, str(theirs.fileno())]
    return subprocess.Popen(
        command,
        env=environment,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
