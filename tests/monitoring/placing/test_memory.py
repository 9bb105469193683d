"""What runs learn of places reaches other runs, now and later, and a damaged memory hurts nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import pytest

from parsl_diaspora.clock import SystemClock
from parsl_diaspora.events import Lesson, PlacesLearned, RunEnded
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.monitoring.placing import memory
from parsl_diaspora.monitoring.placing.memory import PlaceMemory, default_url, summed
from parsl_diaspora.monitoring.placing.routing import Routing
from parsl_diaspora.settings import Settings
from tests.waiting import until

FUNC, PLACE = "app.train#1", "executor:cpu"
GOOD = Lesson(func=FUNC, place=PLACE, good=1, tries=1)
LACK = Lesson(func=FUNC, place=PLACE, bad=4, tries=1, lack="memory")


class Run:
    """One program's part."""

    def __init__(self, url, *, choice=True):
        self.faults = []
        self.routing = Routing(Settings(), SystemClock())
        absorb = lambda part, error: self.faults.append((part, error))  # noqa: E731
        self.memory = PlaceMemory(url, self.routing, uuid.uuid4().hex, choice=choice, absorb=absorb)
        self.memory.start()

    def learn(self, lesson):
        self.routing._learn(lesson)

    @property
    def belief(self):
        return self.routing.places.of(FUNC, PLACE)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(memory, "PERIOD", 0.02)


@pytest.fixture
def start(tmp_path):
    runs = []

    def begin(url=None, **more):
        runs.append(Run(url or default_url(tmp_path / "run?info"), **more))
        return runs[-1]

    yield begin
    for run in runs:
        run.memory.close()


def test_a_later_run_knows_what_an_earlier_one_has_learned(start):
    first = start()
    for lesson in (GOOD, GOOD, LACK):
        first.learn(lesson)
    first.learn(Lesson(func=FUNC, hopeless="ZeroDivisionError@app.py:train:7"))
    first.memory.close()
    second = start()
    until(lambda: second.belief.tries)
    assert second.belief.tries == 3
    assert second.belief.good == pytest.approx(2, abs=0.01)
    assert second.routing.places.hopeless(FUNC, "ZeroDivisionError@app.py:train:7")


def test_two_runs_beside_each_other_add_up_and_nobody_counts_its_own_twice(start):
    one, other = start(), start()
    for _ in range(5):
        one.learn(GOOD)
        other.learn(LACK)
        time.sleep(0.03)
    until(lambda: one.belief.tries == other.belief.tries == 10)
    time.sleep(0.1)
    assert one.belief.tries == other.belief.tries == 10


def test_a_program_without_any_choice_tells_only_what_it_has_against_places(start, tmp_path):
    run = start(choice=False)
    run.learn(GOOD)
    time.sleep(0.1)
    assert not (tmp_path / "run?info").exists()
    run.learn(LACK)
    run.memory.close()
    (event,) = open_fabric(default_url(tmp_path / "run?info")).consumer("test").poll()
    assert [lesson.lack for lesson in event.lessons] == ["memory"]


def test_foreign_and_damaged_entries_are_counted_and_passed_over(start):
    url = f"memory:{uuid.uuid4().hex}"
    publisher = open_fabric(url).publisher("somebody")
    publisher.publish(RunEnded(done=1))
    publisher.publish(PlacesLearned(lessons=(Lesson(func=FUNC, place=PLACE, good=float("nan")), GOOD)))
    run = start(url)
    until(lambda: run.belief.tries)
    assert (run.memory.foreign, run.routing.places.skipped, run.belief.tries) == (1, 1, 1)


def test_a_clock_that_is_ahead_does_not_outlive_others(start):
    url = f"memory:{uuid.uuid4().hex}"
    event = PlacesLearned(lessons=(LACK,), time=time.time() + 1e9)
    open_fabric(url).publisher("somebody").publish(event)
    run = start(url)
    until(lambda: run.belief.tries)
    assert run.belief.proven <= time.time()


def test_a_memory_that_cannot_be_had_is_told_once_and_the_run_goes_on(start, tmp_path):
    (tmp_path / "file").write_text("no directory")
    run = start(f"file:{tmp_path / 'file'}")
    until(lambda: run.faults)
    run.learn(GOOD)
    assert [part for part, _ in run.faults] == ["placement memory"]
    assert run.belief.tries == 1


def test_what_is_told_is_small_however_many_tries_there_were():
    told = summed([GOOD] * 10_000 + [LACK] + [GOOD])
    assert [(each.good, each.bad, each.tries, each.lack) for each in told] == [(10_001.0, 4.0, 10_002, "")]
    assert summed([GOOD, LACK])[0].lack == "memory"


def test_what_has_faded_anyway_is_deleted(start, tmp_path):
    url = default_url(tmp_path)
    program = (
        "import sys; from parsl_diaspora.fabric import open_fabric; "
        "from parsl_diaspora.events import Lesson, PlacesLearned; "
        "publisher = open_fabric(sys.argv[1]).publisher('an earlier run'); "
        f"lesson = Lesson(func={FUNC!r}, place={PLACE!r}, good=1, tries=1); "
        "publisher.publish(PlacesLearned(lessons=(lesson,))); "
        "publisher.close()"
    )
    subprocess.run([sys.executable, "-c", program, url], check=True, timeout=60)
    old = [path for path in (tmp_path / "places").iterdir() if path.is_file()]
    assert old
    for path in old:
        os.utime(path, (1.0, 1.0))
    run = start(url)
    run.learn(GOOD)
    until(lambda: not any(path.exists() for path in old))
