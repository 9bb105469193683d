"""One executor for Parsl over several: `PoolExecutor`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, cast

from parsl.data_provider.file_noop import NoOpFileStaging
from parsl.data_provider.ftp import FTPInTaskStaging
from parsl.data_provider.http import HTTPInTaskStaging
from parsl.data_provider.staging import Staging
from parsl.executors.base import ParslExecutor
from parsl.monitoring.radios.base import RadioConfig
from parsl.utils import RepresentationMixin

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.executors.launch import launching
from parsl_diaspora.executors.pool.advice import Advice, Alone
from parsl_diaspora.executors.pool.dispatch import Dispatch
from parsl_diaspora.executors.pool.face import MemberFace
from parsl_diaspora.executors.pool.hedging import Hedging
from parsl_diaspora.executors.pool.keeper import Keeper
from parsl_diaspora.executors.pool.member import Factory, Member, Surroundings
from parsl_diaspora.executors.pool.moving import Moving
from parsl_diaspora.executors.pool.placer import Placer
from parsl_diaspora.executors.pool.work import Outstanding, Work
from parsl_diaspora.scaling.durations import Durations


class PoolExecutor(ParslExecutor, RepresentationMixin):
    """Several executors as one: each task goes to the member that suits it best, and leaves one that is lost.

    Members may be of any kind and on any site. A member that turns bad is replaced by a fresh one, and
    what it had goes to the others. With `parsl_diaspora.resilient`, members are upgraded as executors of a
    configuration are, and known by their own labels to retries, quarantines, holds and reports.

    Args:
        label: of the pool.
        members: executors, or functions without arguments that make one, always with the same label.
        sites: names of the members' sites by label, for ``near`` of `parsl_diaspora.resilience` and for
            files; a member's own label unless said.
        strategy: by which Parsl scales the members; by default that of a resilient configuration, or
            ``simple``.
        max_idletime: seconds, for that strategy.
        strategy_period: seconds between two looks at a member's blocks.
        replacements: fresh executors that one member may have within an hour.
        hedge_quantile: part of an app's tries that end sooner than one that gets a second copy.
        hedge_share: of all tasks that may get a second copy; 0 for none. Only apps that are marked
            idempotent ever do.
        storage_access: how files are staged; by default tasks fetch them themselves, wherever they run.
        working_dir: of staged files.
        remote_monitoring_radio: by which Parsl's monitoring hears of tasks; by default that of the members
            if all have the same kind. Where they have not, Parsl's monitoring of resources needs this.

    Raises:
        ConfigurationError: there is no member, two have the same label, or one is a pool itself.

    Example:
        >>> from parsl import Config, ThreadPoolExecutor
        >>> near, far = ThreadPoolExecutor(label="near"), ThreadPoolExecutor(label="far")
        >>> config = Config(executors=[PoolExecutor(label="pool", members=[near, far])])
        >>> config.executors[0].labels
        ('near', 'far')
    """

    def __init__(
        self,
        label: str = "pool",
        members: Sequence[ParslExecutor | Factory] = (),
        *,
        sites: dict[str, str] | None = None,
        strategy: str | None = None,
        max_idletime: float | None = None,
        strategy_period: float | None = None,
        replacements: int = 5,
        hedge_quantile: float = 0.95,
        hedge_share: float = 0.05,
        storage_access: list[Staging] | None = None,
        working_dir: str | None = None,
        remote_monitoring_radio: RadioConfig | None = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.members = list(members)
        self.sites = sites
        self.strategy = strategy
        self.max_idletime = max_idletime
        self.strategy_period = strategy_period
        self.replacements = replacements
        self.hedge_quantile = hedge_quantile
        self.hedge_share = hedge_share
        self.storage_access = storage_access or [NoOpFileStaging(), FTPInTaskStaging(), HTTPInTaskStaging()]
        self.working_dir = working_dir
        self.seats: dict[str, Member] = {}
        self._upgrade: Callable[[Any], Any] = _as_it_is
        self._sit(remote_monitoring_radio)
        _check_numbers(self)

    def _sit(self, radio: RadioConfig | None) -> None:
        """Give each member its seat, and make the parts that rest on them."""
        self.seats.clear()
        for given in self.members:
            member = Member(given, self._upgrade)
            _check_member(self.label, member, self.seats)
            self.seats[member.label] = member
        if not self.seats:
            raise ConfigurationError(f"Pool {self.label!r} has no members.", hint="Give it executors.")
        self.remote_monitoring_radio = radio or _radio_for(self.seats)
        self.advice: Advice = Alone(self.seats)
        self.durations = Durations()
        self.placer = Placer(self.seats, self.sites or {}, self.durations)
        self.hedging = Hedging(self.hedge_quantile, self.hedge_share, self.durations)
        self.dispatch = Dispatch(self)
        self._moving = Moving(self, self.dispatch)
        self._keeper: Keeper | None = None

    # --- as part of a resilient program ---

    def upgrade(
        self, upgrade: Callable[[Any], Any], strategy: str, max_idletime: float, period: float
    ) -> None:
        """Let each member be upgraded, those that take another's place as well; before the start.

        Args:
            upgrade: what makes an executor a resilient one.
            strategy: of the configuration, for members whose pool names none.
            max_idletime: of the configuration, seconds.
            period: of the configuration's strategy, seconds.
        """
        self._upgrade = upgrade
        self.strategy = self.strategy or strategy
        self.max_idletime = max_idletime if self.max_idletime is None else self.max_idletime
        self.strategy_period = period if self.strategy_period is None else self.strategy_period
        self._sit(self.remote_monitoring_radio)

    def faces(self) -> list[MemberFace]:
        """What stands among a configuration's executors for the members, so that their labels are known."""
        return [MemberFace(self, label) for label in self.seats]

    # --- life ---

    def start(self) -> None:
        """Start all members at the same time, and the keeper. A member that cannot be started is a bad one.

        Raises:
            Exception: no member can be started.
        """
        super().start()
        errors = _all_at_once([self._starter(member) for member in self.seats.values()])
        if len(errors) == len(self.seats):
            raise errors[0]
        for error in errors:
            self.advice.absorb(f"start of a member of {self.label}", error)
        self._keeper = Keeper(self)
        self._keeper.start()

    def _starter(self, member: Member) -> Callable[[], None]:
        around = self.surroundings()
        return lambda: member.start(around)

    def shutdown(self) -> None:
        """End the keeper and all members."""
        if self._keeper is not None:
            self._keeper.stop()
        for error in _all_at_once([member.close for member in self.seats.values()]):
            self.advice.absorb(f"end of a member of {self.label}", error)
        super().shutdown()

    def surroundings(self) -> Surroundings:
        """What executors are told before they start."""
        return Surroundings(
            run_id=self.run_id,
            run_dir=self.run_dir,
            log_config=self.log_config,
            monitoring_messages=self.monitoring_messages,
            strategy=self.strategy or "simple",
            max_idletime=120.0 if self.max_idletime is None else self.max_idletime,
            period=5.0 if self.strategy_period is None else self.strategy_period,
        )

    # --- work ---

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Give work to the member that suits it best. It never waits.

        Args:
            func: what is to be called.
            resource_specification: as the members take it; those that do not take it are passed over.
            *args: of the call.
            **kwargs: of the call.
        """
        if (adopted := launching.adopted) is not None:
            launching.adopted = launching.launch = launching.task = None
            return cast("Future[Any]", adopted)
        self.hedging.given += 1
        work = self.dispatch.take(func, resource_specification, args, kwargs)
        self.dispatch.first(work)
        return work.future

    def outstanding(self) -> list[Outstanding]:
        """All work that has not ended, the oldest first.

        Example:
            >>> from parsl import ThreadPoolExecutor
            >>> PoolExecutor(members=[ThreadPoolExecutor(label="near")]).outstanding()
            []
        """
        now = self.advice.clock.monotonic()
        return [_shown(work, now) for work in list(self.dispatch.works.values()) if not work.over]

    def move(self, what: Future[Any] | int, to: str, reason: str = "") -> Future[bool]:
        """Move work to another member: work that has not begun, and of idempotent apps also what has.

        Args:
            what: what an app returned, or the number of the work in `outstanding`.
            to: label of the member that is to have it.
            reason: in words; it stands in the log and in reports.

        Returns:
            A future, as a member may need half a second to give work back: whether the work was moved. It
            was not if a worker, or its manager, had it already, or if it has ended meanwhile.

        Raises:
            ConfigurationError: there is no such work or member, it has begun and may not run twice, or the
                member that has it gives nothing back, as stock High Throughput executors.
        """
        return self._moving.move(what, to, reason)

    # --- what Parsl and people ask ---

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the members."""
        return tuple(self.seats)

    @property
    def bad_state_is_set(self) -> bool:
        """Whether no member takes tasks."""
        return all(member.wrong for member in self.seats.values())

    def monitor_resources(self) -> bool:
        """Whether all members let Parsl measure their tasks."""
        return all(member.executor.monitor_resources() for member in self.seats.values())


