"""What to say to somebody who has written a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable

LIKENESS = 0.5  # as of two words that have half their letters in common


def nearest(name: str, names: Iterable[str], *, listed: str = "There are", end: str = "") -> str:
    """A hint for a name that is none of these: the nearest of them, or else all.

    Args:
        name: as it was written.
        names: those that there are.
        listed: what stands before all of them.
        end: behind the nearest one, within its quotes.

    Example:
        >>> nearest("memroy", ["memory", "bug"])
        "Did you mean 'memory'?"
        >>> nearest("x", ["tls", "sasl"], listed="The options are")
        'The options are: tls, sasl.'
    """
    known = list(names)
    near = nearest_name(name, known)
    return f"Did you mean {near + end!r}?" if near else f"{listed}: {', '.join(known)}."


def nearest_name(name: str, names: Iterable[str], *, likeness: float = LIKENESS) -> str:
    """The name that is most like this one; empty if none is like it.

    Args:
        name: as it was written.
        names: those that there are.
        likeness: how much they must have in common, 0 to 1.

    Example:
        >>> nearest_name("of", ["auto", "on", "off"]), nearest_name("alder", ["auto", "on", "off"])
        ('off', '')
    """
    import difflib  # every worker loads modules that import this one, and few ever need it

    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=likeness)), "")
