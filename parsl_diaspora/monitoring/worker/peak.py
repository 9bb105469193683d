"""The most memory that this process had while a try ran."""

from __future__ import annotations

import os
import resource

CLEAR_REFS = "/proc/self/clear_refs"
_RESET_PEAK = b"5"
_KIBIBYTE = 1_024
_LONG = 0.01  # seconds


class PeakMemory:
    """Resident memory of this process at its highest, counted anew for each try. Two system calls a try.

    The cheap call never forgets how large the process was before it became this program, which for a worker
    is the size of its manager: for short tries that is the least that is told. Longer ones are told exactly.

    Args:
        clear: the file that makes the kernel count anew.

    Example:
        >>> peak = PeakMemory()
        >>> peak.begin()
        >>> (peak.end(seconds=1.0) or 1) > 0
        True
    """

    def __init__(self, clear: str = CLEAR_REFS) -> None:
        self._usage = resource.getrusage
        self._self = resource.RUSAGE_SELF
        try:
            self._clear = os.open(clear, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # hidden, or a kernel without it: then nobody knows
            self._clear = -1

    def begin(self) -> None:
        """Count from here."""
        if self._clear < 0:
            return
        try:
            os.write(self._clear, _RESET_PEAK)
        except OSError:
            self._clear = -1

    def end(self, seconds: float) -> int | None:
        """Bytes at the highest since `begin`, so many seconds ago; None where the kernel does not count."""
        if self._clear < 0:
            return None
        exact = _high_water() if seconds >= _LONG else None
        return (exact or int(self._usage(self._self).ru_maxrss)) * _KIBIBYTE


def _high_water() -> int | None:
    """Kibibytes, as the kernel shows them in a file that takes ten times as long as the call."""
    try:
        with open("/proc/self/status", "rb") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(b"VmHWM:")), None)
    except (OSError, ValueError):
        return None
