"""Apps that do not want to end. Each touches a file when it has begun."""

from __future__ import annotations

from typing import Any

from parsl import bash_app, python_app


@python_app
def loop(begun: str, seconds: float = 60.0) -> str:
    """Work in Python; whoever asks it to stop is heard."""
    import time
    from pathlib import Path

    Path(begun).touch()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    return "ran to its end"


@python_app
def hold_the_interpreter(begun: str) -> Any:
    """Work in C with the interpreter's lock held, for minutes: no signal handler of Python runs meanwhile."""
    from pathlib import Path

    Path(begun).touch()
    return sum(range(10**13))


@bash_app
def shell_with_children(begun: str, mark: str) -> str:
    """Programs that a shell has started, one of them in the background."""
    return f"env CANCEL_MARK={mark} sleep 300 & touch {begun}; env CANCEL_MARK={mark} sleep 301"


@python_app
def quick(number: int) -> int:
    """Nothing of note."""
    return number + 1
