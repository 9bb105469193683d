"""A failure as a bag of tokens: words of its text, its exception's line of classes, numbers of its end."""

from __future__ import annotations

import errno as errnos
import re

from parsl_diaspora.events import Failure
from parsl_diaspora.failures.context import Context
from parsl_diaspora.failures.matching import signal_of

#: Characters of each text that are looked at: the end, where the cause stands, and of messages the beginning.
TEXT_LIMIT = 1_200
LAST_LINES = 3
STEM = 5

_WORDS = re.compile(r"[A-Za-z]+")
_HUMPS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_NAMES = re.compile(r"(?:/[\w.+-]+){2,}|https?://\S+|0x[0-9a-fA-F]+")
_TOLD_BY_CODE = frozenset({1, 2, 75, 124, 126, 127})
_EVERYWHERE = frozenset({"Exception", "BaseException", "object"})
_TOO_SHORT = 2


def tokens(failure: Failure, context: Context) -> set[str]:
    """The tokens of a failure. Which of them tell anything is what is learned.

    Example:
        >>> sorted(tokens(Failure(chain=("study.Odd",), errno=28, message="Disk 7 is full"), Context()))
        ['chain:Odd', 'disk', 'disk is', 'errno:ENOSPC', 'full', 'is', 'is full', 'phase:run']
    """
    found = {f"phase:{failure.phase}"}
    for name in failure.chain:
        if (last := name.rpartition(".")[2]) not in _EVERYWHERE:
            found.add(f"chain:{last}")
            found.update(_humps(last))
    if failure.errno is not None:
        found.add(f"errno:{errnos.errorcode.get(failure.errno, 'other')}")
    _add_end(failure, found)
    _add_context(context, found)
    texts = (failure.message[:TEXT_LIMIT], failure.stderr[-TEXT_LIMIT:])
    for text in texts if any(texts) else (_last_lines(failure.traceback),):
        _add_words(text, found)
    return found


def _add_end(failure: Failure, found: set[str]) -> None:
    code = failure.exit_code
    if signal := signal_of(failure):
        found.add(f"signal:{signal}")
    elif code in _TOLD_BY_CODE:
        found.add(f"exit:{code}")
    elif code is not None:
        found.add("exit:other")


def _add_context(context: Context, found: set[str]) -> None:
    if context.out_of_memory:
        found.add("fact:out-of-memory")
    if (part := context.memory_part) is not None:
        found.add(f"fact:memory-{min(int(part * 10), 10)}")
    if context.block_state:
        found.add(f"fact:block-{context.block_state}")


def _last_lines(traceback: str) -> str:
    return "\n".join(traceback[-TEXT_LIMIT:].splitlines()[-LAST_LINES:])


def _add_words(text: str, found: set[str]) -> None:
    before = ""
    for word in _WORDS.findall(_NAMES.sub(" ", text)):
        small = word.lower()
        if before:
            found.add(f"{before} {small}")
        before = small
        if len(small) >= _TOO_SHORT:
            found.add(small)
            if len(small) > STEM:
                found.add(f"{small[:STEM]}~")
            if small != word and word[1:] != small[1:]:
                found.update(_humps(word))


def _humps(word: str) -> set[str]:
    parts = [part.lower() for part in _HUMPS.findall(word)]
    return {part for part in parts if len(part) > _TOO_SHORT} if len(parts) > 1 else set()
