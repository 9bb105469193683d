"""The command ``parsl-diaspora-node NODEFILE -- process_worker_pool.py ARGUMENTS``.

Whatever fails before the pool has been started, the stock pool runs in the place of this process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.node.supervisor import Supervisor

CHECK = "--check"
USAGE = 2
_NEEDED = ("msgspec", "psutil", "zmq")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a pool under supervision; the exit code is the pool's.

    Args:
        arguments: the file of `parsl_diaspora.executors.supervision.nodefile`, ``--``, and the command of
            the pool; or ``--check``, to see whether a supervisor could run here.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == [CHECK]:
        return 0 if all(find_spec(name) for name in _NEEDED) else 1
    file, separator, *pool = given if len(given) > 1 else ["", ""]
    if separator != "--" or not pool:
        print(f"usage: parsl-diaspora-node NODEFILE -- COMMAND...  or  {CHECK}", file=sys.stderr)  # noqa: T201
        return USAGE
    try:
        supervisor = _start(file, pool)
    except Exception as error:  # noqa: BLE001 - promise 1: nothing of ours keeps a pool from starting
        text = f"parsl_diaspora: this pool runs without a supervisor: {error}"
        print(text, file=sys.stderr)  # noqa: T201
        sys.stderr.flush()
        os.execvp(pool[0], pool)  # noqa: S606 - the command that this one was put around
    return supervisor.run()


def _start(file: str, pool: list[str]) -> Supervisor:
    from pathlib import Path

    from parsl_diaspora.executors.supervision.nodefile import read_node_file
    from parsl_diaspora.monitoring.node.command import PoolCommand
    from parsl_diaspora.monitoring.node.signals import Signals
    from parsl_diaspora.monitoring.node.supervisor import Supervisor

    told = read_node_file(Path(file).read_bytes())
    command = PoolCommand(script=pool[0], arguments=tuple(pool[1:]))
    return Supervisor(told, command, Signals())


if __name__ == "__main__":
    sys.exit(main())
