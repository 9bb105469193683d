"""What the author of an app says about its failures: the ``@resilience`` decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from parsl_diaspora.checkpoint_settings import Checkpoint
from parsl_diaspora.errors import SettingsError
from parsl_diaspora.failures import CLASSES, current_name
from parsl_diaspora.hints import nearest
from parsl_diaspora.recovery.language.rules import Rule
from parsl_diaspora.sizes import parse_bytes

if TYPE_CHECKING:
    from parsl_diaspora.recovery.language.policy import Policy

#: Plain data under a plain name, so that a decorated function can be pickled to workers without this package.
ATTRIBUTE = "__parsl_diaspora__"

MOST_LAYERS = 16

F = TypeVar("F")

MOST_KEPT = 1_000
_converted: dict[int, tuple[Any, Options]] = {}

#: None is a value, too.
NOTHING = object()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one app.

    Attributes:
        retries: budget per failure class, over those of the settings.
        non_retryable: qualified names of exceptions that end the task at once, subclasses included.
        max_tries: hard total of tries, over that of the settings.
        rules: tried before those of the program's policy.
        inherit: those come after them.
        memory: bytes that a try needs.
        substitute: the value that stands in for the result of a task that would fail; empty for none.
        idempotent: it may run twice, even at the same time: only the first result counts.
        near: site, or label of an executor, where its data are.
        checkpoint: how its tasks are saved while they run; None if they are not.
    """

    retries: dict[str, int] = {}
    non_retryable: tuple[str, ...] = ()
    max_tries: int | None = None
    rules: tuple[Rule, ...] = ()
    inherit: bool = True
    memory: int | None = None
    substitute: tuple[Any, ...] = ()
    idempotent: bool = False
    near: str = ""
    checkpoint: Checkpoint | None = None


NO_OPTIONS = Options()


def resilience(
    misplaced: object = None,
    /,
    *,
    retries: Mapping[str, int] | int | None = None,
    non_retryable: type[BaseException] | tuple[type[BaseException], ...] = (),
    max_tries: int | None = None,
    policy: Any = None,
    rules: Iterable[Any] = (),
    memory: int | str | None = None,
    substitute: Any = NOTHING,
    idempotent: bool = False,
    near: str = "",
    checkpoint: Checkpoint | bool | str | float | None = None,
) -> Callable[[F], F]:
    """Say how an app's failures are to be met.

    Args:
        misplaced: nothing: it tells those who have forgotten the parentheses.
        retries: budget per failure class, as ``{"memory": 3}``; a plain number is that of ``application``.
        non_retryable: exceptions that end the task at once, subclasses included.
        max_tries: hard total of tries.
        policy: a `Policy`, the path of a YAML file with one, or the same as a mapping; it goes before that
            of the program.
        rules: before those of the policy; each a `Rule`, or a mapping as in YAML.
        memory: what a try needs, as ``"4 GB"`` or in bytes.
        substitute: stands in for the result where the task would fail, so that what waits for it goes on.
        idempotent: running it twice does no harm, even at the same time, as nothing but its result counts. A
            pool of executors may start a second copy of a try that takes much longer than others.
        near: site or executor where its data are: a pool of executors prefers it while it is not crowded.
        checkpoint: tasks save their state while they run, by ``current_task().save(...)``, and go on from
            there when they are lost: True, the time between two saves as ``"30s"``, or a `Checkpoint`.

    Raises:
        SettingsError: a failure class does not exist, a number is negative, or a rule is wrong.

    Example:
        >>> @resilience(retries={"memory": 3}, non_retryable=(ValueError,))
        ... def simulate(seed):
        ...     return seed
    """
    if misplaced is not None:
        raise SettingsError("@resilience stands without its parentheses.", hint=_WRITTEN)
    budgets = checked_budgets({"application": retries} if isinstance(retries, int) else retries or {})
    _check_total(max_tries)
    own = _own_policy(policy, rules)
    options = Options(
        retries={**own.budgets, **budgets} if own is not None else budgets,
        non_retryable=_names(non_retryable),
        max_tries=max_tries or (own.max_tries if own is not None else None),
        rules=own.rules if own is not None else (),
        inherit=own is None or own.inherit,
        memory=_bytes(memory),
        idempotent=_is_flag(idempotent),
        near=_site(near),
        checkpoint=Checkpoint.of(checkpoint),
    )
    also = {} if substitute is NOTHING else {"substitute": (substitute,)}
    marked = msgspec.to_builtins(options) | also
    return lambda function: _mark(function, marked)


