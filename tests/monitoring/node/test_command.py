"""The pool's command line, as a supervisor reads and changes it."""

from __future__ import annotations

import sys

import pytest

from parsl_diaspora.monitoring.node.command import PoolCommand, interpreter_of, new_uid, parsl_version


def command(*arguments):
    return PoolCommand(script="process_worker_pool.py", arguments=arguments)


STOCK = command("-a", "10.0.0.1,127.0.0.1", "-p", "0", "--port=54001", "--cert_dir", "None", "--block_id=3")


def test_options_are_read_however_they_are_written():
    assert STOCK.value("-a", "--addresses") == "10.0.0.1,127.0.0.1"
    assert STOCK.value("-P", "--port") == "54001"
    assert STOCK.value("--cert_dir") == "None"
    assert STOCK.value("-b", "--block_id") == "3"
    assert STOCK.value("-u", default="none") == "none"
    assert command("-ux").uid == "x"
    assert command("-u").uid == ""
    assert command().uid == ""


@pytest.mark.parametrize("given", [(), ("-u", "old"), ("--uid=old",), ("--uid", "old")])
def test_a_manager_gets_the_id_that_is_given_last(given):
    changed = command("--block_id=3", *given, "-p", "0").with_uid("new")
    assert changed.uid == "new"
    assert changed.arguments == ("-u", "new", "--block_id=3", "-p", "0")


def test_ids_differ_and_look_as_parsls_do():
    ids = {new_uid() for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {12}


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (f"#!{sys.executable}", [sys.executable]),
        (f"#! {sys.executable} -sE", [sys.executable, "-sE"]),
        (f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''", [sys.executable]),
        ("#!/bin/sh\nexec sleep 1", []),
        ("#!/nowhere/bin/python3", []),
        ("#!/usr/bin/env -S python3", []),
        ("import time", []),
        ("", []),
    ],
)
def test_the_interpreter_of_a_script_is_known_from_its_first_lines(tmp_path, head, found):
    (tmp_path / "script").write_text(head)
    assert interpreter_of(tmp_path / "script") == found


def test_the_pool_runs_within_ours_only_where_its_interpreter_is_known(tmp_path):
    script = tmp_path / "pool"
    script.write_text(f"#!{sys.executable}\n")
    script.chmod(0o755)
    given = PoolCommand(script=str(script), arguments=("-p", "0"))
    interpreter, around, *rest = given.around()
    assert (interpreter, rest) == (sys.executable, [str(script), "-p", "0"])
    assert around.endswith("parsl_diaspora/monitoring/node/pool.py")
    assert given.is_ours()
    script.write_text("#!/bin/sh\n")
    assert given.around() == []
    assert not given.is_ours()
    assert given.stock() == [str(script), "-p", "0"]
    assert PoolCommand(script="no-such-script", arguments=()).around() == []


def test_parsls_version_is_known_without_importing_it():
    import parsl

    assert parsl_version() == parsl.version.VERSION
