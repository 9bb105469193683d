"""What a supervisor costs its node: memory and processor time beside 32 workers, sampled every 5 seconds.

    python benchmarks/supervisor.py            # a minute
    python benchmarks/supervisor.py --quick    # 12 seconds

The pool is a script that starts as many idle workers as a node may have; the supervisor is the real one, with
its samples, board, orders and fabric. It is measured with and without its signs of life through the encrypted
port of an interchange, for which a socket that answers stands in.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import zmq
from _tables import machine, print_table
from parsl.curvezmq import ServerContext, create_certificates

from parsl_diaspora.executors.supervision.nodefile import NodeFile, write_node_file

MEMORY_GOAL, PROCESSOR_GOAL = 30.0, 1.0  # megabytes, percent of a core

POOL = """#!{python}
import argparse, os, subprocess, sys, time
from parsl_diaspora.executors.supervision.board import Board
parser = argparse.ArgumentParser()
parser.add_argument("--workers", type=int)
options, _ = parser.parse_known_args()
board = Board.open(os.environ["PARSL_DIASPORA_BOARD"])
workers = [subprocess.Popen(["sleep", "3600"]) for _ in range(options.workers)]
for rank, worker in enumerate(workers):
    board.slot(rank).enter(worker.pid, rank, 0)
time.sleep(3600)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds only")
    parser.add_argument("--workers", type=int, default=32)
    given = parser.parse_args()
    seconds = 12.0 if given.quick else 60.0
    rows = [
        [way, *measure(given.workers, seconds, connected=connected)]
        for way, connected in (("a log", False), ("a log and an interchange", True))
    ]
    print(machine())
    print_table(["with", "memory, MB", "processor, % of a core", "log"], rows)
    print(f"goals: {MEMORY_GOAL:g} MB and {PROCESSOR_GOAL:g} %, with {given.workers} workers")


def measure(workers: int, seconds: float, *, connected: bool) -> list[str]:
    """Memory, processor time and number of events of one supervisor."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "log").mkdir()
        script = directory / "pool_script"
        script.write_text(POOL.format(python=sys.executable))
        script.chmod(0o755)
        told = NodeFile(run="r", executor="cpu", url=f"file:{directory}/log", orders=f"{directory}/orders")
        write_node_file(directory / "node.json", told)
        interchange = Answering(name) if connected else None
        options = interchange.options() if interchange is not None else []
        command = [sys.executable, "-m", "parsl_diaspora.monitoring.node.main", str(directory / "node.json")]
        pool = [str(script), f"--workers={workers}", "--block_id=0", *options]
        with subprocess.Popen([*command, "--", *pool]) as process:
            try:
                return watch(process.pid, seconds, interchange, directory / "log")
            finally:
                process.terminate()
                process.wait()
                if interchange is not None:
                    interchange.close()


def watch(pid: int, seconds: float, interchange: Answering | None, log: Path) -> list[str]:
    """Let a supervisor settle, then look at it for a while."""
    supervisor = psutil.Process(pid)
    let_live(3.0, interchange)
    before, began = supervisor.cpu_times(), time.monotonic()
    let_live(seconds, interchange)
    now, spent = supervisor.cpu_times(), time.monotonic() - began
    used = now.user + now.system - before.user - before.system
    size = sum(file.stat().st_size for file in log.rglob("*") if file.is_file())
    memory = supervisor.memory_info().rss / 1e6
    return [f"{memory:.1f}", f"{100 * used / spent:.2f}", f"{size / 1e3:.0f} kB"]


def let_live(seconds: float, interchange: Answering | None) -> None:
    """Wait, and answer meanwhile as an interchange would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if interchange is None:
            time.sleep(0.2)
        else:
            interchange.answer()


class Answering:
    """Answers every message, as the interchange does heartbeats and probes."""

    def __init__(self, directory: str) -> None:
        self._keys = create_certificates(directory)
        self._context = ServerContext(self._keys)
        self._socket = self._context.socket(zmq.ROUTER)
        self._port = self._socket.bind_to_random_port("tcp://127.0.0.1")

    def options(self) -> list[str]:
        """What the pool's command line tells of it."""
        return ["-a", "127.0.0.1", f"--port={self._port}", f"--cert_dir={self._keys}"]

    def answer(self) -> None:
        """Answer one message, or wait a moment."""
        if self._socket.poll(200):
            sender, _ = self._socket.recv_multipart()
            self._socket.send_multipart([sender, b""])

    def close(self) -> None:
        """Stop listening."""
        self._context.destroy()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    main()
