"""Where states are kept: one object a save, of the chunks that are new and of where all the others are."""

from parsl_diaspora.checkpoint.store.directory import DirectoryLevel
from parsl_diaspora.checkpoint.store.level import Level, open_level
from parsl_diaspora.checkpoint.store.manifest import ChunkRef, Manifest
from parsl_diaspora.checkpoint.store.store import Save, Store

__all__ = ["ChunkRef", "DirectoryLevel", "Level", "Manifest", "Save", "Store", "open_level"]
