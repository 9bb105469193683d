"""A node that falls silent is suspected; it is lost when there is more against it than silence.

A node that is only slow, or paused, keeps its connection and its block. So does one behind a broken network:
the heartbeats of its manager, which stock Parsl counts for minutes, decide about that one.
"""

from __future__ import annotations

from parsl_diaspora.events import NodeLost, NodeRecovered, NodeSuspected
from parsl_diaspora.executors.agent.control import NodeSighting, Sightings
from parsl_diaspora.executors.watch.blocks import Blocks
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.watched import Watched
from parsl_diaspora.state import Live

SUSPECT_AFTER = 3.0  # seconds of silence; supervisors beat once a second
LOST_AFTER = 2.0  # seconds of silence, if other evidence says that the node is gone


class Nodes:
    """The nodes of an executor, as far as they have a supervisor.

    Args:
        executor: whose they are.
        live: of the run.
        managers: theirs.
        blocks: theirs.

    Attributes:
        suspected: managers whose node is silent, with the seconds of silence.
    """

    def __init__(self, executor: Watched, live: Live, managers: Managers, blocks: Blocks) -> None:
        self.suspected: dict[str, float] = {}
        self._executor = executor
        self._live = live
        self._managers = managers
        self._blocks = blocks

    def look(self, sightings: Sightings) -> None:
        """Compare what is heard now with what was heard before."""
        watched = {each.manager: each for each in sightings.nodes if self._is_served(each.manager)}
        for each in watched.values():
            self._judge(each)
        for manager in self.suspected.keys() - watched.keys():
            del self.suspected[manager]  # lost, or gone for another reason, which has been said

    def _is_served(self, manager: str) -> bool:
        return manager in self._managers.present and manager not in self._managers.given_up

    def _judge(self, node: NodeSighting) -> None:
        evidence = self._evidence(node) if node.silent >= LOST_AFTER else ()
        if evidence:
            self._lose(node, evidence)
        elif node.silent >= SUSPECT_AFTER:
            self._suspect(node)
        elif not node.silent and node.manager in self.suspected:
            self._recover(node)

    def _evidence(self, node: NodeSighting) -> tuple[str, ...]:
        self._blocks.ask_provider(node.block)
        found = []
        if node.connected is False:
            found.append("its connection is closed")
        if self._blocks.has_ended(node.block):
            found.append(f"its block {node.block} has ended")
        return tuple(found)

    def _suspect(self, node: NodeSighting) -> None:
        new = node.manager not in self.suspected
        self.suspected[node.manager] = node.silent
        if new:
            event = NodeSuspected(seconds=node.silent, reason="its supervisor has fallen silent")
            self._say(event, node)

    def _recover(self, node: NodeSighting) -> None:
        self._say(NodeRecovered(seconds=self.suspected.pop(node.manager)), node)

    def _lose(self, node: NodeSighting, evidence: tuple[str, ...]) -> None:
        self._say(NodeLost(seconds=node.silent, evidence=evidence), node)
        reason = f"its node is lost: silent for {node.silent:.1f} s, and {' and '.join(evidence)}"
        self._managers.give_up(node.manager, reason)

    def _say(self, event: NodeSuspected | NodeRecovered | NodeLost, node: NodeSighting) -> None:
        event.executor, event.block = self._executor.label, node.block
        event.manager, event.node = node.manager, node.node
        self._live.say(event)
