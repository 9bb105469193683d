"""A decision again, from what the log tells: by another policy it may come out otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from parsl_diaspora.events import DecisionMade, TryFailed
from parsl_diaspora.failures import Context
from parsl_diaspora.recovery.language.rules import CountBy
from parsl_diaspora.recovery.options import Options
from parsl_diaspora.recovery.situation import Counter, Situation
from parsl_diaspora.state import Picture, TaskState
from parsl_diaspora.state.recent import count_tasks

#: What no other event tells of a situation.
KNOWN = (
    *(
        "func",
        "site",
        "other_executors",
        "other_sites",
        "others_have_managers",
        "other_manager",
        "other_node",
    ),
    *("other_block", "other_worker", "bound", "executor_usable", "unfit_everywhere", "room", "asked_memory"),
    *("infrastructure_failures", "proof", "own_handler_stops", "avoid", "context"),
)
_LISTED = "non_retryable"
_NAMES = tuple(field.name for field in msgspec.structs.fields(Situation) if field.name in KNOWN)
_USUAL = tuple(
    {} if field.name == "room" else field.default
    for field in msgspec.structs.fields(Situation)
    if field.name in KNOWN
)
_values = attrgetter(*_NAMES)


def known(situation: Situation) -> dict[str, Any]:
    """What a decision's event keeps of its situation: what is not as usual, and no other event tells."""
    told: dict[str, Any] = {}
    for name, value, default in zip(_NAMES, _values(situation), _USUAL, strict=True):
        if value != default:
            told[name] = list(value) if isinstance(value, tuple) else value
    if "context" in told:
        told["context"] = msgspec.to_builtins(told["context"])
    if situation.options.non_retryable:
        told[_LISTED] = list(situation.options.non_retryable)
    return told


def situation_again(
    failed: TryFailed,
    decided: DecisionMade,
    task: TaskState,
    picture: Picture,
    site: Collection[str] | None = None,
) -> Situation:
    """The situation in which a decision was made.

    Args:
        failed: the try that it is about.
        decided: the decision.
        task: the task as it was.
        picture: the run as it was.
        site: labels of the executors of the place's site.
    """
    told = {name: value for name, value in decided.known.items() if name in KNOWN}
    listed = decided.known.get(_LISTED, ())
    fields = msgspec.convert(told, dict[str, Any])
    for name in ("other_executors", "other_sites", "avoid"):
        fields[name] = tuple(fields.get(name, ()))
    fields["context"] = msgspec.convert(fields.get("context", {}), Context)
    fields.setdefault("func", task.func)
    return Situation(
        failure=failed.failure,
        diagnosis=decided.diagnosis,
        options=Options(non_retryable=tuple(listed)),
        id=failed.id,
        executor=failed.executor or "",
        block=failed.block,
        manager=failed.manager,
        node=failed.node,
        worker=failed.worker,
        seconds=failed.seconds,
        tries=decided.tries,
        max_tries=decided.max_tries,
        budget=decided.budget,
        used=decided.used,
        limit=decided.limit,
        uses=uses_of(task),
        counter=counter_of(picture, failed, fields["func"], site),
        **fields,
    )


def uses_of(task: TaskState, but: str = "") -> dict[str, int]:
    """How often each rule has decided for a task; ``but`` once less, as that decision is replaced."""
    uses: dict[str, int] = {}
    for each in task.tries[task.forgiven :]:
        if each.rule:
            uses[each.rule] = uses.get(each.rule, 0) + 1
    if but in uses:
        uses[but] -= 1
    return uses


def counter_of(
    picture: Picture, failed: TryFailed, func: str, site: Collection[str] | None = None
) -> Counter:
    """Counts failures of different tasks like this one, this one included.

    Args:
        picture: state of the run.
        failed: the newest failure.
        func: name of its app.
        site: labels of the executors of its site.
    """
    labels = (failed.executor or "",) if site is None else site

    def count(by: CountBy, within: float) -> int:
        since, task = failed.time - within, failed.task if failed.task is not None else -1
        if by == "manager":
            manager = picture.managers.get(failed.manager or "")
            records: Any = manager.failures if manager is not None else ()
        elif by == "node":
            node = picture.nodes.get(failed.node or "")
            records = node.failures if node is not None else ()
        elif by == "func":
            records = picture.recent.of_func(func)
        elif by == "executor":
            records = picture.recent.of(failed.executor or "")
        else:
            records = [record for label in labels for record in picture.recent.of(label)]
        return 1 + count_tasks(records, since, task)

    return count


def sites_of(labels: Mapping[str, str], label: str) -> tuple[str, ...]:
    """Labels of the executors that share a site with this one.

    Example:
        >>> sites_of({"cpu": "alder", "gpu": "alder"}, "cpu"), sites_of({}, "cpu")
        (('cpu', 'gpu'), ('cpu',))
    """
    site = labels.get(label, label)
    return tuple(sorted({label, *(name for name, where in labels.items() if where == site)}))
