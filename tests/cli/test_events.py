"""The events themselves: tail, export, verify, schema."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import jsonschema
import msgspec
import pytest

from parsl_diaspora.cli.event_words import event_line
from parsl_diaspora.events import KINDS, RunEnded, TaskEnded, Unknown, decode
from parsl_diaspora.events.cloudevents import from_cloudevent
from parsl_diaspora.events.schema import json_schema
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.state import read_events
from tests.fabric.disk import no_file_may_grow

EXPORT_MEMORY = 20_000_000  # bytes: a batch, decoded, and what is imported only then


def everything(log):
    return sorted(read_events(log.fabric), key=lambda event: event.id)


# --- tail ---


def test_tail_shows_the_newest_events_oldest_first(call, log):
    answer = call("events", "tail", "-n", 3)
    assert answer.status == 0
    assert [line.split()[1] for line in answer.lines] == ["task.try_ended", "task.ended", "run.ended"]
    assert answer.lines[-1].endswith("2 done, 1 failed")


def test_tail_is_in_order_of_time_though_the_log_is_not(call, log):
    times = [json.loads(line)["time"] for line in call("events", "tail", "-n", 100, "--json").lines]
    assert len(times) == 25
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("kinds", "seen"),
    [
        (["task.try_failed"], {"task.try_failed"}),
        (["run"], {"run.started", "run.ended"}),
        (["run.ended", "manager"], {"run.ended", "manager.seen"}),
    ],
)
def test_tail_shows_only_the_kinds_that_are_asked_for(call, log, kinds, seen):
    options = [part for kind in kinds for part in ("--kind", kind)]
    lines = call("events", "tail", "-n", 100, "--json", *options).lines
    assert {json.loads(line)["kind"] for line in lines} == seen


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest(call, log):
    answer = call("events", "tail", "--kind", "task.try_fail")
    assert answer.status == 2
    assert "Did you mean 'task.try_failed'?" in answer.err
    assert "The kinds are: " in call("events", "tail", "--kind", "zzzzzz").err


def test_tail_shows_one_run(call, make_log):
    make_log(0, "first").start().end()
    make_log(1, "second").start()
    assert "run first" in call("events", "tail", "--run", "first").out
    assert "run second" in call("events", "tail").out


def test_lines_are_whole_when_nobody_watches(call, log):
    log.say(70, TaskEnded(task=3, outcome="failed", error="x" * 300))
    assert "x" * 300 in call("events", "tail", "-n", 1).out


def test_tail_of_no_events_is_empty(call, log):
    assert call("events", "tail", "-n", 0).out == ""


def test_follow_goes_on_until_the_run_has_ended(call, make_log):
    log = make_log().start()

    def go_on():
        time.sleep(0.3)
        log.good_task(7, at=5)
        time.sleep(0.3)
        log.end(done=1)

    thread = threading.Thread(target=go_on)
    thread.start()
    answer = call("events", "tail", "--follow", "-n", 1)
    thread.join()
    kinds = [line.split()[1] for line in answer.lines]
    assert kinds[0] == "manager.seen"
    assert sorted(kinds[1:-1]) == ["task.ended", "task.submitted", "task.try_ended", "task.try_started"]
    assert kinds[-1] == "run.ended"


def test_follow_of_a_run_that_has_ended_ends_at_once(call, log):
    assert call("events", "tail", "-f", "-n", 1).lines[-1].endswith("2 done, 1 failed")


def test_a_named_fabric_shows_all_its_runs(call, log):
    log.say(80, RunEnded(run="other", done=7))
    out = call("events", "tail", "--fabric", log.fabric.url, "-n", 2).out
    assert "7 done, 0 failed" in out
    assert "2 done, 1 failed" in out


def test_following_is_ended_from_the_keyboard(make_log):
    make_log().start()
    code = (  # a shell in the background lets its children ignore the signal
        "import signal, sys; from parsl_diaspora.cli.main import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.exit(main(['events', 'tail', '--follow']))"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        assert b"run.started" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 130
        assert follower.stderr.read() == b""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_line(kind):
    line = event_line(KINDS[kind](time=1_790_000_000.0))
    assert line.split()[1] == kind
    assert "\n" not in line


def test_an_event_of_a_newer_release_has_a_line():
    event = decode(msgspec.msgpack.encode({"kind": "node.heartbeat_missed", "task": 3, "count": 2}))
    assert isinstance(event, Unknown)
    assert event_line(event)[13:] == "node.heartbeat_missed  task 3"


# --- export ---


def test_export_gives_back_what_was_published(call, log):
    answer = call("events", "export")
    events = [decode(line.encode(), "json") for line in answer.lines]
    assert sorted(events, key=lambda event: event.id) == everything(log)
    assert answer.err == ""


def test_export_as_cloudevents_gives_back_what_was_published(call, log):
    messages = [json.loads(line) for line in call("events", "export", "--format", "cloudevents").lines]
    assert {message["specversion"] for message in messages} == {"1.0"}
    events = [from_cloudevent(message) for message in messages]
    assert sorted(events, key=lambda event: event.id) == everything(log)


def test_export_writes_a_file_and_says_how_much(call, log):
    answer = call("events", "export", "-o", "events.jsonl")
    assert (answer.status, answer.out) == (0, "")
    assert "25 events are in events.jsonl" in answer.err
    with open("events.jsonl", "rb") as file:
        assert Counter(json.loads(line)["kind"] for line in file)["task.try_failed"] == 3


def test_export_of_one_run_or_of_all_logs(call, make_log):
    make_log(0, "first").start()
    make_log(1, "second").start()
    assert {json.loads(line)["run"] for line in call("events", "export").lines} == {"first", "second"}
    assert {json.loads(line)["run"] for line in call("events", "export", "--run", "f").lines} == {"first"}


def test_a_file_that_cannot_be_written_is_an_error(call, log, tmp_path):
    answer = call("events", "export", "-o", tmp_path / "no" / "such" / "file")
    assert answer.status == 2
    assert "No such file or directory" in answer.err
    assert call("events", "export", "-o", tmp_path).err.endswith("Is a directory.\n")


def test_export_reads_each_event_once(call, log):
    for segment in log.directory.glob("*.events"):
        (log.directory / f"copy-{segment.name}").write_bytes(segment.read_bytes())
    assert len(call("events", "export").lines) == 25


def test_an_export_to_a_full_disk_is_an_error_and_leaves_the_old_file_and_no_half_one(call, log, tmp_path):
    (tmp_path / "events.jsonl").write_text("of yesterday")
    with no_file_may_grow():
        answer = call("events", "export", "-o", "events.jsonl")
    assert answer.status == 2
    assert "events.jsonl: File too large; nothing was exported" in answer.err
    assert (tmp_path / "events.jsonl").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "runinfo"]


def test_an_export_through_a_link_or_to_a_device_goes_where_it_should(call, log, tmp_path):
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to("there")
    assert call("events", "export", "-o", "link").status == 0
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "there").read_bytes().splitlines()) == 25
    assert call("events", "export", "-o", "/dev/null").status == 0


@pytest.mark.parametrize("form", ["jsonl", "cloudevents"])
def test_a_log_larger_than_the_memory_that_is_allowed_is_exported(tmp_path, form):
    from tests.fabric.old_logs import segment

    directory = tmp_path / "large"
    segment(directory, [100] * 400, text="z" * 800)
    assert sum(path.stat().st_size for path in directory.glob("*.events")) > 32_000_000
    code = (
        "import resource, sys; from pathlib import Path\n"
        "import parsl_diaspora.cli.events, parsl_diaspora.cli.main as cli, parsl_diaspora.fabric.file\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {EXPORT_MEMORY},) * 2)\n"
        "sys.exit(cli.main(['events', 'export', *sys.argv[1:]]))\n"
    )
    options = ["--fabric", f"file:{directory}", "--format", form, "-o", "out"]
    done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open("out", "rb") as file:
        assert sum(1 for _ in file) == 40_000


# --- verify ---


def test_a_whole_log_is_whole(call, log):
    answer = call("events", "verify")
    assert answer.status == 0
    assert answer.lines[0] == log.fabric.url
    assert "whole: 25 events in 2 segments" in answer.words
    (found,) = json.loads(call("events", "verify", "--json").out)
    assert found == {
        "fabric": log.fabric.url,
        "whole": True,
        "events": 25,
        "segments": 2,
        "gaps": [],
        "damaged": [],
        "duplicates": 0,
        "torn": [],
        "lost": [],
        "unreadable": [],
        "foreign": [],
        "retired": 0,
        "compacted": 0,
        "unlisted": {},
    }


def test_all_logs_are_verified(call, make_log):
    make_log(0, "first").start()
    make_log(1, "second").start()
    assert call("events", "verify").out.count("whole: 3 events in 1 segment") == 2


def test_a_stream_that_is_no_directory_is_verified_as_it_is_read(call):
    fabric = open_fabric("memory:cli-verify")
    publisher = fabric.publisher("me")
    for number in range(5):
        publisher.publish(TaskEnded(run="r", task=number))
    answer = call("events", "verify", "--fabric", "memory:cli-verify", "--json")
    assert answer.status == 0
    (found,) = json.loads(answer.out)
    assert (found["whole"], found["events"], found["segments"]) == (True, 5, None)
    publisher.forward(TaskEnded(run="r", task=9, boot="b", seq=3))
    answer = call("events", "verify", "--fabric", "memory:cli-verify")
    assert answer.status == 1
    assert "NOT WHOLE: 6 events gaps 2 numbers of all sources together" in answer.words


# --- schema ---


def test_schema_is_printed_with_sorted_keys(call):
    answer = call("events", "schema")
    assert answer.status == 0
    assert answer.out == json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


def test_exported_events_are_valid_by_the_schema(call, log):
    validator = jsonschema.Draft202012Validator(json.loads(call("events", "schema").out))
    for line in call("events", "export").lines:
        validator.validate(json.loads(line))
