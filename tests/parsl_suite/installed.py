"""A copy of the installed Parsl whose tests have all that they look for.

Two kinds of files that Parsl's tests read are not part of its package. They are lists of node names, so
they are written here; everything else is as it is installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import parsl

_NODEFILES = {"pbs_nodefile": 4, "pbs_nodefile.8": 8}


def copy_parsl(directory: Path) -> Path:
    """Copy the installed Parsl, for a run of its tests.

    Args:
        directory: where to put it; what is imported from there finds the copy.

    Returns:
        The directory of its tests.
    """
    copy = directory / "parsl"
    if not copy.exists():
        shutil.copytree(Path(parsl.__file__).parent, copy)
        _write_nodefiles(copy / "tests" / "test_htex" / "mpi" / "mocks")
    return copy / "tests"


def _write_nodefiles(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for name, count in _NODEFILES.items():
        text = "".join(f"node{number:02}\n" for number in range(count))
        (directory / name).write_text(text)
