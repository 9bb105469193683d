"""What a simulated world is like: its sites, what is lost when, and the work."""

from __future__ import annotations

from typing import Any

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.scaling.budget import HOUR
from parsl_diaspora.sizes import parse_seconds


class SimulatedSite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site of the simulation.

    Attributes:
        nodes: that it has in all.
        nodes_per_block: that come and go together.
        workers: tasks that a node runs at once.
        wait: median of a block's wait in the queue, as ``"30s"``; waits are lognormal.
        spread: sigma of the logarithm of these waits; 0 for waits that are all the same.
        start: from a block's start until its managers connect.
        walltime: of blocks for which no other is asked.
        refuses: part of the requests that are refused, 0 to 1.
    """

    nodes: int = 10_000
    nodes_per_block: int = 1
    workers: int = 1
    wait: str = "20s"
    spread: float = 0.5
    start: str = "5s"
    walltime: str = "24h"
    refuses: float = 0.0


class Losses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is lost.

    Attributes:
        every: mean time between two losses of one node, anywhere in the pool, as ``"2m"``; empty for none.
        node_mtbf: mean time between failures of each node, as ``"1000h"``; empty for none.
        at: times of single losses, as ``("10m", "22m")``.
        found_after: from a loss until it is known.
    """

    at: tuple[str, ...] = ()
    every: str = ""
    node_mtbf: str = ""
    found_after: str = "1s"


class Outage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All nodes of a location are lost at once, and none is to be had there for a while.

    Attributes:
        location: of the pool.
        at: when it begins.
        lasts: how long no block starts there.
    """

    location: str
    at: str
    lasts: str = "10m"


class Burst(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tasks that are submitted at once.

    Attributes:
        at: when.
        tasks: how many.
        seconds: that each takes.
        every: again and again after so long; empty for once.
        executor: label; empty for the first of the pool.
        func: name of the app.
    """

    at: str = "0s"
    tasks: int = 1
    seconds: float = 60.0
    every: str = ""
    executor: str = ""
    func: str = "task"


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A simulated world.

    Attributes:
        hours: that are simulated.
        seed: of all chance.
        period: seconds between two steps of the controller.
        sites: by the names that the pool has for them; those not named have the defaults.
        losses: what is lost, one by one.
        outages: what is lost together.
        work: the tasks.

    Example:
        >>> Scenario.read({"hours": 2, "losses": {"every": "2m"}}).losses.every
        '2m'
        >>> Scenario.read({"hour": 2})
        Traceback (most recent call last):
        parsl_diaspora.errors.SettingsError: The trace does not fit: Object contains unknown field `hour`. \
docs/pools.md shows one.
    """

    hours: float = 1.0
    seed: int = 1
    period: float = 2.0
    sites: dict[str, SimulatedSite] = {}
    losses: Losses = Losses()
    outages: tuple[Outage, ...] = ()
    work: tuple[Burst, ...] = ()

    @property
    def seconds(self) -> float:
        """That are simulated."""
        return self.hours * HOUR

    @classmethod
    def read(cls, values: Any) -> Scenario:
        """A scenario from plain data.

        Raises:
            SettingsError: it does not fit.
        """
        try:
            scenario: Scenario = msgspec.convert(values, cls)
            _check_spans(scenario)
        except (msgspec.ValidationError, ValueError) as error:
            message = f"The trace does not fit: {str(error).rstrip('.')}."
            raise SettingsError(message, hint="docs/pools.md shows one.") from error
        return scenario


def _check_spans(scenario: Scenario) -> None:
    spans = [
        scenario.losses.every,
        scenario.losses.node_mtbf,
        scenario.losses.found_after,
        *scenario.losses.at,
    ]
    for site in scenario.sites.values():
        spans += [site.wait, site.start, site.walltime]
    for outage in scenario.outages:
        spans += [outage.at, outage.lasts]
    for burst in scenario.work:
        spans += [burst.at, burst.every]
    for text in spans:
        if text:
            parse_seconds(text)
