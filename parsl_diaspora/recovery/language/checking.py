"""Rules that can never decide, or contradict each other: refused before a run begins."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.hints import nearest
from parsl_diaspora.recovery.language.matching import attempts_of, classes_of
from parsl_diaspora.recovery.language.rules import Do, Rule, When


def check_rules(rules: Sequence[Rule], source: str, max_tries: int | None = None) -> None:
    """Refuse rules of which one can never decide.

    Raises:
        SettingsError: says which, why, and what to do.
    """
    for number, rule in enumerate(rules):
        _check_alone(rule, source, max_tries)
        for earlier in rules[:number]:
            if earlier.name == rule.name:
                raise SettingsError(
                    f"Two rules in {source} are called {rule.name!r}.", hint="Rename one of them."
                )
            if _covers(earlier, rule):
                raise SettingsError(
                    f"The rule {rule.name!r} in {source} can never decide: {earlier.name!r}, which comes "
                    "first, is for the same failures and can always be carried out.",
                    hint="Put the special rule before the general one, or leave it out.",
                )


def check_labels(rules: Sequence[Rule], labels: Collection[str], source: str) -> None:
    """Refuse rules that name executors which the program has not.

    Raises:
        SettingsError: with the nearest one that it has.
    """
    for rule in rules:
        for do in (rule.do, rule.otherwise):
            for label in _labels(do):
                if label not in labels:
                    message = f"The rule {rule.name!r} in {source} names {label!r}, which is no executor."
                    raise SettingsError(message, hint=nearest(label, labels))


def _labels(do: Do | None) -> Iterator[str]:
    if do is None:
        return
    yield from do.to
    kind, _, name = do.wait.condition.partition(":") if do.wait is not None else ("", "", "")
    if kind in ("executor", "manager") and name and "{" not in name:
        yield name


def _check_alone(rule: Rule, source: str, max_tries: int | None) -> None:
    if max_tries is None:
        return
    if rule.when.attempt and attempts_of(rule.when.attempt)[0] > max_tries:
        raise SettingsError(
            f"The rule {rule.name!r} in {source} can never decide: there is no attempt "
            f"{rule.when.attempt}, as max_tries is {max_tries}.",
            hint="Raise max_tries, or name an earlier attempt.",
        )
    if rule.times is not None and rule.times >= max_tries:
        raise SettingsError(
            f"The rule {rule.name!r} in {source} cannot decide {rule.times} times, as max_tries is "
            f"{max_tries}.",
            hint=f"Raise max_tries to {rule.times + 1}, or lower 'times'.",
        )


def _covers(earlier: Rule, later: Rule) -> bool:
    """Whether the earlier rule always decides where the later one might."""
    if not classes_of(earlier.when) >= classes_of(later.when) or not _asks_no_more(earlier.when, later.when):
        return False
    always = _always_possible(earlier.do) or (
        earlier.otherwise is not None and _always_possible(earlier.otherwise)
    )
    if not always or earlier.times is not None:
        return False
    # a further try ends with the budget, and a rule that ends the task decides from then on
    return not earlier.do.tries or (_only_tries(later) and later.times is None)


def _only_tries(rule: Rule) -> bool:
    return rule.do.tries and (rule.otherwise is None or rule.otherwise.tries)


def _asks_no_more(earlier: When, later: When) -> bool:
    """Whether each further condition of the earlier rule is one of the later rule's, too."""
    same = all(
        getattr(earlier, name) in (getattr(When(), name), getattr(later, name))
        for name in ("exceptions", "exit_codes", "log", "funcs", "attempt", "count", "expression")
    )
    return same and _within(earlier.conditions, later.conditions)


def _within(few: Collection[str], many: Collection[str]) -> bool:
    return set(few) <= set(many)


def _always_possible(do: Do) -> bool:
    if do.action == "hold":
        return False  # not at the hard total
    if not do.tries:
        return True
    return do.action == "here" and do.resize is None and (do.wait is None or "{" not in do.wait.condition)
