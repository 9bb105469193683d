"""Budgets: how many failures of each class a task may have."""

from __future__ import annotations

from collections.abc import Mapping

from parsl_diaspora.failures import CLASSES, is_infrastructure
from parsl_diaspora.recovery.language.policy import Policy
from parsl_diaspora.recovery.options import NO_OPTIONS, Options, checked_budgets
from parsl_diaspora.settings import Settings

#: Tries that failures by chance are worth beyond the default.
MORE_BY_CHANCE = 2


class Budgets:
    """Each class has its own, so infrastructure loss never spends the application's.

    Args:
        settings: the program's settings.
        retries: ``Config.retries``; the application's budget is that, but at least 1, because one more try
            at another place is what tells a bad task from a bad place. No class that is worth a retry gets
            less by default: it is what the author allows for any failure.
        policy: where it names a budget or a total, that goes over the settings.

    Raises:
        SettingsError: the settings name a failure class that does not exist.

    Example:
        >>> Budgets(Settings(), retries=2).limit("application", Options())
        2
    """

    def __init__(self, settings: Settings, retries: int, policy: Policy | None = None) -> None:
        self._limits: dict[str, int | None] = {
            name: max(each.budget, retries) if each.budget else each.budget for name, each in CLASSES.items()
        }
        self._limits["application"] = max(1, retries)
        given = checked_budgets(settings.retries, "the settings")
        given.update(policy.budgets if policy is not None else {})
        self._limits.update(given)
        self._given = frozenset(given)
        self._retries = retries
        self._max_tries = (policy.max_tries if policy is not None else None) or settings.max_tries

    def name(self, failure_class: str, options: Options = NO_OPTIONS) -> str:
        """The budget that a class charges."""
        own = self._limits[failure_class] is not None or failure_class in options.retries
        return failure_class if own else "application"

    def limit(self, failure_class: str, options: Options, *, by_chance: bool = False) -> int:
        """Failures of this class that a task may have and still be tried again.

        Args:
            failure_class: as diagnosed.
            options: what the app's author said.
            by_chance: such failures of this app were overcome by trying again. They are worth more tries than
                the default, where the program allows any and nobody named a number for the class.
        """
        name = self.name(failure_class, options)
        limit = options.retries.get(name, self._limits[name] or 0)
        named = name in options.retries or name in self._given
        return limit + MORE_BY_CHANCE if by_chance and limit and self._retries and not named else limit

    def max_tries(self, options: Options) -> int:
        """The hard total of tries."""
        return options.max_tries or self._max_tries

    @staticmethod
    def infrastructure_failures(spent: Mapping[str, int]) -> int:
        """Failures so far that the program had no part in."""
        return sum(count for name, count in spent.items() if is_infrastructure(name))
