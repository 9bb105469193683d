"""One member of a pool: a provider with what is known of it, asked in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus
from parsl.providers.base import ExecutionProvider

from parsl_diaspora.clock import Clock
from parsl_diaspora.providers.asking import asked, output_of, put_state
from parsl_diaspora.providers.calls import PATIENCE, Call, Calls
from parsl_diaspora.providers.exit_record import prologue, revoke
from parsl_diaspora.providers.health import MemberHealth
from parsl_diaspora.providers.job import Answer, Job
from parsl_diaspora.providers.node_names import node_names
from parsl_diaspora.providers.schedulers import Overrides, exclusion, leaves_records, scheduler_of
from parsl_diaspora.providers.standing import Standing
from parsl_diaspora.providers.walltimes import seconds_of
from parsl_diaspora.providers.words import Heard, shortened, words_of

logger = logging.getLogger(__name__)

FORGET_SILENCE = 60.0  # seconds


class Request(NamedTuple):
    """One block that is asked for.

    Attributes:
        command: that its script runs.
        tasks_per_node: as Parsl says.
        name: of the job.
        base: path of its exit record without suffix; None if there is no directory for it.
        walltime: that it is to have; None for the member's own.
        nodes: that it is to have.
        excluded: names of hosts that it must not get.
    """

    command: str
    tasks_per_node: int
    name: str
    base: Path | None = None
    walltime: str | None = None
    nodes: int | None = None
    excluded: frozenset[str] = frozenset()


class Member:
    """A provider and the jobs that it has taken.

    Args:
        name: of the member.
        provider: Parsl's.
        standing: whether it gets submissions.
        calls: to its scheduler.
        clock: time.
        limit: seconds for which a submission or a cancellation may take.

    Attributes:
        jobs: by the id that Parsl knows; written under the lock.
        lock: held while jobs are looked at or changed; never while the scheduler is asked.
        words: what the scheduler last said about something that went wrong.
        silent_since: since when it answers nothing that can be used, seconds UTC; 0 while it does.
    """

    def __init__(
        self,
        name: str,
        provider: ExecutionProvider,
        *,
        standing: Standing,
        calls: Calls,
        clock: Clock,
        limit: float,
    ) -> None:
        self.name = name
        self.provider: Any = provider
        self.standing = standing
        self.jobs: dict[str, Job] = {}
        self.lock = threading.RLock()
        self.words = ""
        self.silent_since = 0.0
        self.leaves_records = leaves_records(provider)
        self._calls = calls
        self._clock = clock
        self._limit = limit
        self._due = 0.0
        self._cannot_exclude = False
        self._useless_exclusion: frozenset[str] = frozenset()

    @property
    def active(self) -> list[Job]:
        """Jobs that are not known to have ended."""
        with self.lock:
            return [job for job in self.jobs.values() if job.final is None]

    @property
    def pending(self) -> int:
        """Jobs that wait to run."""
        return sum(job.last.state == JobState.PENDING for job in self.active)

    @property
    def is_silent(self) -> bool:
        """Its scheduler does not answer. One that there is nothing to ask is given a new chance soon."""
        since = self.silent_since
        return bool(since) and (bool(self.active) or self._clock.time() - since < FORGET_SILENCE)

    @property
    def stuck(self) -> str:
        """Why its scheduler cannot be asked anything now; empty if it can."""
        return self._calls.stuck

    @property
    def walltime(self) -> str | None:
        """The member's own; None if it has none."""
        own = getattr(self.provider, "walltime", None)
        return own if isinstance(own, str) else None

    def health(self, now: float) -> MemberHealth:
        """How it is doing.

        Args:
            now: seconds UTC.
        """
        active, standing = self.active, self.standing
        pending = self.pending
        return MemberHealth(
            member=self.name,
            breaker=standing.state,
            wait=standing.wait(len(active)),
            why=self.stuck or standing.why_not(len(active)),
            failures=standing.failures,
            running=len(active) - pending,
            pending=pending,
            unknown=sum(job.is_unknown for job in active),
            lost=standing.lost,
            submissions=standing.submissions,
            silent=max(0.0, now - self.silent_since) if self.silent_since else 0.0,
            words=self.words,
        )

    # --- submissions ---

    def submit(self, request: Request) -> Job | str:
        """Ask the scheduler for a block.

        Returns:
            The job, or the words with which it was rejected.
        """
        names = node_names(request.excluded, (job.record for job in list(self.jobs.values())))
        excluded = names if names != self._useless_exclusion else frozenset()
        overrides = self._overrides(request, excluded)
        heard: list[Heard] = []

        def ask() -> object:
            with asked(self.provider, overrides) as said:
                try:
                    return self.provider.submit(request.command, request.tasks_per_node, request.name)
                finally:
                    heard.extend(said)

        call = self._calls.begin("submission", ask, patience=PATIENCE)
        if call is None:
            return self._silent(self._calls.stuck or "its scheduler is busy with another call")
        if not call.wait(self._limit) and call.abandon(lambda native: self._too_late(request, native)):
            self._give_up(request.base)
            return self._silent(f"its scheduler has not answered a submission for {self._limit:g} s")
        if call.error is None and call.result:
            return self._taken(request, call.result)
        if excluded:
            self._useless_exclusion = excluded  # it may be what the scheduler cannot meet: not once more
        said = heard[-1].words if heard else "the provider gave no job id and no reason"
        self.words = words_of(call.error) if call.error is not None else said
        return self.words

    def _overrides(self, request: Request, excluded: frozenset[str]) -> Overrides:
        overrides: Overrides = {}
        if request.walltime is not None and self.walltime is not None:
            overrides["walltime"] = request.walltime
        if request.nodes is not None and hasattr(self.provider, "nodes_per_block"):
            overrides["nodes_per_block"] = request.nodes
        if request.base is not None and self.leaves_records:
            overrides["worker_init"] = (
                prologue(request.base, self._seconds(request)) + self.provider.worker_init
            )
        if excluded:
            overrides.update(self._exclusion(excluded))
        return overrides

    def _seconds(self, request: Request) -> float | None:
        """The walltime that a block is given; None if its member knows none."""
        return None if self.walltime is None else float(seconds_of(request.walltime or self.walltime))

    def _exclusion(self, excluded: frozenset[str]) -> Overrides:
        found = exclusion(self.provider, excluded)
        if found is None and not self._cannot_exclude:
            self._cannot_exclude = True
            kind = type(self.provider).__name__
            logger.warning(
                "Member %s is a %s, which has no way to exclude hosts: hosts in quarantine may come back "
                "with its next blocks.",
                self.name,
                kind,
            )
        return found or {}

    def _taken(self, request: Request, native: object) -> Job:
        out, err = output_of(self.provider, native)
        job = Job(
            id=f"{self.name}/{native}",
            native=native,
            base=request.base if self.leaves_records else None,
            submitted=self._clock.time(),
            walltime=self._seconds(request),
            last=JobStatus(JobState.PENDING, stdout_path=out, stderr_path=err),
        )
        with self.lock:
            self.jobs[job.id] = job
            self.silent_since = 0.0
        return job

    def _silent(self, words: str) -> str:
        self.words = words
        self.silent_since = self.silent_since or self._clock.time()
        return words

    def give_up(self, job: Job) -> None:
        """End a job of which nothing has been heard for long, whenever that can be done."""
        self._give_up(job.base)
        self._calls.afterwards(lambda: self.provider.cancel([job.native]))

    def _give_up(self, base: Path | None) -> None:
        """Should the scheduler have taken it after all, it ends as soon as it begins."""
        if base is not None and self.leaves_records:
            try:
                revoke(base)
            except OSError as error:
                logger.warning("A block of member %s could not be given up: %s", self.name, error)

    def _too_late(self, request: Request, native: object) -> None:
        if native:
            logger.warning(
                "Member %s took job %s after it had been given up; it is ended.", self.name, native
            )
            self._calls.afterwards(lambda: self.provider.cancel([native]))

    # --- states ---

    def ask(self, now: float) -> Call | None:
        """Ask for the states of all jobs, if it is time for that; the answers come into the jobs.

        Returns:
            The call that is under way, if there is anything to wait for.
        """
        active = self.active
        if not active or now < self._due:
            return None
        call = self._calls.begin("status request", lambda: self._ask(active))
        if call is None:
            if words := self._calls.stuck:
                self._take(active, [], words)
            return None
        self._due = now + float(self.provider.status_polling_interval)
        return call

    def ask_soon(self) -> None:
        """Something has happened: do not wait for the next turn."""
        self._due = 0.0

    def _ask(self, active: list[Job]) -> None:
        words, statuses, heard = "", [], []
        try:
            with asked(self.provider, {}) as heard:
                statuses = list(self.provider.status([job.native for job in active]))
        except Exception as error:  # noqa: BLE001 - whatever a scheduler does, it is no answer
            words = words_of(error)
        failed = [each for each in heard if each.code != 0]
        if failed and not words:
            words, statuses = self._after_failure(failed[0], active, statuses)
        self._take(active, statuses, words)

    def _after_failure(
        self, failed: Heard, active: list[Job], statuses: list[JobStatus]
    ) -> tuple[str, list[JobStatus]]:
        """What is left of an answer when a command failed: ends that the provider knew before."""
        row = scheduler_of(self.provider)
        if row and row.no_such_job and row.no_such_job in failed.err and len(active) == 1:
            return "", [JobStatus(JobState.COMPLETED)]
        unknown = JobStatus(JobState.UNKNOWN)
        known = {*TERMINAL_STATES} - {JobState.COMPLETED}
        return failed.words, [each if each.state in known else unknown for each in statuses]

    def _take(self, active: list[Job], statuses: Sequence[Any], words: str) -> None:
        if not words and len(statuses) != len(active):
            words, statuses = f"it told of {len(statuses)} of {len(active)} jobs", []
        usable = all(isinstance(each, JobStatus) for each in statuses)
        now = self._clock.time()
        with self.lock:
            self.silent_since = (self.silent_since or now) if words or not usable else 0.0
            self.words = words or self.words
            listed = [s for s in statuses if usable and s.state not in (*TERMINAL_STATES, JobState.UNKNOWN)]
            for number, job in enumerate(active):
                known = statuses[number] if usable and number < len(statuses) else None
                self._hear(job, known, len(listed), now)

    def _hear(self, job: Job, status: JobStatus | None, listed: int, now: float) -> None:
        if job.final is not None:
            return
        job.hear(None if status is None else Answer(status, among_others=listed > 0), now)
        if job.absent_since:
            put_state(self.provider, job.native, job.last.state)  # or the provider never asks again

    # --- cancellation ---

    def begin_cancel(self, jobs: Sequence[Job]) -> Callable[[], list[bool]]:
        """Begin to end jobs.

        Returns:
            What waits for the answer: whether the scheduler has taken each of these orders.
        """
        with self.lock:
            for job in jobs:
                job.cancelled = True
        wanted = [job for job in jobs if job.final is None]
        for job in wanted:
            self._give_up(job.base)
        if not wanted:
            return lambda: [True] * len(jobs)

        def order() -> list[bool]:
            with asked(self.provider, {}) as heard:
                taken = list(self.provider.cancel([job.native for job in wanted]))
            if not all(taken) and heard:
                self.words = heard[-1].words
            self.ask_soon()
            return taken

        call = self._calls.begin("cancellation", order, patience=PATIENCE)
        if call is None:
            self._calls.afterwards(order)
        return lambda: self._cancelled(jobs, wanted, call)

    def _cancelled(self, jobs: Sequence[Job], wanted: Sequence[Job], call: Call | None) -> list[bool]:
        taken: list[bool] = []
        if call is not None and call.wait(self._limit):
            taken = list(call.result or []) if call.error is None else []
            self.words = words_of(call.error) if call.error is not None else self.words
        elif call is not None:
            self._silent(f"its scheduler has not answered a cancellation for {self._limit:g} s")
        answers = dict(zip((job.id for job in wanted), taken, strict=False))
        missed = [job.id for job in wanted if not answers.get(job.id)]
        if missed:
            logger.warning("Jobs %s could not be cancelled: %s", ", ".join(missed), shortened(self.words))
        return [job.final is not None or bool(answers.get(job.id)) for job in jobs]
