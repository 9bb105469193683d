"""What a task gets to see when its executor, or the worker that had it, is lost or cannot run our part."""

from __future__ import annotations

from parsl.executors.high_throughput.errors import WorkerLost

from parsl_diaspora.errors import DiasporaError


class InterchangeLost(DiasporaError):
    """The executor's interchange process ended, so nothing that it held can come back.

    Attributes:
        executor: the executor's label.
        exit_code: of the interchange; negative for a signal.
    """

    def __init__(
        self, message: str, *, executor: str = "", exit_code: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.executor = executor
        self.exit_code = exit_code


class NoBlocks(DiasporaError):
    """An executor has no block that could run its tasks: none starts, or none is to come.

    Attributes:
        executor: the executor's label.
    """

    def __init__(self, message: str, *, executor: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.executor = executor


class NoMember(DiasporaError):
    """A pool of executors has no member that takes tasks, and none was replaced in time.

    Attributes:
        pool: the pool's label.
    """

    def __init__(self, message: str, *, pool: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pool = pool


class SeamMissing(DiasporaError):
    """This release of Parsl lacks something that a part of ours rests on.

    Attributes:
        seam: what it is, as in Parsl's source.
    """

    def __init__(self, message: str, *, seam: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seam = seam


class RunnerUnusable(DiasporaError):
    """The workers' environment lacks this package, or has one that does not fit; the app never began."""


class WorkerDied(DiasporaError, WorkerLost):
    """The worker process died under the task, and the supervisor of its node has told how.

    Programs that catch Parsl's `WorkerLost` catch this as well.

    Attributes:
        worker_id: rank of the worker within its manager.
        hostname: of the node.
        manager: the manager's id.
        exit_code: exit status; negative for a signal; None if nobody could tell.
        out_of_memory: the kernel, or its control group, ran out of memory at that time.
        memory: resident bytes when the worker was last looked at; 0 if that is not known.
    """

    def __init__(
        self,
        message: str,
        *,
        worker_id: int = -1,
        hostname: str = "",
        manager: str = "",
        exit_code: int | None = None,
        out_of_memory: bool = False,
        memory: int = 0,
        hint: str = "",
    ) -> None:
        Exception.__init__(self, message)  # Parsl's class would make a message of its own
        self.message, self.hint = message, hint
        self.worker_id = worker_id
        self.hostname = hostname
        self.manager = manager
        self.exit_code = exit_code
        self.out_of_memory = out_of_memory
        self.memory = memory


class NeverStarted(DiasporaError):
    """A manager held the task but never started it, though later ones have run there: it is lost.

    Attributes:
        manager: the manager's id.
    """

    def __init__(self, message: str, *, manager: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.manager = manager
