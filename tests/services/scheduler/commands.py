"""The fake scheduler's sbatch, squeue, scancel, sacct, sinfo and scontrol: as much as Parsl and we call."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.services.scheduler import faults
from tests.services.scheduler.formats import JOBS, SHORT, account_line, job_line, node_line, title_line
from tests.services.scheduler.store import OVER, Store, free_nodes, known

_DIRECTIVE = "#SBATCH"
UNKNOWN = "Invalid job id specified"


def main(command: str, directory: str, *arguments: str) -> int:
    """Run one command; its exit status."""
    store = Store(Path(directory))
    store.note_call(command, list(arguments))
    try:
        now = store.read()["faults"]
        faults.suffer(command, now, store.calls())
        sys.stdout.write(COMMANDS[command](store, list(arguments), lying=faults.lies(command, now)))
    except faults.Refused as refusal:
        sys.stderr.write(f"{command}: error: {refusal}\n")
        return 1
    return 0


# -------------------------------------------------------------------- sbatch


def sbatch(store: Store, arguments: list[str], *, lying: bool) -> str:
    """Take a script."""
    parser = _parser("sbatch")
    parser.add_argument("-J", "--job-name")
    parser.add_argument("-o", "--output", default="slurm-%j.out")
    parser.add_argument("-e", "--error")
    parser.add_argument("-N", "--nodes", type=int, default=1)
    parser.add_argument("-t", "--time", default="10")
    parser.add_argument("-p", "--partition", default="main")
    parser.add_argument("-D", "--chdir", default=str(Path.cwd()))
    parser.add_argument("-x", "--exclude", default="")
    parser.add_argument("--comment", default="")
    parser.add_argument("--parsable", action="store_true")
    parser.add_argument("--requeue", action="store_true")
    parser.add_argument("--no-requeue", action="store_false", dest="requeue")
    for ignored in ("ntasks-per-node", "cpus-per-task", "mem", "account", "qos", "constraint", "gres"):
        parser.add_argument(f"--{ignored}")
    parser.add_argument("--exclusive", action="store_true")
    path = Path(arguments[-1])
    if not path.is_file():
        raise faults.Refused(f"Unable to open file {path}")
    options = parser.parse_args([*_directives(path), *arguments[:-1]])
    with store.open() as state:
        if options.partition not in state["partitions"]:
            raise faults.Refused("Batch job submission failed: Invalid partition name specified")
        if options.nodes > len(state["nodes"]):
            raise faults.Refused("Batch job submission failed: Requested node configuration is not available")
        number = str(state["next"])
        state["next"] += 1
        state["jobs"][number] = _record(number, path, options)
    copy = store.directory / "scripts" / number
    shutil.copyfile(path, copy)
    copy.chmod(0o700)
    _run(store, number)
    return f"{number}\n" if options.parsable else f"Submitted batch job {number}\n"


def _directives(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    ours = [line[len(_DIRECTIVE) :] for line in lines if line.startswith(_DIRECTIVE)]
    return [word for line in ours for word in shlex.split(line, comments=True)]


def _record(number: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    out = str(Path(options.chdir, options.output.replace("%j", number)))
    return {
        "id": number,
        "name": options.job_name or path.name,
        "user": getpass.getuser(),
        "script": str(path.resolve()),
        "directory": options.chdir,
        "stdout": out,
        "stderr": str(Path(options.chdir, options.error.replace("%j", number))) if options.error else out,
        "partition": options.partition,
        "wanted": options.nodes,
        "minutes": _minutes(options.time),
        "exclude": [node for node in options.exclude.split(",") if node],
        "comment": options.comment,
        "requeue": options.requeue,
        "state": "PENDING",
        "reason": "None",
        "nodes": [],
        "ask": "",
        "code": None,
        "submitted": time.time(),
        "started": None,
        "ended": None,
        "forgotten": False,
    }


def _minutes(text: str) -> float:
    """As sbatch reads it: minutes, minutes:seconds, hours:minutes:seconds."""
    parts = [float(part) for part in text.split(":")]
    hours = parts.pop(0) if len(parts) == 3 else 0.0
    return hours * 60 + parts[0] + (parts[1] / 60 if len(parts) > 1 else 0.0)


def _run(store: Store, number: str) -> None:
    command = [sys.executable, "-I", "-S", "-c", os.environ["_TESTS_RUNNER"], str(store.directory), number]
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(store.directory / "runners").open("ab"),
        start_new_session=True,
    )


# -------------------------------------------------------------------- squeue, sacct


def squeue(store: Store, arguments: list[str], *, lying: bool) -> str:
    """List jobs that are not over, or those that are asked for."""
    parser = _parser("squeue")
    parser.add_argument("-h", "--noheader", action="store_true")
    parser.add_argument("-o", "--format", default=JOBS)
    parser.add_argument("-j", "--jobs", "--job", default="")
    parser.add_argument("-n", "--name", default="")
    parser.add_argument("-u", "--user", default="")
    parser.add_argument("-t", "--states", default="")
    parser.add_argument("-p", "--partition", default="")
    parser.add_argument("-S", "--sort", default="")
    parser.add_argument("--me", action="store_true")
    options = parser.parse_args(arguments)
    jobs = {} if lying else _known(store)
    wanted = _words(options.jobs)
    if len(wanted) == 1 and not lying and wanted[0] not in jobs:
        raise faults.Refused(UNKNOWN)
    shown = [job for job in jobs.values() if _is_shown(job, options, wanted)]
    head = [] if options.noheader else [title_line(options.format)]
    return "".join(f"{line}\n" for line in (*head, *(job_line(job, options.format) for job in shown)))


def _is_shown(job: dict[str, Any], options: argparse.Namespace, wanted: list[str]) -> bool:
    states = [each.upper() for each in _words(options.states)]
    if states:
        asked = "ALL" in states or job["state"] in states or SHORT[job["state"]] in states
    else:
        asked = job["state"] not in OVER
    return (
        asked
        and (not wanted or job["id"] in wanted)
        and (not options.name or job["name"] in _words(options.name))
        and (not options.user or {job["user"], str(os.getuid())} & set(_words(options.user)))
        and (not options.partition or job["partition"] in _words(options.partition))
    )


def sacct(store: Store, arguments: list[str], *, lying: bool) -> str:
    """List jobs, those that are over included; or say that nobody keeps accounts."""
    if not store.read()["accounting"]:
        raise faults.Refused("Slurm accounting storage is disabled")
    parser = _parser("sacct")
    parser.add_argument("-X", "--allocations", action="store_true")
    parser.add_argument("-n", "--noheader", action="store_true")
    parser.add_argument("-o", "--format", default="jobid,jobname,state,exitcode")
    parser.add_argument("-j", "--jobs", "--job", default="")
    options = parser.parse_args(arguments)
    wanted = _words(options.jobs)
    jobs = () if lying else store.read()["jobs"].values()
    shown = [job for job in jobs if not job["forgotten"] and (not wanted or job["id"] in wanted)]
    return "".join(f"{account_line(job, options.format)}\n" for job in shown)


# -------------------------------------------------------------------- scancel


def scancel(store: Store, arguments: list[str], *, lying: bool) -> str:
    """End jobs."""
    parser = _parser("scancel")
    parser.add_argument("-n", "--name", "--jobname", default="")
    parser.add_argument("-u", "--user", default="")
    parser.add_argument("--me", action="store_true")
    parser.add_argument("jobs", nargs="*")
    options = parser.parse_args(arguments)
    with store.open() as state:
        for job in state["jobs"].values():
            named = options.name and job["name"] in _words(options.name)
            if job["state"] not in OVER and (job["id"] in options.jobs or named):
                job["ask"] = "CANCELLED"
    return ""  # ids that it does not know are no error for Slurm either


# -------------------------------------------------------------------- sinfo, scontrol


def sinfo(store: Store, arguments: list[str], *, lying: bool) -> str:
    """List nodes."""
    parser = _parser("sinfo")
    parser.add_argument("-h", "--noheader", action="store_true")
    parser.add_argument("-N", "--Node", action="store_true")
    parser.add_argument("-o", "--format", default="%P %a %D %T %N")
    parser.add_argument("-p", "--partition", default="")
    options = parser.parse_args(arguments)
    lines = [node_line(name, state, options.format) for name, state in _node_states(store.read()).items()]
    return "".join(f"{line}\n" for line in ([] if options.noheader else ["NODES"]) + lines)


def _node_states(state: dict[str, Any]) -> dict[str, str]:
    free = set(free_nodes(state))
    states = {}
    for name, now in state["nodes"].items():
        taken = any(name in job["nodes"] for job in state["jobs"].values() if job["state"] == "RUNNING")
        plain = "idle" if name in free else "allocated"
        states[name] = {"down": "down", "drain": "draining" if taken else "drained"}.get(now, plain)
    return states


def scontrol(store: Store, arguments: list[str], *, lying: bool) -> str:
    """Show a job, names of hosts, or whether anybody is there; change a node; requeue a job."""
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] == ["ping"]:
        return "Slurmctld(primary) at localhost is UP\n"
    if words[:2] == ["show", "hostnames"]:
        return "".join(f"{name}\n" for name in words[2].split(","))
    if words[:2] == ["show", "job"]:
        return _show_job(store, words[2], lying=lying)
    with store.open() as state:
        if words[:1] == ["update"]:
            fields = dict(word.lower().split("=", 1) for word in words[1:])
            set_node(state, fields["nodename"], fields["state"])
        elif words[:1] == ["requeue"]:
            _known_job(state, words[1])["ask"] = "REQUEUE"
        else:
            raise faults.Refused(f"invalid entity: {' '.join(words)}")
    return ""


def set_node(state: dict[str, Any], node: str, now: str) -> None:
    """Declare a node dead, drained or fit."""
    state["nodes"][node] = {"resume": "up", "idle": "up"}.get(now, now)
    if now == "down":
        for job in state["jobs"].values():
            if job["state"] == "RUNNING" and node in job["nodes"]:
                job["ask"] = "NODE_FAIL"


def _show_job(store: Store, number: str, *, lying: bool) -> str:
    job = _known_job({"jobs": {}} if lying else store.read(), number)
    fields = {
        "JobId": job["id"],
        "JobName": job["name"],
        "JobState": job["state"],
        "Reason": job["reason"],
        "ExitCode": f"{job['code'] or 0}:0",
        "NodeList": ",".join(job["nodes"]) or "(null)",
        "Command": job["script"],
        "WorkDir": job["directory"],
        "StdOut": job["stdout"],
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()) + "\n"


def _known_job(state: dict[str, Any], number: str) -> dict[str, Any]:
    job = state["jobs"].get(number)
    if job is None or not known(job):
        raise faults.Refused(UNKNOWN)
    return job


# -------------------------------------------------------------------- shared


def _known(store: Store) -> dict[str, Any]:
    return {number: job for number, job in store.read()["jobs"].items() if known(job)}


def _words(text: str) -> list[str]:
    return [word for word in text.replace(" ", ",").split(",") if word]


def _parser(command: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(command, add_help=False, allow_abbrev=False)


COMMANDS = {
    "sbatch": sbatch,
    "squeue": squeue,
    "scancel": scancel,
    "sacct": sacct,
    "sinfo": sinfo,
    "scontrol": scontrol,
}
