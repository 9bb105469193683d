"""Restores a task's state: the newest save that is whole, each chunk checked as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from parsl_diaspora.checkpoint.digest import digest_of
from parsl_diaspora.checkpoint.packing import unpack_chunk
from parsl_diaspora.checkpoint.state import Leaf, check_likeness, rebuild, room_for
from parsl_diaspora.checkpoint.state.rebuild import Room
from parsl_diaspora.checkpoint.store import ChunkRef, Level, Manifest, Save, Store
from parsl_diaspora.checkpoint.store.manifest import spans
from parsl_diaspora.errors import CheckpointDamaged, StateChanged, StateNotRestored

_RUN = 8 * 1024 * 1024  # bytes read at once
_THREADS = 2

#: Told of a save that cannot be used, and why.
Lost = Callable[[Save, Exception], None]


class _Wanted(NamedTuple):
    """A chunk that must be read."""

    ref: ChunkRef
    view: memoryview
    begin: int
    end: int
    number: int

    def is_followed_by(self, other: _Wanted) -> bool:
        """Whether one read can bring both: neighbours in memory and in their object."""
        ref, after = self.ref, other.ref
        return (
            self.view is other.view
            and self.end == other.begin
            and not (ref.packed or after.packed)
            and ref.save == after.save
            and ref.offset + ref.stored == after.offset
        )


class Restored(NamedTuple):
    """A state that was restored.

    Attributes:
        state: as it was saved.
        save: the save's name.
        manifest: what it is made of.
        read: bytes read for it.
    """

    state: Any
    save: Save
    manifest: Manifest
    read: int


class Fetched:
    """A state in memory that can follow its saves: only chunks that differ are read.

    Args:
        store: of the task.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leaves: tuple[Leaf, ...] = ()
        self._rooms: list[Room] = []
        self._digests: list[bytes] = []
        self.read = 0

    def update(self, manifest: Manifest) -> None:
        """Let the memory hold what a save holds.

        Raises:
            CheckpointDamaged: a chunk is not what it was, at no level.
            OSError: it cannot be read.
            StateChanged: the library of an array or tensor is not there, or does not know its type.
        """
        if self._leaves != manifest.leaves:
            self._leaves, self._rooms, self._digests = (), [], []
            self._rooms = [_room_for(leaf) for leaf in manifest.leaves]
            self._leaves = manifest.leaves
        known = self._digests or [b""] * len(manifest.chunks)
        places = [(view, *span) for view in self._views() for span in spans(view.nbytes)]
        if len(places) != len(manifest.chunks):
            raise CheckpointDamaged("The save's description does not fit its chunks.")
        if len(known) != len(places):
            known = [b""] * len(places)
        wanted = [
            _Wanted(ref, *place, number)
            for number, (ref, place) in enumerate(zip(manifest.chunks, places, strict=True))
            if ref.digest != known[number]
        ]
        for each in wanted:
            known[each.number] = b""  # until it is read, nobody knows what the memory holds
        self._digests = known
        self._read(manifest.saves, list(_joined(wanted)))

    def _views(self) -> Iterator[memoryview]:
        for room in self._rooms:
            yield from room.buffers

    def _read(self, saves: Sequence[str], runs: Sequence[Sequence[_Wanted]]) -> None:
        self.read += sum(each.ref.stored for run in runs for each in run)
        read = partial(self._read_run, saves)
        if len(runs) <= 1:
            for run in runs:
                read(run)
            return
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="diaspora-restore") as threads:
            for _ in threads.map(read, runs):
                pass

    def _read_run(self, saves: Sequence[str], run: Sequence[_Wanted]) -> None:
        _read_run(self._store, saves, run)
        for each in run:
            self._digests[each.number] = each.ref.digest

    def state(self) -> Any:
        """The state that the memory holds; it is given away, and this begins anew.

        Raises:
            StateChanged: a part cannot be unpickled, or its library is not there.
            StateNotRestored: a file cannot be written back.
        """
        rooms, self._rooms, self._digests, self._leaves = self._rooms, [], [], ()
        try:
            return rebuild(rooms)
        except StateNotRestored:
            raise
        except Exception as error:
            message = f"The saved state cannot be rebuilt: {type(error).__name__}: {error}"
            hint = "The program has changed since it was saved: remove its checkpoints to begin anew."
            raise StateChanged(message, hint=hint) from error


def _room_for(leaf: Leaf) -> Room:
    try:
        return room_for(leaf)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        message = (
            f"The state's part {leaf.name!r}, a {leaf.kind} of {leaf.dtype}, cannot be had here: {error}"
        )
        hint = "Let the task run where there is what it was saved with."
        raise StateChanged(message, part=leaf.name, hint=hint) from error


def _joined(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    """Neighbours together, so that few reads do."""
    run: list[_Wanted] = []
    size = 0
    for each in wanted:
        if run and (size >= _RUN or not run[-1].is_followed_by(each)):
            yield run
            run, size = [], 0
        run.append(each)
        size += each.ref.stored
    if run:
        yield run


def _read_run(store: Store, saves: Sequence[str], run: Sequence[_Wanted]) -> None:
    """Read neighbours from the nearest level where all of them are sound."""
    faults: list[Exception] = []
    for level in store.levels:
        try:
            _read_from(level, store.key, saves, run)
        except (OSError, CheckpointDamaged) as error:
            faults.append(error)
        else:
            return
    raise next((each for each in faults if isinstance(each, CheckpointDamaged)), faults[0])


def _read_from(level: Level, key: str, saves: Sequence[str], run: Sequence[_Wanted]) -> None:
    first, last = run[0], run[-1]
    name, ref = saves[first.ref.save], first.ref
    if ref.packed:
        stored = bytearray(ref.stored)
        level.read_into(key, name, ref.offset, memoryview(stored))
        first.view[first.begin : first.end] = unpack_chunk(stored, first.end - first.begin)
    else:
        level.read_into(key, name, ref.offset, first.view[first.begin : last.end])
    for each in run:
        if digest_of(each.view[each.begin : each.end]) != each.ref.digest:
            message = f"A chunk at byte {each.ref.offset} of the save {name} is not what was written."
            raise CheckpointDamaged(message)


def restore(
    store: Store, default: Any = None, lost: Lost | None = None, launch: int | None = None
) -> Restored | None:
    """The newest state that is whole.

    Args:
        store: of the task.
        default: what the task would begin with, to compare with.
        lost: told of each save that cannot be used, and why.
        launch: of this try: what later ones saved is not for it.

    Returns:
        None if there is none.

    Raises:
        StateChanged: it does not fit the program any more.
        OSError: no level can be asked what there is.
    """
    fetched = Fetched(store)
    for save in store.saves():
        if launch is not None and save.launch > launch:
            continue
        try:
            manifest = store.manifest(save)
            check_likeness(manifest.leaves, default)
            fetched.update(manifest)
        except (OSError, CheckpointDamaged) as error:
            if lost is not None:
                lost(save, error)
            continue
        return Restored(fetched.state(), save, manifest, fetched.read)
    return None
