"""Parsl's own provider for Slurm, in a hurry."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from parsl.providers import SlurmProvider

ROOT = Path(__file__).parents[3]


class QuickSlurmProvider(SlurmProvider):
    """Tells how its jobs are each two seconds; stock does so each minute."""

    status_polling_interval = 2


def worker_init() -> str:
    """Lines of shell that put this environment's programs and this project on a job's paths."""
    path = f"{Path(sys.executable).parent}{os.pathsep}$PATH"
    return f'export PATH="{path}"\nexport PYTHONPATH="{ROOT}"'
