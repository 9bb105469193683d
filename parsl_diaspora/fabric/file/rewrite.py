"""Putting a better segment in the place of another one, so that a kill at any moment loses nothing.

The order: the old one is kept elsewhere; the new one is written whole and brought to the disk; the time
index of the old one goes; consumers in the middle go back to where the new one needs them; the new one takes
the old one's name at once; consumers at the end go to the new end. Killed in between, a consumer in the
middle may be given an event again, and so may one at the end that reads before the next run of this has put
that right; none misses any. A consumer that reads at that very time, and keeps its position after it was
moved, might miss some: `busy_consumers` tells of such.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import psutil

from parsl_diaspora.fabric.file.frames import Scan, read_frames
from parsl_diaspora.fabric.file.index import index_of
from parsl_diaspora.fabric.file.positions import DIRECTORY, keep_positions, kept_positions, positions_of
from parsl_diaspora.fabric.file.sync import sync_directory
from parsl_diaspora.fabric.file.writers import is_dead, writer_named

#: ``dead``: its writer is; ``quiet``: it has not grown for a while, and its writer cannot be seen from here.
Standing = Literal["alive", "fresh", "quiet", "dead"]

STALE_AFTER = (
    60.0  # seconds that a segment must not have grown if nobody here can tell whether its writer lives
)
_NEW = re.compile(r".+\.(\d+)\.new")
_LAST_WORDS = 0.05  # seconds in which a writer notices that its file is gone


class Moved(NamedTuple):
    """Where positions in an old segment lie in the new one.

    Attributes:
        offsets: by old position.
        end: of the last whole frame in the old one; who has come so far has read it all.
    """

    offsets: Mapping[int, int]
    end: int


#: Writes the new segment, which it gets behind the old one.
Write = Callable[[BinaryIO, BinaryIO], Moved]


def standing_of(path: Path) -> Standing:
    """Whether a segment may still grow.

    Raises:
        OSError: it is gone.
    """
    writer, changed = writer_named(path.name), path.stat().st_mtime
    if writer is not None and writer.host == os.uname().nodename:
        return "dead" if is_dead(writer.pid, changed) else "alive"
    return "quiet" if time.time() - changed >= STALE_AFTER else "fresh"


def consumers_at(directory: Path, name: str) -> dict[str, int]:
    """How far each named consumer has read a segment, bytes.

    Raises:
        OSError: the directory cannot be read.
    """
    return {consumer: at.get(name, 0) for consumer, at in kept_positions(directory).items()}


def busy_consumers(path: Path, end: int) -> list[str]:
    """Consumers that seem to be reading just now and have not read this segment to its end.

    Args:
        path: of the segment.
        end: of its last whole frame.

    Raises:
        OSError: the directory cannot be read.
    """
    directory, now = path.parent, time.time()
    return [
        consumer
        for consumer, at in consumers_at(directory, path.name).items()
        if at < end and now - positions_of(directory, consumer).stat().st_mtime < STALE_AFTER
    ]


def keep_copy(path: Path, place: Path, *, still: bool) -> Path:
    """Keep a segment as it is under another directory.

    Args:
        path: of the segment.
        place: the directory.
        still: nobody writes the file any more, so a second name for it is as good as a copy.

    Raises:
        OSError: it could not be kept.
    """
    place.mkdir(parents=True, exist_ok=True)
    kept = place / path.name
    if not (still and _link(path, kept)):
        temporary = kept.with_name(f"{kept.name}.{os.getpid()}.new")
        with path.open("rb") as source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            _to_disk(target)
        shutil.copystat(path, temporary)
        temporary.replace(kept)
    for each in (place, place.parent, place.parent.parent):
        sync_directory(each)
    return kept


def replace_segment(path: Path, write: Write, *, still: bool) -> int:
    """Let a new segment take the place of another one; bytes of the new one.

    Args:
        path: of the segment.
        write: gets the old file and the new one.
        still: nobody writes the file any more; else what its writer may have added meanwhile is taken over.

    Raises:
        OSError: it could not be written; the old one is as it was.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with path.open("rb", buffering=0) as old, temporary.open("wb") as new:
            moved = write(old, new)
            _to_disk(new)
            size, length = new.tell(), old.seek(0, os.SEEK_END)
            shutil.copystat(path, temporary)  # it stays as old as its events are
            index_of(path).unlink(missing_ok=True)  # first, as a wrong hint would hide events
            _move(
                path, {at: to for at, to in moved.offsets.items() if at < moved.end or not still}, back=True
            )
            temporary.replace(path)
            sync_directory(path.parent)
            _move(path, {at: to for at, to in moved.offsets.items() if at >= moved.end and still})
            if not still:
                _take_over(old, length, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return size


def finish_others(directory: Path) -> None:
    """Finish what somebody who was killed had begun.

    Remove new segments that are not whole, and let consumers that had read all of a segment that became
    shorter have read all of the new one.

    Raises:
        OSError: the log cannot be read or written.
    """
    for consumer, positions in kept_positions(directory).items():
        moved = {name: min(at, _size_when_still(directory / name, at)) for name, at in positions.items()}
        if moved != positions:
            _set(positions_of(directory, consumer), moved)
    for path in (*directory.glob("*.new"), *(directory / DIRECTORY).glob("*.new")):
        found = _NEW.fullmatch(path.name)
        if found is not None and not psutil.pid_exists(int(found.group(1))):
            with suppress(OSError):
                path.unlink()


def _size_when_still(path: Path, at: int) -> int:
    """The size of a segment that does not grow; otherwise what is given."""
    with suppress(OSError):
        size = path.stat().st_size
        return size if size < at and standing_of(path) in ("dead", "quiet") else at
    return at


def _link(path: Path, kept: Path) -> bool:
    try:
        os.link(path, kept)
    except OSError:  # another run has kept it, or the file system knows no second names
        return kept.exists() and kept.samefile(path)
    return True


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _move(path: Path, offsets: Mapping[int, int], *, back: bool = False) -> None:
    """Let consumers of a segment go on at other positions, or only at earlier ones."""
    for consumer, positions in kept_positions(path.parent).items():
        at = positions.get(path.name, 0)
        to = offsets.get(at, at)
        if to < at or (to > at and not back):
            _set(positions_of(path.parent, consumer), {**positions, path.name: to})


def _set(path: Path, positions: Mapping[str, int]) -> None:
    """Change a consumer's positions; their file stays as old as it was: it is not the consumer that reads."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    keep_positions(temporary, positions)
    shutil.copystat(path, temporary)
    temporary.replace(path)


def _take_over(old: BinaryIO, length: int, path: Path) -> None:
    """A writer that is alive after all may have written until it saw that its file had lost its name."""
    time.sleep(_LAST_WORDS)
    with path.open("ab") as target:
        for frame in read_frames(old.fileno(), Scan(length)):
            target.write(os.pread(old.fileno(), frame.end - frame.start, frame.start))
        _to_disk(target)


def translate(positions: Iterable[int], starts: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Where positions in an old file lie in the new one.

    Args:
        positions: offsets in the old file.
        starts: old and new offset of each frame that was kept, in order, and of the end.

    Example:
        >>> translate([0, 30, 90], [(0, 0), (50, 20), (80, 50)])
        {0: 0, 30: 20, 90: 50}
    """
    left, moved, new = sorted(set(positions)), {}, 0
    for old, new in starts:
        while left and left[0] <= old:
            moved[left.pop(0)] = new
    return moved | dict.fromkeys(left, new)
