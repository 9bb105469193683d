"""YAML whose mappings know in which line they stand, so that what is wrong in a file can be pointed at."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.hints import nearest


class Lined(dict[str, Any]):
    """A mapping from a file.

    Attributes:
        line: where it begins, from 1.
        lines: where each of its keys stands.
    """

    line: int = 0
    lines: dict[str, int]


class Place:
    """Where in which file something stands, for messages.

    Example:
        >>> str(Place("policy.yaml", 3))
        'policy.yaml, line 3'
    """

    def __init__(self, source: str, line: int = 0) -> None:
        self.source = source
        self.line = line

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}" if self.line else self.source

    def at(self, value: Any, key: str = "") -> Place:
        """The place of a mapping, or of one of its keys."""
        if not isinstance(value, Lined):
            return self
        return Place(self.source, value.lines.get(key, value.line))

    def error(self, message: str, hint: str = "") -> SettingsError:
        """What is wrong here, as an error."""
        return SettingsError(f"{message} ({self})", hint=hint)

    def known_keys(self, value: Any, names: Collection[str], what: str) -> None:
        """Refuse keys that have no meaning.

        Raises:
            SettingsError: with the nearest key that has one.
        """
        if not isinstance(value, dict):
            message = f"{what} must be a mapping of names to values, not a {type(value).__name__}."
            raise self.error(message, "Write 'name: value' lines.")
        for key in value:
            if key not in names:
                message = f"{what} has no {key!r}."
                raise self.at(value, str(key)).error(message, nearest(str(key), names))


_NEAR = "Look for a bracket, quote or colon that is missing there or just above."


def read_lined(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        SettingsError: it cannot be read, or does not parse.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = f"A path that is not absolute begins in the current directory, {Path.cwd()}."
        raise SettingsError(f"The file {path} cannot be read: {error.strerror}.", hint=hint) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The file {path} is no text in UTF-8.", hint="Save it as UTF-8.") from error
    return parse_lined(text, str(path))


def parse_lined(text: str, source: str) -> Any:
    r"""What a YAML text holds.

    Raises:
        SettingsError: it does not parse, or names a key twice.

    Example:
        >>> parse_lined("a: 1\nb: {c: 2}", "here")["b"].line
        2
    """
    try:
        return yaml.load(text, Loader=_LinedLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(source, mark.line + 1 if mark is not None else 0)
        raise place.error(f"This is no YAML: {error.problem or error.context}.", _NEAR) from error
    except yaml.YAMLError as error:
        raise Place(source).error(f"This is no YAML: {' '.join(str(error).split())}.", _NEAR) from error


class _LinedLoader(yaml.SafeLoader):
    pass


def _mapping(loader: _LinedLoader, node: yaml.MappingNode) -> Any:
    made = Lined()
    yield made
    made.line = node.start_mark.line + 1
    made.lines = {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    if len(made.lines) < len(node.value):
        raise yaml.MarkedYAMLError(problem="a key stands here twice", problem_mark=node.start_mark)
    made.update({str(key): value for key, value in loader.construct_mapping(node, deep=True).items()})


_LinedLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
