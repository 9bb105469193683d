"""Resilience for Parsl programs, driven by events.

    import parsl
    from parsl_diaspora import resilient

    parsl.load(resilient(config))

Importing this package is cheap: each public name is loaded when it is first used, so a worker that needs
only the runner pays for nothing else.
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from parsl_diaspora.checkpoint.state.files import StateFile
    from parsl_diaspora.checkpoint_settings import Checkpoint, CheckpointSpec
    from parsl_diaspora.configure import resilient
    from parsl_diaspora.errors import DiasporaError, NonRetryable, RetryAfter, TaskCancelled
    from parsl_diaspora.fabric import open_fabric
    from parsl_diaspora.monitoring.cancelling.cancel import cancel
    from parsl_diaspora.monitoring.checkpointing.migrate import migrate
    from parsl_diaspora.monitoring.holds import drain, hold, release
    from parsl_diaspora.monitoring.task import current_task
    from parsl_diaspora.pool_settings import PoolSpec, SiteSpec
    from parsl_diaspora.providers.pool import ResilientPoolProvider
    from parsl_diaspora.recovery.options import resilience
    from parsl_diaspora.settings import Settings

__version__ = "0.1.0.dev0"

_HOMES = {
    "Checkpoint": "parsl_diaspora.checkpoint_settings",
    "CheckpointSpec": "parsl_diaspora.checkpoint_settings",
    "DiasporaError": "parsl_diaspora.errors",
    "NonRetryable": "parsl_diaspora.errors",
    "PoolSpec": "parsl_diaspora.pool_settings",
    "ResilientPoolProvider": "parsl_diaspora.providers.pool",
    "RetryAfter": "parsl_diaspora.errors",
    "Settings": "parsl_diaspora.settings",
    "SiteSpec": "parsl_diaspora.pool_settings",
    "StateFile": "parsl_diaspora.checkpoint.state.files",
    "TaskCancelled": "parsl_diaspora.errors",
    "cancel": "parsl_diaspora.monitoring.cancelling.cancel",
    "current_task": "parsl_diaspora.monitoring.task",
    "drain": "parsl_diaspora.monitoring.holds",
    "hold": "parsl_diaspora.monitoring.holds",
    "migrate": "parsl_diaspora.monitoring.checkpointing.migrate",
    "open_fabric": "parsl_diaspora.fabric",
    "release": "parsl_diaspora.monitoring.holds",
    "resilience": "parsl_diaspora.recovery.options",
    "resilient": "parsl_diaspora.configure",
}

__all__ = [
    "Checkpoint",
    "CheckpointSpec",
    "DiasporaError",
    "NonRetryable",
    "PoolSpec",
    "ResilientPoolProvider",
    "RetryAfter",
    "Settings",
    "SiteSpec",
    "StateFile",
    "TaskCancelled",
    "cancel",
    "current_task",
    "drain",
    "hold",
    "migrate",
    "open_fabric",
    "release",
    "resilience",
    "resilient",
]


def __getattr__(name: str) -> _typing.Any:
    """Load a public name from its home module on first use."""
    try:
        home = _HOMES[name]
    except KeyError:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message) from None
    value = getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
