"""Where readers of the embedded log stand: how far each segment is read, kept by atomic rename."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from zlib import crc32

import msgspec

logger = logging.getLogger(__name__)


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """What a file of positions holds: a digit that changed must not hide events."""

    positions: dict[str, Annotated[int, msgspec.Meta(ge=0)]]
    crc: int


DIRECTORY = "consumers"
SUFFIX = ".json"


def positions_of(directory: Path, consumer: str) -> Path:
    """The file that keeps the positions of a named consumer of a log."""
    return directory / DIRECTORY / f"{consumer}{SUFFIX}"


def kept_positions(directory: Path) -> dict[str, dict[str, int]]:
    """The positions of all named consumers of a log.

    Raises:
        OSError: the directory cannot be read.
    """
    kept = {}
    for path in sorted((directory / DIRECTORY).glob(f"*{SUFFIX}")):
        positions = read_positions(path)
        if positions is not None:
            kept[path.name.removesuffix(SUFFIX)] = positions
    return kept


def read_positions(path: Path) -> dict[str, int] | None:
    """Positions that were kept. Damaged ones count as the very beginning: nothing may be missed."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        if kept.crc != _checksum(kept.positions):
            raise ValueError("their checksum does not fit")
        return kept.positions
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        logger.warning("The positions in %s cannot be read (%s); reading starts over.", path, error)
        return {}


def keep_positions(path: Path, positions: Mapping[str, int]) -> None:
    """Keep positions, so that a killed reader finds the old or the new ones.

    Raises:
        OSError: they cannot be written; the old ones still stand.
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(_Kept(dict(positions), _checksum(positions))))
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _checksum(positions: Mapping[str, int]) -> int:
    return crc32(msgspec.json.encode(sorted(positions.items())))
