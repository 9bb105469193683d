"""A provider is asked with some attributes changed for that one call, and what its commands say is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from parsl.jobs.states import JobState, JobStatus

from parsl_diaspora.providers.schedulers import Overrides
from parsl_diaspora.providers.words import Heard

_ABSENT = object()


@contextmanager
def asked(provider: Any, overrides: Overrides) -> Iterator[list[Heard]]:
    """Within it the provider has these attributes, and what its scheduler's commands say comes into the list.

    Only one thread may ask a provider at a time.
    """
    heard: list[Heard] = []
    changed = dict(overrides)
    if callable(run := getattr(provider, "execute_wait", None)):
        changed["execute_wait"] = _listening(run, heard)
    before = {name: vars(provider).get(name, _ABSENT) for name in changed}
    vars(provider).update(changed)
    try:
        yield heard
    finally:
        for name, value in before.items():
            if value is _ABSENT:
                vars(provider).pop(name, None)
            else:
                vars(provider)[name] = value


def _listening(run: Any, heard: list[Heard]) -> Any:
    def execute_wait(cmd: str, *args: Any, **kwargs: Any) -> tuple[int, str, str]:
        code, out, err = run(cmd, *args, **kwargs)
        heard.append(Heard(cmd.split(maxsplit=1)[0] if cmd.split() else "", code, out, err))
        return code, out, err

    return execute_wait


def output_of(provider: Any, job: object) -> tuple[str | None, str | None]:
    """Paths of what a job writes to its output and error output, where its provider knows them already."""
    kept = getattr(provider, "resources", None)
    entry = kept.get(job) if isinstance(kept, dict) else None
    if not isinstance(entry, dict):
        return None, None
    if script := entry.get("script_path"):  # Parsl's local provider
        return f"{script}.out", f"{script}.err"
    return entry.get("job_stdout_path"), entry.get("job_stderr_path")


def put_state(provider: Any, job: object, state: JobState) -> None:
    """Let a provider believe that a job is in this state.

    Parsl's providers never ask again after a job that they believe to have ended: one empty answer of a
    scheduler would end all blocks for good.
    """
    kept = getattr(provider, "resources", None)
    entry = kept.get(job) if isinstance(kept, dict) else None
    if isinstance(entry, dict) and isinstance(entry.get("status"), JobStatus):
        old = entry["status"]
        entry["status"] = JobStatus(state, old.message, old.exit_code, old.stdout_path, old.stderr_path)
