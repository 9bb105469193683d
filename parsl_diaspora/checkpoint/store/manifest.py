"""What a save consists of, as it stands at the end of its object.

An object is: magic, new chunks one after the other, the manifest in msgpack, and a footer of fixed size with
the manifest's length and digest. A torn object has no footer, or one that does not fit.
"""

from __future__ import annotations

import struct

import msgspec

from parsl_diaspora.checkpoint.digest import DIGEST_SIZE, digest_of
from parsl_diaspora.checkpoint.state.leaf import Leaf
from parsl_diaspora.errors import CheckpointDamaged

MAGIC = b"PDsave1\n"
VERSION = 1
CHUNK = 256 * 1024  # bytes of a state that are stored, and compared with the save before, as one
_FOOTER = struct.Struct(f"<Q{DIGEST_SIZE}s8s")
FOOTER_SIZE = _FOOTER.size

#: What comes of damage by itself.
OLDER = "The save before it is taken, if that is whole."


class ChunkRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the bytes of a chunk are.

    Attributes:
        digest: of the bytes.
        save: number of the object in `Manifest.saves`.
        offset: in that object, bytes.
        stored: bytes there.
        packed: they are compressed with zstd.
    """

    digest: bytes
    save: int
    offset: int
    stored: int
    packed: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a save consists of.

    Attributes:
        leaves: parts of the state.
        chunks: those of all buffers of all parts, in order; each buffer begins a new one.
        saves: names of objects that hold chunks; this one's own is the last.
        version: of this description.
        run: Parsl's run id.
        task: Parsl's task id.
        attempt: number of the try.
        time: when it was saved, seconds UTC.
        final: the task has left with it: another try may go on from it at once.
    """

    leaves: tuple[Leaf, ...]
    chunks: tuple[ChunkRef, ...]
    saves: tuple[str, ...]
    version: int = VERSION
    run: str = ""
    task: int = -1
    attempt: int = 0
    time: float = 0.0
    final: bool = False

    @property
    def size(self) -> int:
        """Bytes of the state."""
        return sum(leaf.size for leaf in self.leaves)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Manifest).decode


def pack(manifest: Manifest) -> bytes:
    """The end of an object: manifest and footer."""
    body = _encode(manifest)
    return body + _FOOTER.pack(len(body), digest_of(body), MAGIC)


def body_size(footer: bytes, size: int) -> int:
    """Bytes of the manifest, which stands before the footer.

    Args:
        footer: the last `FOOTER_SIZE` bytes of an object.
        size: of the object.

    Raises:
        CheckpointDamaged: that is no footer of an object of that size.
    """
    length, _, magic = _FOOTER.unpack(footer)
    if magic != MAGIC or length > size - FOOTER_SIZE - len(MAGIC):
        raise CheckpointDamaged("The save has no end: it was torn while it was written.", hint=OLDER)
    return int(length)


def unpack(body: bytes, footer: bytes) -> Manifest:
    """A manifest.

    Raises:
        CheckpointDamaged: its bytes are not those that were written, or of another release.
    """
    _, digest, _ = _FOOTER.unpack(footer)
    if digest_of(body) != digest:
        raise CheckpointDamaged("The save's description is damaged.")
    try:
        manifest = _decode(body)
    except msgspec.DecodeError as error:
        raise CheckpointDamaged(f"The save's description cannot be read: {error}") from error
    if manifest.version != VERSION:
        message = f"The save is described as version {manifest.version}, and this release reads {VERSION}."
        raise CheckpointDamaged(message)
    return manifest


def spans(size: int) -> list[tuple[int, int]]:
    """Begin and end of the chunks of a buffer.

    Example:
        >>> spans(CHUNK + 1)
        [(0, 262144), (262144, 262145)]
    """
    return [(begin, min(begin + CHUNK, size)) for begin in range(0, size, CHUNK)]
