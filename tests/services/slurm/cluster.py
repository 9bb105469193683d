"""A Slurm of its own: munged, slurmctld, and one slurmd a node, all on loopback and in one directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.ports import free_ports
from tests.services.slurm import processes
from tests.services.slurm.configuration import configuration
from tests.services.slurm.programs import programs
from tests.services.slurm.provider import QuickSlurmProvider, worker_init

PATIENCE = 60.0  # seconds for what a busy machine may need long for
NODES = 4


class Job(NamedTuple):
    """One job as squeue has it."""

    id: str
    name: str
    state: str  # PENDING, RUNNING, COMPLETING ...
    nodes: str  # those that it has, or why it has none


class SlurmCluster:
    """A cluster of emulated nodes, whose ports stay the same while it is stopped.

    Args:
        directory: for all that it writes.
        nodes: how many.
        install: whether to install what is missing.
        options: further settings of slurm.conf.

    Attributes:
        conf: its slurm.conf.
        env: what a client of it needs in its environment.
        nodes: names of its nodes.
    """

    def __init__(
        self, directory: Path, nodes: int = NODES, *, install: bool = False, **options: object
    ) -> None:
        self._programs = programs(install=install)
        self.directory, self.conf = directory, directory / "slurm.conf"
        self.nodes = tuple(f"n{number}" for number in range(1, nodes + 1))
        # Jobs inherit the environment of sbatch, and so the mark too.
        self.env = {"SLURM_CONF": str(self.conf), processes.MARK: str(directory)}
        self._daemons: dict[str, subprocess.Popen] = {}
        self._guard: subprocess.Popen | None = None
        for name in ("munge", "state", "spool", "run", "log"):
            (directory / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        for node in self.nodes:
            (directory / "spool" / node).mkdir(exist_ok=True)
        key = directory / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.conf.write_text(configuration(directory, self.nodes, free_ports(nodes + 1), options), "utf-8")

    # ---------------------------------------------------------------- all of it

    def start(self) -> None:
        """Start what does not run, and wait until every node can be used."""
        if self._guard is None or self._guard.poll() is not None:
            self._guard = processes.start_guard(str(self.directory))
        self._start_munge()
        if not self.runs("slurmctld"):
            self._start("slurmctld", "-D", "-i", "-f", str(self.conf))
        for node in self.nodes:
            if not self.runs(node):
                self.start_node(node)
        self._wait(self.answers, "slurmctld does not answer")
        self.heal()

    def stop(self) -> None:
        """End all of it and its jobs."""
        for name in reversed(self._daemons):
            self._end(name, signal.SIGKILL)
        processes.kill_marked(str(self.directory))
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard = None

    def heal(self) -> None:
        """Make every node one that takes jobs, and end every job."""
        self.scancel(*(job.id for job in self.jobs()))
        self._wait(lambda: not self.jobs(), "jobs do not end")
        for name in ("main", "left", "right"):
            self.partition(name, "UP")
        self._wait(self._all_idle, "nodes do not become idle")

    def runs(self, name: str) -> bool:
        """Whether a daemon is there: ``munged``, ``slurmctld``, or a node's."""
        return name in self._daemons and self._daemons[name].poll() is None

    # ---------------------------------------------------------------- nodes

    def start_node(self, node: str) -> None:
        """Start a node's slurmd."""
        env = {processes.NODE: node}
        self._start("slurmd", "-D", "-N", node, "-f", str(self.conf), name=node, env=env)

    def kill_node(self, node: str) -> None:
        """End a node as a power failure would: slurmd, and all that runs on it."""
        self._end(node, signal.SIGKILL)
        processes.kill_marked(str(self.directory), node)

    def kill_slurmd(self, node: str) -> None:
        """End a node's slurmd only; what runs on the node runs on."""
        self._end(node, signal.SIGKILL)

    def down(self, node: str, reason: str = "test") -> None:
        """Declare a node dead, as an administrator does: its jobs are ended or requeued at once."""
        self.scontrol("update", f"nodename={node}", "state=down", f"reason={reason}")

    def drain(self, node: str, reason: str = "test") -> None:
        """Let a node take no more jobs; those that run there go on."""
        self.scontrol("update", f"nodename={node}", "state=drain", f"reason={reason}")

    def resume(self, node: str) -> None:
        """Let a node take jobs again."""
        self.scontrol("update", f"nodename={node}", "state=resume")

    def states(self) -> dict[str, str]:
        """Each node's state as sinfo has it, such as ``idle``, ``mixed``, ``down*``."""
        lines = self.client("sinfo", "--noheader", "-N", "-p", "main", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    # ---------------------------------------------------------------- slurmctld

    def kill_slurmctld(self) -> None:
        """End slurmctld as a power failure would: jobs run on, and no client is answered.

        What it learned in its last seconds it may not know when it is back: see ``wait_for_save``.
        """
        self._end("slurmctld", signal.SIGKILL)

    def restart_slurmctld(self) -> None:
        """Start it with the jobs that it knew, and wait until it answers."""
        if self.runs("slurmctld"):
            self._end("slurmctld", signal.SIGTERM)
        self._start("slurmctld", "-D", "-i", "-f", str(self.conf))
        self._wait(self.answers, "slurmctld does not answer")

    def wait_for_save(self, since: float) -> None:
        """Wait until slurmctld has written its jobs to its disk after a moment (Unix time)."""
        file = self.directory / "state" / "job_state"
        self._wait(lambda: file.exists() and file.stat().st_mtime > since, "slurmctld saves nothing")

    def answers(self) -> bool:
        """Whether slurmctld answers."""
        return self._run("scontrol", "ping").returncode == 0

    def partition(self, name: str, state: str) -> None:
        """Set a partition ``UP``; or ``DOWN``: jobs wait; or ``DRAIN`` or ``INACTIVE``: no job is taken."""
        self.scontrol("update", f"partitionname={name}", f"state={state}")

    # ---------------------------------------------------------------- jobs

    def jobs(self) -> list[Job]:
        """Jobs that wait, run or are about to end, the oldest first."""
        lines = self.client("squeue", "--noheader", "--sort=i", "-o", "%i|%j|%T|%R").splitlines()
        return [Job(*line.split("|", 3)) for line in lines]

    def sbatch(self, script: str, *options: str) -> str:
        """Submit a shell script; its job id."""
        out = str(self.directory / "log" / "job-%j.out")
        command = ("sbatch", "--parsable", f"--output={out}", *options)
        return self._check(command, self._run(*command, given=f"#!/bin/sh\n{script}\n")).strip()

    def scancel(self, *jobs: str) -> None:
        """End jobs, as an administrator does."""
        if jobs:
            self.client("scancel", *jobs)

    def requeue(self, job: str) -> None:
        """End a job's processes and let it wait for nodes again."""
        self.scontrol("requeue", job)

    def expire(self, job: str) -> None:
        """Let a job's walltime be over now; Slurm looks each half minute."""
        self.scontrol("update", f"jobid={job}", "EndTime=now")

    # ---------------------------------------------------------------- clients

    def provider(self, **options: Any) -> QuickSlurmProvider:
        """A stock provider for this cluster, in a hurry; to be made while the cluster runs."""
        exports = [f"export {name}='{value}'" for name, value in self.env.items()]
        init = "\n".join([*exports, worker_init(), options.pop("worker_init", "")])
        return QuickSlurmProvider(
            **{"partition": "main", "walltime": "00:10:00", "worker_init": init, **options}
        )

    def scontrol(self, *arguments: str) -> str:
        """Run scontrol."""
        return self.client("scontrol", *arguments)

    def client(self, *command: str) -> str:
        """What a client program prints.

        Raises:
            AssertionError: it failed.
        """
        return self._check(command, self._run(*command))

    def _run(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess:
        path = self._programs[command[0]]
        return subprocess.run(
            [path, *command[1:]],
            env=self._environment(),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @staticmethod
    def _check(command: tuple[str, ...], done: subprocess.CompletedProcess) -> str:
        assert done.returncode == 0, f"{' '.join(command)}: {(done.stdout + done.stderr).strip()}"
        return done.stdout

    # ---------------------------------------------------------------- daemons

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        return {**kept, **self.env}

    def _start_munge(self) -> None:
        if not self.runs("munged"):
            place = self.directory / "munge"
            names = {
                "key-file": "key",
                "socket": "sock",
                "pid-file": "pid",
                "log-file": "log",
                "seed-file": "seed",
            }
            self._start("munged", "-F", "-f", *(f"--{name}={place / file}" for name, file in names.items()))
            self._wait((place / "sock").exists, "munged makes no socket")

    def _start(
        self, program: str, *arguments: str, name: str = "", env: dict[str, str] | None = None
    ) -> None:
        name = name or program
        log = self.directory / "log" / f"{name}.out"
        command = [self._programs[program], *arguments]
        self._daemons[name] = processes.start(command, {**self._environment(), **(env or {})}, log)

    def _end(self, name: str, number: signal.Signals) -> None:
        daemon = self._daemons[name]
        with suppress(ProcessLookupError):
            daemon.send_signal(number)
        daemon.wait(PATIENCE)

    def _all_idle(self) -> bool:
        states = self.states()
        for node, state in states.items():
            if state.startswith(("down", "drain", "fail")) and "*" not in state:
                self.resume(node)
        return all(state == "idle" for state in states.values())

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} within {PATIENCE:g} s: {self._last_words()}")
            time.sleep(0.05)

    def _last_words(self) -> str:
        logs = sorted((self.directory / "log").glob("slurm*"))
        return "\n".join(f"{each.name}: {each.read_text(errors='replace')[-1500:]}" for each in logs)
