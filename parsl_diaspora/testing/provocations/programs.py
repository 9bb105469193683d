"""Commands for bash apps that print and exit as programs do which an ordinary machine lacks."""

from __future__ import annotations

NO_DEVICE = "A program that prints and exits as CUDA's runtime does on a node without a working driver."
NO_MPI = "A program that prints and exits as mpiexec does when a rank has called MPI_Abort."
NO_SLURM = "A program that prints and exits as srun does when a rank was killed."

WITHOUT_DEVICE = """\
printf '%s\\n' 'terminate called: cudaErrorNoDevice: no CUDA-capable device is detected' >&2; exit 1"""

ABORTED_RANK = """\
printf '%s\\n' 'MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD' 'with errorcode 77.' >&2
exit 77"""

KILLED_RANK = """\
printf '%s\\n' 'srun: error: node0004: task 3: Exited with exit code 9' >&2; exit 9"""
