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
    ],
)
def test_a_traceback_is_read_by_its_last_line(raised, expected):
    found = told(TRACEBACK.format(raised=raised))
    assert found.failure_class == expected


def test_the_programs_own_frame_is_found_not_the_librarys():
    assert failure_from(TRACEBACK.format(raised="KeyError: 'x'")).frame == "study.py:simulate:12"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("srun: error: nid004: task 3: Killed", "mpi"),
        ("Segmentation fault (core dumped)", "signalled"),
        ("bash: solve: command not found\nexit code 127", "missing_file"),
        ("sh: job exited with exit code 126", "permission"),
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


def test_a_failure_of_a_log_is_taken_as_it_is(tmp_path, capsys):
    path = tmp_path / "failure.json"
    path.write_text(json.dumps({"chain": ["builtins.OSError"], "errno": 24}))
    assert main(["diagnose", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["diagnosis"]["failure_class"] == "limits"


def test_rules_of_ones_own_come_first(tmp_path, capsys):
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {name: own, class: network, because: b, when: {exception: MemoryError}}")
    text = tmp_path / "text"
    text.write_text("MemoryError")
    assert main(["diagnose", str(text), "--rules", str(rules)]) == 0
    assert capsys.readouterr().out.startswith("network")


def test_a_file_that_is_not_there_is_named(capsys):
    assert main(["diagnose", "/nowhere/log"]) == 1
    assert "/nowhere/log cannot be read" in capsys.readouterr().err
