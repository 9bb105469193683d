"""A pool whose schedulers do what the test says, on a virtual clock, without processes."""

from __future__ import annotations

import itertools

from parsl.jobs.states import JobState, JobStatus
from parsl.providers.base import ExecutionProvider
from parsl.providers.errors import SubmitException

from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.providers.exit_record import SUFFIX
from parsl_diaspora.testing.clock import VirtualClock

INTERVAL = 60


class Scripted(ExecutionProvider):
    """As Parsl's batch providers: what its scheduler does not list any more is COMPLETED for good.

    Attributes:
        rejects: what the scheduler answers to a submission; empty if it takes it.
        down: what it answers to any question; empty while it answers.
        listed: jobs that it lists, with their states.
        submissions: when each was asked for, accepted or not.
        questions: when it was asked for states.
    """

    def __init__(self, clock, *, walltime="01:00:00", nodes_per_block=1):
        self.clock = clock
        self.rejects = ""
        self.down = ""
        self.listed = {}
        self.submissions = []
        self.questions = []
        self.scripts = []
        self.cancelled = []
        self.resources = {}
        self.script_dir = None
        self.worker_init = ""
        self.scheduler_options = ""
        self.walltime = walltime
        self.nodes_per_block = nodes_per_block
        self.asked_for = []
        self._numbers = itertools.count(1)

    @property
    def label(self):
        return "scripted"

    @property
    def status_polling_interval(self):
        return INTERVAL

    def execute_wait(self, cmd, timeout=None):
        return (1, "", self.down) if self.down else (0, "", "")

    def submit(self, command, tasks_per_node, job_name="job"):
        self.submissions.append(self.clock.monotonic())
        if self.rejects:
            raise SubmitException(job_name, "no id", stdout="", stderr=self.rejects, retcode=1)
        job = str(next(self._numbers))
        self.scripts.append(self.worker_init)
        self.asked_for.append((job_name, self.walltime, self.nodes_per_block, self.scheduler_options))
        self.listed[job] = JobState.PENDING
        self.resources[job] = {"status": JobStatus(JobState.PENDING)}
        return job

    def status(self, job_ids):
        self.questions.append(self.clock.monotonic())
        code, _, _ = self.execute_wait("squeue")
        if code == 0:
            for job, entry in self.resources.items():
                if not entry["status"].terminal:
                    entry["status"] = JobStatus(self.listed.get(job, JobState.COMPLETED))
        return [self.resources[job]["status"] for job in job_ids]

    def cancel(self, job_ids):
        code, _, _ = self.execute_wait("scancel")
        for job in job_ids if code == 0 else ():
            self.cancelled.append(job)
            self.listed.pop(job, None)
            self.resources[job]["status"] = JobStatus(JobState.CANCELLED)
        return [code == 0 for _ in job_ids]

    def run(self, *jobs):
        for job in jobs or list(self.listed):
            self.listed[job] = JobState.RUNNING


class DirectPool(ResilientPoolProvider):
    """Calls its schedulers in the test's own thread."""

    _start = staticmethod(lambda name, body: body())


class World:
    """A pool of scripted members."""

    def __init__(self, tmp_path=None, names=("oak", "elm"), **options):
        self.clock = VirtualClock()
        self.schedulers = {name: Scripted(self.clock) for name in names}
        options = {"seed": 7, "max_blocks": 20, **options}
        self.pool = DirectPool(self.schedulers, clock=self.clock, **options)
        self.events = []
        self.pool.say = self.events.append
        self.pool.run_id = "run"
        self.pool.script_dir = str(tmp_path) if tmp_path is not None else None
        self.blocks = itertools.count()

    def submit(self):
        return self.pool.submit("work", 1, f"parsl.cpu.block-{next(self.blocks)}")

    def look(self, *jobs, seconds=INTERVAL):
        """Parsl looks after so much time; the states of these jobs."""
        self.clock.advance(seconds)
        return [status.state for status in self.pool.status(jobs)]

    def status(self, job):
        return self.pool.status([job])[0]

    def said(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    def write(self, job, *lines, since=0.0):
        """What the block's own script has written down."""
        base = self.pool._job(job).base
        start = self.clock.time() - since
        text = "\n".join((f"v=1\nstart={start:.0f} host=n1 node= job= pid=7", *lines)) + "\n"
        base.with_name(base.name + SUFFIX).write_text(text.replace("NOW", f"{self.clock.time():.0f}"))
