"""The progress of running tasks: their states are saved, kept and restored.

Nothing here knows Parsl, or what a try is more than its number: `parsl_diaspora.monitoring` brings tasks and
states together. Each name is loaded when it is first used: what travels with every try is described here,
too, and most apps have no checkpoints.
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from parsl_diaspora.checkpoint.following import Following, Round
    from parsl_diaspora.checkpoint.identity import Identity
    from parsl_diaspora.checkpoint.interval import Interval, best_interval
    from parsl_diaspora.checkpoint.loader import Fetched, Restored, restore
    from parsl_diaspora.checkpoint.saver import Heard, Saved, Saver
    from parsl_diaspora.checkpoint.state import StateFile
    from parsl_diaspora.checkpoint.store import DirectoryLevel, Level, Manifest, Save, Store, open_level

_HOMES = {
    "DirectoryLevel": "store",
    "Fetched": "loader",
    "Following": "following",
    "Heard": "saver",
    "Identity": "identity",
    "Interval": "interval",
    "Level": "store",
    "Manifest": "store",
    "Restored": "loader",
    "Round": "following",
    "Save": "store",
    "Saved": "saver",
    "Saver": "saver",
    "StateFile": "state",
    "Store": "store",
    "best_interval": "interval",
    "open_level": "store",
    "restore": "loader",
}

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


def __getattr__(name: str) -> _typing.Any:
    """Load a public name on first use."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
