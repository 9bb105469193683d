"""The kernel's files, made up."""

from __future__ import annotations

from pathlib import Path


def write(directory: Path, **files: str) -> Path:
    """Files with these contents; in their names ``__`` stands for a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def process(proc: Path, pid: int, parent: int, *, cpu: int = 0, pages: int = 1, started: int = 1) -> Path:
    """One process with a name that is hard to read, `cpu` ticks and `pages` of memory."""
    fields = ["0"] * 50
    fields[0], fields[1], fields[11], fields[19], fields[21] = (
        "S",
        str(parent),
        str(cpu),
        str(started),
        str(pages),
    )
    directory = write(proc / str(pid), stat=f"{pid} (a) b (c) {' '.join(fields)}\n")
    write(directory, io="rchar: 9\nread_bytes: 0\nwrite_bytes: 0\n")
    (directory / "fd").mkdir(exist_ok=True)
    return directory


def groups(root: Path, version: int, path: str = "/job/step", *, mounted: str = "/") -> tuple[Path, Path]:
    """A /proc and the directory of the control group that it tells of."""
    top = root / "cgroup"
    inner = path[len(mounted) :] if mounted != "/" else path
    group = write(top / inner.lstrip("/"))
    if version == 1:
        line, mount = f"4:memory:{path}", f"36 25 0:32 {mounted} {top} rw - cgroup cgroup rw,memory"
    else:
        line, mount = f"0::{path}", f"36 25 0:32 {mounted} {top} rw - cgroup2 cgroup2 rw"
    proc = root / "proc"
    other = "24 1 0:22 / /sys rw - sysfs sysfs rw"
    write(proc / "self", cgroup=f"1:cpu:/\n{line}\n", mountinfo=f"{other}\nnonsense\n{mount}\n")
    return proc, group
