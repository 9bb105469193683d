"""What squeue, sinfo and sacct print for the letters and names of a format."""

from __future__ import annotations

import re
import time
from typing import Any

SHORT = {
    "PENDING": "PD",
    "RUNNING": "R",
    "COMPLETING": "CG",
    "COMPLETED": "CD",
    "FAILED": "F",
    "TIMEOUT": "TO",
    "CANCELLED": "CA",
    "NODE_FAIL": "NF",
}
_LETTER = re.compile(r"%(\.?)(\d*)([a-zA-Z])")
_JOB = {
    "i": lambda job: job["id"],
    "A": lambda job: job["id"],
    "j": lambda job: job["name"],
    "t": lambda job: SHORT[job["state"]],
    "T": lambda job: job["state"],
    "P": lambda job: job["partition"],
    "u": lambda job: job["user"],
    "D": lambda job: job["wanted"],
    "N": lambda job: ",".join(job["nodes"]),
    "R": lambda job: ",".join(job["nodes"]) or f"({job['reason']})",
    "r": lambda job: "None" if job["nodes"] else job["reason"],
    "M": lambda job: _clock((job["ended"] or time.time()) - job["started"] if job["started"] else 0),
    "l": lambda job: _clock(job["minutes"] * 60),
    "V": lambda job: _date(job["submitted"]),
    "S": lambda job: _date(job["started"]),
    "o": lambda job: job["script"],
    "Z": lambda job: job["directory"],
    "k": lambda job: job["comment"] or "(null)",
}
JOBS = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
_TITLES = {"i": "JOBID", "j": "NAME", "t": "ST", "T": "STATE", "P": "PARTITION", "u": "USER", "D": "NODES"}


def job_line(job: dict[str, Any], form: str) -> str:
    """One job as squeue prints it."""
    return _LETTER.sub(lambda found: _cut(str(_JOB[found[3]](job)), found), form)


def title_line(form: str) -> str:
    """What squeue prints first."""
    return _LETTER.sub(lambda found: _cut(_TITLES.get(found[3], found[3]), found), form)


def node_line(name: str, state: str, form: str) -> str:
    """One node as sinfo prints it."""
    values = {"N": name, "n": name, "T": state, "t": state[:5], "P": "main*", "D": "1", "c": "4", "a": "up"}
    return _LETTER.sub(lambda found: _cut(values.get(found[3], "n/a"), found), form)


def account_line(job: dict[str, Any], form: str) -> str:
    """One job as sacct prints it."""
    cells = []
    for field in form.split(","):
        name, _, width = field.partition("%")
        value = {
            "jobid": job["id"],
            "jobname": job["name"],
            "state": "CANCELLED by 0" if job["state"] == "CANCELLED" else job["state"],
            "exitcode": f"{job['code'] or 0}:0",
            "nodelist": ",".join(job["nodes"]) or "None assigned",
        }[name.lower()]
        room = int(width or 10)
        cells.append((value if len(value) <= room else f"{value[: room - 1]}+").rjust(room))
    return " ".join(cells)


def _cut(value: str, found: re.Match[str]) -> str:
    width = int(found[2] or 0)
    return value[:width].rjust(width) if found[1] and width else value[: width or None].ljust(width)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _date(moment: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment)) if moment else "N/A"
