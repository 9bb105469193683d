"""What a scheduler may do instead of its work."""

from __future__ import annotations

import time
from typing import Any

UNREACHABLE = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
TOO_FAST = "Batch job submission failed: Rate limit exceeded, try again later"
BANNED = "Batch job submission failed: User's account is suspended for excessive use of the scheduler"


class Refused(Exception):
    """A command ends with 1 and these words."""


def suffer(command: str, faults: dict[str, Any], calls: list[Any]) -> None:
    """Wait, or fail, as the faults say.

    Args:
        command: that was called.
        faults: as they are set.
        calls: all so far, this one included.

    Raises:
        Refused: it fails.
    """
    if _acts(faults.get("delay"), command):
        time.sleep(faults["delay"]["seconds"])
    if _acts(faults.get("blip"), command):
        raise Refused(faults["blip"]["words"])
    if command == "sbatch":
        if _acts(faults.get("refuse"), command):
            raise Refused(faults["refuse"]["words"])
        _limit(faults.get("limit"), calls)


def lies(command: str, faults: dict[str, Any]) -> bool:
    """Whether it knows of no job, and says so as if that were true."""
    return _acts(faults.get("lie"), command)


def _acts(fault: dict[str, Any] | None, command: str) -> bool:
    if not fault or (fault["until"] is not None and time.monotonic() >= fault["until"]):
        return False
    return not fault["commands"] or command in fault["commands"]


def _limit(limit: dict[str, Any] | None, calls: list[Any]) -> None:
    """Refuse what comes too fast, and for ever who does not heed that."""
    if not limit:
        return
    asked = [moment for moment, command, _ in calls if command == "sbatch" and moment >= limit["since"]]
    over = sum(
        1
        for place, moment in enumerate(asked)
        if sum(1 for other in asked[: place + 1] if moment - other < 60.0) > limit["per_minute"]
    )
    if limit["ban_after"] is not None and over >= limit["ban_after"]:
        raise Refused(BANNED)
    if sum(1 for moment in asked if asked[-1] - moment < 60.0) > limit["per_minute"]:
        raise Refused(TOO_FAST)
