"""What a worker says of a try while it runs."""

from __future__ import annotations

import time

import pytest

from parsl_diaspora import current_task, open_fabric
from parsl_diaspora.errors import NotInTask
from parsl_diaspora.monitoring.worker import speaking
from tests.monitoring.worker.stage import run_try

pytestmark = pytest.mark.usefixtures("worker")


def told(url):
    events = open_fabric(url).consumer("test").poll()
    return [event for event in events if event.kind == "task.progressed"]


def steps(count, pause):
    for step in range(count):
        current_task().progress(step / count, note=f"step {step}")
        time.sleep(pause)
    return current_task()


def test_progress_is_told_with_part_words_and_place(tmp_path):
    url = f"file:{tmp_path / 'log'}"
    run_try(steps, 1, 0, url=url)
    (event,) = told(url)
    assert (event.run, event.task, event.try_id, event.executor) == ("r", 7, 1, "alder")
    assert (event.part, event.note, event.manager, event.worker) == (0.0, "step 0", "m1", 3)


def test_it_is_told_once_a_period_and_the_newest_is_never_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(speaking, "PROGRESS_PERIOD", 0.3)
    url = f"file:{tmp_path / 'log'}"

    def work():
        for step in range(50):
            current_task().progress(step / 50)
        time.sleep(0.6)

    run_try(work, url=url)
    assert [event.part for event in told(url)] == [0.0, 0.98]


def test_after_the_end_nothing_more_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(speaking, "PROGRESS_PERIOD", 0.1)
    url = f"file:{tmp_path / 'log'}"
    _, context = run_try(steps, 2, 0, url=url)
    time.sleep(0.3)
    assert len(told(url)) == 1
    with pytest.raises(NotInTask):
        context.progress(0.5)


def test_a_try_tells_nothing_of_another_one():
    _, before = run_try(steps, 1, 0)

    def tell():
        before.progress(0.5)

    report, _ = run_try(tell, task=8)
    assert report.failure.type == "parsl_diaspora.errors.NotInTask"


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan")])
def test_a_part_that_is_none_is_refused(part):
    report, _ = run_try(lambda: current_task().progress(part))
    assert report.failure.type == "builtins.ValueError"


def test_a_fabric_in_trouble_is_no_trouble_of_the_task(tmp_path):
    (tmp_path / "log").write_text("no directory")
    report, context = run_try(steps, 2, 0, url=f"file:{tmp_path / 'log'}")
    assert report.failure is None
    assert context.task == 7
    assert report.unsaid
