"""The classes of failures, in WRATH's four layers (arXiv 2503.12752), as far as this release knows them.

A class says what went wrong. Whether trying again helps is another question, answered from what happened
elsewhere: see `parsl_diaspora.failures.diagnosis`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Layer = Literal["application", "framework", "runtime", "environment"]


class FailureClass(msgspec.Struct, frozen=True, kw_only=True):
    """One class of failures.

    Attributes:
        name: as it stands in events, budgets and rules.
        layer: which of the four layers the cause lies in.
        definition: one sentence.
        example: what Parsl delivers for it.
        budget: failures of this class that a task may have and still be tried again; None takes the
            application's budget.
        infrastructure: the program had no part in it, so its own budget is not touched.
    """

    name: str
    layer: Layer
    definition: str
    example: str
    budget: int | None
    infrastructure: bool


_ALL = (
    FailureClass(
        name="application",
        layer="application",
        definition="The app's own code raised.",
        example="ZeroDivisionError, BashExitFailure",
        budget=None,
        infrastructure=False,
    ),
    FailureClass(
        name="walltime",
        layer="application",
        definition="The app did not finish within the walltime it was given.",
        example="AppTimeout",
        budget=1,
        infrastructure=False,
    ),
    FailureClass(
        name="exited",
        layer="application",
        definition="The app called sys.exit(), which ends the task and leaves its worker alive.",
        example="TaskExited",
        budget=None,
        infrastructure=False,
    ),
    FailureClass(
        name="signalled",
        layer="runtime",
        definition="A program that the app ran was ended by a signal: a crash, an OOM kill, somebody.",
        example="BashExitFailure with exit code -9 or 137",
        budget=None,
        infrastructure=False,
    ),
    FailureClass(
        name="interrupted",
        layer="runtime",
        definition="An interrupt ended the task, as Ctrl-C does in a terminal.",
        example="TaskInterrupted by KeyboardInterrupt",
        budget=None,
        infrastructure=False,
    ),
    FailureClass(
        name="stopped",
        layer="framework",
        definition="The try was made to stop while it ran, because somebody asked for it.",
        example="TaskStopped",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="dependency",
        layer="framework",
        definition="A task that this one waits for failed; it never ran itself.",
        example="DependencyError",
        budget=0,
        infrastructure=False,
    ),
    FailureClass(
        name="cancelled",
        layer="application",
        definition="Somebody asked that the task be stopped.",
        example="TaskCancelled",
        budget=0,
        infrastructure=False,
    ),
    FailureClass(
        name="submission",
        layer="framework",
        definition="The task was refused before it left the submit side.",
        example="SerializationError, InvalidResourceSpecification",
        budget=0,
        infrastructure=False,
    ),
    FailureClass(
        name="unreadable",
        layer="framework",
        definition="The task finished, but its result or exception cannot be carried back.",
        example="ResultUnreadable",
        budget=1,
        infrastructure=False,
    ),
    FailureClass(
        name="worker_lost",
        layer="runtime",
        definition="The worker process died under the task, or lost it, and not for want of memory.",
        example="WorkerLost, WorkerDied by SIGTERM, NeverStarted",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="crash",
        layer="application",
        definition="Code that the task ran crashed its worker process: a library, or memory overwritten.",
        example="WorkerDied by SIGSEGV or SIGABRT",
        budget=2,
        infrastructure=False,
    ),
    FailureClass(
        name="manager_lost",
        layer="runtime",
        definition="The manager of the node went away: the node, its batch job or its network.",
        example="ManagerLost",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="executor_lost",
        layer="runtime",
        definition="The executor as a whole was lost: all blocks failed, or its interchange died.",
        example="BadStateException, InterchangeLost, NoBlocks",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="memory",
        layer="runtime",
        definition="The task needed more memory than it could get there.",
        example="MemoryError, WorkerDied by the kernel's out-of-memory killer",
        budget=2,
        infrastructure=False,
    ),
    FailureClass(
        name="environment",
        layer="environment",
        definition="The place lacks a module that the task needs.",
        example="ModuleNotFoundError",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="unknown",
        layer="application",
        definition="Nothing that this release knows explains it.",
        example="an exception that is not an Exception of the app",
        budget=None,
        infrastructure=False,
    ),
)

CLASSES: dict[str, FailureClass] = {each.name: each for each in _ALL}
