"""What was decided, in words."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.cli.words import count, duration, joined
from parsl_diaspora.events import DecisionMade
from parsl_diaspora.sizes import size_words

_KINDS = ("worker", "node", "block")


def action_words(event: DecisionMade) -> str:
    """What was decided.

    Example:
        >>> action_words(DecisionMade(action="move", target="birch", delay=0.5))
        'move to birch, after 0.5 s'
        >>> action_words(DecisionMade(action="avoid", avoid=("node:n17",), memory=8 * 10**9))
        'avoid node n17, with 8 GB of memory'
    """
    return joined(_parts(event))


def _parts(event: DecisionMade) -> Iterator[str]:
    yield _action(event)
    if event.memory:
        yield f"with {size_words(event.memory)} of memory"
    if event.priority is not None:
        yield f"with priority {event.priority}"
    if event.delay:
        yield f"after {duration(event.delay)}"
    if event.wait:
        what, _, name = event.wait.partition(":")
        yield f"when {f'{what} {name} is' if name else f'the {what} is'} there"
        yield f"or after {duration(event.wait_timeout)} {event.wait_else or 'retry'}"
    if event.rest:
        yield f"no new work for its {event.rest} for {duration(event.rest_for)}"


def _action(event: DecisionMade) -> str:
    number = f" (reason {event.held_number})" if event.held_number else ""
    return {
        "retry": "retry here",
        "avoid": f"avoid {_places(event.avoid)}",
        "move": f"move to {event.target}",
        "fail": "fail now",
        "hold": f"hold it until somebody releases it{number}",
        "substitute": "end it with a value that stands in for its result",
    }.get(event.action, event.action)


def _places(names: tuple[str, ...]) -> str:
    if not names:
        return "the manager where it failed"
    managers = [name for name in names if name.partition(":")[0] not in _KINDS]
    others = [name.replace(":", " ", 1) for name in names if name.partition(":")[0] in _KINDS]
    if managers:
        word = "manager" if len(managers) == 1 else count(len(managers), "manager")
        others.insert(0, f"{word} {', '.join(managers)}")
    return " and ".join(others)
