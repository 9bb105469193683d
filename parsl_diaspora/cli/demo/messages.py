"""What a variant tells while it runs: one JSON message a line, on its standard output."""

from __future__ import annotations

from typing import Literal, Union

import msgspec

VariantName = Literal["undisturbed", "stock", "resilient"]


class Progressed(msgspec.Struct, tag="progressed", frozen=True, kw_only=True):
    """A trial has ended.

    Attributes:
        done: trials that have ended.
        total: trials of the campaign.
        failed: ended ones that failed.
    """

    done: int
    total: int
    failed: int


class Happened(msgspec.Struct, tag="happened", frozen=True, kw_only=True):
    """Something worth a line.

    Attributes:
        seconds: since the variant began.
        what: ``fault``, ``decision`` or ``place``.
        text: for people.
        reason: a second line.
        kind: things of one kind are told once and then counted; empty for things that are always told.
    """

    seconds: float
    what: str
    text: str
    reason: str = ""
    kind: str = ""


class Finished(msgspec.Struct, tag="finished", frozen=True, kw_only=True):
    """The variant has ended.

    Attributes:
        run: Parsl's run id; empty for stock runs, which have no log.
        scores: accuracy of each trial that succeeded, by name, as ``float.hex``: to the last bit.
        failed: trials that failed.
        unfinished: trials without an answer at the deadline.
        tries: tries that were launched.
        wasted: tries that failed.
        seconds: wall time.
        best: the best classifier; empty if none has all its folds.
        best_score: its mean accuracy.
        faults: faults injected.
        left_behind: processes that had to be ended after Parsl's own clean-up.
        story: number of the task with the most tries.
        missing: what of the run's events is not in the fabric, in words; empty if all are there.
    """

    run: str
    scores: dict[str, str]
    failed: int
    unfinished: int
    tries: int
    wasted: int
    seconds: float
    best: str
    best_score: float
    faults: int
    left_behind: int
    story: int = 0
    missing: str = ""


Message = Union[Progressed, Happened, Finished]  # noqa: UP007 - msgspec reads it at run time

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode
