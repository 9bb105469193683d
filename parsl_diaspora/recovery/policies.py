"""The policy that each app has: the program's, under what its own author says."""

from __future__ import annotations

from typing import Any, NamedTuple

from parsl_diaspora.recovery.language.policy import Policy, built_in
from parsl_diaspora.recovery.options import MOST_KEPT, NO_OPTIONS, Options, mark_of, options_of


class AppPolicy(NamedTuple):
    """How failures of one app are met."""

    options: Options
    policy: Policy


class _Made(NamedTuple):
    mark: Any
    policy: AppPolicy


class Policies:
    """Finds an app's policy in O(1): each is put together once.

    Args:
        policy: the program's own.

    Example:
        >>> Policies().of(print).policy is built_in()
        True
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self._plain = AppPolicy(NO_OPTIONS, policy if policy is not None else built_in())
        self._made: dict[int, _Made] = {}

    def of(self, function: Any) -> AppPolicy:
        """How failures of a task's function are met."""
        mark = mark_of(function)
        if mark is None:
            return self._plain
        made = self._made.get(id(mark))
        if made is None or made.mark is not mark:
            if len(self._made) >= MOST_KEPT:  # apps that are made in a loop
                self._made.clear()
            made = self._made[id(mark)] = _Made(mark, self._put_together(options_of(function)))
        return made.policy

    def _put_together(self, options: Options) -> AppPolicy:
        if not options.rules and options.inherit:
            return AppPolicy(options, self._plain.policy)
        own = Policy(options.rules, inherit=options.inherit, source="@resilience")
        return AppPolicy(options, own.over(self._plain.policy))
