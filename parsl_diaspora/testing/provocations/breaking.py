"""Breaking what is around a task: batch systems that refuse, blocks that never start."""

from __future__ import annotations

from typing import NoReturn

from parsl.providers import LocalProvider
from parsl.providers.errors import SubmitException

#: What sbatch, qsub, bsub and flux write when they refuse a job.
REFUSALS = (
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
    "qsub: would exceed queue generic's per-user limit of jobs in 'Q' state",
    "bsub: User cannot use the queue. Job not submitted.",
    "flux-mini: ERROR: [Errno 22] Job requests more nodes than queue limit",
)


class RefusingProvider(LocalProvider):
    """A provider whose batch system takes no job.

    Emulated: no batch system is asked, its words are raised as Parsl's providers for clusters raise them.

    Example:
        >>> RefusingProvider(init_blocks=0).submit("true", 1)
        Traceback (most recent call last):
        parsl.providers.errors.SubmitException: ...
    """

    words = REFUSALS[0]

    def submit(self, command: str, tasks_per_node: int, job_name: str = "parsl.refused") -> NoReturn:
        """Refuse.

        Raises:
            SubmitException: always.
        """
        raise SubmitException(job_name, self.words)
