"""The story of a task as text. It says what the JSON says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import SHORT
from parsl_diaspora.cli.output import pairs
from parsl_diaspora.cli.state_text import state_rows
from parsl_diaspora.cli.story import Cancel, Choice, HoldStory, TaskStory, TryStory
from parsl_diaspora.cli.words import (
    count,
    duration,
    first_line,
    joined,
    last_line,
    moment,
    offset,
    place_words,
    plain,
)
from parsl_diaspora.events import Diagnosis, Failure

_STYLES = {
    "succeeded": "green",
    "done": "green",
    "memoized": "green",
    "substituted": "yellow",
    "failed": "red",
    "dependency_failed": "red",
    "cancelled": "yellow",
    "stopped": "yellow",
    "running": "cyan",
}

Rows = Iterator[tuple[str, object]]


def render(story: TaskStory, out: Console, *, traceback: bool = False) -> None:
    """Print the story.

    Args:
        story: to be told.
        out: where.
        traceback: show tracebacks whole.
    """
    out.print(_title(story))
    out.print(pairs(_opening(story)))
    for each in story.tries:
        out.print()
        out.print(_try_title(each, story))
        out.print(pairs(_try_rows(each, traceback)))
    out.print()
    out.print(_ending(story))


def _title(story: TaskStory) -> Text:
    title = Text(f"Task {story.task}", style="bold")
    if story.func:
        title.append(f"  {plain(story.func)}")
    return title


def _opening(story: TaskStory) -> Rows:
    program = f" of {story.program}" if story.program else ""
    yield "run", f"{story.run}{program}, {story.run_state}"
    yield "submitted" if story.tries else "told", moment(story.submitted)
    if story.routing is not None:
        yield from _routing_rows(story.routing)
    if story.cancel is not None:
        yield from _cancel_rows(story.cancel)
    for hold in story.holds:
        yield from _hold_rows(hold)


def _routing_rows(routing: Choice) -> Rows:
    yield "routed", f"before its first try: {routing.words}"
    yield "because", routing.reason
    yield "rule", joined((routing.rule, f"for failures of class {routing.diagnosis.failure_class}"))


def _cancel_rows(cancel: Cancel) -> Rows:
    yield "cancelled", joined((offset(cancel.at), cancel.owner and f"by {cancel.owner}", cancel.reason))
    if cancel.done:
        yield "done", cancel.done


def _hold_rows(hold: HoldStory) -> Rows:
    yield "held", joined((offset(hold.at), f"by {hold.owner}", f"reason {hold.number}: {hold.reason}"))
    if hold.released is None:
        yield "suggestion", hold.suggestion
    else:
        yield "released", joined((offset(hold.released), hold.how, f"by {hold.released_by}"))


# --- one try ---


def _try_title(each: TryStory, story: TaskStory) -> Text:
    title = Text(f"Try {each.number}  ", style="bold")
    return title.append(_try_outcome(each, story), style=_STYLES.get(each.status, ""))


def _try_outcome(each: TryStory, story: TaskStory) -> str:
    if each.stopped and each.ended is not None:
        return f"{_STOPPED.get(each.stopped, 'stopped')} at {offset(each.ended)}"
    if each.ended is not None:
        took = "" if each.seconds is None else f", after {duration(each.seconds)} on the worker"
        return f"{each.status} at {offset(each.ended)}{took}"
    if story.outcome or not story.run_state.startswith("running"):
        return f"{each.status}; its end is not in the log"
    return each.status


_STOPPED = {
    "signal": "stopped by itself when asked",
    "kill": "its worker was ended",
    "end": "ran on to its own end, for nothing",
}


def _try_rows(each: TryStory, traceback: bool) -> Rows:
    yield "where", place_words(each.place) or "not known"
    if each.placed:
        yield "placed", each.placed
    for passage in each.passages:
        how = f"{offset(passage.at)} to {passage.to}"
        yield "moved" if passage.moved else "second copy", joined((how, passage.reason))
    yield "when", _times(each)
    if each.avoid:
        yield "avoids", f"manager {', '.join(each.avoid)}"
    for decline in each.declined:
        yield "declined", f"{offset(decline.at)} by {place_words(decline.place)}"
    yield from state_rows(each.state)
    if each.failure is not None:
        yield from _failure_rows(each.failure, traceback)
    for event in each.nearby:
        yield "meanwhile", f"{offset(event.at)} {event.words}"
    if each.diagnosis is not None:
        yield "diagnosis", _diagnosis(each.diagnosis)
    if each.decision is not None:
        yield from _decision_rows(each.decision)


def _times(each: TryStory) -> str:
    times = (("launched", each.launched), ("started", each.started), (each.status, each.ended))
    told = joined(f"{what} {offset(at)}" for what, at in times if at is not None)
    if each.compacted:
        return f"{told} (its details were compacted)"
    return told if each.started is not None else f"{told or 'not known'} (no worker told of its start)"


def _failure_rows(failure: Failure, traceback: bool) -> Rows:
    message = plain(failure.message).strip()
    yield "failure", f"{_class_name(failure)}: {message}" if message else _class_name(failure)
    if failure.frame and failure.phase != "lost":  # then the frame is Parsl's, which only missed the worker
        yield "in", failure.frame
    if failure.phase in _PHASES:
        yield "phase", _PHASES[failure.phase]
    if not failure.retryable:
        yield "declared", joined((failure.declared, "the app says that trying again cannot help"))
    if failure.traceback:
        yield "traceback", _traceback(failure, traceback)


_PHASES = {
    "launch": "launch: before it left the submit side",
    "unpack": "unpack: while function and arguments were rebuilt on the worker",
    "pack": "pack: while the result was serialized",
    "lost": "lost: nothing came back from the worker",
}


def _class_name(failure: Failure) -> str:
    module, _, name = failure.type.rpartition(".")
    return name if module == "builtins" or module.startswith("parsl.") else failure.type or "not known"


def _traceback(failure: Failure, whole: bool) -> str:
    lines = plain(failure.traceback).rstrip().splitlines()
    if whole:
        return "\n".join(lines)
    hint = f"{count(len(lines), 'line')}; --traceback shows them"
    last = last_line(failure.traceback)
    repeats = last.endswith(first_line(failure.message)) if failure.message.strip() else False
    return f"({hint})" if repeats else f"{last} ({hint})"


def _diagnosis(diagnosis: Diagnosis) -> str:
    sure = f"confidence {100 * diagnosis.confidence:.0f} %"
    lines = [f"{diagnosis.failure_class} ({diagnosis.layer} layer, {sure})", *diagnosis.evidence]
    if diagnosis.missing:
        lines.append(f"missing module: {diagnosis.missing}")
    if diagnosis.destined:
        lines.append("trying again is proven useless everywhere")
    return "\n".join(lines)


def _decision_rows(choice: Choice) -> Rows:
    yield "decision", Text(choice.words, style="red" if choice.action == "fail" else "yellow")
    yield "because", choice.reason
    yield "rule", choice.rule
    yield "budget", _account(choice)
    if choice.alternatives:
        yield "not taken", "\n".join(choice.alternatives)


def _account(choice: Choice) -> str:
    spent = ", spent" if choice.used > choice.limit else ""
    budget = f"{choice.budget}: {choice.used} of {choice.limit} used{spent}; " if choice.budget else ""
    return f"{budget}tries: {choice.tries} of {choice.max_tries}"


# --- the end ---


def _ending(story: TaskStory) -> Text:
    sentence = _ENDINGS.get(story.outcome, _open_end)(story)
    return Text(plain(sentence), style=_STYLES.get(story.outcome, ""))


def _open_end(story: TaskStory) -> str:
    if story.outcome:
        return f"It ended as {story.outcome!r}."
    if story.run_state.startswith("running"):
        return "It has not ended yet."
    return f"The log has no end of it: the run is {story.run_state}."


def _done(story: TaskStory) -> str:
    return f"It succeeded {_total(story)}."


def _failed(story: TaskStory) -> str:
    return f"It failed {_total(story)}. The program sees:\n{story.error}"


def _memoized(story: TaskStory) -> str:
    return "Its result was known from before, so it never ran."


def _substituted(story: TaskStory) -> str:
    return f"It got a value in place of its result {_total(story)}."


def _dependency_failed(story: TaskStory) -> str:
    see = ""
    if story.root is not None:
        see = f"\nThe trouble began there: parsl-diaspora explain {story.run[:SHORT]} {story.root}"
    return f"It never ran: a task that it waits for failed. The program sees:\n{story.error}{see}"


def _cancelled(story: TaskStory) -> str:
    return f"It was cancelled {_total(story)}. The program sees:\n{story.error}"


def _total(story: TaskStory) -> str:
    after = "" if story.ended is None else f"{duration(story.ended)} after it was submitted, "
    worked = f" with {duration(story.worker_seconds)} on workers" if story.worker_seconds else ""
    return f"{after}in {count(len(story.tries), 'try', 'tries')}{worked}"


_ENDINGS = {
    "done": _done,
    "failed": _failed,
    "cancelled": _cancelled,
    "memoized": _memoized,
    "substituted": _substituted,
    "dependency_failed": _dependency_failed,
}
