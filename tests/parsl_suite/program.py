"""Run a program that nobody here wrote, stock or with the one line put in, and see what it leaves behind.

python -m tests.parsl_suite.program stock PROGRAM [ARGUMENT …]
python -m tests.parsl_suite.program resilient PROGRAM [ARGUMENT …]
python -m tests.parsl_suite.program resilient -m MODULE [ARGUMENT …]
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence

from tests.parsl_suite.campaigns import MARK, ROOT, survivors

_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run the program in a process of its own, and say how long it took and what is left of it."""
    if len(arguments) < _USAGE or arguments[0] not in {"stock", "resilient"}:
        print(__doc__, file=sys.stderr)
        return _USAGE
    mark, began = uuid.uuid4().hex, time.monotonic()
    command = [sys.executable, "-m", "tests.parsl_suite.program", "inside", *arguments]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(command, env={**os.environ, MARK: mark, "PYTHONPATH": path}, check=False)
    seconds = time.monotonic() - began
    left = survivors(mark)
    print(f"[{arguments[0]}: exit code {ended.returncode}, {seconds:.1f} s, {len(left)} processes left]")
    for each in left:
        print(f"[left: {each}]")
    return ended.returncode


def _inside(way: str, *rest: str) -> None:
    if way == "resilient":
        from tests.parsl_suite.put_in import before_each_load, resilient_unless_it_is

        before_each_load(resilient_unless_it_is)
    if rest[0] == "-m":
        sys.argv = list(rest[1:])
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(rest)
        sys.path.insert(0, os.path.dirname(os.path.abspath(rest[0])))
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        _inside(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
