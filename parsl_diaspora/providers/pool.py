"""One provider over several: queues, partitions or sites under one executor."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from parsl.jobs.states import JobState, JobStatus
from parsl.providers.base import ExecutionProvider
from parsl.utils import RepresentationMixin

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.events import Event
from parsl_diaspora.pool_settings import ORPHANS
from parsl_diaspora.providers import checks
from parsl_diaspora.providers.breaker import Breaker
from parsl_diaspora.providers.calls import Calls, Start, in_thread, wait_for
from parsl_diaspora.providers.health import MemberHealth
from parsl_diaspora.providers.job import Job
from parsl_diaspora.providers.member import Member, Request
from parsl_diaspora.providers.placing import ORDERS, Wish, Wishes, none_available, ranked
from parsl_diaspora.providers.rate import SubmissionRate
from parsl_diaspora.providers.standing import Standing
from parsl_diaspora.providers.survey import Survey
from parsl_diaspora.providers.walltimes import WalltimeMix, seconds_of
from parsl_diaspora.providers.words import words_of

logger = logging.getLogger(__name__)

#: Seconds between two looks that Parsl makes: exit records are read each time, schedulers asked more seldom.
LOOKS = 5


class ResilientPoolProvider(ExecutionProvider, RepresentationMixin):
    """A provider over interchangeable providers, which holds what schedulers, queues and sites do to it.

    Blocks go to the member that does best, and to the next one where that rejects them. A member whose
    scheduler rejects blocks, or whose blocks fail, rests, and one trial decides whether it is back.
    No member gets more than a number of submissions within any minute. A scheduler that does not answer, or
    answers with an empty list, changes nothing: blocks stay as they were last known until something else than
    its silence tells of their end. How a block ended is read from its own exit record, as most schedulers
    forget it. What schedulers say when they reject something is kept in their own words.

    Job ids are ``member/job``. The numbers of blocks are the pool's; those of the members are not looked at.

    Args:
        members: providers by name. A name goes into job names, ids and events.
        init_blocks: blocks at the start.
        min_blocks: blocks that are kept.
        max_blocks: blocks at most, over all members.
        parallelism: as of any provider of Parsl.
        nodes_per_block: nodes of a block; by default as all members have it.
        order: ``health`` (fewest losses and rejections lately first, then fewest waiting blocks), ``spread``
            (fewest blocks first) or ``listed`` (the first that takes it).
        member_max_blocks: blocks at most of single members, by name.
        submissions_per_minute: to one member, within any 60 s, those that are rejected included.
        breaker_failures: rejections, or failed blocks, in a row after which a member rests.
        breaker_rest: seconds of its first rest; each failed trial doubles it.
        breaker_rest_max: seconds that no rest exceeds.
        unknown_grace: seconds for which a block may be unknown before its state is decided.
        start_grace: seconds that a block must run to count as one that works, where its managers do not tell.
        call_timeout: seconds for which a submission or a cancellation may take.
        walltimes: of blocks, dealt in turn; by default each member's own.
        stagger: seconds by which each next block ends earlier, so that not all end at once.
        orphans: what is done at the start about blocks of dead runs, as in a `PoolSpec`.
        clock: time; the real one by default.
        seed: of the random part of rests; none by default.

    Attributes:
        say: takes events; set by the executor. Without it they go nowhere.
        run_id: goes into job names; set by the executor.
        serving: tells ids of jobs whose blocks have managers now; set by the executor, None if nobody knows.

    Raises:
        PoolError: something of this cannot be.

    Example:
        >>> from parsl.providers import LocalProvider
        >>> pool = ResilientPoolProvider({"left": LocalProvider(), "right": LocalProvider()}, max_blocks=4)
        >>> pool.can_submit(), sorted(pool.health())
        (0.0, ['left', 'right'])
    """

    say: Callable[[Event], None] | None
    run_id: str
    serving: Callable[[], Collection[str]] | None

    #: How calls to schedulers are run.
    _start: Start = staticmethod(in_thread)

    def __init__(
        self,
        members: Mapping[str, ExecutionProvider],
        *,
        init_blocks: int = 1,
        min_blocks: int = 0,
        max_blocks: int = 10,
        parallelism: float = 1.0,
        nodes_per_block: int | None = None,
        order: str = "health",
        member_max_blocks: Mapping[str, int] | None = None,
        submissions_per_minute: int = 6,
        breaker_failures: int = 3,
        breaker_rest: float = 30.0,
        breaker_rest_max: float = 900.0,
        unknown_grace: float = 300.0,
        start_grace: float = 60.0,
        call_timeout: float = 60.0,
        walltimes: Sequence[str] = (),
        stagger: float = 0.0,
        orphans: str = "cancel",
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> None:
        self.members = checks.check_members(members)
        checks.check_blocks(init_blocks, min_blocks, max_blocks, parallelism)
        checks.check_known("order", order, ORDERS)
        checks.check_known("orphans", orphans, ORPHANS)
        for name in member_max_blocks or ():
            checks.check_known("member", name, self.members)
        checks.check_numbers(
            submissions_per_minute=submissions_per_minute,
            breaker_failures=breaker_failures,
            breaker_rest=breaker_rest,
            breaker_rest_max=breaker_rest_max,
            unknown_grace=unknown_grace,
            start_grace=start_grace,
            call_timeout=call_timeout,
        )
        if stagger:
            checks.check_numbers(stagger=stagger)
        self.init_blocks, self.min_blocks, self.max_blocks = init_blocks, min_blocks, max_blocks
        self.parallelism = parallelism
        self.nodes_per_block = checks.common_nodes(self.members, nodes_per_block)
        self.order, self.orphans = order, orphans
        self.member_max_blocks = dict(member_max_blocks or {})
        self.submissions_per_minute = submissions_per_minute
        self.breaker_failures = breaker_failures
        self.breaker_rest, self.breaker_rest_max = breaker_rest, breaker_rest_max
        self.unknown_grace, self.start_grace = unknown_grace, start_grace
        self.call_timeout = call_timeout
        self.walltimes, self.stagger = checks.check_walltimes(walltimes), stagger
        self.clock, self.seed = clock, seed
        self.cores_per_node = checks.common_least(self.members, "cores_per_node")
        self.mem_per_node = checks.common_least(self.members, "mem_per_node")
        self.resources = {}
        self.say, self.run_id, self.serving = None, "", None
        self._prepare(clock or SystemClock(), Random(seed))

    def _prepare(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._mix = WalltimeMix(self.walltimes, self.stagger)
        self._dealt = 0
        self._names: dict[str, int] = {}
        self._excluded: frozenset[str] = frozenset()
        self._wishes = Wishes()
        self._looking = threading.Lock()
        self._script_dir: str | None = None
        self._members = {name: self._member(name, random) for name in self.members}
        self._surveys = [
            Survey(
                member,
                clock,
                unknown_grace=self.unknown_grace,
                start_grace=self.start_grace,
                say=self._say,
            )
            for member in self._members.values()
        ]

    def _member(self, name: str, random: Random) -> Member:
        breaker = Breaker(
            self._clock,
            random,
            failures=self.breaker_failures,
            rest=self.breaker_rest,
            longest=self.breaker_rest_max,
        )
        standing = Standing(
            name,
            self._clock,
            breaker=breaker,
            rate=SubmissionRate(self._clock, self.submissions_per_minute),
            most=self.member_max_blocks.get(name),
            say=self._say,
        )
        return Member(
            name,
            self.members[name],
            standing=standing,
            calls=Calls(name, self._clock, self._start),
            clock=self._clock,
            limit=self.call_timeout,
        )

    # --- what Parsl asks of a provider ---

    @property
    def label(self) -> str:
        """As Parsl writes it in its log."""
        return "pool"

    @property
    def script_dir(self) -> str | None:
        """Where submit scripts and exit records are; Parsl sets it, and all members get it."""
        return self._script_dir

    @script_dir.setter
    def script_dir(self, directory: str | None) -> None:
        self._script_dir = directory
        for provider in self.members.values():
            if hasattr(provider, "script_dir"):
                provider.script_dir = directory

    @property
    def status_polling_interval(self) -> int:
        """Seconds between two looks. Each scheduler is asked no more often than its provider says."""
        return min(LOOKS, *(each.status_polling_interval for each in self.members.values()))

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl.pool") -> str:
        """Get a block from the first member that gives one.

        Returns:
            The job's id, ``member/job``.

        Raises:
            NoMemberAvailable: none does; with the reason of each.
        """
        wish = self._wishes.now
        reasons: dict[str, str] = {}
        rejected: list[str] = []
        for member in ranked(self._chosen(wish.member), self.order):
            if reason := member.stuck or member.standing.begin(len(member.active)):
                reasons[member.name] = reason
                continue
            found = self._ask_for_block(member, command, tasks_per_node, job_name)
            if isinstance(found, Job):
                member.standing.accepted(found.id)
                self._dealt += 1
                return found.id
            member.standing.rejected(found)
            reasons[member.name] = found
            rejected.append(member.name)
        raise none_available(reasons, rejected, self.can_submit(wish.member))

    def status(self, job_ids: Sequence[object]) -> list[JobStatus]:
        """The states of jobs, as far as they are known: one of which nothing is known stays as it was."""
        now = self._clock.monotonic()
        asked = [member.ask(now) for member in self._members.values()]
        wait_for(call for call in asked if call is not None)
        self._look()
        return [self._status_of(job) for job in job_ids]

    def cancel(self, job_ids: Sequence[object]) -> list[bool]:
        """End jobs; whether each of the orders was taken by its scheduler, or was not needed."""
        wanted: dict[str, list[Job]] = {}
        for job in map(self._job, job_ids):
            if job is not None:
                wanted.setdefault(job.id.partition("/")[0], []).append(job)
        begun = [(jobs, self._members[name].begin_cancel(jobs)) for name, jobs in wanted.items()]
        taken = {job.id: done for jobs, answers in begun for job, done in zip(jobs, answers(), strict=True)}
        return [taken.get(str(job), False) for job in job_ids]

    # --- what our executors, the scaler and people ask ---

    @contextmanager
    def directed(
        self, member: str | None = None, *, walltime: str | None = None, nodes: int | None = None
    ) -> Iterator[None]:
        """What this thread submits within it goes to one member, with this walltime and size.

        Args:
            member: name; None for any.
            walltime: ``HH:MM:SS``; None as otherwise.
            nodes: of the block; None as otherwise. LSF's provider fixes them when it is made.

        Raises:
            PoolError: there is no such member, or no such walltime.
        """
        if member is not None:
            checks.check_known("member", member, self._members)
        if walltime is not None:
            seconds_of(walltime)
        if nodes is not None:
            checks.check_numbers(nodes=nodes)
        with self._wishes.wishing(Wish(member, walltime, nodes)):
            yield

    def exclude(self, hosts: Collection[str]) -> None:
        """Name all hosts that later submissions must not get, in place of those named before.

        Slurm, LSF, Grid Engine and HTCondor are told so in their own terms; other providers have none.
        """
        self._excluded = frozenset(hosts)

    def can_submit(self, member: str | None = None) -> float:
        """Seconds until a submission may be made, to one member or to any; 0 if it may be now.

        Infinity means that nobody can tell: a trial is under way, or there are as many blocks as may be.
        """
        waits = [
            LOOKS if each.stuck else each.standing.wait(len(each.active)) for each in self._chosen(member)
        ]
        return float(min(waits))

    def room(self, member: str | None = None) -> int:
        """Submissions that may be made at this moment, to one member or to all that this thread may mean."""
        chosen = self._chosen(member or self._wishes.now.member)
        return sum(each.standing.room(len(each.active)) for each in chosen if not each.stuck)

    def health(self) -> dict[str, MemberHealth]:
        """How each member is doing."""
        return {name: member.health(self._clock.time()) for name, member in self._members.items()}

    def walltime_of(self, job: object) -> float | None:
        """Seconds that a job was given; None if it has no end, or is none of ours."""
        found = self._job(job)
        return found.walltime if found is not None else None

    def why(self, job: object) -> str:
        """How a job ended, in words; empty while it has not."""
        found = self._job(job)
        return (found.final.message or "") if found is not None and found.final is not None else ""

    # --- inside ---

    def _chosen(self, member: str | None) -> list[Member]:
        if member is None:
            return list(self._members.values())
        checks.check_known("member", member, self._members)
        return [self._members[member]]

    def _ask_for_block(self, member: Member, command: str, tasks_per_node: int, job_name: str) -> Job | str:
        wish = self._wishes.now
        name = self._name(job_name, member.name)
        own = int(getattr(member.provider, "nodes_per_block", self.nodes_per_block))
        nodes = wish.nodes or self.nodes_per_block
        try:
            request = Request(
                command,
                tasks_per_node,
                name,
                base=Path(os.path.abspath(self._script_dir)) / name if self._script_dir else None,
                walltime=wish.walltime or self._mix.deal(member.walltime, self._dealt),
                nodes=nodes if nodes != own else None,
                excluded=self._excluded,
            )
            return member.submit(request)
        except Exception as error:  # whatever is wrong with this member, the next one may do
            logger.exception("A block could not be asked for from member %s.", member.name)
            return words_of(error)

    def _name(self, job_name: str, member: str) -> str:
        name = ".".join(part for part in (job_name, self.run_id, member) if part)
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}.r{count}"

    def _look(self) -> None:
        """Read exit records, and see what follows from all that is known."""
        serving = self._serving()
        takes = {name for name, each in self._members.items() if self.room(name) and not each.is_silent}
        with self._looking:
            for survey in self._surveys:
                survey.look(serving, replaceable=bool(takes - {survey.name}))

    def _serving(self) -> Collection[str] | None:
        if self.serving is None:
            return None
        try:
            return set(self.serving())
        except Exception:
            logger.exception("Nobody could tell which blocks have managers.")
            return None

    def _job(self, job: object) -> Job | None:
        member = self._members.get(str(job).partition("/")[0])
        return member.jobs.get(str(job)) if member is not None else None

    def _status_of(self, job: object) -> JobStatus:
        found = self._job(job)
        return (
            found.status
            if found is not None
            else JobStatus(JobState.UNKNOWN, f"{job} is no job of this pool")
        )

    def _say(self, event: Event) -> None:
        if self.say is None:
            return
        try:
            self.say(event)
        except Exception:
            logger.exception("An event of the pool could not be said.")
