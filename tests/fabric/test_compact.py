"""Finished runs keep their net effect and lose the rest; nobody misses anything or reads it twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from parsl_diaspora.cli.explain import story_of
from parsl_diaspora.cli.find import all_runs
from parsl_diaspora.cli.report import report_of
from parsl_diaspora.cli.runs import summaries_of
from parsl_diaspora.events import (
    BlockSeen,
    DecisionMade,
    EventsCompacted,
    ManagerSeen,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.compact import Compaction
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.state.reading import Reading
from tests.fabric.old_logs import dead_name, read, segment
from tests.fabric.test_repair import killed_after

TASKS = 60


class Speakers:
    """A submit side and two workers, each with its own numbers."""

    def __init__(self, run="r"):
        self.run, self.clock, self.said = run, 1_790_000_000.0, {"submit": [], "m0": [], "m1": []}

    def say(self, event, who="submit"):
        self.clock += 0.25
        event.run, event.time, event.source = self.run, self.clock, who
        event.boot, event.seq = f"{who}-{self.run}", len(self.said[who]) + 1
        self.said[who].append(event)

    def write(self, directory, *, live=False):
        for who, events in self.said.items():
            name = "" if not live else f"{os.uname().nodename}.{os.getpid()}.{who}-{self.run}.0000"
            segment(
                directory,
                [5] * (len(events) // 5) + [1] * (len(events) % 5),
                make=lambda number, events=events: events[number - 1],
                name=name or dead_name(f"{who}-{self.run}"),
            )


def place(task):
    return {"executor": "e", "block": "0", "manager": f"m{task % 2}", "node": f"n{task % 2}", "worker": 1}


def program(run="r", *, ends=True):
    """Every tenth task fails once and succeeds then; every fifteenth fails for good."""
    here = Speakers(run)
    here.say(RunStarted(program="p.py", node="elsewhere", executors=("e",)))
    for number in range(2):
        here.say(ManagerSeen(executor="e", block="0", manager=f"m{number}", workers=2))
    for task in range(TASKS):
        here.say(BlockSeen(executor="e", block="0", state="RUNNING"))
        here.say(TaskSubmitted(task=task, try_id=0, executor="e", func="f"))
        tries = 2 if task % 10 == 3 or task % 15 == 4 else 1
        for number in range(tries):
            if number:
                here.say(TryLaunched(task=task, try_id=number, executor="e"))
            here.say(TryStarted(task=task, try_id=number, pid=7, **place(task)), f"m{task % 2}")
            if number < tries - 1 or task % 15 == 4:
                here.say(TryFailed(task=task, try_id=number, seconds=0.5, **place(task)))
                here.say(DecisionMade(task=task, try_id=number, tries=number + 1, rule="again", reason="why"))
            else:
                here.say(TryEnded(task=task, try_id=number, seconds=0.5, **place(task)))
        here.say(TaskEnded(task=task, outcome="failed" if task % 15 == 4 else "done", tries=tries))
    if ends:
        here.say(RunEnded(done=TASKS))
    return here


def told(directory):
    """What people are told of a log."""
    found = all_runs([open_fabric(f"file:{directory}")])
    stories = [story_of(each, task) for each in found for task in (3, 4, 13, 19, 33, 34)]
    return [report_of(each) for each in found], summaries_of(found), stories


@pytest.fixture
def log(directory):
    program().write(directory)
    return directory


def compact(directory, **options):
    return [each for each in Compaction(directory, **options).run() if not each.left]


def reasons(directory, **options):
    return {each.left for each in Compaction(directory, **options).run()}


def size(directory):
    return sum(path.stat().st_size for path in directory.glob("*.events"))


def test_report_runs_and_stories_of_failed_tasks_are_the_same_before_and_after(log):
    before = told(log)
    done = compact(log)
    assert len(done) == 3
    assert told(log) == before


def test_a_log_of_several_runs_tells_the_same_before_and_after(directory):
    for run in ("one", "two"):
        program(run).write(directory)
    before = told(directory)
    assert len(compact(directory)) == 6
    assert told(directory) == before


def test_most_of_it_goes_and_what_it_says_it_saved_is_true(log):
    before, count = size(log), verify(log).events
    done = compact(log)
    assert sum(each.before for each in done) == before
    assert sum(each.after for each in done) == size(log) < 0.6 * before
    verdict = verify(log)
    marks = [event for event in read(log) if isinstance(event, EventsCompacted)]
    assert verdict.compacted == sum(each.dropped for each in done) == sum(mark.dropped for mark in marks)
    assert verdict.events - len(marks) + verdict.compacted == count


def test_numbers_that_went_are_not_missing(log):
    count = verify(log).events
    compact(log)
    assert verify(log).whole
    reading = Reading(open_fabric(f"file:{log}"))
    list(reading)
    assert (reading.dedupe.missing, reading.dedupe.duplicates, reading.events) == (0, 0, count)


def test_a_real_loss_after_a_compaction_is_still_a_gap(log):
    compact(log)
    path = next(path for path in log.glob("*submit*.events"))
    data = path.read_bytes()
    second, third = data.index(b"PDe1", 4), data.index(b"PDe1", data.index(b"PDe1", 4) + 4)
    path.write_bytes(data[:second] + data[third:])
    assert not verify(log).whole
    reading = Reading(open_fabric(f"file:{log}"))
    list(reading)
    assert reading.dedupe.missing > 0


def test_a_second_compaction_finds_nothing_to_do(log):
    compact(log)
    before = {path.name: path.read_bytes() for path in log.glob("*.events")}
    assert compact(log) == []
    assert {path.name: path.read_bytes() for path in log.glob("*.events")} == before


def test_the_story_of_a_task_that_went_well_says_that_its_details_went(log):
    compact(log)
    (found,) = all_runs([open_fabric(f"file:{log}")])
    story = story_of(found, 20)
    assert (story.func, story.outcome, len(story.tries)) == ("f", "done", 1)
    assert (story.tries[0].status, story.tries[0].compacted) == ("succeeded", True)


def test_the_old_segments_are_kept_unless_told_otherwise(log, tmp_path):
    old = {path.name: path.read_bytes() for path in log.glob("*.events")}
    done = compact(log)
    assert {each.name: (log / each.kept).read_bytes() for each in done} == old
    other = tmp_path / "other"
    program().write(other)
    compact(other, copy=False)
    assert not (other / "before-compact").exists()


def test_a_run_that_has_not_ended_is_left_unless_it_is_abandoned(directory):
    program(ends=False).write(directory)
    assert reasons(directory) == {"run r has not ended"}
    before = told(directory)
    assert len(compact(directory, abandoned=True)) == 3
    assert told(directory) == before


def test_a_run_with_a_writer_that_lives_is_not_abandoned(directory):
    here = program(ends=False)
    here.write(directory)
    name = f"{os.uname().nodename}.{os.getpid()}.x.0000"
    segment(directory, [1], boot="x", name=name)  # of run r, by this very process
    assert reasons(directory, abandoned=True) == {"run r has not ended"}


def test_a_segment_that_may_still_grow_is_left(directory):
    program().write(directory, live=True)
    assert reasons(directory) == {"its writer may still write"}


def test_a_segment_of_a_living_writer_that_has_gone_on_to_the_next_is_compacted(directory):
    program().write(directory, live=True)
    stem = f"{os.uname().nodename}.{os.getpid()}.m0-r.0001"
    segment(directory, [1], boot="m0-r", first=len(program().said["m0"]) + 1, name=stem)
    assert [each.name.split(".")[-3] for each in compact(directory)] == ["m0-r"]


def test_a_damaged_segment_is_left(log):
    path = next(log.glob("*submit*.events"))
    path.write_bytes(path.read_bytes()[:-3])
    assert "it is damaged or its end is torn: repair it first" in reasons(log)


def test_a_consumer_that_had_read_everything_is_given_nothing_again(log):
    read(log, commit=True)
    assert len(compact(log)) == 3
    assert read(log) == []


def test_a_consumer_that_has_not_read_everything_keeps_its_segments(log):
    had = read(log, commit=True, limit=20, once=True)
    before = size(log)
    assert any("it is not read to its end by reader" in reason for reason in reasons(log))
    rest = read(log)
    assert len({event.id for event in had + rest}) == len(had) + len(rest)
    assert size(log) <= before


def test_forced_a_consumer_in_the_middle_goes_on_at_the_same_event(log):
    had = read(log, commit=True, limit=20, once=True)
    assert len(compact(log, force=True)) == 3
    left = {event.id for event in read(log, "new") if not isinstance(event, EventsCompacted)}
    rest = [event for event in read(log) if not isinstance(event, EventsCompacted)]
    assert not {event.id for event in had} & {event.id for event in rest}
    assert left <= {event.id for event in had + rest}


def test_events_that_stand_in_the_log_twice_are_told_once_before_and_after(log):
    path = next(log.glob("*submit*.events"))
    (log / f"{dead_name('copy')}.events").write_bytes(path.read_bytes())
    before = told(log)
    compact(log)
    assert told(log)[1:] == before[1:]


def test_killed_at_any_boundary_it_loses_nothing_and_a_second_run_finishes_the_job(tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(10_000)))
    print(f"seed {seed}")
    draw = random.Random(seed)
    boundary, killed = draw.randint(1, 3), 0
    body = "list(Compaction(Path(sys.argv[1])).run())"
    while True:
        directory = tmp_path / str(boundary)
        program().write(directory)
        before = told(directory)
        read(directory, "end", commit=True)
        was_killed = killed_after(boundary, directory, body, "compact", "Compaction")
        assert told(directory) == before
        assert verify(directory).whole
        compact(directory)
        assert compact(directory) == []
        assert told(directory) == before
        assert read(directory, "end") == []
        assert not list(directory.glob("*.new"))
        killed += was_killed
        if not was_killed:
            break
        boundary += draw.randint(3, 9)
    assert killed > 5


def test_a_log_larger_than_the_memory_that_is_allowed_is_compacted(directory):
    """A run of 60 000 tasks, 240 000 events."""

    def make(number):
        task, step = divmod(number - 1, 4)
        kinds = (TaskSubmitted, TryStarted, TryEnded, TaskEnded)
        if number > 240_000:
            return RunEnded(source="s", boot="ab", seq=number, time=2e9, run="r")
        extra = {"func": "f" * 60} if step == 0 else {}
        return kinds[step](
            source="s", boot="ab", seq=number, time=1e9 + number, run="r", task=task, try_id=0, **extra
        )

    segment(directory, [400] * 600 + [1], make=make)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from parsl_diaspora.fabric.file.compact import Compaction\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 16_000_000,) * 2)\n"
        "print(sum(each.dropped for each in Compaction(Path(sys.argv[1])).run()))\n"
    )
    before = size(directory)
    done = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=True)
    assert before > 20_000_000
    assert int(done.stdout) == 120_000
    assert verify(directory).whole
