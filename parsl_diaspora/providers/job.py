"""What is believed of one block's job: unknown is unknown, and an end needs more than one bad answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from parsl_diaspora.providers.exit_record import ExitRecord
from parsl_diaspora.providers.verdict import Ended, verdict

#: A job that is missing among others that are listed is believed to be gone after so many answers.
ANSWERS = 2
#: Seconds without a manager, before a block that had some counts as one that has none.
WITHOUT_MANAGERS = 15.0


class Answer(NamedTuple):
    """What a provider says of a job.

    Attributes:
        status: as it says.
        among_others: the same answer listed other jobs of this member as active.
    """

    status: JobStatus
    among_others: bool = False


class Evidence(NamedTuple):
    """What else is known at this moment.

    Attributes:
        now: seconds of the epoch by this host's clock.
        record: the block's exit record; None if there is none.
        serving: whether the block has managers; None if nobody knows.
        grace: seconds for which a job may be unknown before its state is decided.
        member_writes: blocks of this member leave exit records.
        replaceable: another member can take a block now.
    """

    now: float
    record: ExitRecord | None = None
    serving: bool | None = None
    grace: float = 300.0
    member_writes: bool = True
    replaceable: bool = False


@dataclass
class Job:
    """One job of a member. Times are seconds of the epoch by this host's clock.

    Attributes:
        id: as Parsl knows it, ``member/job``.
        native: as the member's provider knows it.
        base: path of its exit record without suffix; None if it can have none.
        submitted: when it was.
        walltime: seconds; None if it has no end.
        last: what was last said of it while it was there.
        running_since: when it was first said to run; 0 while it was not.
        absent_since: when the scheduler first did not list it any more; 0 while it does.
        silent_since: since when nothing is said of it; 0 while something is.
        cancelled: it was asked to end.
        given_up: it is to end at once should it ever begin.
        asked_after_signal: the scheduler was asked at once when its script had been sent a signal.
        worked: its managers have connected, or it has run for a while.
        record: its exit record, as last read.
        final: its end, once that is believed.
    """

    id: str
    native: object
    base: Path | None = None
    submitted: float = 0.0
    walltime: float | None = None
    last: JobStatus = field(default_factory=lambda: JobStatus(JobState.PENDING))
    running_since: float = 0.0
    absent_since: float = 0.0
    silent_since: float = 0.0
    cancelled: bool = False
    given_up: bool = False
    asked_after_signal: bool = False
    worked: bool = False
    record: ExitRecord | None = None
    final: JobStatus | None = None
    _end: JobStatus | None = None
    _absences: int = 0
    _served: bool = False
    _unserved_since: float = 0.0

    @property
    def is_unknown(self) -> bool:
        """The scheduler says nothing of it, or what is not believed yet."""
        return self.final is None and bool(self.silent_since or self.absent_since)

    @property
    def status(self) -> JobStatus:
        """What Parsl is told: a copy, as it writes into what it is given."""
        known = self.final or self.last
        return JobStatus(known.state, known.message, known.exit_code, known.stdout_path, known.stderr_path)

    def hear(self, answer: Answer | None, now: float) -> None:
        """Take in what the provider says; None, and a state that is UNKNOWN, tell nothing."""
        if answer is None or answer.status.state == JobState.UNKNOWN:
            self.silent_since = self.silent_since or now
            return
        self.silent_since = 0.0
        status = answer.status
        if status.state not in TERMINAL_STATES:
            self._is_there(status, now)
        elif status.state == JobState.COMPLETED and status.exit_code is None:
            # Parsl's providers say so of any job that their scheduler no longer lists.
            self.absent_since = self.absent_since or now
            self._absences += answer.among_others
            self._end = None
        else:
            self._end = status

    def _is_there(self, status: JobStatus, now: float) -> None:
        status.stdout_path = status.stdout_path or self.last.stdout_path
        status.stderr_path = status.stderr_path or self.last.stderr_path
        self.last, self._end = status, None
        self.absent_since, self._absences = 0.0, 0
        if status.state == JobState.PENDING:
            self.running_since = 0.0  # it may have been requeued
        elif status.state == JobState.RUNNING:
            self.running_since = self.running_since or now

    def settle(self, evidence: Evidence, start_grace: float) -> bool:
        """Look whether its end is to be believed; whether it is, for the first time."""
        if self.final is not None:
            return False
        self.record = evidence.record or self.record
        self._look_at_managers(evidence)
        if self.running_since and evidence.now - self.running_since >= start_grace:
            self.worked = self.worked or not self.is_unknown
        said = self._believed_end(evidence)
        if said is None:
            return False
        self.final = self._final(said, evidence)
        return True

    def _look_at_managers(self, evidence: Evidence) -> None:
        if evidence.serving:
            self._served = self.worked = True
            self._unserved_since = 0.0
        elif self._served and evidence.serving is not None:
            self._unserved_since = self._unserved_since or evidence.now

    def _has_lost_managers(self, now: float, seconds: float) -> bool:
        return bool(self._unserved_since) and now - self._unserved_since >= seconds

    def _believed_end(self, evidence: Evidence) -> JobState | None:
        """The scheduler's word for its end, COMPLETED if it has none; None while it has not ended."""
        if self._end is not None:
            return self._end.state
        record, now, grace = self.record, evidence.now, evidence.grace
        if record is not None and record.has_ended and (not record.signal or self.cancelled):
            return JobState.COMPLETED
        if self.absent_since and self._is_gone(evidence):
            return JobState.COMPLETED
        silent = bool(self.silent_since) and now - self.silent_since >= grace
        if silent and ((record is not None and record.has_ended) or self._has_lost_managers(now, grace)):
            return JobState.COMPLETED
        if silent and evidence.replaceable and self._never_began():
            self.given_up = True
            return JobState.CANCELLED
        return None

    def _is_gone(self, evidence: Evidence) -> bool:
        if evidence.serving:
            return False
        if not evidence.member_writes or self.base is None:
            return True  # there is nobody else to ask, so the scheduler is believed
        if self.cancelled or (self.record is not None and self.record.has_ended):
            return True
        if self._absences >= ANSWERS or self._has_lost_managers(evidence.now, WITHOUT_MANAGERS):
            return True
        return evidence.now - self.absent_since >= evidence.grace

    def _never_began(self) -> bool:
        return self.record is None and not self.running_since and not self._served

    def _final(self, said: JobState, evidence: Evidence) -> JobStatus:
        word = self._end or self.last
        until = self.absent_since or evidence.now
        ended = Ended(
            said,
            self.record,
            seconds=max(0.0, until - self.running_since) if self.running_since else 0.0,
            walltime=self.walltime,
            cancelled=self.cancelled,
            member_writes=evidence.member_writes and self.base is not None,
            words=(self._end.message or "") if self._end is not None else self._given_up_words(),
        )
        found = verdict(ended)
        code = word.exit_code if self._end is not None and word.exit_code is not None else found.exit_code
        out, err = word.stdout_path or self.last.stdout_path, word.stderr_path or self.last.stderr_path
        return JobStatus(found.state, found.message or None, code, out, err)

    def _given_up_words(self) -> str:
        return "its scheduler has said nothing for long, and it had not begun" if self.given_up else ""
