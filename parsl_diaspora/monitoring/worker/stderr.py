"""The last lines that a bash app wrote to its stderr: what the program itself had to say of its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from parsl.app.errors import BashExitFailure

BYTES = 4_096
LINES = 20


def last_words(error: BaseException, kwargs: Mapping[str, Any]) -> str:
    """What stands at the end of the stderr file of a bash app that failed; empty if there is nothing to read.

    Args:
        error: that the app raised.
        kwargs: of its call, in which Parsl puts the file's name, or a pair of name and mode.
    """
    if not isinstance(error, BashExitFailure):
        return ""
    named = kwargs.get("stderr")
    name = named[0] if isinstance(named, tuple) and named else named
    if not isinstance(name, str | os.PathLike):
        return ""
    try:
        if not os.path.isfile(name):
            return ""  # a pipe or a terminal has no last lines, and reading from it may take for ever
        with open(name, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - BYTES))
            text = file.read(BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    return "\n".join(text.splitlines()[-LINES:])
