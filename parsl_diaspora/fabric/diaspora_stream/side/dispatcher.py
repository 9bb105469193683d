"""The loop that owns every call into the binding."""

from __future__ import annotations

import logging
import time
from typing import Any

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target, TopicSpec
from parsl_diaspora.fabric.diaspora_stream.side.inlet import Inlet, Source
from parsl_diaspora.fabric.diaspora_stream.side.mailbox import Mailbox
from parsl_diaspora.fabric.diaspora_stream.side.outlet import Stuck, partitions_of
from parsl_diaspora.fabric.diaspora_stream.side.topic import Topic

logger = logging.getLogger(__name__)

IDLE_FIRST, IDLE_LONGEST = 0.001, 0.02
_STARVED_BEAT = 1.0


class Dispatcher:
    """Obeys the program, pushes and pulls, all in the thread that made the driver.

    Args:
        target: where events go and come from.
        driver: of the binding, made in this thread.
        mailbox: to the program.
    """

    def __init__(self, target: Target, driver: Any, mailbox: Mailbox) -> None:
        self._target, self._driver, self._mailbox = target, driver, mailbox
        self._topics: dict[str, Topic] = {}
        self._topic_of: dict[int, Topic] = {}
        self._inlets: dict[int, Inlet] = {}
        self._quit_at: float | None = None
        self._idle = IDLE_FIRST

    def run(self) -> None:
        """Work until the program says so or has gone, and all is confirmed.

        Raises:
            Stuck: the server confirms nothing any more.
        """
        while not self._is_done():
            self._obey()
            busy = False
            for topic in self._topics.values():
                busy |= topic.step()
            busy |= self._pull()
            self._keep_alive()
            self._mailbox.turns += 1
            self._rest(busy)

    def _pull(self) -> bool:
        """Look at all consumers. With a server only one of them, in turn, waits for what is not there yet."""
        busy = False
        for nth, inlet in enumerate(self._inlets.values()):
            patient = not self._target.traits.dies or nth == self._mailbox.turns % len(self._inlets)
            busy |= inlet.step(patient=patient)
        return busy

    def _is_done(self) -> bool:
        if self._quit_at is None:
            return False
        done = all(topic.is_empty() for topic in self._topics.values())
        return done or time.monotonic() > self._quit_at

    def _rest(self, busy: bool) -> None:
        if busy:
            self._idle = IDLE_FIRST
            return
        self._mailbox.wait(self._idle)
        self._idle = min(2 * self._idle, IDLE_LONGEST)

    def _keep_alive(self) -> None:
        """Ask whether the server lives, and where topics end whose consumers are slow."""
        for channel, inlet in self._inlets.items():
            if inlet.is_starved and not inlet.left:
                self._topic_of[channel].beat(_STARVED_BEAT)
        if self._target.traits.dies:
            for topic in self._topics.values():
                topic.beat(self._target.patience)

    # --- orders ---

    def _obey(self) -> None:
        while (message := self._mailbox.take()) is not None:
            self._idle = IDLE_FIRST
            self._obey_one(message)

    def _obey_one(self, message: wire.ToSide) -> None:
        if isinstance(message, wire.Join):
            self._topic_of[message.channel] = self._topic(message.topic)
        elif isinstance(message, wire.Publish):
            self._topic_of[message.channel].add(message.channel, message.first, message.records)
        elif isinstance(message, wire.Hush):
            if (topic := self._topic_of.pop(message.channel, None)) is not None:
                topic.add(0, 0, [message.mark])
        elif isinstance(message, wire.Follow):
            self._follow(message)
        elif isinstance(message, wire.Quit):
            self._quit_at = time.monotonic() + message.seconds
        elif not isinstance(message, wire.Hello) and (inlet := self._inlets.get(message.channel)):
            self._tell(inlet, message)

    def _topic(self, spec: TopicSpec) -> Topic:
        if spec.name not in self._topics:
            self._topics[spec.name] = Topic(self._target, spec, self._driver, self._mailbox.give)
        self._topics[spec.name].allow(spec)
        return self._topics[spec.name]

    def _tell(self, inlet: Inlet, message: wire.Credit | wire.Commit | wire.Leave) -> None:
        if isinstance(message, wire.Credit):
            inlet.credit(message.items, message.size)
        elif isinstance(message, wire.Leave):
            inlet.left = True
        else:
            self._commit(inlet, message.position)

    def _commit(self, inlet: Inlet, position: dict[str, int]) -> None:
        try:
            inlet.commit(position)
        except RuntimeError as error:
            # The program keeps its position itself; only the next start is slower without the server's.
            self._mailbox.give(wire.Trouble(f"The server does not keep a position: {error}."))

    def _follow(self, message: wire.Follow) -> None:
        try:
            inlet = self._inlet(message)
        except Stuck:
            raise
        except RuntimeError as error:
            self._mailbox.give(wire.Failed(message.channel, str(error)))
        else:
            self._inlets[message.channel] = inlet
            self._mailbox.give(wire.Opened(message.channel, inlet.position))

    def _inlet(self, message: wire.Follow) -> Inlet:
        traits = self._target.traits
        topic = self._topic_of[message.channel]
        outlet = topic.open()
        count = partitions_of(topic.handle)
        if count > 1 and not traits.targets:
            text = f"The topic has {count} partitions, which this driver does not tell apart."
            raise RuntimeError(text)
        latest = message.position is None and message.start == float("inf")
        sources = []
        for partition in range(count):
            wanted = None
            if latest:
                wanted = outlet.end(partition)
            elif message.position is not None:
                wanted = message.position.get(str(partition), 0)
                if traits.acknowledges:
                    outlet.end(partition)  # if the server's cursor is further on, this record shows it
            start = float("-inf") if latest else message.start
            sources.append(Source(topic.handle, message.name, partition, traits, wanted=wanted, start=start))
        return Inlet(message.channel, sources, self._mailbox.give, topic.ends)
