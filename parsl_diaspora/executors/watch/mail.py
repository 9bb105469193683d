"""Events of nodes that reach no fabric: they came to the interchange, and its agent put them in a file."""

from __future__ import annotations

import logging
from pathlib import Path

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import decode
from parsl_diaspora.state import Live

logger = logging.getLogger(__name__)


class Mail:
    """Reads what the interchange's agent has put down, and says it on.

    Args:
        path: of the file.
        live: of the run.
    """

    def __init__(self, path: Path, live: Live) -> None:
        self._path = path
        self._live = live
        self._read = 0
        self._bad = 0

    def look(self) -> None:
        """Say on what is new."""
        for line in self._new_lines():
            try:
                self._live.hear(decode(line, "json"))
            except EventError as error:
                self._bad += 1
                if self._bad == 1:
                    logger.warning("A node sent what is no event (%s); its like is only counted.", error)

    def _new_lines(self) -> list[bytes]:
        try:
            if self._path.stat().st_size <= self._read:
                return []
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []  # nobody has sent anything
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.splitlines()
