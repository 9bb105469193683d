"""Why a task may be held: each reason has a number that stays, words, and what may be done about it."""

from __future__ import annotations

import msgspec

from parsl_diaspora.events import Diagnosis

BY_PERSON, BY_RULE, UNKNOWN, LACKS, MEMORY, FULL, NO_PLACE, SERVICE, IN_VAIN = range(1, 10)

#: Numbers from here on are a site's own: its policy gives the words.
OWN_NUMBERS = 100


class HeldReason(msgspec.Struct, frozen=True):
    """One reason.

    Attributes:
        number: stays the same over releases.
        text: in words.
        suggestion: what may be done; ``{task}`` is the task's id.
    """

    number: int
    text: str
    suggestion: str


REASONS: dict[int, HeldReason] = {
    reason.number: reason
    for reason in (
        HeldReason(BY_PERSON, "somebody asked for it", "release it when that is settled"),
        HeldReason(
            BY_RULE, "a rule of the policy holds it", "look at its story, then release, retry or fail it"
        ),
        HeldReason(
            UNKNOWN,
            "nothing explains its failure",
            "look at its story (explain); retry it if it may have been chance, else fail it",
        ),
        HeldReason(
            LACKS,
            "the place lacks something that it needs",
            "put it there, or release the task with --executor to a place that has it",
        ),
        HeldReason(
            MEMORY,
            "it needs more memory than it had",
            "release it with --executor to nodes with more memory, or retry it when its neighbours are gone",
        ),
        HeldReason(FULL, "a disk or limit of the place is used up", "make room, then release it"),
        HeldReason(
            NO_PLACE,
            "no place takes it",
            "release it when blocks are there again, or with --executor to a place that is",
        ),
        HeldReason(SERVICE, "a service that it calls does not answer", "release it when the service is back"),
        HeldReason(
            IN_VAIN,
            "what it waited for did not come in time",
            "see to it that it comes, then release it; or fail it",
        ),
    )
}

_OF_CLASSES: dict[str, int] = {
    "unknown": UNKNOWN,
    "missing_module": LACKS,
    "version_mismatch": LACKS,
    "missing_file": LACKS,
    "permission": LACKS,
    "gpu": LACKS,
    "memory": MEMORY,
    "disk_full": FULL,
    "limits": FULL,
    "executor_lost": NO_PLACE,
    "interchange_lost": NO_PLACE,
    "block_failed": NO_PLACE,
    "batch_refused": NO_PLACE,
    "network": SERVICE,
}


def reason_for(diagnosis: Diagnosis, number: int = 0) -> HeldReason:
    """The reason for holding a task that failed so.

    Args:
        diagnosis: of its last failure.
        number: of the reason that the policy gives; 0 if it gives none.

    Example:
        >>> reason_for(Diagnosis(failure_class="memory")).number
        5
        >>> reason_for(Diagnosis(), 117).number
        117
    """
    chosen = number or _OF_CLASSES.get(diagnosis.failure_class, BY_RULE)
    known = REASONS.get(chosen)
    return known or HeldReason(chosen, REASONS[BY_RULE].text, REASONS[BY_RULE].suggestion)
