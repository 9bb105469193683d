"""What runs learn of places is shared: with runs that go on beside this one, and with later ones."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from parsl_diaspora.events import Event, Lesson, PlacesLearned
from parsl_diaspora.fabric import Consumer, Fabric, Publisher, open_fabric
from parsl_diaspora.fabric.stamp import default_source

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.placing.routing import Routing

OFF = "off"
DIRECTORY = "places"
#: Old lessons have faded anyway, so the log of them stays small.
OPTIONS = "roll=1MB&keep=8MB&keep_for=7d"
PERIOD = 3.0  # seconds between two words to others, and two looks at theirs
MOST_WAITING = 100_000
MOST_A_WORD = 500  # lessons in one event
CLOSE_SECONDS = 2.0

Absorb = Callable[[str, BaseException], None]


def default_url(runs: Path) -> str:
    """Where runs share what they learn unless the settings say otherwise: beside their directories."""
    path = str(runs / DIRECTORY).replace("?", "%3F")
    return f"file:{path}?{OPTIONS}"


class PlaceMemory:
    """Brings lessons of others in, and this run's out, in a thread of its own.

    Args:
        url: of the fabric that runs share.
        routing: of the run.
        run: Parsl's run id.
        choice: whether the program has any choice of places: successes are worth telling only then.
        absorb: told of faults of our own, by part.

    Attributes:
        foreign: events that are no lessons.
    """

    def __init__(self, url: str, routing: Routing, run: str, *, choice: bool, absorb: Absorb) -> None:
        self._url = url
        self._routing = routing
        self._run = run
        self._choice = choice
        self._absorb = absorb
        self._waiting: deque[Lesson] = deque(maxlen=MOST_WAITING)
        self._publisher: Publisher | None = None
        self._boot = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="diaspora-places", daemon=True)
        self.foreign = 0

    def start(self) -> None:
        """Begin to read what others have learned; the program does not wait for it."""
        self._routing.teach = self._waiting.append
        self._thread.start()

    def close(self) -> None:
        """Say what is left, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            self._work_on(open_fabric(self._url))
        except Exception as error:  # noqa: BLE001 - promise 1: the run goes on with what it knows itself
            self._routing.teach = _forget_it
            self._absorb("placement memory", error)

    def _work_on(self, fabric: Fabric) -> None:
        consumer = fabric.consumer(f"places-{uuid.uuid4().hex[:12]}", start="earliest")
        try:
            while not self._stop.is_set():
                self._hear(consumer)
                self._stop.wait(PERIOD)
                self._tell(fabric)
            self._tell(fabric)
        finally:
            consumer.close()
            if self._publisher is not None:
                self._publisher.close(CLOSE_SECONDS)

    def _hear(self, consumer: Consumer) -> None:
        try:
            while events := consumer.poll():
                for event in events:
                    self._take(event)
        except Exception as error:  # noqa: BLE001 - it may be away for a while
            self._absorb("placement memory", error)

    def _take(self, event: Event) -> None:
        if not isinstance(event, PlacesLearned):
            self.foreign += 1
        elif event.boot != self._boot:
            event.time = min(event.time, self._routing.now())  # a clock that is ahead must not outlive others
            self._routing.places.fold(event)

    def _tell(self, fabric: Fabric) -> None:
        lessons = self._worth_telling()
        if not lessons:
            return
        if self._publisher is None:
            self._publisher = fabric.publisher(default_source("places"))
        for begin in range(0, len(lessons), MOST_A_WORD):
            event = PlacesLearned(run=self._run, lessons=tuple(lessons[begin : begin + MOST_A_WORD]))
            self._publisher.publish(event)
            self._boot = event.boot

    def _worth_telling(self) -> list[Lesson]:
        lessons = [self._waiting.popleft() for _ in range(len(self._waiting))]
        told = summed(lessons)
        return [each for each in told if self._choice or each.lack or each.hopeless or each.bad >= 1]


def summed(lessons: list[Lesson]) -> list[Lesson]:
    """One lesson for each function, place and environment, in the order in which they were learned last.

    Example:
        >>> lesson = Lesson(func="f", place="executor:cpu", good=1, tries=1)
        >>> [(each.good, each.tries) for each in summed([lesson, lesson])]
        [(2.0, 2)]
    """
    found: dict[tuple[str, str, str, str], Lesson] = {}
    for lesson in lessons:
        key = lesson.func, lesson.place, lesson.environment, lesson.hopeless
        before = found.pop(key, None)
        found[key] = lesson if before is None else _sum(before, lesson)
    return list(found.values())


def _sum(before: Lesson, lesson: Lesson) -> Lesson:
    """Counts add up; what the place lacks is what was last found."""
    cleared = bool(lesson.good)
    keeps = before.lack if not lesson.lack and not cleared else lesson.lack
    memory = lesson.memory if lesson.lack or (cleared and before.lack) else max(before.memory, lesson.memory)
    return msgspec.structs.replace(
        lesson,
        good=float(before.good + lesson.good),
        bad=before.bad + lesson.bad,
        tries=before.tries + lesson.tries,
        lack=keeps,
        memory=memory,
    )


def _forget_it(lesson: Lesson) -> None:
    """Nobody is told any more."""
