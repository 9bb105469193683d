"""A pasted traceback or log is diagnosed as a failure of that kind in a run would be."""

from __future__ import annotations

import io
import json
import sys

import pytest

from parsl_diaspora.cli.diagnose import failure_from
from parsl_diaspora.cli.main import main
from parsl_diaspora.failures import Diagnoser

TRACEBACK = """\
Traceback (most recent call last):
  File "/home/ada/study.py", line 12, in simulate
    table = read(path)
  File "/opt/env/lib/python3.11/site-packages/tables/file.py", line 300, in read
    raise {raised}
{raised}
"""


def told(text):
    return Diagnoser().diagnose(failure_from(text))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        ("ZeroDivisionError: division by zero", "bug"),
        ("MemoryError", "memory"),
        ("ModuleNotFoundError: No module named 'torch'", "missing_module"),
        ("OSError: [Errno 28] No space left on device: '/scratch/x'", "disk_full"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'x'", "missing_file"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "gpu"),
        ("parsl.app.errors.AppTimeout: App x exceeded walltime: 1 seconds", "walltime"),
        ("study.MeshError: step 7", "application"),
        ("study.Mesh.Broken: step 7", "application"),
        ("socket.gaierror: [Errno -2] Name or service not known", "network"),
        ("struct.error: unpack requires a buffer of 4 bytes", "bad_input"),
        ("StopIteration", "bug"),
    ],
)
def test_a_traceback_is_read_by_its_last_line(raised, expected):
    found = told(TRACEBACK.format(raised=raised))
    assert found.failure_class == expected


def test_an_exception_of_any_name_that_ends_a_traceback_is_the_one_that_was_raised():
    text = "ran at 12:00\n" + TRACEBACK.format(raised="study.Odd: hm")
    assert failure_from(text).type == "study.Odd"
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    assert failure_from(indented + "run over: yes\n").type == "study.Odd"


def test_of_exceptions_that_follow_from_one_another_the_last_one_counts():
    first, second = (TRACEBACK.format(raised=name) for name in ("KeyError: 1", "study.Odd: hm"))
    text = f"{first}\nDuring handling of the above exception, another exception occurred:\n\n{second}"
    assert failure_from(text).type == "study.Odd"


def test_the_programs_own_frame_is_found_not_the_librarys():
    assert failure_from(TRACEBACK.format(raised="KeyError: 'x'")).frame == "study.py:simulate:12"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("srun: error: nid004: task 3: Killed", "mpi"),
        ("Segmentation fault (core dumped)", "signalled"),
        ("bash: solve: command not found\nexit code 127", "missing_file"),
        ("sh: job exited with exit code 126", "permission"),
        ("./run.sh: line 3:  4711 Killed    ./solve", "signalled"),
        ("solver: return code 137", "signalled"),
        ("the program was ended by signal 11", "signalled"),
        ("step 7 of 9\nall fine here", "unknown"),
        ("", "unknown"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch", "memory"),
    ],
)
def test_a_log_is_read_as_a_program_wrote_it(text, expected):
    assert told(text).failure_class == expected


def test_the_command_tells_class_evidence_and_what_follows(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(TRACEBACK.format(raised="MemoryError")))
    assert main(["diagnose"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("memory  (runtime layer, confidence 90%)")
    assert "the worker raised MemoryError" in out
    assert "rule memory-error" in out
    assert "study.py:simulate:12" in out
    assert "what to do  Give a task more memory" in out


@pytest.mark.parametrize(
    "wrap", [lambda each: each, lambda each: {"kind": "task.try_failed", "failure": each}]
)
def test_a_failure_of_a_log_is_taken_as_it_is(tmp_path, capsys, wrap):
    path = tmp_path / "failure.json"
    path.write_text(json.dumps(wrap({"chain": ["builtins.OSError"], "errno": 24})))
    assert main(["diagnose", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["diagnosis"]["failure_class"] == "limits"
    assert found["what_to_do"].startswith("Raise the limit")


def test_rules_of_ones_own_come_first(tmp_path, capsys):
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {name: own, class: network, because: b, when: {exception: MemoryError}}")
    text = tmp_path / "text"
    text.write_text("MemoryError")
    assert main(["diagnose", str(text), "--rules", str(rules)]) == 0
    assert capsys.readouterr().out.startswith("network")


def test_json_that_is_no_failure_is_read_as_a_log():
    assert failure_from('{"chain": 3}').stderr == '{"chain": 3}'


def test_a_file_that_is_not_there_is_named(capsys):
    assert main(["diagnose", "/nowhere/log"]) == 1
    assert "/nowhere/log cannot be read" in capsys.readouterr().err
