"""What a task gets to see when its executor as a whole is lost, or cannot run our part on its workers."""

from __future__ import annotations

from parsl_diaspora.errors import DiasporaError


class InterchangeLost(DiasporaError):
    """The executor's interchange process ended, so nothing that it held can come back.

    Attributes:
        executor: the executor's label.
        exit_code: of the interchange; negative for a signal.
    """

    def __init__(self, message: str, *, executor: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
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


class SeamMissing(DiasporaError):
    """This release of Parsl lacks something that a part of ours rests on.

    Attributes:
        seam: what it is, as in Parsl's source.
    """

    def __init__(self, message: str, *, seam: str = "") -> None:
        super().__init__(message)
        self.seam = seam


class RunnerUnusable(DiasporaError):
    """The workers' environment lacks this package, or has one that does not fit; the app never began."""
