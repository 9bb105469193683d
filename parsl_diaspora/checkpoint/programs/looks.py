"""Which files a program keeps its state in, and what tells that one of them has changed."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from parsl_diaspora.checkpoint.state.files import RESTORING


class Look(NamedTuple):
    """What is seen of a file from outside.

    Attributes:
        size: bytes.
        written: when its content was last written, nanoseconds UTC.
        changed: when the file system last touched its entry, nanoseconds UTC; a program cannot set this.
        inode: another one if the file was replaced.
    """

    size: int
    written: int
    changed: int
    inode: int

    @property
    def is_sealed(self) -> bool:
        """Whether its entry was touched after its content, as by a rename: then it is not being written."""
        return self.changed > self.written


#: By name, as the program's author has given it.
Looks = dict[str, Look]


def looks_of(patterns: Sequence[str], directory: str | os.PathLike[str] = ".") -> Looks:
    """How the files look now that patterns name; those that are not there are left out.

    Args:
        patterns: names, or patterns as of a shell, ``**`` for all directories below. A directory stands for
            all files in it.
        directory: that relative ones start from.

    Example:
        >>> import pathlib, tempfile
        >>> place = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (place / "state.bin").write_bytes(b"12345")
        >>> {name: look.size for name, look in looks_of(["state.bin", "*.log"], place).items()}
        {'state.bin': 5}
    """
    looks: Looks = {}
    for pattern in patterns:
        for name in _names(pattern, directory):
            with suppress(FileNotFoundError):  # it went away in between
                found = os.stat(os.path.join(directory, name))
                if stat.S_ISREG(found.st_mode):
                    looks[name] = Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    return dict(sorted(looks.items()))


def _names(pattern: str, directory: str | os.PathLike[str]) -> Iterator[str]:
    for name in glob.iglob(pattern, root_dir=directory, recursive=True):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            yield from (os.path.join(name, inner) for inner in _below(path))
        elif not name.endswith(RESTORING):
            yield name


def _below(path: str) -> Iterator[str]:
    for place, _, names in os.walk(path):
        for name in names:
            if not name.endswith(RESTORING):
                yield os.path.relpath(os.path.join(place, name), path)
