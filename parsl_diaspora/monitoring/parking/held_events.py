"""What is said of tasks that are held and released."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from parsl_diaspora.events import DecisionMade, TaskHeld, TaskReleased
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.recovery.held_reasons import BY_PERSON, IN_VAIN, REASONS, HeldReason, reason_for

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

logger = logging.getLogger(__name__)


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task is held.

    Attributes:
        reason: one of the known ones.
        detail: in words.
        owner: who holds it.
        cause: ids of events that led to it.
    """

    reason: HeldReason
    detail: str = ""
    owner: str = ""
    cause: tuple[str, ...] = ()


def by_person(detail: str, owner: str, cause: tuple[str, ...]) -> Why:
    """Somebody asked for it."""
    return Why(reason=REASONS[BY_PERSON], detail=detail, owner=owner, cause=cause)


def by_rule(decision: DecisionMade) -> Why:
    """A rule of the policy says so."""
    reason = reason_for(decision.diagnosis, decision.held_number)
    if decision.suggestion:
        reason = msgspec.structs.replace(reason, suggestion=decision.suggestion)
    owner = f"rule {decision.rule}"
    return Why(reason=reason, detail=decision.reason, owner=owner, cause=(decision.id,))


def in_vain(condition: str, seconds: float) -> Why:
    """What it waited for did not come."""
    detail = f"{condition!r} within {seconds:g} s"
    return Why(reason=REASONS[IN_VAIN], detail=detail, owner="the policy")


class HeldEvents:
    """Says of one run's tasks that they are held and released.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said = False

    def held(self, task: Record, why: Why, failure_class: str) -> TaskHeld:
        """A task is held."""
        text = f"{why.reason.text}: {why.detail}" if why.detail else why.reason.text
        event = TaskHeld(
            task=task["id"],
            executor=task["executor"],
            number=why.reason.number,
            reason=text,
            suggestion=why.reason.suggestion,
            owner=why.owner,
            failure_class=failure_class,
            func=task["func_name"],
            cause=why.cause,
        )
        self._session.begin(task["dfk"].run_id).say(event)
        self._warn_once(task, text)
        return event

    def _warn_once(self, task: Record, text: str) -> None:
        if self._said:
            return
        self._said = True
        logger.warning(
            "parsl_diaspora: task %d (%s) is held: %s. 'parsl-diaspora held last' lists all that are held.",
            task["id"],
            task["func_name"],
            text,
        )

    def released(
        self,
        task: Record,
        held: TaskHeld | None,
        how: str,
        *,
        owner: str,
        reason: str,
        cause: tuple[str, ...],
    ) -> None:
        """A task is released."""
        if held is not None:
            cause = (*cause, held.id)
        event = TaskReleased(
            task=task["id"], executor=task["executor"], how=how, owner=owner, reason=reason, cause=cause
        )
        self._session.begin(task["dfk"].run_id).say(event)
