"""How a member is doing, for people and for whoever places blocks."""

from __future__ import annotations

import msgspec


class MemberHealth(msgspec.Struct, frozen=True):
    """One member at one moment.

    Attributes:
        member: its name.
        breaker: ``closed`` while it gets submissions, ``open`` while it rests, ``trial`` while one decides.
        wait: seconds until a submission may be made; 0 if it may be now, infinity while nobody can tell.
        why: it gets none now, in words; empty if it does.
        failures: in a row.
        running: blocks that run.
        pending: blocks that wait in the queue.
        unknown: blocks, among these, of which the scheduler says nothing that is believed.
        lost: blocks that failed within the last ten minutes.
        submissions: within the last minute.
        silent: seconds since its scheduler last answered, if it does not; 0 if it does.
        words: what its scheduler last said about something that went wrong.
    """

    member: str
    breaker: str = "closed"
    wait: float = 0.0
    why: str = ""
    failures: int = 0
    running: int = 0
    pending: int = 0
    unknown: int = 0
    lost: int = 0
    submissions: int = 0
    silent: float = 0.0
    words: str = ""
