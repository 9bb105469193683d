"""What stands in front of Parsl's queues of tasks and results, so that the interchange behind may change.

Parsl's queue of tasks blocks while no interchange is connected, and a new interchange needs new queues: their
sockets belong to the threads that use them, so they are handed over here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import zmq


class Outbox:
    """In front of Parsl's queue of tasks: it never blocks, and keeps what cannot be sent now, in order.

    Args:
        queue: Parsl's queue of tasks.
    """

    def __init__(self, queue: Any) -> None:
        self._lock = threading.Lock()
        self._queue = queue
        self._waiting: deque[dict[str, Any]] = deque()
        self._held = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    @property
    def port(self) -> int:
        """Where the interchange finds the queue."""
        return int(self._queue.port)

    def put(self, message: dict[str, Any]) -> None:
        """Send a task, now or as soon as it can be sent."""
        with self._lock:
            if self._held or self._waiting or not self._sent(message):
                self._waiting.append(message)

    def flush(self) -> None:
        """Send what waits, as far as that is possible now."""
        with self._lock:
            while self._waiting and not self._held and self._sent(self._waiting[0]):
                self._waiting.popleft()

    def hold(self) -> set[int]:
        """Send nothing from now on; the numbers of the tasks that wait here, unseen by any interchange."""
        with self._lock:
            self._held = True
            return {message["task_id"] for message in self._waiting}

    def forget(self, numbers: set[int]) -> None:
        """Drop tasks that wait here."""
        with self._lock:
            self._waiting = deque(each for each in self._waiting if each["task_id"] not in numbers)

    def replace(self, queue: Any) -> None:
        """Use another queue from now on, that of a new interchange; what is held stays held."""
        with self._lock:
            _close_at_once(self._queue)
            self._queue = queue

    def release(self) -> None:
        """Send again, first what waits."""
        with self._lock:
            self._held = False
        self.flush()

    def close(self) -> None:
        """End; what waits is dropped."""
        with self._lock:
            self._waiting.clear()
            self._held = True
            _close_at_once(self._queue)

    def _sent(self, message: dict[str, Any]) -> bool:
        socket = getattr(self._queue, "zmq_socket", None)
        if socket is None:
            self._queue.put(message)
            return True
        try:
            socket.send_pyobj(message, zmq.NOBLOCK)
        except zmq.Again:  # nobody is connected
            return False
        return True


class Inbox:
    """In front of Parsl's queue of results: another queue is taken over in the thread that reads.

    Args:
        queue: Parsl's queue of results.
    """

    def __init__(self, queue: Any) -> None:
        self._lock = threading.Lock()
        self._queue = queue
        self._next: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    @property
    def port(self) -> int:
        """Where the newest interchange finds its queue."""
        return int((self._next or self._queue).port)

    def get(self, timeout_ms: int | None = None) -> bytes | list[bytes] | None:
        """The next message (or messages, in older releases of Parsl), or None after the time-out."""
        if self._next is not None:
            self._take_over()
        raw: bytes | list[bytes] | None = self._queue.get(timeout_ms=timeout_ms)
        return raw

    def replace(self, queue: Any) -> None:
        """Read from another queue from the next `get` on; the present one is closed then."""
        with self._lock:
            unread, self._next = self._next, queue
        if unread is not None:
            unread.close()

    def close(self) -> None:
        """Close what is open."""
        if self._next is not None:
            self._take_over()
        self._queue.close()

    def _take_over(self) -> None:
        with self._lock:
            old, self._queue, self._next = self._queue, self._next, None
        old.close()


def _close_at_once(queue: Any) -> None:
    """Nobody is left to send to: ZeroMQ would wait for them."""
    if (socket := getattr(queue, "zmq_socket", None)) is not None:
        socket.setsockopt(zmq.LINGER, 0)
    queue.close()