_WRITTEN = "Write it as in @resilience(retries=3)."


def _own_policy(policy: Any, rules: Iterable[Any]) -> Policy | None:
    from parsl_diaspora.recovery.language.policy import Policy

    given = Policy.of(policy, "the policy in @resilience") if policy is not None else None
    own = Policy.of({"rules": list(rules)}, "the rules in @resilience") if rules else None
    if own is not None and given is not None:
        return own.over(given)
    return own or given


def _check_total(max_tries: int | None) -> None:
    if max_tries is not None and not _is_number(max_tries, 1):
        hint = "Leave it out for the total that the settings name."
        raise SettingsError(f"max_tries in @resilience must be at least 1, not {max_tries!r}.", hint=hint)


def _is_number(value: Any, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _is_flag(idempotent: Any) -> bool:
    if not isinstance(idempotent, bool):
        hint = "As in idempotent=True."
        raise SettingsError(f"idempotent in @resilience is True or False, not {idempotent!r}.", hint=hint)
    return idempotent


def _site(near: Any) -> str:
    if not isinstance(near, str):
        hint = "As in near='cluster'."
        raise SettingsError(f"near in @resilience is the name of a site, not {near!r}.", hint=hint)
    return near


def _names(exceptions: Any) -> tuple[str, ...]:
    """Of exception classes, one or several, as ``except`` takes them."""
    given = exceptions if isinstance(exceptions, (tuple, list, set, frozenset)) else (exceptions,)
    for each in given:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            hint = "Write it as in non_retryable=(ValueError, KeyError)."
            raise SettingsError(f"{each!r} in non_retryable of @resilience is no exception.", hint=hint)
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in given)


def _bytes(memory: int | str | None) -> int | None:
    try:
        size = None if memory is None else parse_bytes(str(memory))
    except ValueError as error:
        raise SettingsError(f"The memory in @resilience: {error}", hint="As in memory='4 GB'.") from None
    if size is not None and size <= 0:
        message = f"The memory in @resilience must be more than 0, not {memory}."
        raise SettingsError(message, hint="Leave it out if it does not matter.")
    return size


def checked_budgets(given: Mapping[str, int], where: str = "@resilience") -> dict[str, int]:
    """Budgets under the names that their classes have now; those of classes that do not exist are refused.

    Raises:
        SettingsError: a class does not exist, or a number is negative.
    """
    budgets = {current_name(name): budget for name, budget in given.items()}
    for name, budget in budgets.items():
        if name not in CLASSES:
            hint = nearest(name, CLASSES, listed="The classes are")
            raise SettingsError(f"{name!r} in the retries of {where} is no failure class.", hint=hint)
        if not _is_number(budget, 0):
            message = f"The budget of {name!r} in {where} must be a number from 0, not {budget!r}."
            raise SettingsError(message, hint="0 means no retry.")
    return budgets


def options_of(function: Any) -> Options:
    """The options of a task's function, however Parsl has wrapped it."""
    marked = mark_of(function)
    if marked is None:
        return NO_OPTIONS
    known = _converted.get(id(marked))
    if known is None or known[0] is not marked:
        if len(_converted) >= MOST_KEPT:  # apps that are made in a loop
            _converted.clear()
        known = _converted[id(marked)] = (marked, msgspec.convert(marked, Options))
    return known[1]


def mark_of(function: Any) -> Any:
    """The mark that `resilience` left; None if there is none."""
    for each in _layers(function):
        if (marked := getattr(each, ATTRIBUTE, None)) is not None:
            return marked
    return None


def original(function: Any) -> Any:
    """The function that the author wrote, under Parsl's wrappers."""
    *_, last = _layers(function)
    return last


def _mark(function: F, options: Any) -> F:
    # an app that Parsl has already made: the mark belongs on the function that travels
    for target in (
        getattr(function, "func", None),
        getattr(function, "wrapped_remote_function", None),
        function,
    ):
        if target is not None:
            setattr(target, ATTRIBUTE, options)
    return function


def _layers(function: Any) -> Iterator[Any]:
    for _ in range(MOST_LAYERS):  # an object that answers to every name would go on for ever
        if function is None:
            break
        yield function
        function = getattr(function, "__wrapped__", None) or _bash_function(function)


def _bash_function(function: Any) -> Any:
    """Parsl's bash apps keep the author's function as the only argument of a partial."""
    args = getattr(function, "args", None)
    return args[0] if isinstance(args, tuple) and len(args) == 1 and callable(args[0]) else None
