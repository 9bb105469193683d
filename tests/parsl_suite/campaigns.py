"""What is run, and how one run of pytest is started and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.parsl_suite.installed import copy_parsl
from tests.parsl_suite.outcomes import Run

ROOT = Path(__file__).parents[2]
_OWN = Path(__file__).parent / "configs"

#: By name, the configuration that a run of the suite is given: of Parsl's own, and of ours.
CONFIGS = (
    "htex_local",
    "htex_local_alternate",
    "htex_local_intask_staging",
    "local_threads",
    "two_htex",
    "htex_and_threads",
    "local",
)

#: The one for tests that load configurations of their own.
LOCAL = "local"

_LEFT_OUT = ("manual_tests", "integration", "site_tests")
MARK = "PARSL_SUITE_RUN"
_GONE_WITHIN = 30.0


def run_suite(
    directory: Path,
    config: str,
    tests: Sequence[str] = (),
    options: Sequence[str] = (),
    *,
    resilient: bool = False,
    timeout: float = 3600.0,
) -> Run:
    """Run Parsl's tests once, and see what is left of it afterwards.

    Args:
        directory: for its run directories, output and record; nothing may have run there. The copy of Parsl
            that is run is in the one above, shared by all that run there.
        config: a name of `CONFIGS`.
        tests: files and tests, relative to Parsl's own; all if there are none.
        options: further ones for pytest.
        resilient: with this package put in.
        timeout: in seconds, after which the run is given up.

    Raises:
        RuntimeError: pytest has refused to run anything.
    """
    directory.mkdir(parents=True)
    suite = copy_parsl(directory.parent)
    (directory / "empty.ini").touch()
    mark = uuid.uuid4().hex
    command = [*_pytest(directory, suite, config), *options, *(str(suite / each) for each in tests or ("",))]
    if resilient:
        command.append("--resilient")
    environment = {**os.environ, MARK: mark, "PYTHONPATH": f"{directory.parent}:{ROOT}"}
    with (directory / "output.txt").open("w") as output, suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
            preexec_fn=_heed_interrupts,
        )
    record = directory / "record.jsonl"
    if not record.exists():
        raise RuntimeError(f"No test was run:\n{(directory / 'output.txt').read_text()[-2000:]}")
    run = Run.read(record)
    run.survivors = survivors(mark)
    return run


def _heed_interrupts() -> None:
    """Shells start programs in the background deaf to SIGINT, which some of Parsl's tests send."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _pytest(directory: Path, suite: Path, config: str) -> list[str]:
    left_out = [f"--ignore={suite / each}" for each in _LEFT_OUT]
    return [
        *(sys.executable, "-m", "pytest", "-q", "-c", str(directory / "empty.ini")),
        *("--rootdir", str(suite), "--noconftest", "-p", "tests.parsl_suite.plugin"),
        *("-p", "no:cacheprovider", "-p", "no:rerunfailures", "--continue-on-collection-errors"),
        *(
            "--timeout",
            "180",
            "--config",
            _config(suite, config),
            "--record",
            str(directory / "record.jsonl"),
        ),
        *left_out,
    ]


def _config(suite: Path, name: str) -> str:
    if name == LOCAL:
        return name
    of_parsl, of_ours = suite / "configs" / f"{name}.py", _OWN / f"{name}.py"
    return str(of_parsl if of_parsl.exists() else of_ours)


def survivors(mark: str) -> list[str]:
    """Processes of a run that are still there half a minute after it; they are ended now."""
    _, alive = psutil.wait_procs(list(_marked(mark)), timeout=_GONE_WITHIN)
    words = [_words(each) for each in alive]
    for each in alive:
        with suppress(psutil.Error):
            each.kill()
    return sorted(words)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                yield process


def _words(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[:160]
    return "gone"
