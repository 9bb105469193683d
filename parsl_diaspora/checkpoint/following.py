"""A state that follows the saves of a try that still runs, so that little is missing when that has left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.checkpoint.loader import Fetched
from parsl_diaspora.checkpoint.store import Manifest, Save, Store
from parsl_diaspora.errors import CheckpointDamaged


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What was read to draw level with a save.

    Attributes:
        number: of the round, from 1.
        save: which is level now.
        size: bytes of the state.
        read: bytes that had to be read.
        seconds: that it took.
        behind: seconds from the save to now, by the clocks of both hosts.
        final: the try has left with that save.
    """

    number: int
    save: Save
    size: int
    read: int
    seconds: float
    behind: float
    final: bool


class Following:
    """Follows a try.

    Args:
        store: of its task.
        run: Parsl's run id.
        attempt: number of the try.
        now: seconds that never go back.

    Attributes:
        held: the newest save that was in memory as a whole, and what it is made of; None before the first.
        has_left: the try has left, though its last state may be one that cannot be read.
    """

    def __init__(
        self, store: Store, run: str, attempt: int, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._store = store
        self._run, self._attempt = run, attempt
        self._now = now
        self._fetched = Fetched(store)
        self._rounds = 0
        self.held: tuple[Save, Manifest] | None = None
        self.has_left = False

    def look(self) -> Round | None:
        """Draw level with the newest save; None if there is none, or it is held already.

        What has just been replaced, or cannot be read, is left out: there will be another one.
        """
        began = self._now()
        try:
            newest = max(self._store.saves(), default=None)
            if newest is None or (self.held is not None and newest <= self.held[0]):
                return None
            manifest = self._store.manifest(newest)
            self.has_left = self._is_last(manifest)
            before = self._fetched.read
            self._fetched.update(manifest)
        except (OSError, CheckpointDamaged):
            return None
        self.held = newest, manifest
        self._rounds += 1
        return Round(
            number=self._rounds,
            save=newest,
            size=manifest.size,
            read=self._fetched.read - before,
            seconds=self._now() - began,
            behind=max(0.0, time.time() - manifest.time),
            final=self.is_final,
        )

    @property
    def is_final(self) -> bool:
        """Whether the try has left with what is held."""
        if self.held is None:
            return False
        _, manifest = self.held
        return self._is_last(manifest)

    def _is_last(self, manifest: Manifest) -> bool:
        return manifest.final and (manifest.run, manifest.attempt) == (self._run, self._attempt)

    def state(self) -> Any:
        """What is held; see `Fetched.state`.

        Raises:
            CheckpointDamaged, OSError: memory holds parts of a later save that could not be read as a whole,
                and what they replaced is gone.
        """
        if self.held is not None:
            self._fetched.update(self.held[1])
        return self._fetched.state()
