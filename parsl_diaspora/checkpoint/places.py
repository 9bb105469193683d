"""Where a save goes: to each place that takes it. What counts is only what a place can give back whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from parsl_diaspora.checkpoint.store import Level, Save, Store
from parsl_diaspora.checkpoint.writing import Writing

_COPY = 4 * 1024 * 1024  # bytes copied from level to level at once


class Places:
    """The levels of one task's store, as far as its try has heard of them.

    Args:
        store: of the task.
        launch: of the try.
        fault: told of a level that takes nothing while another one does.
    """

    def __init__(self, store: Store, launch: int, fault: Callable[[OSError], None]) -> None:
        self._store = store
        self._launch = launch
        self._fault = fault
        self._names: dict[str, set[str]] = {}
        self._taking: set[str] = set()

    def look(self) -> None:
        """See what there is, and that no later try has begun.

        Raises:
            CheckpointFenced: one has.
            OSError: no level can be asked.
        """
        self._names = self._store.names_by_level()
        self._store.check_not_fenced(self._launch, self._names)

    def hold(self, objects: set[str]) -> bool:
        """Whether each level that took the last save has all these objects still.

        Somebody may have cleared it, and one that was away for a time lacks what was saved meanwhile.
        """
        return all(objects <= names for url, names in self._names.items() if url in self._taking)

    def write(self, save: Save, writing: Writing) -> tuple[Level, int]:
        """The first level that takes a save gets it from memory, the others from there.

        Returns:
            The nearest level from which it can be restored, and how many such there are.

        Raises:
            OSError: there is none.
        """
        took: list[Level] = []
        faults: list[OSError] = []
        for level in self._store.levels:
            parts = partial(_copied, took[0], self._store.key, save.name) if took else writing.parts
            try:
                self._store.write(save, parts, level)
            except OSError as error:
                faults.append(error)
            else:
                took.append(level)
        self._taking = {level.url for level in took}
        earlier = set(writing.manifest.saves) - {save.name} if writing.manifest is not None else set()
        whole = [level for level in took if earlier <= self._names.get(level.url, set())]
        if not whole:
            lacking = OSError("The only place that takes saves lacks those that this one builds on.")
            raise faults[0] if faults else lacking
        for fault in faults:
            self._fault(fault)
        return whole[0], len(whole)


def _copied(level: Level, key: str, name: str) -> Iterator[bytearray]:
    """The bytes of an object, piece by piece."""
    size = level.size(key, name)
    for begin in range(0, size, _COPY):
        piece = bytearray(min(_COPY, size - begin))
        level.read_into(key, name, begin, memoryview(piece))
        yield piece
