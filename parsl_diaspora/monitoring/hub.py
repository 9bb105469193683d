"""The program's own monitoring hub, listened to: it still gets every message."""

from __future__ import annotations

import threading
from typing import Any

from parsl.monitoring import MonitoringHub
from parsl.monitoring.message_type import MessageType
from parsl.multiprocessing import SpawnQueue

from parsl_diaspora.events import ManagerSeen
from parsl_diaspora.executors.agent.agent import NODE_LINK
from parsl_diaspora.monitoring.packages import PackagesOnce
from parsl_diaspora.monitoring.session import Session

CLOSE_SECONDS = 10.0
PAIR = 2  # a kind and what is told


class ListeningHub(MonitoringHub):
    """Passes each message on to the program's hub, and what concerns managers to the session.

    The list of a manager's packages is passed on once, not with each batch of tasks as Parsl's interchange
    sends it, and our own supervisors, which the interchange takes for managers without workers, are left out.

    Args:
        inner: the program's hub.
        session: of the run.
    """

    def __init__(self, inner: MonitoringHub, session: Session) -> None:
        # no super().__init__(): the program's hub holds all settings, read through __getattr__
        self.inner = inner
        self.session = session
        self._known: set[str] = set()
        self._packages = PackagesOnce()

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # while it is not set yet, as during unpickling
            raise AttributeError(name)
        return getattr(self.inner, name)

    def start(self, *args: Any, **kwargs: Any) -> None:
        """Start the program's hub, then put a queue of ours before its own."""
        self.inner.start(*args, **kwargs)
        self._onwards = self.inner.resource_msgs
        self.resource_msgs: Any = SpawnQueue()
        self._thread = threading.Thread(target=self._pass_on, name="diaspora-hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pass on what is left, then close the program's hub."""
        self.resource_msgs.put(None)
        self._thread.join(CLOSE_SECONDS)
        self.inner.close()
        self.resource_msgs.close()
        if self._thread.is_alive():  # nobody would read what is left, so waiting for it would never end
            self.resource_msgs.cancel_join_thread()
        self.resource_msgs.join_thread()

    def _pass_on(self) -> None:
        try:
            while (message := self.resource_msgs.get()) is not None:
                if not _is_of_supervisor(message):
                    self._onwards.put(self._shortened(message))
                    self._hear(message)
        except Exception as error:  # noqa: BLE001 - the thread's guard: without it nobody would know
            self.resource_msgs.cancel_join_thread()
            self.session.absorb("monitoring hub", error)

    def _shortened(self, message: Any) -> Any:
        """Without the packages of a manager that is known; anything else as it is."""
        if not _is_of_manager(message):
            return message
        kind, fields = message
        shorter = self._packages.shorten(fields)
        return message if shorter is fields else (kind, shorter)

    def _hear(self, message: Any) -> None:
        try:
            self._listen(message)
        except Exception as error:  # noqa: BLE001 - promise 1: the program's monitoring goes on
            self.session.absorb("monitoring hub", error)

    def _listen(self, message: Any) -> None:
        kind, fields = message
        live = self.session.live
        if kind != MessageType.NODE_INFO or live is None or fields.get("uid") in self._known:
            return
        self._known.add(fields["uid"])
        live.say(
            ManagerSeen(
                manager=fields["uid"],
                block=fields.get("block_id"),
                node=fields.get("hostname"),
                workers=fields.get("worker_count", 0),
                python_version=fields.get("python_version") or "",
            )
        )


def _is_of_manager(message: Any) -> bool:
    """Whether the interchange tells of a manager, or of what it takes for one."""
    return (
        isinstance(message, tuple)
        and len(message) == PAIR
        and message[0] == MessageType.NODE_INFO
        and isinstance(message[1], dict)
    )


def _is_of_supervisor(message: Any) -> bool:
    """Whether that is one of our supervisors."""
    return _is_of_manager(message) and str(message[1].get("uid", "")).startswith(NODE_LINK)
