"""Trying patterns on events, and following a fabric, from the command line."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parsl_diaspora.cli.main import main
from parsl_diaspora.events import TaskEnded, TriggerFired, encode
from parsl_diaspora.events.cloudevents import encode_cloudevent
from parsl_diaspora.fabric import open_fabric

FAILED = TaskEnded(task=3, outcome="failed", error="MemoryError: no", run="r", boot="ab", seq=1)
DONE = TaskEnded(task=4, run="r", boot="ab", seq=2)
PATTERN = '{"kind": ["task.ended"], "error": [{"prefix": "Memory"}]}'


@pytest.fixture
def try_out(monkeypatch, capsys):
    def run(pattern, *lines, options=()):
        data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(["triggers", "test", str(pattern), *options])
        return status, *capsys.readouterr()

    return run


def test_events_that_all_match_give_status_zero(try_out):
    status, out, _ = try_out(PATTERN, encode(FAILED, "json"), b"", json.loads(encode_cloudevent(FAILED)))
    assert (status, out.splitlines()) == (0, ["1: matches", "3: matches"])


def test_event_that_does_not_match_gives_status_one_and_the_rule_that_failed_first(try_out):
    status, out, _ = try_out(PATTERN, encode(FAILED, "json"), encode(DONE, "json"))
    assert status == 1
    assert out.splitlines()[1] == '2: no match: error is "", which does not fit [{"prefix": "Memory"}]'


def test_defaults_that_the_json_leaves_out_count(try_out):
    assert b"outcome" not in encode(DONE, "json")
    assert try_out('{"outcome": ["done"]}', encode(DONE, "json"))[0] == 0


def test_events_of_other_systems_are_taken_as_they_are(try_out):
    event = {"detail-type": "x", "detail": {"state": ["on"]}}
    assert (
        try_out('{"detail": {"state": ["on"]}}', event, {"kind": "moon.landed", "detail": event["detail"]})[0]
        == 0
    )


def test_what_matches_can_be_had_as_json(try_out):
    _, out, _ = try_out(PATTERN, encode(FAILED, "json"), encode(DONE, "json"), options=["--json"])
    first, second = json.loads(out)
    assert first == {"line": 1, "matches": True}
    assert (second["path"], second["value"]) == ("error", '""')


def test_pattern_can_be_in_a_file(try_out, tmp_path):
    path = tmp_path / "pattern.json"
    path.write_text(PATTERN)
    assert try_out(path, encode(FAILED, "json"))[0] == 0


BAD = [
    ('{"kind": [{"prefx": "x"}]}', b"{}", "Did you mean 'prefix'?"),
    ("{", b"{}", "does not parse"),
    ("[]", b"{}", "is an empty list"),
    ("no-such-file", b"{}", "no-such-file"),
    (PATTERN, b"", "no event"),
    (PATTERN, b"{", "Line 1"),
    (PATTERN, b"[1]", "Line 1"),
    (PATTERN, b"\xff", "Line 1"),
    (PATTERN, b"[" * 100_000, "Line 1"),
    (PATTERN, b'{"specversion": "1.0", "type": "org.parsl.diaspora.x.v1", "data": 3}', "no event"),
]


@pytest.mark.parametrize(("pattern", "line", "words"), BAD, ids=[f"{each[0][:20]} {each[2]}" for each in BAD])
def test_bad_input_gives_status_two_and_one_line_of_why(try_out, pattern, line, words):
    status, out, err = try_out(pattern, line)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


# --- run ------------------------------------------------------------------------------------------------

TRIGGERS = """
- name: keep
  pattern: {kind: [task.ended]}
  action: {publish: "file:%s/kept"}
"""


@pytest.fixture
def url(tmp_path):
    return f"file:{tmp_path}/events"


@pytest.fixture
def declared(tmp_path):
    path = tmp_path / "triggers.yaml"
    path.write_text(TRIGGERS % tmp_path)
    return str(path)


def say(url, *tasks):
    publisher = open_fabric(url).publisher("submit:h:1")
    for task in tasks:
        publisher.publish(TaskEnded(task=task, run="r"))
    publisher.close()


def kept(tmp_path):
    return [event.task for event in open_fabric(f"file:{tmp_path}/kept").consumer("r").poll()]


def test_run_does_what_is_there_and_goes_on_from_there(url, declared, tmp_path, capsys):
    say(url, 1, 2)
    command = ["triggers", "run", "--fabric", url, "--triggers", declared, "--once", "--start", "earliest"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["keep"]["fired"] == 2
    say(url, 3)
    assert main(command) == 0
    assert sorted(kept(tmp_path)) == [1, 2, 3]  # order holds per source
    said = open_fabric(url).consumer("r").poll()
    assert len([event for event in said if isinstance(event, TriggerFired)]) == 3


def test_run_follows_a_fabric_until_it_is_told_to_stop(url, declared, tmp_path):
    command = ["triggers", "run", "--fabric", url, "--triggers", declared]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-m", "parsl_diaspora.cli.main", *command],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "following" in process.stderr.readline()
    deadline = time.monotonic() + 20
    while not [*(tmp_path / "events").rglob("*triggers*")] and time.monotonic() < deadline:
        time.sleep(0.02)  # its position is kept before it reads
    say(url, 1)
    while not (tmp_path / "kept").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["keep"]["fired"] == 1
    assert kept(tmp_path) == [1]


BAD_FILES = [
    ("", "no trigger"),
    ("- 3", "triggers"),
    ("- {name: a, pattern: {kind: [x]}}", "action"),
    ("- {name: a, pattern: {kind: x}, action: {call: 'builtins:print'}}", '["x"]'),
    ("- {name: a, pattern: {kind: [x]}, action: {app: 'builtins:print'}}", "Parsl app"),
    ("trigers: []", "'triggers'"),
    ("[", "YAML"),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=[each[0] or "empty" for each in BAD_FILES])
def test_file_that_declares_no_good_triggers_is_refused(url, tmp_path, capsys, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert main(["triggers", "run", "--fabric", url, "--triggers", str(path), "--once"]) == 2
    assert words in capsys.readouterr().err
