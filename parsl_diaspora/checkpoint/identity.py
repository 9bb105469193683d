"""Which try a save is of."""

from __future__ import annotations

import msgspec


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The try that saves.

    Attributes:
        run: Parsl's run id.
        task: Parsl's task id.
        attempt: number of the try.
        launch: when it was launched, nanoseconds UTC; see `Save`.
    """

    run: str
    task: int
    attempt: int
    launch: int
