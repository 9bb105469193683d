"""Whether trying again is proven useless: learned from what happened elsewhere, never from a class alone.

The same failure of the same task, with the same inputs, at several healthy places condemns it. One success
of the same app after that failure shows that trying again may help, and refutes every later proof.
"""

from __future__ import annotations

from collections.abc import Callable

from parsl_diaspora.events import Failure
from parsl_diaspora.failures.taxonomy import is_infrastructure
from parsl_diaspora.state import TaskState, TryState

DESTINED_AFTER = 2

IsHealthy = Callable[[TryState], bool]


def proof(
    failure: Failure,
    failure_class: str,
    task: TaskState | None,
    *,
    after: int = DESTINED_AFTER,
    refuted: bool = False,
    is_healthy: IsHealthy = lambda _: True,
) -> tuple[str, ...]:
    """The places that together prove a task hopeless; empty while nothing is proven.

    Args:
        failure: of the newest try.
        failure_class: as diagnosed; infrastructure proves nothing about a task.
        task: its earlier tries, the newest one included.
        after: different places that it takes; 0 for never.
        refuted: the same failure of the same app was once overcome by trying again.
        is_healthy: whether the place of a try is one where tasks do succeed, or may: a node where
            everything fails is no witness.

    Example:
        >>> bug = Failure(chain=("builtins.KeyError",), frame="a.py:f:3")
        >>> tries = [TryState(manager=m, fingerprint=bug.fingerprint, status="failed") for m in ("m1", "m2")]
        >>> proof(bug, "bug", TaskState(tries=tries))
        ('m1', 'm2')
    """
    if task is None or refuted or not after or not failure.frame or is_infrastructure(failure_class):
        return ()  # without the user's frame two failures cannot be told to be the same one
    same = [each for each in task.tries if each.fingerprint == failure.fingerprint and each.place]
    places = {each.place for each in same if is_healthy(each)}
    return tuple(sorted(places)) if len(places) >= after else ()
