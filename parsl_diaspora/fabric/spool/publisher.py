"""Publishing into a spool: to the local disk, and past it if that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from parsl_diaspora.events import decode, join
from parsl_diaspora.fabric.file.frames import HEADER, TARGET_BODY
from parsl_diaspora.fabric.file.publisher import FilePublisher
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.file.sync import shared_syncer
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.spool.offers import Offer

if TYPE_CHECKING:
    from parsl_diaspora.fabric.spool.spool import Spool


_FRAME = HEADER.size + len(join([]))  # bytes around the events of a frame
_ROOM_WAIT = 0.25  # seconds to wait for room in a full spool
_OFFER_WAIT = 0.25  # seconds to wait for the fabric behind before the disk is tried again


class SpoolPublisher(FilePublisher):
    """Writes the embedded log like a `FilePublisher`; an event is safe when it is on the local disk.

    While the disk cannot be written, a batch goes straight to the fabric behind, after all that is on the
    disk, and is safe when it is confirmed there.

    Args:
        spool: to write to.
        source: who speaks.
        buffer: events kept in memory.
        immediate: write in the caller's thread as long as the disk takes it.
    """

    def __init__(self, spool: Spool, source: str, buffer: int, *, immediate: bool = False) -> None:
        self._spool = spool
        self._immediate = immediate
        super().__init__(spool.directory, source, buffer)
        self._batch_bytes = TARGET_BODY  # what may have to be handed on at once

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a segment and counters of its own: at first, and in a forked child."""
        super().begin_life(closed=closed)
        self._offer: Offer | None = None
        if not closed:
            self._spool.enter(self, self._stamp.boot)

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what cannot be written in time is counted as lost."""
        report = super().close(timeout)
        if self._thread is None:
            self._end()
        return report

    def _open_writer(self) -> SegmentWriter:
        return SegmentWriter(
            self._directory, self._stamp.boot, self._spool.roll_bytes, syncer=shared_syncer()
        )

    def _put(self, data: bytes) -> None:
        idle = self._accepted == self._safe + self._given_up
        if not (self._immediate and idle and self._append([data])):
            super()._put(data)
            return
        self._accepted += 1
        self._accepted_bytes += len(data)
        self._safe += 1
        self._settled_bytes += len(data)

    def _try_write(self, batch: list[bytes]) -> bool:
        return self._append(batch, _ROOM_WAIT) or self._hand_on(batch)

    def _append(self, batch: list[bytes], timeout: float = 0.0) -> bool:
        """Whether the disk took the batch. After a failure in its middle the whole batch comes again."""
        done = 0
        for piece in _pieces(batch, self._spool.roll_bytes):
            if not self._append_piece(piece, self._safe + 1 + done, timeout):
                return False
            done += len(piece)
        self._withdraw()
        self._spool.wake()
        return True

    def _append_piece(self, piece: list[bytes], first: int, timeout: float) -> bool:
        size = sum(map(len, piece)) + _FRAME
        if not self._spool.admit(size, timeout):
            return False
        try:
            self._writer.append(piece, first, self._stamp.last)
        except OSError as error:
            self._spool.degrade(error)
            return False
        finally:
            self._spool.room.wrote(size)
        return True

    def _hand_on(self, batch: list[bytes]) -> bool:
        """Past the disk. The same batch is offered until it is accepted or the disk takes it after all."""
        if self._offer is None:
            self._offer = Offer([decode(data) for data in batch])
            self._spool.offers.put(self._offer)
        self._spool.wake()
        accepted = self._offer.wait(_OFFER_WAIT)
        if accepted:
            self._offer = None
        return accepted

    def _withdraw(self) -> None:
        offer, self._offer = self._offer, None
        if offer is not None:
            offer.withdraw()

    def _end(self) -> None:
        super()._end()
        self._withdraw()
        self._spool.owners.remove(self._stamp.boot)
        self._spool.wake()


def _pieces(batch: list[bytes], limit: int) -> Iterator[list[bytes]]:
    """The batch in pieces that fit into a segment; a larger event is a piece of its own."""
    piece: list[bytes] = []
    size = _FRAME
    for data in batch:
        if piece and size + len(data) > limit:
            yield piece
            piece, size = [], _FRAME
        piece.append(data)
        size += len(data)
    yield piece
