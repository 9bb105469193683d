"""Chunks that are stored already: a save writes only those that it does not find here."""

from __future__ import annotations

from collections import defaultdict

from parsl_diaspora.checkpoint.store import ChunkRef, Manifest

_LIVE = 0.3  # part of an object that must still be in use, or what is left of it is written anew
_MOST_OBJECTS = 64  # that a save may be spread over


class Known:
    """Where the chunks of the last save are.

    Args:
        manifest: of that save; None if there is none.

    Attributes:
        size: bytes stored of all objects that it needs, as far as its chunks tell.
        objects: names of those that may be built on.
    """

    def __init__(self, manifest: Manifest | None = None) -> None:
        self._refs: dict[bytes, tuple[str, ChunkRef]] = {}
        self.size = 0
        self.objects: set[str] = set()
        if manifest is not None:
            self._learn(manifest)

    def _learn(self, manifest: Manifest) -> None:
        live: defaultdict[int, int] = defaultdict(int)
        ends: defaultdict[int, int] = defaultdict(int)
        refs = {ref.digest: ref for ref in manifest.chunks}
        for ref in refs.values():
            live[ref.save] += ref.stored
            ends[ref.save] = max(ends[ref.save], ref.offset + ref.stored)
        self.size = sum(ends.values())
        busiest = sorted(live, key=lambda save: live[save], reverse=True)[: _MOST_OBJECTS - 1]
        good = {save for save in busiest if live[save] >= ends[save] * _LIVE}
        self.objects = {manifest.saves[save] for save in good}
        self._refs = {
            ref.digest: (manifest.saves[ref.save], ref) for ref in refs.values() if ref.save in good
        }

    def find(self, digest: bytes) -> tuple[str, ChunkRef] | None:
        """The object that has a chunk, and where; None if it must be written."""
        return self._refs.get(digest)
