"""Rules that tell why a try failed, and how the first that matches is found fast."""

from __future__ import annotations

import errno as errnos
import signal as signals
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from parsl_diaspora.events import Failure
from parsl_diaspora.failures.context import Context

SHELL = 128
MOST_KNOWN = 256  # chains of exceptions whose rules are remembered


class Case:
    """What rules look at.

    Attributes:
        failure: the evidence.
        context: what is known beyond it.
        signal: that ended the worker or a program; empty for none.
    """

    __slots__ = ("_lowered", "context", "failure", "signal")

    def __init__(self, failure: Failure, context: Context) -> None:
        self.failure = failure
        self.context = context
        self.signal = signal_of(failure)
        self._lowered: str | None = None

    @property
    def lowered(self) -> str:
        """Message and last lines of stderr in lower case."""
        if self._lowered is None:
            self._lowered = f"{self.failure.message}\n{self.failure.stderr}".lower()
        return self._lowered

    def fact(self, name: str) -> Any:
        """What is known under a name."""
        return getattr(self.context, name)


#: The text that was found, or True; None if the condition does not hold.
Test = Callable[[Case], "str | bool"]


class FailureRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        name: as it stands in diagnoses.
        failure_class: that it gives.
        confidence: 0 to 1.
        because: for people, with fields to be filled in.
        missing: ``name`` if the exception's name is what the place lacks, ``found`` for the text that was
            found, or what is missing.
        exceptions: class names of which the failure must have one; empty for all failures.
        tests: that must all hold.
    """

    name: str
    failure_class: str
    confidence: float
    because: str
    missing: str = ""
    exceptions: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()


class Finding(NamedTuple):
    """What a rule has found."""

    rule: str
    failure_class: str
    confidence: float
    evidence: str
    missing: str


class FailureRules:
    """An ordered list of rules.

    Args:
        rules: in order; the first that matches tells.

    Example:
        >>> rule = FailureRule(
        ...     name="r",
        ...     failure_class="memory",
        ...     confidence=0.9,
        ...     because="{type} was raised",
        ...     exceptions=("MemoryError",),
        ... )
        >>> FailureRules([rule]).find(Failure(chain=("builtins.MemoryError",)), Context()).evidence
        'MemoryError was raised'
    """

    def __init__(self, rules: Collection[FailureRule]) -> None:
        self.rules = tuple(rules)
        self._everywhere = [number for number, rule in enumerate(self.rules) if not rule.exceptions]
        self._by_exception: dict[str, list[int]] = {}
        for number, rule in enumerate(self.rules):
            for name in rule.exceptions:
                self._by_exception.setdefault(name, []).append(number)
        self._known: dict[tuple[str, ...], list[FailureRule]] = {}

    def __add__(self, others: FailureRules) -> FailureRules:
        return FailureRules((*self.rules, *others.rules))

    def find(self, failure: Failure, context: Context) -> Finding | None:
        """The first rule that matches, if any."""
        case = Case(failure, context)
        for rule in self._candidates(failure.chain):
            found: str | bool = True
            for test in rule.tests:
                answer = test(case)
                if not answer:
                    found = False
                    break
                found = answer if isinstance(answer, str) else found
            if found:
                return _finding(rule, case, found if isinstance(found, str) else "")
        return None

    def _candidates(self, chain: tuple[str, ...]) -> list[FailureRule]:
        """Rules that may be for an exception, in order. A program meets few kinds of exceptions."""
        if (known := self._known.get(chain)) is not None:
            return known
        numbers = set(self._everywhere)
        for name in chain:
            numbers.update(self._by_exception.get(name, ()))
            numbers.update(self._by_exception.get(name.rpartition(".")[2], ()))
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        found = self._known[chain] = [self.rules[number] for number in sorted(numbers)]
        return found


def signal_of(failure: Failure) -> str:
    """The signal that ended a worker or a program; empty for none. A shell says 128 and its number."""
    code = failure.exit_code
    if code is None or 0 <= code <= SHELL:
        return ""
    try:
        return signals.Signals(-code if code < 0 else code - SHELL).name
    except ValueError:
        return f"signal {-code}" if code < 0 else ""


def _finding(rule: FailureRule, case: Case, found: str) -> Finding:
    failure = case.failure
    missing = {"name": failure.name, "found": found}.get(rule.missing, rule.missing)
    if rule.missing == "name" and not missing:
        missing = "a module"
    return Finding(rule.name, rule.failure_class, rule.confidence, _words(rule, case, found), missing)


def _words(rule: FailureRule, case: Case, found: str) -> str:
    if "{" not in rule.because:
        return rule.because
    failure = case.failure
    known: dict[str, Any] = {
        "type": failure.type.rpartition(".")[2],
        "name": failure.name or "a module",
        "file": repr(failure.filename) if failure.filename else "a path",
        "exit_code": failure.exit_code,
        "signal": case.signal or "a signal",
        "errno": errnos.errorcode.get(failure.errno or 0, "an error number"),
        "found": " ".join(found.split()),
    }
    try:
        return rule.because.format_map(_Words(known, case))
    except (ValueError, TypeError):  # a fact that is not known, with a format for numbers
        return rule.because


class _Words(dict[str, Any]):
    def __init__(self, known: dict[str, Any], case: Case) -> None:
        super().__init__(known)
        self._case = case

    def __missing__(self, name: str) -> Any:
        return self._case.fact(name)
