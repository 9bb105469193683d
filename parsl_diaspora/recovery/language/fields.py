"""Texts with fields that are filled in when a rule decides, as ``{place} is full``."""

from __future__ import annotations

import string
from collections.abc import Collection

from parsl_diaspora.hints import nearest
from parsl_diaspora.lined_yaml import Place

#: Names that a rule's reason may speak of.
REASON_NAMES = (
    *("missing", "place", "target", "limit", "budget"),
    *("file", "manager", "node", "memory", "func", "proof"),
)
#: Names that a condition to wait for may speak of.
WAIT_NAMES = ("file", "place", "manager")


def check_names(text: str, names: Collection[str], place: Place, what: str) -> None:
    """Refuse a text whose fields cannot be filled in.

    Raises:
        SettingsError: it names what there is not, or is malformed.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise place.error(f"{what!r} cannot be filled in: {error}.", "Write {{ and }} for braces.") from error
    for _, name, form, conversion in parts:
        if name is not None and name not in names:
            raise place.error(f"{what!r} speaks of {{{name}}}, which there is not.", nearest(name, names))
        if form or conversion not in (None, "r", "s"):
            raise place.error(f"{what!r} has a field with a format.", "Write the name alone, as {place}.")
