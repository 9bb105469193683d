"""A save as it is written: new chunks, where those are that are stored, and at its end what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from parsl_diaspora.checkpoint.digest import Buffer, digest_of
from parsl_diaspora.checkpoint.known import Known
from parsl_diaspora.checkpoint.packing import Packing
from parsl_diaspora.checkpoint.state import Piece
from parsl_diaspora.checkpoint.store import ChunkRef, Manifest
from parsl_diaspora.checkpoint.store.manifest import MAGIC, pack, spans

_BATCH = 8 * 1024 * 1024  # bytes handed to the store at once


class Writing:
    """One save on its way to a store.

    Args:
        name: of the object.
        pieces: the state; it must not change meanwhile.
        known: chunks that are stored.
        packing: compresses chunks.
        about: the manifest, without what is written here.
        check: called now and then; it raises to give the save up.

    Attributes:
        manifest: what was written, when all of it was.
        written: bytes so far.
    """

    def __init__(
        self,
        name: str,
        *,
        pieces: Sequence[Piece],
        known: Known,
        packing: Packing,
        about: Manifest,
        check: Callable[[int], None],
    ) -> None:
        self._name = name
        self._pieces = pieces
        self._known = known
        self._packing = packing
        self._about = about
        self._check = check
        self.manifest: Manifest | None = None
        self.written = 0

    def parts(self) -> Iterator[Buffer]:
        """The bytes of the object, in order; from the beginning each time."""
        self.written, self.manifest = len(MAGIC), None
        refs: list[tuple[str, ChunkRef]] = []
        yield MAGIC
        yield from self._chunks(refs)
        names = [*dict.fromkeys(name for name, _ in refs if name != self._name), self._name]
        numbers = {name: number for number, name in enumerate(names)}
        chunks = tuple(msgspec.structs.replace(ref, save=numbers[name]) for name, ref in refs)
        leaves = tuple(piece.leaf for piece in self._pieces)
        manifest = msgspec.structs.replace(self._about, leaves=leaves, chunks=chunks, saves=tuple(names))
        end = pack(manifest)
        self.written += len(end)
        self._check(self.written)
        yield end
        self.manifest = manifest

    def _chunks(self, refs: list[tuple[str, ChunkRef]]) -> Iterator[Buffer]:
        own: dict[bytes, ChunkRef] = {}
        for piece in self._pieces:
            for buffer in piece.buffers:
                yield from self._buffer(buffer, refs, own)

    def _buffer(
        self, buffer: memoryview, refs: list[tuple[str, ChunkRef]], own: dict[bytes, ChunkRef]
    ) -> Iterator[Buffer]:
        """New chunks of one buffer; those that lie side by side and stay as they are go as one."""
        begun = ended = 0
        for begin, end in spans(buffer.nbytes):
            chunk = buffer[begin:end]
            digest = digest_of(chunk)
            found = (self._name, own[digest]) if digest in own else self._known.find(digest)
            if found is not None:
                refs.append(found)
                continue
            stored, packed = self._packing.pack(chunk)
            size = memoryview(stored).nbytes
            if begun < ended and (packed or begin != ended or ended - begun >= _BATCH):
                yield buffer[begun:ended]
                begun = ended = 0
            own[digest] = ref = ChunkRef(digest, 0, self.written, size, packed)
            refs.append((self._name, ref))
            self.written += size
            self._check(self.written)
            if packed:
                yield stored
            else:
                begun, ended = begun if begun < ended else begin, end
        if begun < ended:
            yield buffer[begun:ended]
