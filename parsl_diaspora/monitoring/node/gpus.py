"""Accelerators: AMD's from the kernel's own files, NVIDIA's by their command, where they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec

from parsl_diaspora.monitoring.node.latest import Latest
from parsl_diaspora.monitoring.node.processes import text_of

NVIDIA = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_TIMEOUT = 10.0  # seconds; without its daemon the command starts the driver each time
_MEBIBYTE = 2**20
_AMD = "0x1002"


class GpuUse(msgspec.Struct, frozen=True):
    """How much of a node's accelerators is in use, all together.

    Attributes:
        busy: mean part, 0 to 1; None without any, or where they do not tell.
        memory: bytes; None likewise.
    """

    busy: float | None = None
    memory: int | None = None


class Gpus:
    """The accelerators of a node. A node without any costs a look at two directories, once.

    Args:
        sys: where the kernel shows its devices.
        proc: where the drivers show theirs.
        command: NVIDIA's; run at most once a sample, in a thread of its own: it tells of the sample before.

    Example:
        >>> Gpus(sys="/none", proc="/none", command=("/no/such/command",)).use()
        GpuUse(busy=None, memory=None)
    """

    def __init__(self, sys: str = "/sys", proc: str = "/proc", command: tuple[str, ...] = NVIDIA) -> None:
        self._amd = _amd_devices(Path(sys))
        self._nvidia = _nvidia_models(Path(proc))
        self._command = command
        there = shutil.which(command[0]) is not None
        self._asked = Latest("diaspora-gpus", self._ask_nvidia, GpuUse()) if there else None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all accelerators."""
        amd = (text_of(each / "product_name").strip() or "AMD accelerator" for each in self._amd)
        return (*self._nvidia, *amd)

    def use(self) -> GpuUse:
        """The newest that is known; it never waits."""
        nvidia = self._asked.ask() if self._asked is not None else GpuUse()
        return nvidia if nvidia.busy is not None or not self._amd else self._read_amd()

    def settle(self, timeout: float) -> bool:
        """Wait for the command under way; whether it has ended."""
        return self._asked is None or self._asked.settle(timeout)

    def _read_amd(self) -> GpuUse:
        busy = [number for each in self._amd if (number := _number(each / "gpu_busy_percent")) is not None]
        used = [number for each in self._amd if (number := _number(each / "mem_info_vram_used")) is not None]
        return _together(busy, used)

    def _ask_nvidia(self) -> GpuUse:
        done = subprocess.run(self._command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        return use_of(done.stdout)


def use_of(table: str) -> GpuUse:
    r"""What the command's table says: a line an accelerator, with percent and mebibytes.

    Example:
        >>> use_of("50, 1024\n100, 2048\n")
        GpuUse(busy=0.75, memory=3221225472)
        >>> use_of("[N/A], 512")
        GpuUse(busy=None, memory=536870912)
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in table.splitlines() if "," in line]
    busy = [int(row[0]) for row in rows if row[0].isdigit()]
    return _together(busy, [int(row[1]) * _MEBIBYTE for row in rows if row[1].isdigit()])


def _together(busy: list[int], used: list[int]) -> GpuUse:
    mean = sum(busy) / len(busy) / 100 if busy else None
    return GpuUse(mean, sum(used) if used else None)


def _nvidia_models(proc: Path) -> tuple[str, ...]:
    files = sorted(proc.glob("driver/nvidia/gpus/*/information"))
    lines = (line.partition(":") for file in files for line in text_of(file).splitlines())
    return tuple(model.strip() for name, _, model in lines if name == "Model")


def _amd_devices(sys: Path) -> list[Path]:
    cards = sorted(sys.glob("class/drm/card[0-9]*/device"))
    return [each for each in cards if text_of(each / "vendor").strip() == _AMD and _is_compute(each)]


def _is_compute(device: Path) -> bool:
    return (device / "gpu_busy_percent").exists()


def _number(path: Path) -> int | None:
    text = text_of(path).strip()
    return int(text) if text.isdigit() else None
