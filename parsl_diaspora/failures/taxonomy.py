"""The classes of failures, in WRATH's four layers (arXiv 2503.12752), refined.

A class says what went wrong. Whether trying again helps is another question, answered from what happened
elsewhere: see `parsl_diaspora.failures.determinism`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Layer = Literal["application", "framework", "runtime", "environment"]

#: A budget that no program spends.
AS_OFTEN_AS_IT_TAKES = 1_000_000


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
        got_on: the task got on in the try, which counts for no total.
    """

    name: str
    layer: Layer
    definition: str
    example: str
    budget: int | None = None
    infrastructure: bool = False
    got_on: bool = False


_ALL = (
    # --- the program's own code ---
    FailureClass(
        name="application",
        layer="application",
        definition="The app's own code raised, and no rule tells more.",
        example="an exception class of the program's own, BashExitFailure with exit code 1",
    ),
    FailureClass(
        name="bug",
        layer="application",
        definition="The app raised what a mistake in its code raises: most likely the same everywhere.",
        example="ZeroDivisionError, TypeError, NameError, IndexError",
    ),
    FailureClass(
        name="bad_input",
        layer="application",
        definition="The app could not make sense of what it was given.",
        example="ValueError, UnicodeDecodeError, EOFError",
    ),
    FailureClass(
        name="transient",
        layer="application",
        definition="The app met what may go otherwise next time: chance, a race, a time-out of its own.",
        example="AssertionError, TimeoutError, a deadlock that a database reports",
    ),
    FailureClass(
        name="walltime",
        layer="application",
        definition="The app did not finish within the walltime it was given.",
        example="AppTimeout",
        budget=1,
    ),
    FailureClass(
        name="exited",
        layer="application",
        definition="The app called sys.exit(), which ends the task and leaves its worker alive.",
        example="TaskExited",
    ),
    FailureClass(
        name="cancelled",
        layer="application",
        definition="Somebody asked that the task be stopped.",
        example="TaskCancelled",
        budget=0,
    ),
    FailureClass(
        name="crash",
        layer="application",
        definition="Code that the task ran crashed its worker process: a library, or memory overwritten.",
        example="WorkerDied by SIGSEGV or SIGABRT",
        budget=2,
    ),
    # --- task graph and transport ---
    FailureClass(
        name="dependency",
        layer="framework",
        definition="A task that this one waits for failed; it never ran itself.",
        example="DependencyError",
        budget=0,
    ),
    FailureClass(
        name="submission",
        layer="framework",
        definition="The task was refused before it left the submit side.",
        example="InvalidResourceSpecification, an executor that does not exist",
        budget=0,
    ),
    FailureClass(
        name="serialization",
        layer="framework",
        definition="Arguments, result or exception cannot be carried between the program and its worker.",
        example="SerializationError, ResultUnreadable, PicklingError",
        budget=1,
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
        name="checkpointed",
        layer="framework",
        definition="A program has saved its state and asks to be run again: it got on, so it is no failure.",
        example="RunAgain by a bash app with exit code 85",
        budget=AS_OFTEN_AS_IT_TAKES,
        infrastructure=True,
        got_on=True,
    ),
    FailureClass(
        name="left",
        layer="framework",
        definition="The task saved its state and left its place, as that ends or somebody asked: it got on.",
        example="TaskLeft when a block is drained, or near its walltime",
        budget=AS_OFTEN_AS_IT_TAKES,
        infrastructure=True,
        got_on=True,
    ),
    # --- workers, nodes, blocks, batch system ---
    FailureClass(
        name="signalled",
        layer="runtime",
        definition="A program that the app ran was ended by a signal: a crash, an OOM kill, somebody.",
        example="BashExitFailure with exit code -9 or 137",
    ),
    FailureClass(
        name="interrupted",
        layer="runtime",
        definition="An interrupt ended the task, as Ctrl-C does in a terminal.",
        example="TaskInterrupted by KeyboardInterrupt",
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
        name="manager_lost",
        layer="runtime",
        definition="The manager of the node's workers went away, and nothing tells what took it.",
        example="ManagerLost",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="node_lost",
        layer="runtime",
        definition="The node went away with all that ran on it: crash, power, an end from outside.",
        example="ManagerLost, and the node's supervisor is gone, too",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="partition",
        layer="runtime",
        definition="The node can no longer be reached, although its batch job goes on.",
        example="ManagerLost of a silent node whose block still runs",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="interchange_lost",
        layer="runtime",
        definition="The executor's interchange died, or answered nothing and was replaced.",
        example="InterchangeLost",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="executor_lost",
        layer="runtime",
        definition="The executor as a whole takes no tasks any more.",
        example="BadStateException",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="block_failed",
        layer="runtime",
        definition="The executor has no block: those that it had failed, or never started their workers.",
        example="NoBlocks, TooManyJobFailuresError",
        budget=6,
        infrastructure=True,
    ),
    FailureClass(
        name="batch_refused",
        layer="runtime",
        definition="The batch system refused the executor's blocks.",
        example="NoBlocks with sbatch's words, SubmitException",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="block_walltime",
        layer="runtime",
        definition="The batch job that the task ran in came to the end of its walltime.",
        example="ManagerLost or WorkerDied as the block's time is up",
        budget=8,
        infrastructure=True,
    ),
    FailureClass(
        name="preempted",
        layer="runtime",
        definition="The batch system took the node away before its time.",
        example="ManagerLost after SIGTERM from the batch system, block PREEMPTED",
        budget=8,
        infrastructure=True,
    ),
    FailureClass(
        name="memory",
        layer="runtime",
        definition="The task needed more memory than it could get there.",
        example="MemoryError, WorkerDied by the kernel's out-of-memory killer",
        budget=2,
    ),
    FailureClass(
        name="limits",
        layer="runtime",
        definition="A limit of the place was met: open files, processes, the size of a file.",
        example="OSError EMFILE or EFBIG, BlockingIOError EAGAIN at fork, SIGXFSZ",
        budget=2,
    ),
    FailureClass(
        name="disk_full",
        layer="runtime",
        definition="A file system that the task writes to is full, or the quota there is used up.",
        example="OSError ENOSPC or EDQUOT",
        budget=3,
        infrastructure=True,
    ),
    FailureClass(
        name="mpi",
        layer="runtime",
        definition="A process of a parallel program gave up and took the others with it.",
        example="MPI_ABORT was invoked on rank 3, BashExitFailure of mpiexec or srun",
        budget=2,
    ),
    # --- what is installed and reachable at a place ---
    FailureClass(
        name="missing_module",
        layer="environment",
        definition="The place lacks a module that the task needs.",
        example="ModuleNotFoundError",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="version_mismatch",
        layer="environment",
        definition="The place has another version of Python or of a library than the task needs.",
        example="ImportError: cannot import name, unsupported pickle protocol, GLIBC not found",
        budget=4,
        infrastructure=True,
    ),
    FailureClass(
        name="missing_file",
        layer="environment",
        definition="A file, directory or program is not there: a wrong path, or a place that lacks it.",
        example="FileNotFoundError, NotADirectoryError, BashExitFailure with exit code 127",
        budget=2,
    ),
    FailureClass(
        name="permission",
        layer="environment",
        definition="The place does not let the task do what it must.",
        example="PermissionError, read-only file system, BashExitFailure with exit code 126",
        budget=2,
    ),
    FailureClass(
        name="gpu",
        layer="environment",
        definition="An accelerator is missing, broken, or out of its own memory.",
        example="RuntimeError: CUDA error: device-side assert triggered",
        budget=3,
        infrastructure=True,
    ),
    FailureClass(
        name="network",
        layer="environment",
        definition="A host or service that the app calls does not answer, or its name is not found.",
        example="ConnectionRefusedError, socket.gaierror, SSLError, HTTP 503",
        budget=3,
    ),
    FailureClass(
        name="unknown",
        layer="application",
        definition="Nothing that this release knows explains it.",
        example="an exception that is not an Exception of the app",
    ),
)

CLASSES: dict[str, FailureClass] = {each.name: each for each in _ALL}

#: Names that earlier releases used, in logs and settings.
RENAMED = {"environment": "missing_module", "unreadable": "serialization"}


def current_name(name: str) -> str:
    """A class by the name that it has now.

    Example:
        >>> current_name("environment"), current_name("memory")
        ('missing_module', 'memory')
    """
    return RENAMED.get(name, name)


def is_infrastructure(name: str) -> bool:
    """Whether the program had no part in failures of a class."""
    known = CLASSES.get(current_name(name))
    return known is not None and known.infrastructure


def got_on(name: str) -> bool:
    """Whether failures of a class end tries in which the task got on.

    Example:
        >>> got_on("checkpointed"), got_on("stopped")
        (True, False)
    """
    known = CLASSES.get(current_name(name))
    return known is not None and known.got_on
