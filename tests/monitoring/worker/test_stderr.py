"""The last lines of a bash app's stderr are evidence."""

from __future__ import annotations

import os

import pytest
from parsl.app.errors import BashExitFailure

from parsl_diaspora.monitoring.worker.stderr import last_words

FAILED = BashExitFailure("render", 1)


@pytest.mark.parametrize("wrap", [str, lambda path: path, lambda path: (str(path), "w")])
def test_the_end_of_the_file_that_parsl_was_given(tmp_path, wrap):
    path = tmp_path / "stderr"
    path.write_bytes(
        b"first\n" + b"x" * 10_000 + b"\n" + b"\n".join(b"line %d" % n for n in range(30)) + b"\xff"
    )
    words = last_words(FAILED, {"stderr": wrap(path)}).splitlines()
    assert len(words) == 20
    assert words[-2] == "line 28"
    assert words[-1].startswith("line 29")


@pytest.mark.parametrize(
    "kwargs", [{}, {"stderr": None}, {"stderr": "/nowhere/x"}, {"stderr": ()}, {"stderr": 7}]
)
def test_nothing_to_read_is_nothing(kwargs):
    assert last_words(FAILED, kwargs) == ""


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert last_words(FAILED, {"stderr": str(tmp_path / "pipe")}) == ""


def test_other_failures_have_none(tmp_path):
    (tmp_path / "stderr").write_text("x")
    assert last_words(ValueError("x"), {"stderr": str(tmp_path / "stderr")}) == ""
