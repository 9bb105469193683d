"""The saves of a try of a bash app: files instead of what the app itself hands over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from parsl_diaspora.checkpoint import Interval, Manifest, Restored, Saver, Store, restore
from parsl_diaspora.checkpoint.loader import Lost
from parsl_diaspora.clock import Clock, SystemClock

WAIT = 600.0  # seconds for a save to become safe


class SavesOfFiles:
    """Restores, saves, and says when it is time to.

    Args:
        store: of the task.
        saver: of the try.
        interval: between two saves.
        must_leave: whether the task is to leave this place.
        time_left: seconds for which this place will be there.
        leaving: makes what ends a try whose task leaves.
        lost: told of each save that cannot be used, and why.
        launch: of the try.
        clock: time.
    """

    def __init__(
        self,
        store: Store,
        saver: Saver,
        interval: Interval,
        *,
        must_leave: Callable[[], bool],
        time_left: Callable[[], float],
        leaving: Callable[[], BaseException],
        lost: Lost | None = None,
        restored: Callable[[Restored], None] | None = None,
        launch: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._saver = saver
        self._interval = interval
        self._lost = lost
        self._restored = restored
        self._launch = launch
        self._clock = clock or SystemClock()
        self._last = self._clock.monotonic()
        self._first: Manifest | None = None
        self.must_leave = must_leave
        self.time_left = time_left
        self.leaving = leaving

    def restore(self) -> Collection[str] | None:
        """Put the files of the newest whole save in place; their names, or None if there is none.

        Raises:
            CheckpointError, OSError: what is saved cannot be had.
        """
        found = restore(self._store, None, self._lost, self._launch)
        if found is None:
            return None
        self._first = found.manifest
        self._saver.go_on_from(found.save, found.manifest)
        if self._restored is not None:
            self._restored(found)
        return [leaf.about["path"] for leaf in found.manifest.leaves if leaf.kind == "file"]

    def save(self, state: Mapping[str, Any], *, final: bool) -> bool:
        """Save files and wait until they are safe; whether they are.

        Raises:
            StateNotSavable: one of them cannot be read.
        """
        try:
            before = self._saver.newest
            taken = self._saver.save(state, final=final) and self._saver.wait(WAIT)
            return taken and self._saver.newest is not before
        finally:
            self._last = self._clock.monotonic()  # if it came to nothing, not at once again, either

    def is_due(self) -> bool:
        """Whether the interval is over."""
        return self._clock.monotonic() - self._last >= self._interval.seconds

    @property
    def has_progressed(self) -> bool:
        """Whether this try has saved anything but what it began with."""
        newest = self._saver.newest
        return newest is not None and _content(newest) != _content(self._first)


def _content(manifest: Manifest | None) -> list[Any]:
    """What a save holds, wherever its chunks are."""
    if manifest is None:
        return []
    return [[(leaf.name, leaf.sizes) for leaf in manifest.leaves], [ref.digest for ref in manifest.chunks]]
