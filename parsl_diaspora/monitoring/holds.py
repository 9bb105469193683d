"""``hold``, ``drain`` and ``release``: people keep work away from a place, and let it come back."""

from __future__ import annotations

from collections.abc import Collection

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import Event, PlaceHeld, PlaceReleased

OWNER = "the program"


def hold(
    *,
    node: str | None = None,
    block: str | None = None,
    manager: str | None = None,
    executor: str | None = None,
    reason: str = "",
    owner: str = OWNER,
) -> Event:
    """Give a place of the running program no new work until it is released. What runs there goes on.

    It holds within half a second, and also for managers that come to the same block or node later.

    Args:
        node: host name, as events and reports show it.
        block: block id.
        manager: manager id.
        executor: label; by default all executors that have something on the node.
        reason: in words; it stands in the log and in reports.
        owner: who asks.

    Returns:
        What was said.

    Raises:
        ConfigurationError: not exactly one place is named, a block is named without its executor where
            there are several, or no resilient configuration is loaded.

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
    return _say(event)


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
    reason: str = "",
    owner: str = OWNER,
) -> Event:
    """Let a place have work again, after `hold` or `drain` or while it is in quarantine.

    A manager that is being drained, and has not left, stays.

    Args:
        node: host name, as events and reports show it.
        block: block id.
        manager: manager id.
        executor: label; by default all executors that have something there.
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
    return _say(event)


def check_place(event: Event, executors: Collection[str]) -> None:
    """Refuse a word about no place, or about one that is not clear; fill in the only executor.

    Raises:
        ConfigurationError: see `hold`.
    """
    named = [name for name in (event.node, event.block, event.manager) if name]
    if len(named) != 1:
        message = f"One place has to be named, as node, block or manager, not {len(named)}."
        raise ConfigurationError(message)
    if event.executor and executors and event.executor not in executors:
        hint = f"There are: {', '.join(executors)}."
        raise ConfigurationError(f"No executor is called {event.executor!r}.", hint=hint)
    if event.block and not event.executor:
        if len(executors) != 1:
            hint = f"Name one of: {', '.join(executors)}."
            raise ConfigurationError("Blocks are numbered within their executor.", hint=hint)
        (event.executor,) = executors


def _say(event: Event) -> Event:
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
    live = kernel.memoizer.session.begin(kernel.run_id)
    started = live.picture.started
    check_place(event, started.executors if started is not None else ())
    return live.say(event)
