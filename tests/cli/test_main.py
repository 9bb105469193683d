"""The command line itself: how errors are told, what is imported, who may close the pipe."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import types

import pytest

from parsl_diaspora import __version__
from parsl_diaspora.cli import main as cli
from parsl_diaspora.cli.examples import EXAMPLES
from parsl_diaspora.errors import DiasporaError, NotFound

PROGRAM = [sys.executable, "-m", "parsl_diaspora.cli.main"]


def test_the_command_tells_its_version(call):
    assert call("--version").out == f"parsl-diaspora {__version__}\n"


def test_help_names_every_command(call):
    answer = call("--help")
    assert answer.status == 0
    for name in cli.COMMANDS:
        assert f"    {name} " in answer.out


@pytest.mark.parametrize("command", ["runs", "report", "explain", "events"])
def test_each_command_has_help(call, command):
    assert call(command, "--help").out.startswith(f"usage: parsl-diaspora {command}")


@pytest.mark.parametrize("arguments", [(), ("events",), ("events", "nonsense"), ("runs", "-n", "x")])
def test_a_wrong_command_line_is_status_2_with_usage(call, arguments):
    answer = call(*arguments)
    assert answer.status == 2
    assert answer.err.startswith("usage: parsl-diaspora")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_each_command_ends_with_examples_that_it_takes(call, command):
    told = call(command, "--help").out.partition("examples:\n")[2]
    assert EXAMPLES[command]
    for example in EXAMPLES[command]:
        assert f"  parsl-diaspora {example}\n" in told
        words = shlex.split(example.partition(" < ")[0])
        assert cli._parser(command).parse_args(words).command == command


def test_a_command_that_there_is_not_is_status_2_with_the_nearest_one(call):
    answer = call("reprot", "last")
    assert answer.status == 2
    assert answer.err == "parsl-diaspora: There is no command 'reprot'. Did you mean 'report'?\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DiasporaError("It is broken.", hint="Mend it."), 2, "parsl-diaspora: It is broken. Mend it.\n"),
        (
            NotFound("It is not\nthere.", hint="Look elsewhere."),
            1,
            "parsl-diaspora: It is not there. Look elsewhere.\n",
        ),
        (PermissionError(13, "Permission denied", "/x"), 2, "parsl-diaspora: /x: Permission denied.\n"),
        (OSError("odd"), 2, "parsl-diaspora: odd.\n"),
        (OSError(), 2, "parsl-diaspora: OSError.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_sentence_and_a_status(call, monkeypatch, error, status, said):
    def fail(args):
        raise error

    monkeypatch.setattr("parsl_diaspora.cli.runs.run", fail)
    answer = call("runs")
    assert (answer.status, answer.out, answer.err) == (status, "", said)


def test_the_demo_is_imported_only_when_it_is_called(call, monkeypatch):
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seed", type=int)

    fake = types.ModuleType("parsl_diaspora.cli.demo")
    fake.add_arguments, fake.run = add_arguments, lambda args: args.seed
    monkeypatch.setitem(sys.modules, "parsl_diaspora.cli.demo", fake)
    assert call("demo", "--seed", 7).status == 7


def test_the_command_starts_without_heavy_imports():
    code = (
        "import sys; from parsl_diaspora.cli.main import main; main(['--version']); "
        "print(sorted({'parsl', 'rich', 'msgspec', 'parsl_diaspora.cli.demo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_reading_a_log_does_not_import_parsl(log):
    code = (
        "import sys; from parsl_diaspora.cli.main import main; main(['report']); main(['explain', '1']); "
        "print('parsl' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", [["events", "export"], ["events", "tail", "-n", "1000"]])
def test_a_reader_that_leaves_early_is_no_error(log, command):
    for task in range(100, 1100):
        log.submitted(task, 5, func="f" * 200)
    writer = subprocess.Popen([*PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(30) == 141


def test_a_locale_without_the_characters_is_no_error(log):
    log.submitted(5, 5, func="größe")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    told = subprocess.run([*PROGRAM, "explain", "5"], capture_output=True, env=environment, check=True)
    assert told.stdout.startswith(b"Task 5  gr\\xf6\\xdfe\n")
    assert told.stderr == b""
    json = subprocess.run(
        [*PROGRAM, "explain", "5", "--json"], capture_output=True, env=environment, check=True
    )
    assert "größe".encode() in json.stdout
