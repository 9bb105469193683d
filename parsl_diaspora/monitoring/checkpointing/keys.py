"""Under which name a task's states are kept: the same for the same task of a later run of the program."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import re
from collections import defaultdict
from typing import Any, cast

from parsl.dataflow.memoization import make_hash

from parsl_diaspora.checkpoint_settings import Checkpoint
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.recovery.options import original

_DIGITS = 24  # of a digest, hex
_LONGEST = 60  # characters of a key before its digest
_OTHERS = re.compile(r"[^A-Za-z0-9_.+=-]+")


class Keys:
    """The keys of one run's tasks.

    Tasks that were called alike are numbered in the order in which they are launched: they can stand in for
    one another, so that each goes on from a state of its own in the next run, too.
    """

    def __init__(self) -> None:
        self._by_task: dict[int, str] = {}
        self._alike: defaultdict[str, int] = defaultdict(int)

    def of(self, task: Record, options: Checkpoint) -> str:
        """The key of a task; it stays the same for all its tries."""
        number = task["id"]
        known = self._by_task.get(number)
        if known is None:
            base = _base(task, options) or f"{task['dfk'].run_id}-{number}"
            self._alike[base] += 1
            known = self._by_task[number] = f"{base}-{self._alike[base]}"
        return known

    def forget(self, task: int) -> None:
        """A task has ended."""
        self._by_task.pop(task, None)


def _base(task: Record, options: Checkpoint) -> str:
    """Function and arguments in short; empty if the arguments cannot be told from others."""
    function = original(task["func"])
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', task['func_name'])}"
    if options.key:
        text = filled_in(options.key, function, task)
        return f"{_plain(text)}-{_digest(name.encode(), text.encode())}"
    try:
        told = make_hash(cast("Any", task)).encode()
    except Exception:  # noqa: BLE001 - Parsl knows few types, and the program's own may raise anything
        told = _pickled(task)
    return f"{_plain(task['func_name'])}-{_digest(name.encode(), told)}" if told else ""


def files_of(task: Record, options: Checkpoint) -> tuple[str, ...]:
    """The files of a bash app, with the values of arguments that their names contain.

    Raises:
        KeyError, ValueError: one names an argument that the function does not have.
    """
    return tuple(filled_in(name, original(task["func"]), task) for name in options.files)


def filled_in(key: str, function: Any, task: Record) -> str:
    """A key with the values of arguments that it names.

    Raises:
        KeyError, ValueError: it names one that the function does not have.
    """
    if "{" not in key:
        return key
    bound = inspect.signature(function).bind_partial(*task["args"], **task["kwargs"])
    bound.apply_defaults()
    return key.format(**bound.arguments, **bound.arguments.get("kwargs", {}))


def _pickled(task: Record) -> bytes:
    skipped = {"stdout", "stderr", "outputs", *task["ignore_for_cache"]}
    kwargs = {name: value for name, value in sorted(task["kwargs"].items()) if name not in skipped}
    try:
        return pickle.dumps((task["args"], kwargs), protocol=5)
    except Exception:  # noqa: BLE001 - then its state serves this run only
        return b""


def _plain(text: str) -> str:
    """As a part of the name of a directory."""
    return _OTHERS.sub("_", text)[:_LONGEST] or "task"


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=_DIGITS // 2)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
