"""One running try on its way to another place.

A successor is sent there first. When a worker has begun it, the try saves its state again and again while it
runs, and the successor reads what has changed, until the rest is small enough: then the try saves once more
and leaves, and the successor goes on. If the successor fails before, the try just goes on.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Literal

from parsl_diaspora.events import MigrationRound
from parsl_diaspora.monitoring.checkpointing.running import RunningTry
from parsl_diaspora.monitoring.kernel import Record

TARGET = 0.2  # seconds that the last round may take
MOST_ROUNDS = 12
_SHRINKS = 0.9  # part of the round before that a round must be below, or further ones are of no use
_KNOWN_BY = 1_000_000  # bytes of a round that tells a speed

#: ``sent``: nobody has begun the successor; ``copying``: it follows; ``leaving``: the try was asked to leave;
#: ``switched``: the successor goes on; ``over``: nothing more comes of it.
Stage = Literal["sent", "copying", "leaving", "switched", "over"]


class Migration:
    """What is known of one migration.

    Args:
        task: Parsl's record.
        source: the try that runs.
        to: label of the executor that its successor is sent to.
        reason: in words.
        force_after: seconds after which a try that was asked to leave is stopped; None for never.

    Attributes:
        moved: whether it came about, when that is known.
        future: of the successor; None until it is sent.
        successor: the successor as a running try; None until a worker has begun it.
        stage: how far it is.
    """

    def __init__(
        self,
        task: Record,
        source: RunningTry,
        to: str,
        reason: str,
        *,
        force_after: float | None = None,
    ) -> None:
        self.task = task
        self.source = source
        self.to = to
        self.reason = reason
        self.force_after = force_after
        self.moved: Future[bool] = Future()
        self.future: Future[Any] | None = None
        self.successor: RunningTry | None = None
        self.stage: Stage = "sent"
        self._rounds: list[MigrationRound] = []

    @property
    def try_id(self) -> int:
        """Number that the successor has."""
        return self.source.try_id + 1

    @property
    def is_alive(self) -> bool:
        """Whether a worker has begun the successor, and nobody has heard of its end."""
        future = self.future
        return (
            self.successor is not None
            and future is not None
            and self.stage in ("copying", "leaving")
            and (not future.done() or future.exception() is None)
        )

    def add(self, event: MigrationRound) -> None:
        """The successor has read a round."""
        self._rounds.append(event)

    @property
    def is_close(self) -> bool:
        """Whether the rest is small enough to switch, or will not become smaller."""
        if not self._rounds:
            return False
        *before, last = self._rounds
        if len(self._rounds) >= MOST_ROUNDS or last.read <= self._speed * TARGET:
            return True
        pairs = zip(before, self._rounds[1:], strict=True)
        stuck = [after.read >= _SHRINKS * one.read for one, after in pairs]
        return stuck[-2:] == [True, True]

    @property
    def _speed(self) -> float:
        """Bytes a second that the successor reads; the first round brought all of the state."""
        told = [each.read / each.seconds for each in self._rounds if each.read >= _KNOWN_BY and each.seconds]
        return max(told, default=_KNOWN_BY / TARGET)
