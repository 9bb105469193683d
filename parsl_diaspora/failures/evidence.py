"""An exception as evidence: plain data that needs no class to be importable.

Used on workers, so it must stay light: nothing of Parsl is imported here.
"""

from __future__ import annotations

import os
import sysconfig
import traceback as tracebacks
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from types import TracebackType
from typing import Any

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import Failure

MESSAGE_LIMIT = 2_000
NAME_LIMIT = 500
LARGEST_NUMBER = 2**63

_RETRY_AFTER = "parsl_diaspora.errors.RetryAfter"
_WORKER_DIED = "parsl_diaspora.executors.errors.WorkerDied"

#: Packages that carry a task to its worker; what runs above them is the program's.
_CARRIERS = frozenset({"parsl", "parsl_diaspora", "importlib", "dill"})
_OUR_EXAMPLES = "parsl_diaspora.testing."
_NO_FILES = ("<frozen ", "<string>")
_LIBRARIES = ("/site-packages/", "/dist-packages/")
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + "/"


def describe(
    error: BaseException,
    *,
    phase: str = "run",
    traceback_limit: int = 8_192,
    redact: Callable[[str], str] | None = None,
    stderr: str = "",
) -> Failure:
    """Turn an exception into evidence. Never raises, whatever the exception or the redactor does.

    Args:
        error: the exception.
        phase: where in the try's life it happened, see `Failure`.
        traceback_limit: bytes of traceback kept; its end, where the cause stands, is what stays.
        stderr: the last lines that the program of a bash app wrote.
        redact: applied to message, traceback and stderr; where it fails, nothing of the text is kept.

    Example:
        >>> describe(KeyError("x")).type
        'builtins.KeyError'
    """
    chain = _chain(type(error))
    final = "parsl_diaspora.errors.NonRetryable" in chain
    return Failure(
        chain=chain,
        message=clean_text(lambda: message_of(error), redact)[:MESSAGE_LIMIT],
        traceback=_end(clean_text(lambda: _format(error), redact), traceback_limit)
        if traceback_limit
        else "",
        frame=_innermost_user_frame(error.__traceback__),
        phase=phase,
        name=_text_of(error, "name") if isinstance(error, ImportError) else "",
        errno=_number(error, "errno"),
        exit_code=_number(error, "exit_code") if _WORKER_DIED in chain else _exit_code(error),
        out_of_memory=_WORKER_DIED in chain and _attribute(error, "out_of_memory") is True,
        retryable=not final,
        declared=_text_of(error, "type") if final else "",
        filename=_filename(error, redact),
        retry_after=_seconds(error) if _RETRY_AFTER in chain else None,
        stderr=clean_text(lambda: stderr, redact)[-MESSAGE_LIMIT:] if stderr else "",
    )


def load_function(path: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names; raises what importing it raises."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def message_of(error: BaseException) -> str:
    """What an exception says; of ours without the hint, which is no evidence of what happened."""
    return error.message if isinstance(error, DiasporaError) else str(error)


@lru_cache(maxsize=8)
def named_redactor(path: str) -> Callable[[str], str]:
    """The function that ``package.module:function`` names; one that cannot be had lets no text through."""
    try:
        return load_function(path)
    except Exception as fault:  # noqa: BLE001 - importing the user's module may raise anything
        note = f"<not recorded: the redactor {path} cannot be had ({type(fault).__name__})>"
        return lambda _: note


def clean_text(make: Callable[[], str], redact: Callable[[str], str] | None) -> str:
    """A text of the user's objects, redacted; a note in its place if either step fails."""
    try:
        text = make()
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - a user's __str__ may do anything
        return f"<its text cannot be had: {type(fault).__name__}>"
    try:
        return _encodable(redact(text) if redact is not None else text)
    except Exception as fault:  # noqa: BLE001 - a redactor that fails must not let the text out
        return f"<not recorded: the redactor failed with {type(fault).__name__}>"


def _encodable(text: str) -> str:
    """Without what no encoding has, as in the name of a file that is no UTF-8: it has to travel."""
    return text.encode(errors="backslashreplace").decode()


def _chain(cls: type[BaseException]) -> tuple[str, ...]:
    return tuple(f"{c.__module__}.{c.__qualname__}" for c in cls.__mro__ if issubclass(c, BaseException))


def _format(error: BaseException) -> str:
    return "".join(tracebacks.format_exception(type(error), error, error.__traceback__))


def _end(text: str, limit: int) -> str:
    return text.encode()[-limit:].decode(errors="ignore")


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001 - a user's property may do anything; then this piece of evidence is missing
        return None


def _text_of(error: BaseException, name: str) -> str:
    return clean_text(lambda: str(_attribute(error, name) or ""), None)


def _number(error: BaseException, name: str) -> int | None:
    value = _attribute(error, name)
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER
    return int(value) if fits else None


def _seconds(error: BaseException) -> float:
    """For which the raiser asks; none if it is no time that can be waited for."""
    value = _attribute(error, "seconds")
    fits = isinstance(value, int | float) and 0 <= value < LARGEST_NUMBER
    return float(value) if fits else 0.0


def _filename(error: BaseException, redact: Callable[[str], str] | None) -> str:
    named = _attribute(error, "filename") if isinstance(error, OSError) else None
    return (
        clean_text(lambda: os.fsdecode(named), redact)[:NAME_LIMIT] if isinstance(named, str | bytes) else ""
    )


def _exit_code(error: BaseException) -> int | None:
    """As Parsl, this package, or the standard library's `subprocess` name it."""
    numbers = (_number(error, name) for name in ("exitcode", "exit_code", "returncode"))
    return next((number for number in numbers if number is not None), None)


def _innermost_user_frame(trace: TracebackType | None) -> str:
    """In the program's own files if one of them is in the traceback, else in a library that it called."""
    own = library = ""
    while trace is not None:
        code, module = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__", ""))
        if not _is_carrier(module, code.co_filename):
            found = f"{code.co_filename.rpartition('/')[2]}:{code.co_name}:{trace.tb_lineno}"
            if _is_library(code.co_filename):
                library = found
            else:
                own = found
        trace = trace.tb_next
    return _encodable(own or library)


def _is_carrier(module: str, file: str) -> bool:
    package = module.partition(".")[0]
    return (package in _CARRIERS and not module.startswith(_OUR_EXAMPLES)) or file.startswith(_NO_FILES)


def _is_library(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) or any(mark in file for mark in _LIBRARIES)
