"""How the workers of a run reach its fabric: by themselves, or through a relay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from parsl_diaspora.errors import FabricError
from parsl_diaspora.state import Live

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.relay import Pool, RunRelay


class Reach:
    """Tells where each executor's workers publish. A relay that cannot be had, or is dead, is said once.

    Args:
        live: the run's state.
        setting: `Settings.relay`.
        directory: of the run.
        pools: executors with workers.

    Attributes:
        relay: the hub that workers publish to and take orders from; None if this run has none.
    """

    def __init__(self, live: Live, setting: str, directory: Path, pools: Iterable[Pool]) -> None:
        self._live = live
        self._is_said = False
        self.relay: RunRelay | None = None
        if setting == "off" or (setting == "auto" and live.inlet.node_url):
            return
        try:
            from parsl_diaspora.monitoring.relay import open_relay

            self.relay = open_relay(setting, live.inlet, directory, pools, live.node_url)
        except Exception as error:  # noqa: BLE001 - promise 1: workers publish as if there were no such thing
            live.absorb("relay", error)

    def url(self, executor: str) -> str:
        """The fabric that an executor's workers publish to; empty for none."""
        without = self._live.node_url or ""
        if self.relay is None:
            return without
        if not self.relay.is_serving and not self._is_said:
            self._is_said = True
            self._live.absorb("relay", FabricError("The hub has stopped; workers publish without it."))
        return self.relay.url_for(executor) or without

    def close(self) -> None:
        """Stop the relay: what has arrived is taken in first."""
        if self.relay is not None:
            self.relay.close()
