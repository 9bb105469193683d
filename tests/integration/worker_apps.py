"""Apps that treat their worker badly; workers import them from here."""

from __future__ import annotations

from typing import Any

from parsl import bash_app, python_app


@python_app
def look() -> dict[str, Any]:
    """What a task finds in its worker."""
    import os
    import resource
    import signal

    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "pid": os.getpid(),
        "directory": os.getcwd(),
        "mask": mask,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "handler": str(signal.getsignal(signal.SIGTERM)),
        "variable": os.environ.get("LEFT_BEHIND"),
    }


@python_app
def mess_up() -> None:
    """Change all that, and fail."""
    import os
    import resource
    import signal

    os.environ["LEFT_BEHIND"] = "1"
    os.chdir("/")
    os.umask(0o77)
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    message = "after a mess"
    raise ValueError(message)


@python_app
def leave(code: int) -> None:
    """Exit, as a script would."""
    import sys

    sys.exit(code)


@python_app
def interrupt() -> None:
    """Be interrupted, as from a terminal."""
    import os
    import signal
    import time

    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)


@bash_app
def too_slow(note: str, walltime: float = 1) -> str:
    """A pipeline that runs over its walltime."""
    return f"sleep 81 & echo $! >> {note}; (sleep 82 & echo $! >> {note}; wait) | cat"


@python_app
def use_memory(mebibytes: int) -> int:
    """Compute for a while, and touch that much memory."""
    import time

    from parsl_diaspora import current_task

    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    hold = bytearray(mebibytes << 20)
    for offset in range(0, len(hold), 4096):
        hold[offset] = 1
    current_task().progress(0.5, note="touched")
    return len(hold)


@python_app
def spoil() -> int:
    """Do what cannot be undone, as far as the runner can tell."""
    import os

    from parsl_diaspora.monitoring import runner
    from parsl_diaspora.monitoring.worker import leaving

    leaving.LEAST_LIFE = 0.0
    assert runner._runner is not None
    assert runner._runner.state is not None
    runner._runner.state.stuck = ("a limit of this test",)
    return os.getpid()


@python_app
def pid() -> int:
    """Which worker it is."""
    import os

    return os.getpid()
