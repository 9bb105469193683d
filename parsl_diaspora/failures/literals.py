"""What a text must hold to match a pattern at all: looked for first, as that costs a hundredth.

A pattern of many alternatives tries each of them at each place of a text. A text that holds none of the
literals that the alternatives need is done with after a search for these.
"""

from __future__ import annotations

from collections.abc import Iterator

SHORTEST = 2
_OPTIONAL = "?*{"
_PLAIN_ESCAPES = ".+-/()[]{}|*?^$'\""


def needed_literals(pattern: str) -> tuple[str, ...]:
    r"""One literal in lower case for each alternative of a pattern; empty if one of them needs none.

    Example:
        >>> needed_literals(r"(?i)Out of memory|std::bad_alloc|\boom[- ]?kill\w*")
        ('out of memory', 'std::bad_alloc', 'kill')
        >>> needed_literals(r"colou?r")
        ('colo',)
        >>> needed_literals(r"\d+|abc")
        ()
    """
    body = pattern.removeprefix("(?i)")
    found = [max(_runs(each), key=len, default="") for each in _alternatives(body)]
    return tuple(found) if all(len(each) >= SHORTEST for each in found) else ()


def _tokens(pattern: str) -> Iterator[tuple[str, int, bool]]:
    """Character, depth of brackets, and whether it stands for itself."""
    depth, in_set, escaped = 0, False, False
    for char in pattern:
        if escaped:
            yield char, depth + in_set, char in _PLAIN_ESCAPES
            escaped = False
        elif char == "\\":
            escaped = True
        elif in_set:
            in_set = char != "]"
            yield char, depth + 1, False
        elif char == "[":
            in_set = True
            yield char, depth + 1, False
        elif char == "(":
            depth += 1
            yield char, depth, False
        elif char == ")":
            yield char, depth, False
            depth -= 1
        else:
            yield char, depth, char not in ".^$*+?{}|"


def _alternatives(pattern: str) -> list[list[tuple[str, int, bool]]]:
    parts: list[list[tuple[str, int, bool]]] = [[]]
    for token in _tokens(pattern):
        char, depth, plain = token
        if char == "|" and depth == 0 and not plain:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _runs(tokens: list[tuple[str, int, bool]]) -> list[str]:
    """Runs of characters outside of all brackets that must be there."""
    runs, run, in_braces = [], "", False
    for at, (char, depth, plain) in enumerate(tokens):
        following = tokens[at + 1][0] if at + 1 < len(tokens) and not tokens[at + 1][2] else ""
        in_braces = (in_braces or (char == "{" and not plain)) and char != "}"
        if plain and depth == 0 and not in_braces and following not in tuple(_OPTIONAL):
            run += char
        else:
            runs.append(run.lower())
            run = ""
    return [*runs, run.lower()]
