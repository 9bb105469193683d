"""Where a consumer begins that has no committed position."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.kafka.clients import Cluster
from parsl_diaspora.fabric.kafka.layout import Part
from parsl_diaspora.fabric.protocols import Start, start_time

_ANSWER = 10.0


class Beginning:
    """The first event, the next one, the first from a time on, or those of a position.

    Args:
        start: ``earliest``, ``latest``, a time in seconds, or what ``KafkaConsumer.position`` gives.

    Raises:
        FabricError: it is none of these.
    """

    def __init__(self, start: Start | Mapping[str, int]) -> None:
        self._position: dict[Part, int] | None = None
        self._time = float("-inf")
        if isinstance(start, Mapping):
            self._position = {_part(name): int(offset) for name, offset in start.items()}
        else:
            self._time = start_time(start)

    def wait(self) -> None:
        """The cluster cannot be asked now: what is latest now is a time when it answers."""
        if self._time == float("inf"):
            self._time = time.time()

    def offsets(self, cluster: Cluster, parts: Sequence[Part]) -> dict[Part, int]:
        """Where to begin in each of the partitions.

        Raises:
            FabricUnavailable: the cluster does not answer.
        """
        if self._position is not None:
            first = cluster.offsets([part for part in parts if part not in self._position], "first", _ANSWER)
            return {**first, **{part: self._position[part] for part in parts if part in self._position}}
        if self._time == float("-inf"):
            return cluster.offsets(parts, "first", _ANSWER)
        return cluster.offsets(parts, "next" if self._time == float("inf") else self._time, _ANSWER)


def _part(name: str) -> Part:
    topic, slash, number = name.rpartition("/")
    if not slash or not number.isdecimal():
        hint = "Use what a consumer's position() gives."
        raise FabricError(f"{name!r} is no partition to start at.", hint=hint)
    return topic, int(number)
