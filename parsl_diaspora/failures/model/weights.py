"""What was learned, as a file: JSON with a row of small numbers for each token, no code in it."""

from __future__ import annotations

import base64
import binascii
import zlib
from array import array
from pathlib import Path

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.failures.taxonomy import CLASSES, current_name

FORMAT = 1
_TRAIN = "Train one: parsl-diaspora model train LOG_OR_CORPUS... -o FILE."


def taxonomy_version() -> str:
    """Changes whenever a class of failures comes or goes."""
    return f"{zlib.crc32(' '.join(sorted(CLASSES)).encode()):08x}"


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model.

    Attributes:
        format: of this file.
        taxonomy: version of the classes that it was trained with.
        classes: that it knows.
        tokens: a row for each token: a signed byte for each class, in base64.
        step: what one unit of those bytes is worth.
        importance: inverse frequency of each token.
        base: what each class has before any token is seen.
        sharpness: scores are multiplied by it, so that confidence is how often it is right.
        bar: below this confidence it says nothing.
        trained: when, seconds UTC.
        data: what it was trained on, in words.
        quality: measured: macro-F1 and more, by name.
    """

    format: int = FORMAT
    taxonomy: str = ""
    classes: tuple[str, ...] = ()
    tokens: dict[str, str] = {}
    step: float = 1.0
    importance: dict[str, float] = {}
    base: tuple[float, ...] = ()
    sharpness: float = 1.0
    bar: float = 0.5
    trained: float = 0.0
    data: str = ""
    quality: dict[str, float] = {}

    def rows(self) -> dict[str, array[int]]:
        """The numbers of each token."""
        return {token: array("b", base64.b64decode(row)) for token, row in self.tokens.items()}


def pack_row(numbers: list[int]) -> str:
    """A row as it stands in the file.

    Example:
        >>> pack_row([1, -1, 0])
        'Af8A'
    """
    return base64.b64encode(array("b", numbers).tobytes()).decode()


def read_weights(path: Path) -> Weights:
    """A model from its file.

    Raises:
        SettingsError: it is not there, damaged, of another format, or knows classes that there are no more.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Weights)
        complete = all(len(row) == len(found.classes) for row in found.rows().values())
    except OSError as error:
        raise SettingsError(f"The model {path} cannot be read: {error.strerror}.", hint=_TRAIN) from error
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise SettingsError(f"The model {path} is damaged: {error}.", hint=_TRAIN) from error
    if found.format != FORMAT:
        raise SettingsError(f"The model {path} has format {found.format}, not {FORMAT}.", hint=_TRAIN)
    if gone := [name for name in found.classes if current_name(name) not in CLASSES]:
        raise SettingsError(f"The model {path} is stale: this release has no class {gone[0]!r}.", hint=_TRAIN)
    if not complete or len(found.base) != len(found.classes) or not found.classes:
        raise SettingsError(f"The model {path} is damaged: a row is too short.", hint=_TRAIN)
    return found


def write_weights(path: Path, weights: Weights) -> None:
    """Write a model, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(weights, order="sorted"), indent=1))
    beside.replace(path)
