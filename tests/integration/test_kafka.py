"""Programs whose events go to a real Kafka broker that is killed and started again in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from parsl_diaspora.cli.check import check_log
from parsl_diaspora.cli.storyteller import Storyteller
from parsl_diaspora.events import RunStarted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.state import read_events
from parsl_diaspora.testing.chaos import Chaos
from tests.integration import apps

TASKS, WARM_UP = 60, 18
TRIALS = 18


def stories_of(events):
    """The story of each task of the only run, by number."""
    (run,) = {event.run for event in events if isinstance(event, RunStarted)}
    numbers = {event.task for event in events if event.run == run and event.task is not None}
    tellers = {number: Storyteller(run, number) for number in numbers}
    for event in events:
        for teller in tellers.values():
            teller.listen(event)
    return {number: teller.tell() for number, teller in tellers.items()}


def check_tries(story):
    """Each try has its start, if a worker began it, its end and, where it failed, why and what then."""
    assert story.outcome == "done", story
    for each in story.tries:
        assert each.launched is not None
        assert each.ended is not None, story
        if each.status == "failed":
            assert each.failure is not None
            assert each.diagnosis is not None
            assert each.decision is not None
            lost = each.diagnosis.failure_class in ("manager_lost", "node_lost")
            assert each.started is not None or lost, story
        else:
            assert each.status == "succeeded"
            assert each.started is not None, story


@pytest.mark.slow
def test_every_try_is_explained_although_the_broker_was_killed_together_with_workers(
    program, check_story, kafka
):
    program.url = kafka.url(partitions=2)
    program.load(program.pool("alder", blocks=2), program.pool("birch"))
    for future in [apps.spin(number, 0.5) for number in range(WARM_UP)]:  # a cold worker imports for seconds
        future.result(timeout=100)
    plan = Chaos.plan(7, busy_workers=3, managers=1, window=(2.0, 7.0), min_gap=0.5)
    with Chaos(7, program.mark, plan, patience=5.0) as chaos:
        futures = [apps.spin(number, 0.4) for number in range(TASKS)]
        chaos.wait(timeout=2.0)
        kafka.kill()
        chaos.wait(timeout=6.0)
        kafka.start()
        assert [future.result(timeout=150) for future in futures] == [n * n for n in range(TASKS)]
    assert len([record for record in chaos.records if record.pid]) == 4
    program.close()

    log = open_fabric(program.url)
    verdict = check_log(log)
    assert verdict.whole, verdict
    events = list(read_events(log))
    check_story(events)
    stories = stories_of(events)
    assert len(stories) == TASKS + WARM_UP
    assert sum(len(story.tries) for story in stories.values()) >= TASKS + WARM_UP + 3
    for story in stories.values():
        check_tries(story)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_over_a_broker_that_is_killed_in_the_middle_keeps_its_promise(kafka, tmp_path):
    url = kafka.url()
    command = [sys.executable, "-m", "parsl_diaspora.cli.main", "demo", "--json", "--trials", str(TRIALS)]
    command += ["--campaign-only", "--fabric", url, "--dir", str(tmp_path)]
    out = tmp_path / "out.json"
    with out.open("w") as stdout, subprocess.Popen(command, stdout=stdout, cwd=tmp_path) as demo:
        try:
            while not (tmp_path / "resilient").exists():
                assert demo.poll() is None
                time.sleep(0.2)
            time.sleep(8.0)
            kafka.kill()
            time.sleep(4.0)
            kafka.start()
            status = demo.wait(500)
        finally:
            demo.kill()
    told = json.loads(out.read_text())
    assert (status, told["broken"]) == (0, [])
    ours = told["results"]["resilient"]
    assert (len(ours["scores"]), ours["missing"]) == (TRIALS, "")
    assert check_log(open_fabric(url)).whole
    stories = stories_of(list(read_events(open_fabric(url))))
    assert len(stories) == TRIALS
    assert sum(len(story.tries) for story in stories.values()) == ours["tries"]
    for story in stories.values():
        check_tries(story)
