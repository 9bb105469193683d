"""A pool that has the shape of Parsl's and starts in a moment, with a supervisor around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from parsl_diaspora import open_fabric
from parsl_diaspora.executors.supervision.nodefile import NodeFile, write_node_file
from parsl_diaspora.executors.supervision.orders import OrdersBox
from parsl_diaspora.state import read_events

ROOT = Path(__file__).parents[3]
MARK = "_TEST_OF_SUPERVISOR"

SCRIPT = """
import argparse, ctypes, multiprocessing, os, subprocess, sys, threading, time

CONTEXT = multiprocessing.get_context("spawn")

def worker(rank, uid, does):
    os.environ["PARSL_WORKER_RANK"] = str(rank)
    from parsl_diaspora.executors.supervision.board import own_slot
    slot = own_slot()
    def begun():
        open(f"{uid}.worker.{rank}.{os.getpid()}", "w").close()
    if does == "idle":
        begun()
        time.sleep(600)
    elif does == "crash":
        os._exit(3)
    elif does == "yield":
        import signal
        def give_way(number, frame):
            if slot.must_stop():
                raise InterruptedError
        signal.signal(signal.SIGRTMIN + 5, give_way)
        slot.enter(os.getpid(), 100 + rank, 2)
        begun()
        try:
            time.sleep(600)
        except InterruptedError:
            slot.leave()
        time.sleep(600)
    elif does == "child":
        slot.enter(os.getpid(), 100 + rank, 2)
        subprocess.Popen(["sleep", "601"])
        subprocess.Popen(["sleep", "602"], start_new_session=True)
        begun()
        time.sleep(600)
    elif does == "hold":  # C code that keeps the interpreter's lock
        import signal
        signal.signal(signal.SIGRTMIN + 5, lambda number, frame: slot.leave())
        slot.enter(os.getpid(), 100 + rank, 2)
        begun()
        mutex, library = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
        library.pthread_mutex_lock(mutex)
        library.pthread_mutex_lock(mutex)  # for ever, and no signal gets it out of there
    else:
        slot.enter(os.getpid(), 100 + rank, 2)
        begun()
        time.sleep(600)

def start(rank):
    child = CONTEXT.Process(target=worker, args=(rank, args.uid, args.does), name=f"HTEX-Worker-{rank}")
    child.start()
    return child

def watch(stop, children):
    while not stop.wait(30):
        for rank, child in children.items():
            if not child.is_alive():
                children[rank] = start(rank)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-u", "--uid")
    parser.add_argument("-b", "--block_id")
    parser.add_argument("-a", "--addresses")
    parser.add_argument("-P", "--port")
    parser.add_argument("--cert_dir")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--does", default="work")
    parser.add_argument("--code", type=int)
    args = parser.parse_args()
    open(f"{args.uid}.pool.{os.getpid()}", "w").write(repr(sys.argv[1:]) + sys.path[0])
    if args.code is not None:
        sys.exit(args.code)
    stop = threading.Event()
    children = {rank: start(rank) for rank in range(args.workers)}
    threading.Thread(target=watch, args=(stop, children), name="worker-watchdog", daemon=True).start()
    stop.wait()
"""


class Node:
    """A supervisor that runs, and all that is below it."""

    def __init__(self, directory, *options, command=None, within=(), **told):
        self.directory = directory
        self.log = directory / "log"
        self.log.mkdir(exist_ok=True)
        self.orders = OrdersBox(directory / "orders")
        self.file = directory / "node.json"
        script = directory / "pool_script"
        script.write_text(f"#!{sys.executable}\n{SCRIPT}")
        script.chmod(0o755)
        url, orders = f"file:{self.log}", str(self.orders.directory)
        defaults = {"run": "r", "executor": "cpu", "url": url, "orders": orders}
        write_node_file(self.file, NodeFile(**{**defaults, **told}))
        self.mark = f"{os.getpid()}-{directory.name}"
        environ = {**os.environ, "PYTHONPATH": str(ROOT), MARK: self.mark}
        pool = command or [str(script), "--block_id=7", *options]
        ours = [sys.executable, "-m", "parsl_diaspora.monitoring.node.main", str(self.file), "--", *pool]
        self.process = subprocess.Popen(
            [*within, *ours],
            env=environ,
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def pool(self, number=0):
        """Process id and manager id of the pool that was started as this one."""
        found = self.until(lambda: self._started("pool")[number:], "a pool")
        uid, _, pid = found[0].name.split(".")
        return int(pid), uid

    def worker(self, rank, *, not_in=()):
        """Process id of a worker that has begun."""

        def begun():
            every = [int(path.suffix[1:]) for path in self._started(f"worker.{rank}")]
            return [pid for pid in every if pid not in not_in]

        return self.until(begun, f"worker {rank}")[-1]

    def _started(self, what):
        return sorted(self.directory.glob(f"*.{what}.*"), key=lambda path: path.stat().st_mtime_ns)

    def events(self, *kinds):
        events = list(read_events(open_fabric(f"file:{self.log}")))
        return [event for event in events if event.kind in kinds] if kinds else events

    def event(self, kind, number=0):
        """The event of that kind that was said as this one."""
        return self.until(lambda: self.events(kind)[number:], kind)[0]

    def until(self, look, what, seconds=30):
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"{what}: not in {seconds} s; there are {self.left()}"
            time.sleep(0.02)
        return found

    def left(self):
        """Processes that carry the mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def exit_code(self, seconds=30):
        return self.process.wait(seconds)

    def close(self):
        for process in self.left():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        self.process.wait(10)
        self.process.stderr.close()