def _as_it_is(executor: Any) -> Any:
    return executor


def _check_member(pool: str, member: Member, seats: dict[str, Member]) -> None:
    if isinstance(member.executor, PoolExecutor):
        hint = "Give its members to this pool."
        raise ConfigurationError(f"A member of pool {pool!r}, {member.label!r}, is a pool itself.", hint=hint)
    if member.label in seats or member.label == pool:
        hint = "Each executor needs a label of its own."
        raise ConfigurationError(f"Two executors of pool {pool!r} are called {member.label!r}.", hint=hint)


def _check_numbers(pool: PoolExecutor) -> None:
    for name in ("hedge_quantile", "hedge_share"):
        if not 0 <= getattr(pool, name) <= 1:
            message = f"{name} of pool {pool.label!r} lies between 0 and 1; {getattr(pool, name)!r} does not."
            raise ConfigurationError(message, hint="As in hedge_share=0.05, one task of twenty.")
    if unknown := set(pool.sites or {}) - set(pool.seats):
        hint = f"Its members are {', '.join(pool.seats)}."
        raise ConfigurationError(f"sites of pool {pool.label!r} names no member: {unknown}.", hint=hint)


def _radio_for(seats: dict[str, Member]) -> RadioConfig | None:
    """That of the members if they have the same kind."""
    radios = [member.executor.remote_monitoring_radio for member in seats.values()]
    if radios[0] is not None and len({type(radio) for radio in radios}) == 1:
        return radios[0]  # type: ignore[no-any-return]
    return None


def _all_at_once(tasks: Sequence[Callable[[], None]]) -> list[Exception]:
    """Each in a thread of its own; their errors, when all have ended."""
    errors: list[Exception] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 - one member that fails must not keep the others
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(task,), name="diaspora-pool-member", daemon=True) for task in tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


_WAITS = ("no member takes tasks now", "it is on its way")


def _shown(work: Work, now: float) -> Outstanding:
    live = work.live
    newest = live[-1] if live else None
    since = newest.submitted if newest is not None else work.waits_since
    return Outstanding(
        number=work.number,
        task=work.task_id,
        app=work.name,
        at=tuple(each.label for each in live),
        started=any(each.has_begun for each in live),
        seconds=max(0.0, now - since) if since is not None else 0.0,
        why=newest.why if newest is not None else _WAITS[work.waits_since is None],
    )
