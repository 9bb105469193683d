"""The progress of running tasks: their states are saved, kept and restored.

Nothing here knows Parsl, or what a try is more than its number: `parsl_diaspora.monitoring` brings tasks and
states together.
"""

from parsl_diaspora.checkpoint.following import Following, Round
from parsl_diaspora.checkpoint.identity import Identity
from parsl_diaspora.checkpoint.interval import Interval, best_interval
from parsl_diaspora.checkpoint.loader import Fetched, Restored, restore
from parsl_diaspora.checkpoint.saver import Heard, Saved, Saver
from parsl_diaspora.checkpoint.state import StateFile
from parsl_diaspora.checkpoint.store import DirectoryLevel, Level, Manifest, Save, Store, open_level

__all__ = [
    "DirectoryLevel",
    "Fetched",
    "Following",
    "Heard",
    "Identity",
    "Interval",
    "Level",
    "Manifest",
    "Restored",
    "Round",
    "Save",
    "Saved",
    "Saver",
    "StateFile",
    "Store",
    "best_interval",
    "open_level",
    "restore",
]
