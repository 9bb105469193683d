"""What differs from one scheduler to the next: commands, exclusion of hosts, words for a job that is gone.

One row a kind. A provider of another kind gets none of this, and all the rest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from parsl.providers import (
    CondorProvider,
    GridEngineProvider,
    LocalProvider,
    LSFProvider,
    PBSProProvider,
    SlurmProvider,
    TorqueProvider,
)
from parsl.providers.base import ExecutionProvider
from parsl.providers.cluster_provider import ClusterProvider

from parsl_diaspora.errors import PoolError

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

#: Attributes of a provider, with the values that they have during one submission.
Overrides = dict[str, Any]


def _more_options(provider: Any, line: str) -> Overrides:
    """One more line of options, on a line of its own whatever stands before and after it."""
    options = provider.scheduler_options
    return {"scheduler_options": f"{options}\n{line}\n" if options.strip() else f"{line}\n"}


def _slurm(provider: Any, hosts: list[str]) -> Overrides:
    return _more_options(provider, f"#SBATCH --exclude={','.join(hosts)}")


def _lsf(provider: Any, hosts: list[str]) -> Overrides:
    terms = " && ".join(f"hname!='{host}'" for host in hosts)
    return _more_options(provider, f'#BSUB -R "select[{terms}]"')


def _grid_engine(provider: Any, hosts: list[str]) -> Overrides:
    return _more_options(provider, f"#$ -l hostname=!({'|'.join(hosts)})")


def _condor(provider: Any, hosts: list[str]) -> Overrides:
    terms = " && ".join(f'(TARGET.Machine != "{host}")' for host in hosts)
    own = provider.requirements
    return {"requirements": f"({own}) && {terms}" if own.strip() else terms}


class Scheduler(NamedTuple):
    """One kind of scheduler.

    Attributes:
        provider: Parsl's class for it.
        commands: that it cannot do without.
        exclude: turns names of hosts into what a submission needs so that it gets none of them.
        no_such_job: what it says of a single job that it does not know any more.
    """

    provider: type[ExecutionProvider]
    commands: tuple[str, ...]
    exclude: Callable[[Any, list[str]], Overrides] | None = None
    no_such_job: str = ""


#: The first that a provider is an instance of.
SCHEDULERS = (
    Scheduler(SlurmProvider, ("sbatch", "squeue", "scancel"), _slurm, "Invalid job id specified"),
    Scheduler(PBSProProvider, ("qsub", "qstat", "qdel"), None, "Unknown Job Id"),
    Scheduler(TorqueProvider, ("qsub", "qstat", "qdel"), None, "Unknown Job Id"),
    Scheduler(LSFProvider, ("bsub", "bjobs", "bkill"), _lsf, "is not found"),
    Scheduler(GridEngineProvider, ("qsub", "qstat", "qdel"), _grid_engine),
    Scheduler(CondorProvider, ("condor_submit", "condor_q", "condor_rm"), _condor),
)


def scheduler_of(provider: ExecutionProvider) -> Scheduler | None:
    """The row of a provider; None if its kind has none."""
    return next((each for each in SCHEDULERS if isinstance(provider, each.provider)), None)


def leaves_records(provider: ExecutionProvider) -> bool:
    """Whether scripts of its blocks can write down how they fare. A cloud sees no files of ours."""
    if not isinstance(getattr(provider, "worker_init", None), str) or not hasattr(provider, "script_dir"):
        return False
    if isinstance(provider, ClusterProvider | LocalProvider):
        return True
    return not type(provider).__module__.startswith("parsl.")


def check_commands(member: str, provider: ExecutionProvider) -> None:
    """Refuse a provider whose scheduler cannot be reached from here at all.

    Raises:
        PoolError: a command is not on PATH.
    """
    row = scheduler_of(provider)
    missing = [command for command in row.commands if shutil.which(command) is None] if row else []
    if missing:
        kind = type(provider).__name__
        message = f"Member {member!r}, a {kind}, needs {', '.join(missing)}, which PATH does not have."
        raise PoolError(
            message, hint="Run the program on a login node, or load the scheduler's module first."
        )


def exclusion(provider: ExecutionProvider, hosts: Collection[str]) -> Overrides | None:
    """What a submission needs so that it gets none of these hosts; None if there is no way to say it.

    Names that no host can have are left out: they would end up in a script.

    Example:
        >>> from parsl.providers import LocalProvider
        >>> exclusion(LocalProvider(), {"n17"}) is None
        True
    """
    row = scheduler_of(provider)
    if row is None or row.exclude is None:
        return None
    names = sorted(host for host in hosts if _HOST.fullmatch(host))
    return row.exclude(provider, names) if names else {}
