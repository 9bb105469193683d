"""A policy: budgets for each class of failures, a total of tries, and rules in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.lined_yaml import parse_lined, read_lined
from parsl_diaspora.recovery.language.checking import check_rules
from parsl_diaspora.recovery.language.matching import ReadyRule, made_ready
from parsl_diaspora.recovery.language.policy_file import MOST_TRIES, read_policy, read_rules
from parsl_diaspora.recovery.language.rules import Rule
from parsl_diaspora.recovery.options import checked_budgets

BUILT_IN = Path(__file__).with_name("default.yaml")


class Policy:
    """What is to be done about failed tries.

    Args:
        rules: in order; the first that is for a failure, and can be carried out, decides.
        budgets: failures of each class that a task may have and still be tried again.
        max_tries: hard total of tries a task; None for the setting.
        inherit: the built-in rules come after these.
        source: where it comes from, for messages.

    Attributes:
        rules: its own rules, in order.

    Raises:
        SettingsError: a rule can never decide, two have one name, or a number makes no sense.

    Example:
        >>> from parsl_diaspora.recovery import Do, Rule, When
        >>> code = When(exit_codes=("85",))
        >>> again = Rule(name="again", when=code, do=Do(action="here"), times=9, reason="it asks for it")
        >>> [rule.name for rule in Policy([again]).all_rules][:2]
        ['again', 'cancelled']
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        budgets: Mapping[str, int] | None = None,
        max_tries: int | None = None,
        inherit: bool = True,
        source: str = "the policy",
    ) -> None:
        self.rules = tuple(read_rules(tuple(rules), source))
        self.budgets = checked_budgets(budgets or {}, source)
        self.max_tries = max_tries
        self.inherit = inherit
        self.source = source
        if max_tries is not None and not 1 <= max_tries <= MOST_TRIES:
            message = f"max_tries in {source} must be from 1 to {MOST_TRIES}, not {max_tries}."
            raise SettingsError(message, hint="Without a total a task could be tried for ever.")
        check_rules(self.rules, source, max_tries)
        self._ready: dict[str, tuple[ReadyRule, ...]] = {}

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """A policy from a YAML file.

        Raises:
            SettingsError: it cannot be read, or something in it is wrong; says in which line, and what to do.
        """
        return cls._made(read_lined(Path(path)), str(path))

    @classmethod
    def parse(cls, text: str, source: str = "the policy") -> Policy:
        r"""A policy from a YAML text.

        Raises:
            SettingsError: something in it is wrong.

        Example:
            >>> text = "rules:\n- {name: once, when: {class: memory}, do: fail, reason: it is doomed}"
            >>> Policy.parse(text).rules[0].do.action
            'fail'
        """
        return cls._made(parse_lined(text, source), source)

    @classmethod
    def of(cls, value: Any, source: str = "the setting 'policy'") -> Policy:
        """A policy from what a setting may hold: a policy, the path of a file, or the same as a mapping.

        Raises:
            SettingsError: something in it is wrong.
        """
        if isinstance(value, Policy):
            return value
        if isinstance(value, str | Path):
            return cls.load(value)
        return cls._made(value, source)

    @classmethod
    def _made(cls, value: Any, source: str) -> Policy:
        return cls(**read_policy(value, source), source=source)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Its own rules, and those that it inherits."""
        return (*self.rules, *built_in().rules) if self.inherit else self.rules

    def candidates(self, failure_class: str) -> tuple[ReadyRule, ...]:
        """The rules that may be for a class of failures, in order."""
        if not self._ready:
            self._ready = made_ready(self.all_rules)
        return self._ready.get(failure_class) or self._ready["unknown"]

    def over(self, other: Policy) -> Policy:
        """This policy where it says something, and the other one where it does not."""
        if not self.inherit:
            return self
        own = {rule.name for rule in self.rules}
        return Policy(
            (*self.rules, *(rule for rule in other.rules if rule.name not in own)),
            budgets={**other.budgets, **self.budgets},
            max_tries=self.max_tries or other.max_tries,
            inherit=other.inherit,
            source=self.source,
        )


@cache
def built_in() -> Policy:
    """The rules that come with this package.

    Example:
        >>> built_in().rules[0].name
        'cancelled'
    """
    rules = read_rules(
        parse_lined(BUILT_IN.read_text(encoding="utf-8"), BUILT_IN.name)["rules"], BUILT_IN.name
    )
    return Policy(rules, inherit=False, source=BUILT_IN.name)
