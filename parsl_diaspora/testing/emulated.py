"""Nodes that differ, on one host: own host name, less memory, packages of their own."""

from __future__ import annotations

import functools
import shlex
import shutil
import subprocess
from pathlib import Path

from parsl.launchers.base import Launcher


class EmulatedNode(Launcher):
    """Runs a block as a node of its own: for `parsl.providers.LocalProvider`.

    Its processes keep this host's files, and its process ids unless ``own_processes`` is set. Where no
    namespace may be made (that takes root, or a kernel that allows it to users), the node keeps this host's
    name, and the rest holds.

    Args:
        name: host name.
        memory: bytes of address space that each process may have; 0 for no limit.
        packages: directories with packages that only this node has.
        own_processes: see no process of other nodes, and die as a whole with the first one; each block then
            gets a host name of its own that begins with ``name``.
        debug: as for all of Parsl's launchers.

    Example:
        >>> node = EmulatedNode("birch-1", memory=2_000_000_000)
        >>> "ulimit -v 1953125" in node("process_worker_pool.py", 1, 1)
        True
    """

    def __init__(
        self,
        name: str,
        memory: int = 0,
        packages: tuple[str, ...] = (),
        debug: bool = True,
        *,
        own_processes: bool = False,
    ) -> None:
        super().__init__(debug=debug)
        self.name = name
        self.memory = memory
        self.packages = packages
        self.own_processes = own_processes

    def __call__(self, command: str, tasks_per_node: int, nodes_per_block: int, script_dir: str = "") -> str:
        """The block's command, within the node."""
        del tasks_per_node, nodes_per_block, script_dir
        lines = [command]
        if self.packages:
            lines.insert(0, f"export PYTHONPATH={shlex.quote(':'.join(self.packages))}:$PYTHONPATH")
        if self.memory:
            lines.insert(0, f"ulimit -v {self.memory // 1024}")
        if not can_name_hosts():
            return "\n".join(lines)
        if self.own_processes and can_part_processes():
            return _with_own_processes(self.name, lines)
        named = "\n".join([f"hostname {shlex.quote(self.name)}", *lines])
        return f"unshare --uts bash -c {shlex.quote(named)}"


def _with_own_processes(name: str, lines: list[str]) -> str:
    """The shell is the namespace's first process, as a pool that is the first one ignores SIGTERM.

    `unshare --fork` ignores signals, so whoever ends the block ends the namespace through the trap.
    """
    named = "\n".join([f"hostname {shlex.quote(name)}-$BLOCK_SHELL", *lines, "exit $?"])
    return "\n".join(
        [
            "export BLOCK_SHELL=$$",
            f"{_PARTED} bash -c {shlex.quote(named)} &",
            "child=$!",
            "trap 'kill -KILL $child 2>/dev/null' TERM INT HUP EXIT",
            "wait $child",
        ]
    )


_PARTED = "unshare --pid --fork --kill-child=KILL --mount-proc --uts"


@functools.cache
def can_part_processes() -> bool:
    """Whether processes may be started that do not see those of others."""
    if not can_name_hosts():
        return False
    return subprocess.run([*_PARTED.split(), "true"], capture_output=True, check=False).returncode == 0


@functools.cache
def can_name_hosts() -> bool:
    """Whether processes may be started under a host name of their own."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--uts", "hostname", "emulated"], capture_output=True, check=False)
    return tried.returncode == 0


def install_package(directory: Path, name: str, version: str = "1.0", source: str = "") -> str:
    """Put a package with one module into a directory, as an installer leaves it; the directory as text."""
    record = directory / f"{name}-{version}.dist-info"
    record.mkdir(parents=True, exist_ok=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (record / "top_level.txt").write_text(f"{name}\n")
    (directory / f"{name}.py").write_text(source)
    return str(directory)
