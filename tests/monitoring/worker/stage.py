"""One worker process in which a task after the other changes something; what the next one sees is told."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time

from parsl.app.python import PythonApp
from parsl.serialize import deserialize, pack_apply_message

from parsl_diaspora.executors.launch import Launch, pack, read_report, unseal
from parsl_diaspora.monitoring import runner


def run_try(function, *arguments, parsl=False, task=7, **told):
    """A try as Parsl's worker runs it: report, and result or exception."""
    launch = Launch(**{"run": "r", "task": task, "try_id": 1, "executor": "alder", **told})
    packed = pack_apply_message(PythonApp(function).func if parsl else function, arguments, {})
    header, body = unseal(runner.run(packed, pack(launch)))
    report = read_report(header)
    return report, None if not body else deserialize(body)


def handle(*_):
    """A handler of a task."""


def change_limit(name, seconds=0.0):
    def change():
        number = getattr(resource, name)
        soft, hard = resource.getrlimit(number)
        lower = 10**7 if soft == resource.RLIM_INFINITY else soft - 1
        resource.setrlimit(number, (lower, hard))
        time.sleep(seconds)

    return change, lambda: resource.getrlimit(getattr(resource, name))


def little_memory():
    """Leave so little that even the report of it would not fit."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return len(bytearray(1 << 28))


def limit_behind_our_back():
    """As a library in C might."""
    import ctypes

    pair = (ctypes.c_ulong * 2)(100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert ctypes.CDLL(None).setrlimit(resource.RLIMIT_NOFILE, pair) == 0
    time.sleep(0.002)


def vanish():
    """Go to a directory that is gone afterwards."""
    import tempfile

    place = tempfile.mkdtemp()
    os.chdir(place)
    os.rmdir(place)


def spoil_environment():
    os.environ["ADDED"] = "1"
    os.environ["PATH"] = "/changed"
    del os.environ["REMOVED"]


def environment():
    return {name: os.environ.get(name) for name in ("ADDED", "PATH", "REMOVED")}


def blocked():
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def block():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    time.sleep(0.002)


def raise_in_directory():
    os.chdir("/")
    message = "after a change"
    raise ValueError(message)


CASES = {
    "directory": (lambda: os.chdir("/"), os.getcwd),
    "directory that is gone": (vanish, os.getcwd),
    "directory of a failure": (raise_in_directory, os.getcwd),
    "umask": (lambda: os.umask(0o123), lambda: (os.umask(0o22), os.umask(0o22))[0]),
    "cores": (
        lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        lambda: len(os.sched_getaffinity(0)),
    ),
    "alarm": (lambda: signal.alarm(100), lambda: signal.getitimer(signal.ITIMER_REAL)),
    "handler": (lambda: signal.signal(signal.SIGTERM, handle), lambda: str(signal.getsignal(signal.SIGTERM))),
    "handler of the stop": (
        lambda: signal.signal(signal.SIGRTMIN + 5, signal.SIG_IGN),
        lambda: str(signal.getsignal(signal.SIGRTMIN + 5)),
    ),
    "environment": (spoil_environment, environment),
    "open files": change_limit("RLIMIT_NOFILE"),
    "processor time": change_limit("RLIMIT_CPU"),
    "file size": change_limit("RLIMIT_FSIZE"),
    "address space": (little_memory, lambda: resource.getrlimit(resource.RLIMIT_AS)),
    "limits set elsewhere": (limit_behind_our_back, lambda: resource.getrlimit(resource.RLIMIT_NOFILE)),
    "blocked signals": (block, blocked),
    "profiling timer": (
        lambda: (signal.setitimer(signal.ITIMER_PROF, 1000), time.sleep(0.002)),
        lambda: signal.getitimer(signal.ITIMER_PROF),
    ),
}


#: Those that a worker survives when they are kept.
KEPT = ("directory", "handler", "environment", "open files", "alarm", "blocked signals", "umask")


def main():
    """Print, for each case, what a task sees before and after another one's change, and how that ended."""
    os.environ["REMOVED"] = "not yet"
    told = {}
    keep = {"restore": False} if "keep" in sys.argv else {}
    for name, (change, look) in CASES.items():
        if keep and name not in KEPT:
            continue
        _, before = run_try(look)
        report, _ = run_try(change, **keep)
        after_report, after = run_try(look)
        failed = report.failure.type if report.failure else ""
        told[name] = [before, after, failed, list(after_report.stuck)]
    print(json.dumps(told))


def spoil():
    """Print what a task finds after another one has lowered a limit for good, and what is told of that."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    drop = (lambda: os.setuid(65534)) if os.getuid() == 0 else (lambda: None)
    run_try(drop)
    report, _ = run_try(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, soft - 10)))
    first, found = run_try(lambda: resource.getrlimit(resource.RLIMIT_NOFILE))
    before = os.getpriority(os.PRIO_PROCESS, 0)
    run_try(lambda: os.nice(3))
    last, nice = run_try(lambda: os.getpriority(os.PRIO_PROCESS, 0))
    print(json.dumps([soft, report.stuck, found, first.stuck, last.stuck, nice - before]))


if __name__ == "__main__":
    spoil() if "spoil" in sys.argv else main()
