"""Managers and blocks come and go."""

from __future__ import annotations

from typing import ClassVar

from parsl_diaspora.events.envelope import Event, Topic


class ManagerSeen(Event, tag="manager.seen"):
    """A manager connected to its executor.

    Attributes:
        workers: number of its workers.
        python_version: of the manager.
    """

    topic: ClassVar[Topic] = "resources"

    workers: int = 0
    python_version: str = ""


class ManagerLost(Event, tag="manager.lost"):
    """A manager went away, or stopped serving.

    Attributes:
        reason: in words.
        held: tasks that it held.
    """

    topic: ClassVar[Topic] = "resources"

    reason: str = ""
    held: int = 0


class BlockSeen(Event, tag="block.seen"):
    """A block was requested, or changed its state without ending.

    Attributes:
        state: Parsl's job state.
        job: the provider's job id.
    """

    topic: ClassVar[Topic] = "resources"

    state: str = ""
    job: str = ""


class BlockLost(Event, tag="block.lost"):
    """A block ended.

    Attributes:
        state: Parsl's job state; SCALED_IN is an orderly end.
        job: the provider's job id.
        exit_code: of the block's script.
        message: the provider's words, or the end of the script's error output.
        expected: the program asked for it.
    """

    topic: ClassVar[Topic] = "resources"

    state: str = ""
    job: str = ""
    exit_code: int | None = None
    message: str = ""
    expected: bool = False
