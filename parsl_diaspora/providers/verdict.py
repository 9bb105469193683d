"""How a job ended: what the scheduler says of it and what its own exit record says, put together."""

from __future__ import annotations

from typing import NamedTuple

from parsl.jobs.states import JobState

from parsl_diaspora.providers.exit_record import ExitRecord

#: Seconds before the end of the walltime from which on a job that was ended was ended for that.
NEAR_WALLTIME = 30.0


class Ended(NamedTuple):
    """What is known of a job that has ended.

    Attributes:
        said: the scheduler's word; COMPLETED where it only no longer lists the job.
        record: what the block's script wrote down; None if there is nothing.
        seconds: that it ran, by this host's clock, as far as anybody can tell; 0 if it never did.
        walltime: seconds; None if it had no end.
        cancelled: it was asked to end.
        member_writes: other blocks of the member have left records, so this one's absence tells something.
        words: of the scheduler, if it had any.
    """

    said: JobState
    record: ExitRecord | None = None
    seconds: float = 0.0
    walltime: float | None = None
    cancelled: bool = False
    member_writes: bool = True
    words: str = ""


class Verdict(NamedTuple):
    """How it ended.

    Attributes:
        state: Parsl's.
        message: why, in words.
        exit_code: of the block's script; None if nobody wrote it down.
    """

    state: JobState
    message: str
    exit_code: int | None = None


def verdict(ended: Ended) -> Verdict:
    """How a job ended.

    The scheduler's word holds where it has one. Where it only no longer lists the job, the record decides: a
    script that failed FAILED, one that was ended when its walltime was over had its TIMEOUT, and one that
    began and never wrote down its end was killed with its node.

    Example:
        >>> verdict(Ended(JobState.COMPLETED, ExitRecord(start=0.0, host="n1", status=7, end=2.0))).message
        'FAILED: its script ended with exit code 7 after 2 s on n1'
        >>> verdict(Ended(JobState.COMPLETED, ExitRecord(start=0.0, host="n1"), seconds=90.0)).message
        'NODE_FAIL: it began on n1 and wrote down no end: the node, or all of the job at once, was killed'
    """
    record = ended.record
    if record is None:
        found = _without_record(ended)
    elif record.signal:
        found = _signalled(ended, record)
    elif record.status is not None:
        found = _by_status(record)
    else:
        found = _without_end(ended, record)
    if ended.said != JobState.COMPLETED:
        found = found._replace(state=ended.said, message=_said(ended, found))
    elif ended.cancelled:
        found = found._replace(state=JobState.CANCELLED, message="CANCELLED: it was asked to end")
    return found


def _said(ended: Ended, found: Verdict) -> str:
    """The scheduler's word first, and what the record adds to it."""
    name = ended.said.name
    detail = found.message.partition(": ")[2] if ended.record is not None else ""
    known = "; ".join(part for part in (ended.words, detail) if part)
    return f"{name}: {known}" if known else ""


def _without_record(ended: Ended) -> Verdict:
    if ended.seconds or not ended.member_writes:
        return Verdict(JobState.COMPLETED, "")
    return Verdict(
        JobState.FAILED,
        "FAILED: it left the queue before its script began: it was cancelled there, or could not be started",
    )


def _signalled(ended: Ended, record: ExitRecord) -> Verdict:
    where, ran = _where(record), max(record.seconds, ended.seconds)
    if _is_over(ran, ended.walltime):
        state, message = JobState.TIMEOUT, f"TIMEOUT: its walltime was over after {ran:.0f} s{where}"
    else:
        why = "cancelled or preempted by the scheduler, or ended by an administrator"
        state = JobState.CANCELLED
        message = f"CANCELLED: it was sent signal {record.signal} after {record.seconds:.0f} s{where}: {why}"
    return Verdict(state, message, record.exit_code)


def _by_status(record: ExitRecord) -> Verdict:
    after = f"after {record.seconds:.0f} s{_where(record)}"
    if record.status == 0:
        return Verdict(JobState.COMPLETED, f"COMPLETED: its script ended by itself {after}", 0)
    message = f"FAILED: its script ended with exit code {record.status} {after}"
    return Verdict(JobState.FAILED, message, record.status)


def _without_end(ended: Ended, record: ExitRecord) -> Verdict:
    if _is_over(ended.seconds, ended.walltime):
        message = f"TIMEOUT: its walltime was over after {ended.seconds:.0f} s{_where(record)}"
        return Verdict(JobState.TIMEOUT, message)
    began = f"it began{_where(record)} and wrote down no end"
    return Verdict(JobState.FAILED, f"NODE_FAIL: {began}: the node, or all of the job at once, was killed")


def _is_over(seconds: float, walltime: float | None) -> bool:
    return walltime is not None and seconds >= walltime - NEAR_WALLTIME


def _where(record: ExitRecord) -> str:
    name = record.node or record.host
    return f" on {name}" if name else ""
