"""What a running program meets: how its tasks end, and orders that cannot be carried out.

They are parts of one program, which runs once, in a process of its own: `play`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from parsl_diaspora.testing.campaign.sites import new_mark
from parsl_diaspora.testing.processes import MARK_VARIABLE, sweep
from tests.user_errors.case import Said

LONGEST = 200.0  # seconds for the whole program
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Running:
    """A part of the program.

    Attributes:
        title: what is wrong.
        code: an app, which is called ``app``, and perhaps what is done to the ``future`` that it
            returned; or an order to the program.
        given: what else must be so.
        kills_interchange: the executor's interchange is killed when the task runs.
        is_own_text: the message is not of this package's own making: no hint stands beside it.
    """

    title: str
    code: str
    given: str = ""
    kills_interchange: bool = False
    is_own_text: bool = False
    command: str = ""

    def provoke(self) -> Said:
        """What was said."""
        return _all_said()[self.code]


@cache
def _all_said() -> dict[str, Said]:
    """By code; empty if the program did not end well, which is told in the test's output."""
    mark = new_mark()
    env = {name: text for name, text in os.environ.items() if not name.startswith("PARSL_DIASPORA_")}
    env |= {MARK_VARIABLE: mark, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with TemporaryDirectory() as place, open(f"{place}/words", "w+") as words:
        command = [sys.executable, "-m", "tests.user_errors.play"]
        with subprocess.Popen(command, cwd=place, env=env, stdout=words, stderr=words) as program:
            try:
                status = program.wait(LONGEST)
            except subprocess.TimeoutExpired:
                status = 1
            finally:
                program.kill()
                sweep(mark)
        if status:
            words.seek(0)
            print(words.read())
            return {}
        told = json.loads(Path(place, "said.json").read_text())
    return {code: Said(**said) for code, said in told.items()}


_MESH = (
    "class Mesh:\n"
    "    points = 8\n\n"
    "    def __getstate__(self):\n"
    "        return self.points\n\n"
    "    def __setstate__(self, state):\n"
    '        raise ValueError("a mesh of another release")\n\n'
    "@python_app\n"
    "def app():\n"
)

TASKS = (
    Running(
        "It ends its own process",
        "@python_app\ndef app():\n    raise SystemExit(3)",
    ),
    Running(
        "It is interrupted",
        "@python_app\ndef app():\n    raise KeyboardInterrupt",
    ),
    Running(
        "Its worker is killed",
        "@python_app\ndef app():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
    ),
    Running(
        "Its result cannot be sent",
        "@python_app\ndef app():\n    return (number for number in range(3))",
        is_own_text=True,
    ),
    Running(
        "Its result cannot be rebuilt",
        f"{_MESH}    return Mesh()",
    ),
    Running(
        "Its exception cannot be rebuilt",
        f'{_MESH}    raise RuntimeError("no convergence", Mesh())',
    ),
    Running(
        "It says that no further try can help",
        "@python_app\n"
        "def app():\n"
        "    from parsl_diaspora import NonRetryable\n"
        '    raise NonRetryable("missing calibration file", type="BadInput")',
        is_own_text=True,
    ),
    Running(
        "It asks for time, and has no try left",
        "@python_app\n"
        "def app():\n"
        "    from parsl_diaspora import RetryAfter\n"
        '    raise RetryAfter(30, "the licence server is busy")',
        is_own_text=True,
    ),
    Running(
        "It depends on a task that failed",
        "@python_app\n"
        "def first():\n"
        '    raise ValueError("no convergence")\n\n'
        "@python_app\n"
        "def second(number):\n"
        "    return number\n\n"
        "def app():\n"
        "    return second(first())",
        is_own_text=True,
    ),
    Running(
        "It is cancelled",
        "@python_app\n"
        "def app():\n"
        "    import time\n"
        "    time.sleep(60)\n\n"
        "future = app()\n"
        'cancel(future, "wrong input")',
    ),
    Running(
        "It is held for longer than hold_timeout",
        "@python_app\n"
        "def first():\n"
        "    import time\n"
        "    time.sleep(60)\n\n"
        "@python_app\n"
        "def second(number):\n"
        "    return number\n\n"
        "future = second(first())\n"
        'hold(future=future, reason="let me look at the input")',
    ),
    Running(
        "Its executor has no block, and none is to come",
        "@python_app(executors=['idle'])\ndef app():\n    return 0",
    ),
    Running(
        "The workers' environment has another release of this package",
        "@python_app(executors=['old'])\ndef app():\n    return 1",
    ),
    Running(
        "The interchange of its executor is lost, too often to start another one",
        "@python_app\ndef app():\n    import time\n    time.sleep(30)",
        given="its interchange is killed, and interchange_restarts is 0",
        kills_interchange=True,
    ),
)

ORDERS = (
    Running("A place twice", "hold(node='n17', manager='0123456789ab')"),
    Running("An executor that does not exist", "hold(node='n17', executor='gpuu')"),
    Running("A block of several executors", "hold(block='0')"),
    Running("A place and a task", "hold(node='n17', task=0)"),
    Running("A task that is not held", "release(task=0)"),
    Running("A task that there is not", "release(task=9999)"),
)

STOCK = (Running("A configuration that is not resilient", "hold(node='n17')  # parsl.load(config)"),)
