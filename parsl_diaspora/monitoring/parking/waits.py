"""Conditions that parked tasks wait for: one thread looks at all of them, at a bounded rate."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import is_usable

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

PAUSE = 0.5  # seconds between two rounds
MOST_LOOKS = 200  # conditions looked at in a round; with more of them, each is looked at less often
#: Whether somebody still waits, and what is to be done then.
Waiting = tuple[Callable[[], bool], Callable[[], object]]


class Waits:
    """What is waited for in one run.

    Args:
        session: of the run.
        errands: its thread does the looking, as a file system may be slow.
    """

    def __init__(self, session: Session, errands: Errands) -> None:
        self._session = session
        self._errands = errands
        self._lock = threading.Lock()
        self._turn: deque[str] = deque()
        self._then: dict[str, list[Waiting]] = {}
        self._is_looking = False

    def add(
        self, condition: str, kernel: Any, is_waiting: Callable[[], bool], then: Callable[[], object]
    ) -> None:
        """Call ``then`` once the condition holds.

        Args:
            condition: as in `parsl_diaspora.monitoring.parking.parked.Parked.wait`.
            kernel: knows the executors.
            is_waiting: whether anybody still waits for it.
            then: is called in another thread.
        """
        self._kernel = kernel
        with self._lock:
            if condition not in self._then:
                self._turn.append(condition)
            self._then.setdefault(condition, []).append((is_waiting, then))
            if self._is_looking:
                return
            self._is_looking = True
        self._later()

    def _later(self) -> None:
        self._session.clock.call_later(PAUSE, lambda: self._errands.run(self._look))

    def _look(self) -> None:
        for _ in range(min(MOST_LOOKS, len(self._turn))):
            condition = self._turn[0]
            if not self._is_waited_for(condition):
                self._take(condition)
            elif self._holds(condition):
                for _, then in self._take(condition):
                    then()
            else:
                self._turn.rotate(-1)
        with self._lock:
            self._is_looking = bool(self._turn)
        if self._is_looking:
            self._later()

    def _is_waited_for(self, condition: str) -> bool:
        return any(is_waiting() for is_waiting, _ in list(self._then[condition]))

    def _take(self, condition: str) -> list[Waiting]:
        with self._lock:
            self._turn.remove(condition)
            return self._then.pop(condition, [])

    def _holds(self, condition: str) -> bool:
        kind, _, name = condition.partition(":")
        try:
            return _LOOKS[kind](self, name)
        except Exception as error:  # noqa: BLE001 - one that cannot be looked at must not stop the others
            self._session.absorb("conditions that tasks wait for", error)
            return False

    def _file(self, name: str) -> bool:
        return os.path.exists(name)

    def _executor(self, name: str) -> bool:
        live = self._session.live
        return is_usable(self._kernel, name) and live is not None and live.picture.has_managers(name)

    def _manager(self, name: str) -> bool:
        live = self._session.live
        return live is not None and bool(live.picture.present.get(name))

    def _fabric(self, _: str) -> bool:
        live = self._session.live
        return live is not None and live.hears


_LOOKS: dict[str, Callable[[Waits, str], bool]] = {
    "file": Waits._file,
    "executor": Waits._executor,
    "manager": Waits._manager,
    "fabric": Waits._fabric,
}
