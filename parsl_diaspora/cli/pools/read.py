"""Pools and simulated worlds from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.simulator import Scenario
from parsl_diaspora.settings import Settings, read_yaml


def read_spec(name: str) -> PoolSpec:
    """A pool from a file that is one, or whose settings have one.

    Raises:
        SettingsError: there is none, or it cannot be held.
    """
    values = _mapping(name, "a pool, or settings with one under 'pool'")
    if "sites" in values and "pool" not in values:
        values = {"pool": values}
    pool = Settings.from_dict(values, where=name).pool
    if pool is None:
        message = f"The settings in {name} have no pool."
        raise SettingsError(message, hint="docs/pools.md shows one, with what it can ask for.")
    return pool


def read_scenario(name: str | None, *, hours: float | None, seed: int | None) -> Scenario:
    """A simulated world from a file, or the default one, with some of it set anew.

    Raises:
        SettingsError: it does not fit.
    """
    values = _mapping(name, "a simulated world") if name is not None else {}
    over = {key: value for key, value in (("hours", hours), ("seed", seed)) if value is not None}
    return Scenario.read({**values, **over})


def _mapping(name: str, what: str) -> dict[str, Any]:
    values = read_yaml(Path(name))
    if not isinstance(values, dict):
        message = f"{name} holds a {type(values).__name__}, not {what}."
        raise SettingsError(message, hint="docs/pools.md shows one.")
    return values
