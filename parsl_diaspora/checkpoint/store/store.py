"""The saves of one task over all levels: which there are, which try wrote them, which of them must stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from parsl_diaspora.checkpoint.digest import Buffer
from parsl_diaspora.checkpoint.store.level import Level
from parsl_diaspora.checkpoint.store.manifest import FOOTER_SIZE, Manifest, body_size, unpack
from parsl_diaspora.errors import CheckpointDamaged, CheckpointFenced

SAVE, BEGUN = ".save", ".begun"
_LAUNCH = 16  # hex digits


class Save(msgspec.Struct, frozen=True, order=True):
    """Names a save: later launches come after earlier ones, and within one they are numbered.

    Attributes:
        launch: when the try was launched, nanoseconds UTC, as the submit side counts them: a later try of a
            task has the higher one, whichever process and host it was launched from.
        number: within the try, from 1.

    Example:
        >>> Save(launch=1, number=2).name
        '0000000000000001-000002.save'
        >>> Save.of("0000000000000001-000002.save") < Save(launch=2, number=1)
        True
    """

    launch: int
    number: int

    @property
    def name(self) -> str:
        """Of the object."""
        return f"{self.launch:0{_LAUNCH}x}-{self.number:06d}{SAVE}"

    @classmethod
    def of(cls, name: str) -> Save | None:
        """The save that a name is of; None if it is none."""
        launch, _, number = name.removesuffix(SAVE).partition("-")
        if not name.endswith(SAVE) or len(launch) != _LAUNCH or not number.isdigit():
            return None
        try:
            return cls(int(launch, 16), int(number))
        except ValueError:
            return None


class Store:
    """The saves of one task.

    Args:
        levels: the nearest first.
        key: of the task.

    Attributes:
        levels: the nearest first.
    """

    def __init__(self, levels: Sequence[Level], key: str) -> None:
        self.levels = tuple(levels)
        self.key = key

    # --- tries ---

    def begin(self, launch: int) -> None:
        """A try begins: tries that were launched before it can save no more.

        Raises:
            OSError: no level takes its mark.
        """
        _any(self.levels, lambda level: level.write(self.key, f"{launch:0{_LAUNCH}x}{BEGUN}", ()))

    def names_by_level(self) -> dict[str, set[str]]:
        """All objects, by the URL of each level that can be asked.

        Raises:
            OSError: none can.
        """
        return {level.url: set(names) for level, names in self._asked(lambda level: level.names(self.key))}

    def check_not_fenced(self, launch: int, names: Mapping[str, set[str]]) -> None:
        """See that no later try has begun.

        Args:
            launch: of this try.
            names: as `names_by_level` gave them.

        Raises:
            CheckpointFenced: one has.
        """
        begun = map(_begun, set().union(*names.values()))
        later = [each for each in begun if each is not None and each > launch]
        if later:
            message = "A later try of this task has begun: what this one saves would not count any more."
            raise CheckpointFenced(message, hint="Nothing need be done: the later try's result counts.")

    # --- saves ---

    def saves(self) -> list[Save]:
        """All there are, the newest first; some of them may be damaged.

        Raises:
            OSError: no level can be asked.
        """
        found = {save for save in map(Save.of, self._names()) if save is not None}
        return sorted(found, reverse=True)

    def manifest(self, save: Save) -> Manifest:
        """What a save consists of, from the nearest level where its description is whole.

        Raises:
            CheckpointDamaged: at no level.
            OSError: none has it.
        """
        return self._from_any(lambda level: self._manifest(level, save.name))

    def _manifest(self, level: Level, name: str) -> Manifest:
        size = level.size(self.key, name)
        if size < FOOTER_SIZE:
            raise CheckpointDamaged("The save has no end: it was torn while it was written.")
        footer = bytearray(FOOTER_SIZE)
        level.read_into(self.key, name, size - FOOTER_SIZE, memoryview(footer))
        body = bytearray(body_size(bytes(footer), size))
        level.read_into(self.key, name, size - FOOTER_SIZE - len(body), memoryview(body))
        return unpack(bytes(body), bytes(footer))

    def write(self, save: Save, parts: Callable[[], Iterable[Buffer]], level: Level) -> None:
        """Keep a save at one level.

        Args:
            save: its name.
            parts: makes its bytes.
            level: one of this store's.

        Raises:
            OSError: it cannot be kept.
        """
        level.write(self.key, save.name, parts())

    def retain(self, kept: Sequence[tuple[Save, Manifest]], launch: int) -> int:
        """Remove what no kept save needs, of this try and of those before it.

        Args:
            kept: saves that stay, with all that they are made of.
            launch: of this try: what later ones have written is theirs.

        Returns:
            How many objects were removed.

        Raises:
            CheckpointFenced: a later try has begun, and may build on anything that is there.
            OSError: no level can be asked.
        """
        there = self.names_by_level()
        self.check_not_fenced(launch, there)
        needed = {save.name for save, _ in kept}.union(*(manifest.saves for _, manifest in kept))
        removed = 0
        for level in self.levels:
            found = there.get(level.url, set())
            names = [name for name in sorted(found) if _is_old(name, launch) and name not in needed]
            level.remove(self.key, names)
            removed += len(names)
        return removed

    def forget(self) -> None:
        """Remove everything that the task has kept."""
        for level in self.levels:
            level.remove_all(self.key)

    # --- levels ---

    def _names(self) -> set[str]:
        return set().union(*self.names_by_level().values())

    def _asked(self, ask: Callable[[Level], list[str]]) -> list[tuple[Level, list[str]]]:
        """Answers of all levels that give one."""
        answers, faults = [], []
        for level in self.levels:
            try:
                answers.append((level, ask(level)))
            except OSError as error:
                faults.append(error)
        if faults and not answers:
            raise faults[0]
        return answers

    def _from_any(self, read: Callable[[Level], Manifest]) -> Manifest:
        faults: list[Exception] = []
        for level in self.levels:
            try:
                return read(level)
            except (OSError, CheckpointDamaged) as error:
                faults.append(error)
        raise next((each for each in faults if isinstance(each, CheckpointDamaged)), faults[0])


def _begun(name: str) -> int | None:
    launch = name.removesuffix(BEGUN)
    if not name.endswith(BEGUN) or len(launch) != _LAUNCH:
        return None
    try:
        return int(launch, 16)
    except ValueError:
        return None


def _is_old(name: str, launch: int) -> bool:
    """Whether an object is a save of this try or of one before; or the mark of one before."""
    save, begun = Save.of(name), _begun(name)
    return (save is not None and save.launch <= launch) or (begun is not None and begun < launch)


def _any(levels: Iterable[Level], do: Callable[[Level], None]) -> None:
    """Do it at all levels that can; one is enough."""
    done, faults = 0, []
    for level in levels:
        try:
            do(level)
            done += 1
        except OSError as error:
            faults.append(error)
    if not done and faults:
        raise faults[0]
