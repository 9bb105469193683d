"""The programs of Slurm and munge, as Debian has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "munged")
INSTALL = Path(__file__).with_name("install.sh")
PATIENCE = 600  # seconds for an installation
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


class Missing(Exception):
    """Something that a Slurm needs is not there."""


def programs(*, install: bool) -> dict[str, str]:
    """Where each program lies.

    Args:
        install: whether to install what is missing.

    Raises:
        Missing: a program is not there, and was not installed.
    """
    found = {name: shutil.which(name, path=_PATH) for name in NEEDED}
    absent = [name for name, path in found.items() if path is None]
    if absent and install:
        _install()
        return programs(install=False)
    if absent:
        raise Missing(
            f"a Slurm needs {', '.join(absent)}: tests/services/slurm/install.sh installs what is missing"
        )
    return {name: str(path) for name, path in found.items()}


def _install() -> None:
    done = subprocess.run([str(INSTALL)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise Missing(f"Slurm could not be installed: {(done.stdout + done.stderr).strip()[-500:]}")
