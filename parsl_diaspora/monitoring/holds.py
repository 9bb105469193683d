"""``hold``, ``drain`` and ``release``: people keep work away from a place, or a task from going on."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import Event, PlaceHeld, PlaceReleased, TaskActionAsked
from parsl_diaspora.hints import nearest

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

OWNER = "the program"


def hold(
    *,
    node: str | None = None,
    block: str | None = None,
    manager: str | None = None,
    executor: str | None = None,
    task: int | None = None,
    future: Future[Any] | None = None,
    reason: str = "",
    owner: str = OWNER,
) -> Event:
    """Give a place of the running program no new work until it is released, or hold a task of it.

    A place is held within half a second, and so are managers that come to the same block or node later. What
    runs there goes on. A task that has not been launched, or waits for its next try, is held at once; one
    that has been launched is held if that try fails.

    Args:
        node: host name, as events and reports show it.
        block: block id.
        manager: manager id.
        executor: label; by default all executors that have something on the node.
        task: Parsl's task id.
        future: what an app returned, in place of ``task``.
        reason: in words; it stands in the log and in reports.
        owner: who asks.

    Returns:
        What was said.

    Raises:
        ConfigurationError: not exactly one place or task is named, a block is named without its executor
            where there are several, the task has ended, or no resilient configuration is loaded.

    Example:
        >>> import parsl
        >>> from parsl_diaspora import hold, release, resilient
        >>> config = resilient(parsl.Config(executors=[parsl.ThreadPoolExecutor()]), fabric="memory:")
        >>> with parsl.load(config):
        ...     hold(node="n17", reason="its disk is full").kind
        ...     release(node="n17").kind
        'place.held'
        'place.released'
    """
    event = PlaceHeld(node=node, block=block, manager=manager, executor=executor, reason=reason, owner=owner)
    if task is None and future is None:
        return _say(event)
    return _ask(TaskActionAsked(action="hold", reason=reason, owner=owner), event, task, future)


def drain(
    *,
    node: str | None = None,
    block: str | None = None,
    manager: str | None = None,
    executor: str | None = None,
    reason: str = "",
    owner: str = OWNER,
) -> Event:
    """Hold a place, and let its managers leave when what runs there has ended.

    Managers that come to a drained node later get no work, but stay.

    Args:
        node: host name, as events and reports show it.
        block: block id.
        manager: manager id.
        executor: label; by default all executors that have something on the node.
        reason: in words.
        owner: who asks.

    Returns:
        What was said.

    Raises:
        ConfigurationError: as for `hold`.
    """
    event = PlaceHeld(
        node=node, block=block, manager=manager, executor=executor, reason=reason, owner=owner, drain=True
    )
    return _say(event)


def release(
    *,
    node: str | None = None,
    block: str | None = None,
    manager: str | None = None,
    executor: str | None = None,
    task: int | None = None,
    future: Future[Any] | None = None,
    reason: str = "",
    owner: str = OWNER,
) -> Event:
    """Let a place have work again, after `hold` or `drain` or while it is in quarantine; or let a task go on.

    A manager that is being drained, and has not left, stays. A task that waits for its next try, and is not
    held, begins it at once.

    Args:
        node: host name, as events and reports show it.
        block: block id.
        manager: manager id.
        executor: label; by default all executors that have something there. For a task: where it goes, by
            default to the executor that it has.
        task: Parsl's task id.
        future: what an app returned, in place of ``task``.
        reason: in words.
        owner: who asks.

    Returns:
        What was said.

    Raises:
        ConfigurationError: as for `hold`.
    """
    event = PlaceReleased(
        node=node, block=block, manager=manager, executor=executor, reason=reason, owner=owner
    )
    if task is None and future is None:
        return _say(event)
    asked = TaskActionAsked(action="release", to=executor or "", reason=reason, owner=owner)
    event.executor = None
    return _ask(asked, event, task, future)


def check_place(event: Event, executors: Collection[str]) -> None:
    """Refuse a word about no place, or about one that is not clear; fill in the only executor.

    Raises:
        ConfigurationError: see `hold`.
    """
    named = [name for name in (event.node, event.block, event.manager) if name]
    if len(named) != 1:
        message = f"One place has to be named, as node, block or manager, not {len(named)}."
        raise ConfigurationError(message, hint="As in hold(node='n17').")
    if event.executor and executors and event.executor not in executors:
        hint = nearest(event.executor, executors)
        raise ConfigurationError(f"No executor is called {event.executor!r}.", hint=hint)
    if event.block and not event.executor:
        if len(executors) != 1:
            hint = f"Name one of: {', '.join(executors)}."
            raise ConfigurationError("Blocks are numbered within their executor.", hint=hint)
        (event.executor,) = executors


def _say(event: Event) -> Event:
    session, run = _loaded()
    live = session.begin(run)
    started = live.picture.started
    check_place(event, started.executors if started is not None else ())
    return live.say(event)


def _ask(asked: TaskActionAsked, place: Event, task: int | None, future: Future[Any] | None) -> Event:
    """Do something to a task of the program."""
    if any((place.node, place.block, place.manager)) or (task is not None and future is not None):
        message = "Either a place or a task has to be named, and only one of them."
        raise ConfigurationError(message, hint="As in hold(node='n17') or hold(future=future).")
    asked.task = getattr(future, "tid", None) if future is not None else task
    session, run = _loaded()
    live = session.begin(run)
    live.say(asked)
    done, why = session.orders.act(asked)
    if not done:
        hint = "`parsl-diaspora held last` lists the tasks that are held."
        raise ConfigurationError(f"Nothing was done: {why}.", hint=hint)
    return asked


def _loaded() -> tuple[Session, str]:
    """The session of the program, and the run's id."""
    import parsl
    from parsl.errors import NoDataFlowKernelError

    from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer

    hint = "Load one with parsl.load(resilient(config))."
    try:
        kernel = parsl.dfk()
    except NoDataFlowKernelError as error:
        raise ConfigurationError("No configuration is loaded.", hint=hint) from error
    if not isinstance(kernel.memoizer, LifecycleMemoizer):
        raise ConfigurationError("The configuration that is loaded is not resilient.", hint=hint)
    kernel.memoizer.session.orders.know(kernel)
    return kernel.memoizer.session, kernel.run_id
