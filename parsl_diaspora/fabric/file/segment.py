"""The one writer of a segment."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from parsl_diaspora.events import join, split
from parsl_diaspora.fabric.file import large
from parsl_diaspora.fabric.file.disk import OnDisk
from parsl_diaspora.fabric.file.frames import HEADER, LARGEST_FRAME, TARGET_BODY, in_batches, pack_frame
from parsl_diaspora.fabric.file.index import IndexWriter, index_of
from parsl_diaspora.fabric.file.options import ROLL_AFTER, ROLL_BYTES, FileOptions
from parsl_diaspora.fabric.file.sync import Syncer, shared_syncer

SUFFIX = ".events"
_CHECK_EVERY = 0.001  # seconds between two looks at the file, which cost as much as a small write
_HIGH = 512
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def segment_names(directory: Path, known: AbstractSet[str] = frozenset()) -> list[str]:
    """Names of the segments in a directory, in the order in which each publisher wrote its own.

    A directory that is listed while a publisher makes files may show a later one without the one before it.
    So where there are new files it is listed again, up to the last one of each publisher: no reader meets a
    segment before those that precede it.

    Args:
        directory: of the log.
        known: names that were there when it was last listed.

    Raises:
        OSError: the directory cannot be read.
    """
    names = _listed(directory)
    if known >= set(names):
        return names
    last = {writer_of(name): name for name in names}
    return [name for name in _listed(directory) if name <= last.get(writer_of(name), "")]


def _listed(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX) and _is_file(entry))
    except FileNotFoundError:
        return []


def writer_of(name: str) -> str:
    """The part of a segment's name that all segments of one publisher share."""
    return name.removesuffix(SUFFIX).rpartition(".")[0]


def delete_segment(directory: Path, name: str) -> None:
    """Remove a segment that is no longer needed, and what belongs to it.

    Raises:
        OSError: it cannot be removed.
    """
    path = directory / name
    path.unlink(missing_ok=True)  # first: a reader must not meet references to what is gone
    for other in (index_of(path), *large.files_of(directory, path.stem)):
        other.unlink(missing_ok=True)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # it went away, or is a link to nowhere
        return False


