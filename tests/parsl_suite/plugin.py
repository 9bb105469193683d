"""A pytest plugin that runs the tests of the installed Parsl, and writes down what came of each.

It stands in for the suite's conftest, one hook of which newer releases of pytest refuse, and changes
nothing else in it.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import parsl
import psutil
import pytest
from parsl.config import Config
from parsl.dataflow.dflow import DataFlowKernelLoader
from parsl.tests import conftest as parsl_conftest

from tests.parsl_suite.put_in import before_each_load, put_executors_in, resilient_unless_it_is

# Everything of Parsl's conftest but a hook with an argument that is no more (the runner leaves out folders
# that it would have left out), and what is put otherwise below.
_NOT_TAKEN = {"pytest_ignore_collect", "pytest_addoption", "pytest_configure", "try_assert"}
globals().update(
    {
        name: value
        for name, value in vars(parsl_conftest).items()
        if not name.startswith("__") and name not in _NOT_TAKEN
    }
)

PATIENCE = 6
SEED = 1


@pytest.fixture
def try_assert() -> Callable[..., None]:
    """As Parsl's, with more patience: what has to come about may take its time on a busy machine."""

    def wait_for(holds: Callable[[], bool], message: str = "", timeout_ms: float = 5000, **_: Any) -> None:
        until = time.monotonic() + PATIENCE * timeout_ms / 1000
        while not holds():
            assert time.monotonic() < until, message or f"it did not come about in {PATIENCE * timeout_ms} ms"
            time.sleep(0.05)

    return wait_for


def pytest_addoption(parser: pytest.Parser) -> None:
    """Parsl's options, and where to write."""
    parsl_conftest.pytest_addoption(parser)
    parser.addoption("--record", required=True, help="the file to append what came of each test to")
    parser.addoption("--resilient", action="store_true", help="put parsl_diaspora in")


class Recorder:
    """Appends a line of JSON for each phase of each test, and for what was left after each module.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._module: pytest.Module | None = None
        self._before: dict[str, Any] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        self._write(
            test=report.nodeid,
            phase=report.when,
            outcome="xfailed" if hasattr(report, "wasxfail") else report.outcome,
            seconds=round(report.duration, 2),
            text=str(report.longrepr)[-4000:] if report.longrepr is not None else "",
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module could not be read, or asked to be skipped."""
        if not report.passed:
            self._write(
                test=report.nodeid, phase="collect", outcome=report.outcome, text=str(report.longrepr)
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Before the first test of a module, when it has made nothing yet."""
        if self._module is not item.getparent(pytest.Module):
            self._module, self._before = item.getparent(pytest.Module), _possessions()
        yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """After the last test of a module, when it has ended all that it ends."""
        yield
        if nextitem is None or nextitem.getparent(pytest.Module) is not self._module:
            if item.config.getoption("--config")[0] == "local":
                _end_what_still_runs()
            before, after = self._before, _possessions()
            left = {name: sorted(after[name] - before[name]) for name in ("threads", "processes")}
            left["fds"] = after["fds"] - before["fds"]
            self._write(module=item.nodeid.partition("::")[0], left=left)

    def note_loaded(self, config: Config) -> None:
        """A test loads a configuration: whose executors has it?"""
        self._write(loaded=[type(each).__name__ for each in config.executors])

    def _write(self, **line: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _end_what_still_runs() -> None:
    """A test that failed may have left its program running, which would fail those after it."""
    if (kernel := DataFlowKernelLoader._dfk) is not None:
        kernel.cleanup()
        parsl.clear()


def _possessions() -> dict[str, Any]:
    me = psutil.Process()
    return {
        "threads": {f"{each.name} {each.ident}" for each in threading.enumerate()},
        "processes": {f"{_words(each)} {each.pid}" for each in me.children(recursive=True)},
        "fds": me.num_fds(),
    }


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:80]
    except psutil.Error:
        return "gone"


def pytest_configure(config: pytest.Config) -> None:
    """Parsl's own part, ours, and the record."""
    parsl_conftest.pytest_configure(config)
    random.seed(SEED)  # some tests are named by what they draw
    recorder = Recorder(Path(config.getoption("--record")))
    config.pluginmanager.register(recorder, "what came of each test")
    before_each_load(recorder.note_loaded)
    if config.getoption("--resilient"):
        before_each_load(resilient_unless_it_is)
        if config.getoption("--config")[0] == "local":
            put_executors_in()
