"""A look at a member's jobs: which ends are believed, what that tells of the member, and what is unknown."""

from __future__ import annotations

from collections.abc import Callable, Collection

from parsl.jobs.states import JobState, JobStatus

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, StatusUnknown
from parsl_diaspora.providers.asking import put_state
from parsl_diaspora.providers.exit_record import ExitRecord, read
from parsl_diaspora.providers.job import Evidence, Job
from parsl_diaspora.providers.member import Member
from parsl_diaspora.providers.words import shortened

#: Seconds that a block may have managers before it is strange that it has left no exit record.
TIME_FOR_RECORD = 60.0
_SPOKEN = 200  # characters of a script's error output that are kept


class Survey:
    """Looks at one member's jobs.

    Args:
        member: whose they are.
        clock: time.
        unknown_grace: seconds for which a job may be unknown before its state is decided.
        start_grace: seconds that a block must run to count as one that works, where nothing else tells.
        say: takes events.
    """

    def __init__(
        self,
        member: Member,
        clock: Clock,
        *,
        unknown_grace: float,
        start_grace: float,
        say: Callable[[Event], None],
    ) -> None:
        self._member = member
        self._clock = clock
        self._unknown_grace = unknown_grace
        self._start_grace = start_grace
        self._say = say
        self._writes = member.leaves_records
        self._unknown_since = 0.0

    @property
    def name(self) -> str:
        """Of the member."""
        return self._member.name

    def look(self, serving: Collection[str] | None, *, replaceable: bool) -> None:
        """One look.

        Args:
            serving: ids of jobs whose blocks have managers; None if nobody knows.
            replaceable: another member can take a block.
        """
        for job in self._member.active:
            record = read(job.base) if job.base is not None else None
            self._settle(job, record, serving, replaceable=replaceable)
        self._look_for_unknown()

    def _settle(
        self, job: Job, record: ExitRecord | None, serving: Collection[str] | None, *, replaceable: bool
    ) -> None:
        now = self._clock.time()
        serves = None if serving is None else job.id in serving
        if record is not None:
            self._writes = True
        elif serves and job.running_since and now - job.running_since > TIME_FOR_RECORD:
            self._writes = False  # its nodes do not see our files
        evidence = Evidence(
            now,
            record=record,
            serving=serves,
            grace=self._unknown_grace,
            member_writes=self._writes,
            replaceable=replaceable,
        )
        with self._member.lock:
            worked_before = job.worked
            ended = job.settle(evidence, self._start_grace)
        if job.worked and not worked_before:
            self._member.standing.worked(job.id)
        if ended:
            self._take_end(job)
        elif record is not None and record.signal and not job.is_unknown:
            self._ask_once_more(job)

    def _ask_once_more(self, job: Job) -> None:
        """Its script was told to end, and the scheduler may know why by now."""
        if not job.asked_after_signal:
            job.asked_after_signal = True
            self._member.ask_soon()

    def _take_end(self, job: Job) -> None:
        status = job.final
        if status is None:
            return
        put_state(self._member.provider, job.native, status.state)  # it is asked after no more
        if job.given_up:
            self._member.give_up(job)
        if status.state == JobState.FAILED and (said := _last_words(status)):
            status.message = f"{status.message or 'FAILED'}; its script said: {said}"
        standing = self._member.standing
        too_soon = status.state == JobState.COMPLETED and not job.worked and not job.cancelled
        if not job.cancelled and (status.state == JobState.FAILED or too_soon):
            self._member.words = status.message or "a block ended before it worked"
            standing.failed(job.id, self._member.words)
        else:
            standing.withdrawn(job.id)

    def _look_for_unknown(self) -> None:
        member = self._member
        unknown = [job for job in member.active if job.is_unknown]
        now = self._clock.time()
        if unknown and not self._unknown_since:
            self._unknown_since = min(job.silent_since or job.absent_since for job in unknown)
            gone = "its scheduler no longer lists them, which nothing else confirms"
            self._say(
                StatusUnknown(
                    member=member.name,
                    jobs=tuple(job.id for job in unknown),
                    since=self._unknown_since,
                    message=member.words if member.silent_since and member.words else gone,
                )
            )
        elif not unknown and self._unknown_since:
            message = f"all is known again after {now - self._unknown_since:.0f} s"
            self._say(
                StatusUnknown(member=member.name, since=self._unknown_since, message=message, over=True)
            )
            self._unknown_since = 0.0


def _last_words(status: JobStatus) -> str:
    """The end of what the block's script wrote to its error output, where that can be read."""
    try:
        return shortened((status.stderr_summary or "")[-_SPOKEN:])
    except (OSError, ValueError):
        return ""