class SegmentWriter:
    """Appends frames to a file that nobody else writes; begins the next when it is full, old, gone or broken.

    The file is made with the first frame. Not thread-safe, but for `sync`.

    Args:
        directory: of the log; made again if it is removed.
        boot: the publisher's boot id, part of the file's name.
        roll_bytes: size at which a new file is begun.
        name: gives the stem of the file with a given number; by default host, process, boot and number.
        roll_seconds: age at which a new file is begun.
        syncer: brings what is written to the disk soon; None to leave that to `sync`.

    Attributes:
        written: events that readers find.
        synced: those of them that are known to survive a loss of power; events that are not, as a disk
            failed to take them, are never counted later.
    """

    def __init__(
        self,
        directory: Path,
        boot: str,
        roll_bytes: int = ROLL_BYTES,
        name: Callable[[int], str] | None = None,
        *,
        roll_seconds: float = ROLL_AFTER,
        syncer: Syncer | None = None,
    ) -> None:
        self.written = 0
        self._directory = directory
        self._boot = boot
        self._roll_bytes = roll_bytes
        self._roll_seconds = roll_seconds
        self._name = name or self._own_name
        self._syncer = syncer
        self._stem = ""
        self._number = 0
        self._fd = -1
        self._device = self._inode = 0
        self._end = self._checked = 0
        self._roll_at = self._check_at = 0.0
        self._rescued = b""
        self._latest = 0.0
        self._disk = OnDisk(directory, deferred=syncer is not None)

    @property
    def synced(self) -> int:
        """Events that survive a loss of power."""
        return self._disk.synced

    @property
    def rolls(self) -> int:
        """Files begun so far."""
        return self._number

    def append(self, encoded: Sequence[bytes], first: int, moment: float = 0.0) -> None:
        """Write events as frames, all or none; those too large for a frame go into files of their own.

        Args:
            encoded: the events.
            first: number of the first of them among all that this publisher wrote.
            moment: no event is later than this or now, seconds UTC; the clock may have stepped back since
                they were stamped.

        Raises:
            OSError: they could not be written; no reader will find them.
        """
        moment = max(moment, time.time())
        if sum(map(len, encoded)) <= large.LIMIT:
            self._append(pack_frame(join(encoded), len(encoded), first, moment), len(encoded), moment)
            return
        frames = []
        for batch in in_batches(list(encoded), TARGET_BODY):
            frames.append(self._frame(batch, first, moment))
            first += len(batch)
        self._append(b"".join(frames), len(encoded), moment)

    def append_frames(self, frames: Sequence[bytes]) -> None:
        """Write ready frames, one behind the other: all of them or none.

        Raises:
            OSError: they could not be written; no reader will find them.
        """
        frames = [frame if len(frame) <= LARGEST_FRAME else self._smaller(frame) for frame in frames]
        headers = [HEADER.unpack_from(frame) for frame in frames]
        events = sum(header[3] for header in headers)
        self._append(b"".join(frames), events, max(header[5] for header in headers))

    def sync(self) -> None:
        """Make what was written survive a power loss as well. Any thread may call it.

        Raises:
            OSError: it did not reach the disk, and is not counted as `synced`, ever.
        """
        self._disk.sync()

    def wait_synced(self, timeout: float) -> None:
        """Have all that was written brought to the disk now; wait for it up to ``timeout`` seconds."""
        if self._syncer is not None and self._disk.behind:
            self._syncer.wait(self, timeout)

    def close(self) -> None:
        """Close the file. A later append begins a new one.

        Raises:
            OSError: the file system says only now that it could not keep what was written.
        """
        if not self._has_name():
            self._open_next()
            self._write(self._rescued)
        self._leave()

    def _leave(self) -> None:
        self._fd = -1
        self._disk.leave()

    def _append(self, data: bytes, events: int, moment: float) -> None:
        self._make_ready(len(data))
        data = self._rescued + data
        try:
            self._write(data)
        except OSError:
            if self._fd >= 0:
                raise
            self._open_next()  # it may have been that file's fault, as with a limit on its size
            self._write(data)
        self._rescued = b""
        self._latest = max(self._latest, moment)
        self._index.note(self._end, self._latest)
        self.written += events
        if self._disk.wrote(self.written) and self._syncer is not None:
            self._syncer.add(self)

    def _smaller(self, frame: bytes) -> bytes:
        """A frame that came ready, but is larger than this log's may be."""
        _, _, _, count, first, moment = HEADER.unpack_from(frame)
        return pack_frame(self._body_within(split(frame[HEADER.size :])), count, first, moment)

    def _frame(self, encoded: Sequence[bytes], first: int, moment: float) -> bytes:
        fits = max(map(len, encoded)) <= large.LIMIT
        return pack_frame(join(encoded) if fits else self._body_within(encoded), len(encoded), first, moment)

    def _body_within(self, encoded: Sequence[bytes]) -> bytes:
        self._make_ready(LARGEST_FRAME)  # large events are named after the segment that will refer to them
        return join([self._within(data) for data in encoded])

    def _within(self, data: bytes) -> bytes:
        """An event as it goes into a frame."""
        if len(data) <= large.LIMIT:
            return data
        name = f"{self._stem}.{os.urandom(6).hex()}"
        return large.set_aside(self._directory, name, data, sync=self._syncer is not None)

    def _make_ready(self, more: int) -> None:
        now = time.monotonic()
        if now >= self._check_at:
            self._check(now)
        if self._fd < 0 or (self._end and self._end + more > self._roll_bytes):
            self._open_next()

    def _check(self, now: float) -> None:
        """Give the file up if it is not ours or has no name any more, was not synced, or is old."""
        self._check_at = now + _CHECK_EVERY
        if not self._has_name():
            self._give_up()
        elif self._disk.failed or (self._end and now >= self._roll_at):
            self._leave()
        self._checked = self._end

    def _has_name(self) -> bool:
        """Whether the file is there; what was written since it was last seen goes into the next one."""
        if self._fd < 0:
            return True
        try:
            status = os.fstat(self._fd)
            if status.st_ino != self._inode or status.st_dev != self._device:
                self._fd = -1
                self._disk.leave(ours=False)
                return True
            if not status.st_nlink:
                self._rescued = os.pread(self._fd, self._end - self._checked, self._checked)
        except OSError:
            return False
        return status.st_nlink > 0

    def _open_next(self) -> None:
        self._leave()
        stem = self._name(self._number)
        path = self._directory / (stem + SUFFIX)
        try:
            self._fd = _create(path)
        except FileNotFoundError:
            self._directory.mkdir(exist_ok=True)
            self._fd = _create(path)
        status = os.fstat(self._fd)
        self._device, self._inode = status.st_dev, status.st_ino
        self._disk.enter(self._fd)
        self._index = IndexWriter(path)
        self._stem = stem
        self._number += 1
        self._end = self._checked = 0
        self._roll_at = time.monotonic() + self._roll_seconds

    def _own_name(self, number: int) -> str:
        return f"{os.uname().nodename}.{os.getpid()}.{self._boot}.{number:04d}"

    def _write(self, frame: bytes) -> None:
        try:
            written = os.write(self._fd, frame)
            while written < len(frame):  # the disk fills up or a limit is met: the next call says which
                written += os.write(self._fd, frame[written:])
        except OSError as error:
            self._cut_back(error.errno)
            raise
        self._end += len(frame)

    def _cut_back(self, number: int | None) -> None:
        """Leave nothing of a failed write behind; give the file up if it may be the file's fault."""
        try:
            os.ftruncate(self._fd, self._end)
            os.lseek(self._fd, self._end, os.SEEK_SET)
        except OSError:
            self._give_up()
        else:
            if self._end and number not in _DISK_FULL:
                self._give_up()

    def _give_up(self) -> None:
        with suppress(OSError):
            self._leave()


def open_writer(
    directory: Path, boot: str, options: FileOptions, name: Callable[[int], str] | None = None
) -> SegmentWriter:
    """A writer that does what the log's options declare."""
    return SegmentWriter(
        directory,
        boot,
        options.roll_bytes,
        name,
        roll_seconds=options.roll_seconds,
        syncer=shared_syncer() if options.synced_soon else None,
    )


def _create(path: Path) -> int:
    """A new file, under a high number.

    A program that becomes a daemon closes all descriptors, and those that it opens next get the lowest
    numbers: no write of ours must ever reach one of those.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # beyond this process's limit
        return fd
    os.close(fd)
    return high
