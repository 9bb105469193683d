"""An exception as evidence: plain data that needs no class to be importable.

Used on workers, so it must stay light: nothing of Parsl is imported here.
"""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Callable
from types import TracebackType
from typing import Any

from parsl_diaspora.events import Failure

MESSAGE_LIMIT = 2_000
_NOT_USER_CODE = ("/parsl/", "/parsl_diaspora/", "/importlib/", "<frozen ", "<string>")


def describe(
    error: BaseException,
    *,
    phase: str = "run",
    traceback_limit: int = 8_192,
    redact: Callable[[str], str] | None = None,
) -> Failure:
    """Turn an exception into evidence.

    Args:
        error: the exception.
        phase: where in the try's life it happened, see `Failure`.
        traceback_limit: bytes of traceback kept; its end, where the cause stands, is what stays.
        redact: applied to message and traceback.

    Example:
        >>> describe(KeyError("x")).type
        'builtins.KeyError'
    """
    clean = redact or _unchanged
    text = "".join(tracebacks.format_exception(type(error), error, error.__traceback__))
    return Failure(
        chain=_chain(type(error)),
        message=_safe_text(error, clean)[:MESSAGE_LIMIT],
        traceback=clean(text)[-traceback_limit:] if traceback_limit else "",
        frame=_innermost_user_frame(error.__traceback__),
        phase=phase,
        name=str(getattr(error, "name", None) or "") if isinstance(error, ImportError) else "",
        errno=_number(error, "errno"),
        exit_code=_number(error, "exitcode"),
        retryable=not _is_non_retryable(error),
        declared=str(getattr(error, "type", "")) if _is_non_retryable(error) else "",
    )


def _chain(cls: type[BaseException]) -> tuple[str, ...]:
    return tuple(f"{c.__module__}.{c.__qualname__}" for c in cls.__mro__ if issubclass(c, BaseException))


def _is_non_retryable(error: BaseException) -> bool:
    return "parsl_diaspora.errors.NonRetryable" in _chain(type(error))


def _unchanged(text: str) -> str:
    return text


def _safe_text(error: BaseException, clean: Callable[[str], str]) -> str:
    try:
        return clean(str(error))
    except Exception as fault:  # noqa: BLE001 - a user's __str__ may do anything
        return f"<its text cannot be had: {type(fault).__name__}>"


def _number(error: BaseException, name: str) -> int | None:
    value: Any = getattr(error, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _innermost_user_frame(trace: TracebackType | None) -> str:
    found = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not any(mark in code.co_filename for mark in _NOT_USER_CODE):
            file = code.co_filename.rpartition("/")[2]
            found = f"{file}:{code.co_name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
