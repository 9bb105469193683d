"""``mofka:/path/to/group.json?topic=NAME`` and ``files+diaspora:/dir?topic=NAME``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.diaspora_stream.backends import MOFKA, Target, TopicSpec
from parsl_diaspora.hints import nearest
from parsl_diaspora.masking import without_secrets

TOPIC = "parsl-diaspora"
_OPTIONS = ("topic", "partitions", "type", "create", "patience", "positions")
_TYPES = ("default", "memory", "legacy")
_TOPIC = re.compile(r"[A-Za-z0-9_.-]{1,256}")


class Address(NamedTuple):
    """What a URL says.

    Attributes:
        url: the same with an absolute path.
        path: the group file of Mofka, or the directory of the file driver.
        target: for the process that holds the binding.
        topic: in it.
        positions: directory for the consumers' positions.
    """

    url: str
    path: Path
    target: Target
    topic: TopicSpec
    positions: Path


def read_url(url: str) -> Address:
    """Take a URL apart.

    Raises:
        FabricError: it is incomplete, or an option is unknown or out of its range.
    """
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    place, _, query = rest.partition("?")
    if not place:
        what = "the path of a group file" if scheme == MOFKA else "a directory"
        hint = f"Try '{scheme}:{'/path/to/group.json' if scheme == MOFKA else './stream'}'."
        raise FabricError(f"A {scheme} fabric needs {what}.", url=url, hint=hint)
    options = _options(query, url)
    path = _absolute(place, url)
    target, topic = _target(scheme, path, options, url), _topic(scheme, options, url)
    home = path.parent if scheme == MOFKA else path
    positions = _absolute(options.get("positions") or str(home / ".parsl-diaspora"), url)
    told = f"?{urlencode(options, safe='/')}" if options else ""
    return Address(f"{scheme}:{path}{told}", path, target, topic, positions / topic.name)


def _target(scheme: str, path: Path, options: dict[str, str], url: str) -> Target:
    return Target(
        scheme=scheme,
        backend="mofka:libmofka.so" if scheme == MOFKA else "files",
        options={"group_file": str(path)} if scheme == MOFKA else {"root_path": str(path)},
        patience=_number(options, "patience", (10.0, 1.0, 600.0), url),
    )


def _topic(scheme: str, options: dict[str, str], url: str) -> TopicSpec:
    topic = options.get("topic", TOPIC)
    if not _TOPIC.fullmatch(topic):
        raise _error(f"{topic!r} is no name for a topic.", url, "Use letters, digits, '.', '_' and '-'.")
    made: dict[str, Any] = {"num_partitions": int(_number(options, "partitions", (1, 1, 1024), url))}
    if scheme == MOFKA:
        made["config"] = {"type": _choice(options, "type", _TYPES, url)}
    elif "type" in options:
        raise _error("Only Mofka has types of partitions.", url, "Leave 'type=' out.")
    elif made["num_partitions"] > 1:
        raise _error("The file driver does not tell partitions apart.", url, "Leave 'partitions=' out.")
    create = _choice(options, "create", ("yes", "no"), url) == "yes"
    return TopicSpec(name=topic, create=create, options=made)


def _options(query: str, url: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            hint = nearest(name, _OPTIONS, listed="The options are")
            raise _error(f"A stream's URL has no option {name!r}.", url, hint)
    return options


def _choice(options: dict[str, str], name: str, choices: tuple[str, ...], url: str) -> str:
    value = options.get(name, choices[0])
    if value not in choices:
        raise _error(f"{value!r} is no value for {name!r}.", url, f"Use one of: {', '.join(choices)}.")
    return value


def _number(options: dict[str, str], name: str, bounds: tuple[float, float, float], url: str) -> float:
    """A number between the last two bounds, the first of which it usually is."""
    usual, least, most = bounds
    text = options.get(name, str(usual))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise _error(f"{text!r} is no value for {name!r}.", url, f"Use a number from {least:g} to {most:g}.")
    return value


def _absolute(place: str, url: str) -> Path:
    try:
        return Path(place).expanduser().absolute()
    except RuntimeError as error:
        message = f"The home directory in {place!r} is not known."
        raise _error(message, url, "Give the path without '~'.") from error


def _error(message: str, url: str, hint: str) -> FabricError:
    return FabricError(message, url=without_secrets(url), hint=hint)
