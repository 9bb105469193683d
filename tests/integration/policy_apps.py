"""Apps that need a policy of their own to come to a good end."""

from __future__ import annotations

from parsl import bash_app, python_app


@python_app
def picky(path):
    """Fail in the block where it is tried first."""
    import os
    from pathlib import Path

    here, note = os.environ["PARSL_WORKER_BLOCK_ID"], Path(path)
    if not note.exists() or note.read_text() == here:
        note.write_text(here)
        raise RuntimeError(f"block {here} will not do")
    return note.read_text(), here


@bash_app
def checkpointed(path):
    """Ask to be run again twice, by its exit code."""
    return f"n=$(cat {path} 2>/dev/null || echo 0); echo $((n + 1)) > {path}; test $n -ge 2 || exit 85"


@python_app
def patient(path):
    """Ask for time once."""
    import time
    from pathlib import Path

    from parsl_diaspora import RetryAfter

    note = Path(path)
    if not note.exists():
        note.write_text(str(time.time()))
        raise RetryAfter(1.5, "the licence server is busy")
    return time.time() - float(note.read_text())


@python_app
def reader(path):
    """Read a file that may not be there yet."""
    from pathlib import Path

    return Path(path).read_text()


@python_app
def optional():
    """Fail in any case."""
    raise ValueError("no plot today")


@python_app
def after(value):
    """Need what another app gives."""
    return f"after {value}"


@python_app
def block():
    """Where it runs, after a while in which others must run elsewhere."""
    import os
    import time

    time.sleep(0.2)
    return os.environ["PARSL_WORKER_BLOCK_ID"]


@python_app
def sick(path):
    """Fail in the block where the first of its tasks was tried, and tell where it went well."""
    import os
    from pathlib import Path

    here, note = os.environ["PARSL_WORKER_BLOCK_ID"], Path(path)
    if not note.exists():
        note.write_text(here)
    if note.read_text() == here:
        raise RuntimeError(f"block {here} is sick")
    return here


@python_app
def urgent(path):
    """Fail once."""
    from pathlib import Path

    note = Path(path)
    if not note.exists():
        note.touch()
        raise RuntimeError("another moment, please")


@python_app
def odd():
    """Fail with words that no rule knows."""
    raise RuntimeError("the flux capacitor is out of tune")


def diagnose(question):
    """The site's own diagnoser: it knows its machines' words."""
    if "flux capacitor" in str(question):
        return {"class": "gpu", "confidence": 0.95, "reason": "so the hall says"}
    return None
