"""Each command to the interchange has a time-out, and an answer that comes late does no harm.

Stock's client waits for ever, and one time-out makes it bad for good: a REQ socket of ZeroMQ that has asked
may not ask again before it was answered. Here it may, and the answer to an older question is thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import zmq
from parsl.executors.high_throughput.errors import CommandClientBadError, CommandClientTimeoutError

from parsl_diaspora.clock import Clock

#: What a command raises that got no answer.
NO_ANSWER = (CommandClientTimeoutError, CommandClientBadError)

PATIENCE = 3.0
_SLICE = 0.2
_CHEAPEST = "WORKER_BINDS"  # the interchange answers it with a number that it knows


class Commands:
    """Stands in front of Parsl's command client. Any thread may use it.

    Args:
        client: Parsl's command client.
        is_alive: whether the interchange's process is there; a wait for one that is not ends at once.
        clock: for the time-outs.
        patience: seconds that a command without a time-out of its own waits for its answer.

    Attributes:
        answers: the last command got its answer. While it did not, commands fail at once: only `ask` goes on.
        last_answer: when an answer last came, by the monotonic clock.
    """

    def __init__(
        self, client: Any, is_alive: Callable[[], bool], clock: Clock, patience: float = PATIENCE
    ) -> None:
        self._is_alive = is_alive
        self._clock = clock
        self._patience = patience
        self._turn = threading.Lock()
        self._take(client)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _take(self, client: Any) -> None:
        self._client = client
        self._closed = False
        self.answers = True
        self.last_answer = self._clock.monotonic()
        self.can_time_out = hasattr(client, "zmq_socket")
        if self.can_time_out:
            client.zmq_socket.setsockopt(zmq.REQ_RELAXED, 1)
            client.zmq_socket.setsockopt(zmq.REQ_CORRELATE, 1)

    @property
    def port(self) -> int:
        """Where the interchange finds the client."""
        return int(self._client.port)

    def run(self, message: Any, max_retries: int = 3, timeout_s: float | None = None) -> Any:
        """Send a command and return its answer.

        Args:
            message: the command.
            max_retries: as in stock, where it does nothing.
            timeout_s: seconds to wait.

        Raises:
            CommandClientTimeoutError: there was no answer in time, or the interchange is gone or silent.
        """
        if not self.can_time_out:
            return self._client.run(message, max_retries=max_retries, timeout_s=timeout_s)
        if timeout_s is None and not self.answers:
            raise CommandClientTimeoutError("The interchange has not answered the last command yet")
        return self._run(message, self._patience if timeout_s is None else timeout_s)

    def ask(self, timeout: float) -> bool:
        """Whether the interchange answers the cheapest command within ``timeout`` seconds."""
        try:
            self._run(_CHEAPEST, timeout)
        except NO_ANSWER:
            return False
        return True

    def replace(self, client: Any) -> None:
        """Use another client from now on, that of a new interchange."""
        self._closed = True  # whoever waits for an answer stops waiting
        with self._turn:
            self._client.close()
            self._take(client)

    def close(self) -> None:
        """End; whoever waits for an answer is told that none comes."""
        self._closed = True
        with self._turn:
            self._client.close()

    def _run(self, message: Any, timeout: float) -> Any:
        until = self._clock.monotonic() + timeout
        if not self._turn.acquire(timeout=timeout):
            raise CommandClientTimeoutError("Others wait for answers of the interchange")
        try:
            reply = self._exchange(message, until)
        except CommandClientTimeoutError:
            self.answers = False
            raise
        finally:
            self._turn.release()
        self.answers, self.last_answer = True, self._clock.monotonic()
        return reply

    def _exchange(self, message: Any, until: float) -> Any:
        if self._closed:
            raise CommandClientTimeoutError("The command channel is closed")
        socket = self._client.zmq_socket
        self._wait(socket, zmq.POLLOUT, until)
        socket.send_pyobj(message, zmq.NOBLOCK)
        while True:
            self._wait(socket, zmq.POLLIN, until)
            try:
                return socket.recv_pyobj(zmq.NOBLOCK)
            except zmq.Again:
                continue  # the answer to an older question, which ZeroMQ has thrown away

    def _wait(self, socket: Any, ready: int, until: float) -> None:
        while True:
            left = until - self._clock.monotonic()
            if socket.poll(1_000 * max(0.0, min(left, _SLICE)), ready):
                return
            if self._closed or left <= 0 or not self._is_alive():
                raise CommandClientTimeoutError(self._why())

    def _why(self) -> str:
        return "The interchange gave no answer" if self._is_alive() else "The interchange is gone"
