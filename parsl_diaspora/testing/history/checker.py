"""The verdict over a history: what was lost, wrong, out of order, doubled, or missing without a word."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from parsl_diaspora.testing.history.records import (
    AnyNote,
    Committed,
    Drained,
    Intends,
    Met,
    Read,
    Safe,
    read_notes,
)

_SHOWN = 10
_Id = tuple[str, int]


class Verdict(msgspec.Struct):
    """What a history shows. Each list names what violates the contract, in words.

    Attributes:
        safe: events that were acknowledged.
        read: different events that were read by anybody.
        lost: acknowledged, and read by nobody.
        missed: read by others, but not by a reader that has read up to the end.
        wrong: read, but never published, or not as it was published.
        disorder: read in another order than its source's own.
        gaps: numbers of a source passed over, more of them than `EventsLost` has said.
        duplicates: read twice in one life of a reader.
        repeated: read again by a later life of a reader, though committed.
        skipped: damaged stretches that readers have passed over.
    """

    safe: int = 0
    read: int = 0
    lost: list[str] = []
    missed: list[str] = []
    wrong: list[str] = []
    disorder: list[str] = []
    gaps: list[str] = []
    duplicates: list[str] = []
    repeated: list[str] = []
    skipped: list[str] = []

    @property
    def violations(self) -> dict[str, list[str]]:
        """What is not empty, by kind."""
        lists = {field: getattr(self, field) for field in self.__struct_fields__}
        return {field: found for field, found in lists.items() if isinstance(found, list) and found}

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, wrong, out of order or doubled."""
        return not self.violations

    def __str__(self) -> str:
        head = f"{self.safe} events acknowledged, {self.read} read"
        if self.holds:
            return f"{head}: nothing lost, wrong, out of order or doubled."
        words = [_in_words(kind, found) for kind, found in self.violations.items()]
        return "\n".join([f"{head}; violations:", *words])


def _in_words(kind: str, found: list[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"  {kind} ({len(found)}): {'; '.join(found[:_SHOWN])}{more}"


def check(paths: Iterable[str | os.PathLike[str]]) -> Verdict:
    """Judge the notes in files; those of one reader's lives must come in the order of the lives.

    Raises:
        OSError: a file cannot be read.

    Example:
        >>> print(check([]))
        0 events acknowledged, 0 read: nothing lost, wrong, out of order or doubled.
    """
    return judge(read_notes(paths))


def judge(notes: Iterable[AnyNote]) -> Verdict:
    """Judge notes."""
    history = _History()
    for note in notes:
        history.take(note)
    return history.verdict()


class _Life:
    """What one life of a reader has met, in order."""

    def __init__(self) -> None:
        self.met: list[Met] = []
        self.committed = 0
        self.skipped = 0


class _History:
    def __init__(self) -> None:
        self._intended: dict[str, int] = {}
        self._safe: dict[tuple[str, str], int] = {}
        self._lives: dict[str, dict[str, _Life]] = defaultdict(dict)
        self._drained: set[str] = set()

    def take(self, note: AnyNote) -> None:
        match note:
            case Intends():
                self._intended[note.source] = max(note.upto, self._intended.get(note.source, 0))
            case Safe():
                key = note.source, note.boot
                self._safe[key] = max(note.upto, self._safe.get(key, 0))
            case Read():
                life = self._life(note.reader, note.life)
                life.met.extend(note.events)
                life.skipped = max(life.skipped, note.skipped)
            case Committed():
                life = self._life(note.reader, note.life)
                life.committed = len(life.met)
            case Drained():
                self._drained.add(note.reader)

    def _life(self, reader: str, life: str) -> _Life:
        return self._lives[reader].setdefault(life, _Life())

    def verdict(self) -> Verdict:
        verdict = Verdict(safe=sum(self._safe.values()))
        by_reader = {reader: _ids(lives.values()) for reader, lives in self._lives.items()}
        anybody = set[_Id]().union(*by_reader.values())
        verdict.read = len(anybody)
        verdict.lost = list(self._not_in(anybody))
        for reader in sorted(self._drained):
            known = by_reader.get(reader, set())
            verdict.missed.extend(f"{reader} {boot}-{seq}" for boot, seq in sorted(anybody - known))
        verdict.wrong = sorted(set(self._wrong()))
        for reader, lives in self._lives.items():
            _judge_reader(reader, lives, verdict)
        return verdict

    def _not_in(self, met: set[_Id]) -> Iterator[str]:
        for (source, boot), upto in self._safe.items():
            yield from (f"{source} {boot}-{seq}" for seq in range(1, upto + 1) if (boot, seq) not in met)

    def _wrong(self) -> Iterator[str]:
        published: dict[_Id, Met] = {}
        for lives in self._lives.values():
            for life in lives.values():
                for event in life.met:
                    first = published.setdefault((event.boot, event.seq), event)
                    if why := self._fault_of(event, first):
                        yield f"{event.source} {event.boot}-{event.seq}: {why}"

    def _fault_of(self, event: Met, first: Met) -> str:
        if event.number < 0:
            return "its seal is broken"
        if event != first:
            return "two contents under one id"
        if event.number > self._intended.get(event.source, 0):
            return "never published"
        return ""


def _ids(lives: Iterable[_Life]) -> set[_Id]:
    return {(event.boot, event.seq) for life in lives for event in life.met}


def _judge_reader(reader: str, lives: dict[str, _Life], verdict: Verdict) -> None:
    committed: set[_Id] = set()
    for life in lives.values():
        seen: set[_Id] = set()
        last: dict[str, Met] = {}
        for event in life.met:
            _judge_event(reader, event, seen, last, verdict)
        verdict.repeated.extend(f"{reader} {boot}-{seq}" for boot, seq in sorted(seen & committed))
        committed.update((event.boot, event.seq) for event in life.met[: life.committed])
        if life.skipped:
            verdict.skipped.append(f"{reader}: {life.skipped}")
    verdict.gaps.extend(_gaps(reader, lives.values()))


def _judge_event(reader: str, event: Met, seen: set[_Id], last: dict[str, Met], verdict: Verdict) -> None:
    key = event.boot, event.seq
    name = f"{reader} {event.source} {event.boot}-{event.seq}"
    if key in seen:
        verdict.duplicates.append(name)
        return
    seen.add(key)
    before = last.get(event.boot)
    last[event.boot] = event
    if before is not None and (event.seq < before.seq or 0 < event.number < before.number):
        verdict.disorder.append(f"{name} after {before.seq}")


def _gaps(reader: str, lives: Iterable[_Life]) -> Iterator[str]:
    """Numbers missing below the highest that this reader has met, unless as many were said to be lost."""
    numbers, seqs, said = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set), dict[_Id, int]()
    for life in lives:
        for event in life.met:
            seqs[event.boot].add(event.seq)
            said[event.boot, event.seq] = event.lost
            if event.number > 0:
                numbers[event.source].add(event.number)
    holes = [(name, first, last) for name, met in numbers.items() for first, last in _holes(met)]
    if sum(last - first + 1 for _, first, last in holes) > sum(said.values()):
        yield from (f"{reader} {name}: {first}-{last}" for name, first, last in holes)
        return
    unsaid = [(boot, hole) for boot, met in seqs.items() for hole in _holes(met)]
    if sum(last - first + 1 for _, (first, last) in unsaid) > sum(said.values()):
        yield from (f"{reader} {boot}: {first}-{last}" for boot, (first, last) in unsaid)


def _holes(met: set[int]) -> Iterator[tuple[int, int]]:
    before = 0
    for number in sorted(met):
        if number > before + 1:
            yield before + 1, number - 1
        before = number
