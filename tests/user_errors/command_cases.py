"""Commands that cannot do what they were asked to."""

from __future__ import annotations

import os
from pathlib import Path

from parsl_diaspora.monitoring.run_key import RunKey
from tests.cli.conftest import RUN, Log
from tests.user_errors.case import Case

OTHER = "06e11111-8214-4fb7-b26b-d41c90e22aa3"
ENDED = "a run that has ended"
RUNNING = "a run that is under way"


def _ended(place: Path, number: int = 0, run: str = RUN) -> None:
    """A run's log, as Parsl's run directory has it."""
    home = place / "runinfo" / f"{number:03}"
    home.mkdir(parents=True)
    (home / "parsl.log").touch()
    log = Log(home / "events", run).start()
    log.good_task(0)
    log.bad_task(1)
    _close(log.end(done=1, failed=1))


def _close(log: Log) -> None:
    log.submit.close()
    log.worker.close()


def _two(place: Path) -> None:
    _ended(place)
    _ended(place, 1, OTHER)


def _damaged(place: Path) -> None:
    _ended(place)
    segments = (place / "runinfo" / "000" / "events").glob("*.events")
    segment = max(segments, key=lambda path: path.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(bytes(data))


def _running(place: Path, *, key: bool = True) -> None:
    home = place / "runinfo" / "000"
    home.mkdir(parents=True)
    (home / "parsl.log").touch()
    if key:
        RunKey.make(home)
    log = Log(home / "events", node=os.uname().nodename, pid=os.getpid())
    log.t0 = 1e10  # later than this process began
    log.start(run_dir=str(home))
    log.launched(0, 0, 1.0)
    _close(log)


def _without_key(place: Path) -> None:
    _running(place, key=False)


def _open_key(place: Path) -> None:
    _running(place)
    next((place / "runinfo" / "000").glob("*key*")).chmod(0o644)


def of_ended(title: str, command: str) -> Case:
    """One that is asked of a run that has ended."""
    return Case(title, command=command, given=ENDED, prepare=_ended)


def of_running(title: str, command: str) -> Case:
    """One that is asked of a run that is under way."""
    return Case(title, command=command, given=RUNNING, prepare=_running)


RUNS = (
    Case("No run here", command="report last"),
    Case("A run directory that is not there", command="runs --run-dir elsewhere"),
    Case("A log that is not there", command="report last --fabric file:./events"),
    Case(
        "A directory without a log",
        command="report last --fabric file:runinfo",
        given=ENDED,
        prepare=_ended,
    ),
    of_ended("A run that there is not", "report 12345678"),
    Case("A beginning that two runs have", command="report 06", given="two runs", prepare=_two),
    of_ended("A task that there is not", "explain last 99"),
    of_ended("A task that is no number", "explain last first"),
    of_ended("No task named", "explain"),
    of_ended("A task, and all that failed", "explain last 1 --failed"),
    Case("A command that does not exist", command="reprot last"),
    Case("An option that does not exist", command="report last --jsn"),
    of_ended("Looking too often", "top last --every 0"),
    Case("A file that is not there", command="diagnose traceback.txt"),
)

EVENTS = (
    of_ended("A kind that does not exist", "events tail --kind task.try_faild"),
    of_ended("An output that cannot be written", "events export -o nowhere/events.jsonl"),
    Case("A log that is damaged", command="events verify", given="a damaged log", prepare=_damaged),
    Case("A log that does not lie in a directory", command="events repair --fabric memory:"),
)

ORDERS = (
    of_ended("A task of a run that is over", "cancel last 1"),
    of_ended("A place of a run that is over", "hold last --node n17"),
    of_ended("Held tasks of a run that is over", "retry last --task 1"),
    of_running("Nobody answers", "cancel last 0 --wait 0.1"),
    of_running("Nobody answers about held tasks", "release last --task 0 --wait 0.1"),
    of_running("An executor that does not exist", "hold last --block 0 --executor alderr"),
    of_running("A block of several executors", "hold last --block 0"),
    of_running("Neither a place nor a task", "hold last"),
    Case(
        "The run's key is not there",
        command="hold last --node n1",
        given="a run that is under way, on another host",
        prepare=_without_key,
    ),
    Case(
        "A key that is not there",
        command="hold last --node n1 --key mykey",
        given=RUNNING,
        prepare=_running,
    ),
    Case(
        "A key that others may read",
        command="hold last --node n1",
        given="a run that is under way, and others may read its key",
        prepare=_open_key,
    ),
)

OTHERS = (
    Case("No memory of places", command="places"),
    Case("A policy that is not there", command="policy check policy.yaml"),
    Case(
        "A policy that cannot be used",
        command="policy check policy.yaml",
        files={"policy.yaml": "rules:\n  - {name: disk, do: somewhere, reason: it is full}\n"},
    ),
    Case("A model that is not there", command="model show --model model.json"),
    Case("A model that is none", command="model show --model model.json", files={"model.json": "{}"}),
    Case("Nothing to learn from", command="model train runinfo -o model.json"),
    Case(
        "A file with what is no labelled failure",
        command="model test failures.jsonl",
        files={"failures.jsonl": '{"label": "memroy", "failure": {}}\n'},
    ),
    Case(
        "Learning without scikit-learn",
        command="model train failures.jsonl -o model.json",
        files={
            "failures.jsonl": "".join(
                f'{{"label": "{label}", "failure": {{"message": "{label} {number}"}}}}\n'
                for label in ("memory", "disk_full", "bug")
                for number in range(20)
            )
        },
        missing=("sklearn",),
    ),
    Case("A pattern that is none", command="triggers test '{kind: run.ended}'", stdin="{}\n"),
    Case(
        "A pattern with a rule that does not exist",
        command="""triggers test '{"kind": [{"prefx": "run."}]}'""",
        stdin="{}\n",
    ),
    Case("No event to try it on", command="""triggers test '{"kind": ["run.ended"]}'"""),
    Case(
        "A line that is no event",
        command="""triggers test '{"kind": ["run.ended"]}'""",
        stdin="run.ended\n",
    ),
    Case("No fabric to follow", command="triggers run --triggers triggers.yaml"),
    Case(
        "No trigger in the file",
        command="triggers run --fabric memory: --triggers triggers.yaml",
        files={"triggers.yaml": "triggers: []\n"},
    ),
    Case(
        "An app, and no program to run it",
        command="triggers run --fabric memory: --triggers triggers.yaml",
        files={
            "triggers.yaml": (
                "- {name: clean, pattern: {kind: [run.ended]}, action: {app: mypackage.apps:clean}}\n"
            )
        },
    ),
    Case("A bridge from a fabric to itself", command="bridge --from file:./a --to file:./a --drain"),
    Case(
        "A topic that does not exist",
        command="bridge --from file:./a --to file:./b --topics samples --drain",
    ),
    Case(
        "A rule to reduce by that does not exist",
        command="bridge --from file:./a --to file:./b --reduce some --drain",
    ),
    Case(
        "A window that is none",
        command="bridge --from file:./a --to file:./b --reduce last:soon --drain",
    ),
    Case("Ids that are not two", command="bridge --from file:./a --to file:./b --ids site --drain"),
    Case("A status that is no span", command="bridge --from file:./a --to file:./b --status often --drain"),
)

READING = (
    Case(
        "A run that the log does not have",
        code=(
            "from parsl_diaspora.state import read_history\n"
            "read_history(open_fabric('file:runinfo/000/events')).find('12345678')"
        ),
        given=ENDED,
        prepare=_ended,
    ),
    Case(
        "Bytes that are no event",
        code="from parsl_diaspora.events import decode\ndecode(b'{}', 'json')",
    ),
)
