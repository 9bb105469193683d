"""Peak memory of a writer, of readers of a large and of a small log, and of a hub."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from _candidates import STORES
from _events import BATCH, encoded
from _fabric_process import peak_bytes
from _fabric_relay import Relay, ready_frames
from _figures import Figure, Measured, Part, Sizes
from _processes import Helper

MB = 1e6


def measure(name: str, place: str, sizes: Sizes) -> Measured:
    """Peaks of resident memory in MB; those of LMDB hold the pages of its map as well."""
    size = len(encoded(1)[0])
    large, small = sizes.large // size, sizes.small // size
    if name == "relay":
        return {"hub": _hub(place, large // BATCH * BATCH)}
    writer = _peak("write_all", name, f"{place}-large", large)
    reader = _peak("read_all", name, f"{place}-large", large)
    _peak("write_all", name, f"{place}-small", small)
    small_reader = _peak("read_all", name, f"{place}-small", small)
    return {
        "base": reader["base"] / MB,
        "large": reader["peak"] / MB,
        "beyond": (reader["peak"] - reader["base"]) / MB,
        "small": small_reader["peak"] / MB,
        "writer": writer["peak"] / MB,
    }


def _peak(role: str, name: str, place: str, events: int) -> dict[str, Any]:
    with Helper(role, name, place, events) as helper:
        found = helper.hear()
    assert found["events"] >= events, found
    return found


def _hub(place: str, events: int) -> float:
    with closing(Relay(place)) as relay:
        ready_frames(relay.start(), "a" * 16, events)
        return peak_bytes(str(relay.pid)) / MB


PART = Part(
    "memory",
    "peak resident memory; the large log has {large}, the small one {small}; LMDB's counts its map",
    (*STORES[:1], "relay", *STORES[1:]),
    measure,
    (
        Figure("large", "reader of the large log, MB", 64, "{:.1f}", at_least=False),
        Figure("small", "reader of the small log, MB", 64, "{:.1f}", at_least=False),
        Figure("base", "of this: a reader's imports alone, MB", form="{:.1f}"),
        Figure("beyond", "of this: beyond imports, large log, MB", form="{:.1f}"),
        Figure("writer", "writer of the large log, MB", 64, "{:.1f}", at_least=False),
        Figure("hub", "hub of the relay, MB", 64, "{:.1f}", at_least=False, judged="relay"),
    ),
    once=True,
)
