"""The MPI Executor, hardened: same name, same arguments, same behaviour where nothing fails."""

from __future__ import annotations

from parsl.executors.high_throughput.mpi_executor import MPIExecutor

from parsl_diaspora.executors.mixin import Hardening


class ResilientMPIExecutor(Hardening, MPIExecutor):
    """Parsl's `MPIExecutor`, with all that `ResilientHighThroughputExecutor` has.

    Like there, each app needs a ``parsl_resource_specification``.

    Args:
        mpi_launcher: what starts an app's ranks: ``srun``, ``aprun`` or ``mpiexec``.
        max_workers_per_block: how many apps run at the same time in each block.
        provider: one with a ``SimpleLauncher``.
        **kwargs: the other arguments of the stock executor.

    Raises:
        TypeError: the provider has another launcher.
        ValueError: ``mpi_launcher`` is none that Parsl knows.

    Example:
        >>> from parsl.launchers import SimpleLauncher
        >>> from parsl.providers import LocalProvider
        >>> executor = ResilientMPIExecutor(label="mpi", provider=LocalProvider(launcher=SimpleLauncher()))
        >>> executor.mpi_launcher
        'mpiexec'
    """
