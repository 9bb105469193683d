"""One job of the fake scheduler: waits for nodes, runs the script on this host, and notes how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.services.scheduler.store import JOB, OVER, Store, free_nodes

POLL = 0.05  # seconds
KILL_WAIT = 1.0  # seconds from SIGTERM to SIGKILL


def main(directory: str, number: str) -> None:
    """Keep a job until it is over."""
    store = Store(Path(directory))
    while _keep(store, number):
        pass


def _keep(store: Store, number: str) -> bool:
    """Run a job once; whether it waits to be run again."""
    while (job := _begin(store, number)) is None:
        time.sleep(POLL)
    if job["state"] in OVER:
        return False
    process = _start(store, job)
    why = _watch(store, job, process)
    if why:
        _end(store, number, process, at_once=why == "NODE_FAIL")
    code = process.wait()
    with store.open() as state:
        job = state["jobs"][number]
        if why == "REQUEUE" or (why == "NODE_FAIL" and job["requeue"]):
            job |= {"state": "PENDING", "nodes": [], "ask": "", "reason": "BeginTime"}
            return True
        job |= {"state": why or ("FAILED" if code else "COMPLETED"), "code": code, "ended": time.time()}
    return False


def _begin(store: Store, number: str) -> dict[str, Any] | None:
    """The job once it has its nodes or is over; None while it waits."""
    with store.open() as state:
        job = state["jobs"][number]
        if job["state"] in OVER:
            return job
        if job["ask"] == "CANCELLED":
            job |= {"state": "CANCELLED", "ended": time.time()}
            return dict(job)
        nodes = [node for node in free_nodes(state) if node not in job["exclude"]]
        faults = state["faults"]
        held = faults.get("hold") or time.time() < job["submitted"] + faults.get("wait", 0.0)
        if held or len(nodes) < job["wanted"]:
            job["reason"] = "Priority" if held else "Resources"
            return None
        job |= {"state": "RUNNING", "nodes": nodes[: job["wanted"]], "started": time.time(), "ask": ""}
        return dict(job)


def _start(store: Store, job: dict[str, Any]) -> subprocess.Popen[bytes]:
    own = {
        "SLURM_JOB_ID": job["id"],
        "SLURM_JOBID": job["id"],
        "SLURM_JOB_NAME": job["name"],
        "SLURM_JOB_NODELIST": ",".join(job["nodes"]),
        "SLURM_JOB_NUM_NODES": str(job["wanted"]),
        "SLURM_SUBMIT_DIR": job["directory"],
        "SLURMD_NODENAME": job["nodes"][0],
        JOB: f"{store.directory}/{job['id']}",
    }
    # Slurm runs a copy: what becomes of the script after its submission does not matter.
    copy = store.directory / "scripts" / job["id"]
    with open(job["stdout"], "ab") as out, open(job["stderr"], "ab") as err:
        return subprocess.Popen(
            [str(copy)],
            env={**os.environ, **own},
            cwd=job["directory"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def _watch(store: Store, job: dict[str, Any], process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of the script, or for what ends it."""
    end = job["started"] + job["minutes"] * store.read()["minute"]
    while process.poll() is None:
        if why := store.read()["jobs"][job["id"]]["ask"]:
            return str(why)
        if time.time() >= end:
            return "TIMEOUT"
        time.sleep(POLL)
    return ""


def _end(store: Store, number: str, process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """End all processes of a job, also those that have left its group."""
    mark = f"{JOB}={store.directory}/{number}".encode()
    if not at_once:
        _signal(mark, signal.SIGTERM)
        deadline = time.monotonic() + KILL_WAIT
        while time.monotonic() < deadline and _marked(mark):
            process.poll()
            time.sleep(POLL)
    while _marked(mark):
        _signal(mark, signal.SIGKILL)
        process.poll()
        time.sleep(0.01)


def _signal(mark: bytes, kind: signal.Signals) -> None:
    for number in _marked(mark):
        with suppress(ProcessLookupError):
            os.kill(number, kind)


def _marked(mark: bytes) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if place.name.isdigit() and mark in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
