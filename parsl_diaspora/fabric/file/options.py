"""What a ``file:`` URL says beside the directory: how safe, how large, how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events.envelope import Topic
from parsl_diaspora.hints import nearest
from parsl_diaspora.sizes import parse_bytes, parse_seconds

Durability = Literal["none", "batch", "fsync"]
Unread = Literal["keep", "delete"]
Number = TypeVar("Number", int, float)

TOPICS: tuple[Topic, ...] = get_args(Topic)
ROLL_BYTES = 64_000_000
ROLL_AFTER = 24 * 3600.0
_HINT = "As in 'file:/scratch/events?durability.failures=fsync&roll=64MB&keep=10GB&keep_for=30d'."
_SMALLEST_ROLL = 1000


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an embedded log.

    Attributes:
        durability: what an event of each topic must have survived to count as safe. ``none``: the death of
            its process; ``batch``: that, and soon (`sync.INTERVAL`), or at a flush, a loss of power;
            ``fsync``: a loss of power, before anything else is written.
        roll_bytes: size at which a writer begins its next segment.
        roll_seconds: age at which it does.
        keep_bytes: size of the whole log beyond which its oldest segments are deleted; None: never.
        keep_seconds: age beyond which segments are deleted; None: never.
        unread: whether segments that a named consumer has not read yet are deleted, too.
    """

    durability: Mapping[str, Durability] = MappingProxyType(dict.fromkeys(TOPICS, "batch"))
    roll_bytes: int = ROLL_BYTES
    roll_seconds: float = ROLL_AFTER
    keep_bytes: int | None = None
    keep_seconds: float | None = None
    unread: Unread = "keep"

    @property
    def retains(self) -> bool:
        """Whether anything is ever deleted."""
        return self.keep_bytes is not None or self.keep_seconds is not None

    @property
    def synced_at_once(self) -> frozenset[str]:
        """Topics that are not safe before they are on the disk."""
        return frozenset(topic for topic, level in self.durability.items() if level == "fsync")

    @property
    def synced_soon(self) -> bool:
        """Whether what was written is brought to the disk in the background."""
        return "batch" in self.durability.values()


DEFAULTS = FileOptions()


def read_options(query: str, url: str) -> FileOptions:
    """Options from the part of a URL behind the question mark.

    Raises:
        FabricError: an option is not known, or its value makes no sense.

    Example:
        >>> options = read_options("durability.failures=fsync&roll=1MB&keep_for=7d", "file:/events")
        >>> options.durability["failures"], options.durability["tasks"], options.roll_bytes
        ('fsync', 'batch', 1000000)
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    durability = dict(DEFAULTS.durability)
    fields: dict[str, Any] = {}
    for name, text in pairs:
        if name in _DURABILITY_OF:
            level = _one_of(name, text, get_args(Durability), url)
            durability.update(dict.fromkeys(_DURABILITY_OF[name], level))
        elif name in _READERS:
            field, read = _READERS[name]
            fields[field] = read(name, text, url)
        else:
            raise _unknown(name, url)
    return FileOptions(durability=MappingProxyType(durability), **fields)


def _one_of(name: str, text: str, words: tuple[str, ...], url: str) -> Any:
    if text not in words:
        raise _error(f"{name}={text} makes no sense: use one of {', '.join(words)}.", url)
    return text


def _parsed(parse: Callable[[str], Number], name: str, text: str, url: str) -> Number:
    try:
        return parse(text)
    except ValueError as error:
        raise _error(f"{name}={text} makes no sense: {error}", url) from error


def _bytes(name: str, text: str, url: str) -> int:
    size = _parsed(parse_bytes, name, text, url)
    if size < _SMALLEST_ROLL:
        raise _error(f"{name}={text} is too small: at least {_SMALLEST_ROLL} bytes.", url)
    return size


def _seconds(name: str, text: str, url: str) -> float:
    seconds = _parsed(parse_seconds, name, text, url)
    if not seconds > 0:
        raise _error(f"{name}={text} makes no sense: it must be more than no time.", url)
    return seconds


def _unread(name: str, text: str, url: str) -> Unread:
    word: Unread = _one_of(name, text, get_args(Unread), url)
    return word


def _unknown(name: str, url: str) -> FabricError:
    known = [*_DURABILITY_OF, *_READERS]
    hint = nearest(name, known, listed="The options are")
    return FabricError(f"A file fabric has no option {name!r}.", url=url, hint=hint)


def _error(message: str, url: str) -> FabricError:
    return FabricError(message, url=url, hint=_HINT)


_DURABILITY_OF: dict[str, tuple[str, ...]] = {
    "durability": TOPICS,
    **{f"durability.{topic}": (topic,) for topic in TOPICS},
}
_READERS: dict[str, tuple[str, Callable[[str, str, str], Any]]] = {
    "roll": ("roll_bytes", _bytes),
    "roll_after": ("roll_seconds", _seconds),
    "keep": ("keep_bytes", _bytes),
    "keep_for": ("keep_seconds", _seconds),
    "unread": ("unread", _unread),
}
