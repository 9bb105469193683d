"""The most memory that this process had while a try ran."""

from __future__ import annotations

import os
import resource

CLEAR_REFS = "/proc/self/clear_refs"
_RESET_PEAK = b"5"
_KIBIBYTE = 1_024


class PeakMemory:
    """Resident memory of this process at its highest, counted anew for each try. Two system calls a try.

    The kernel never forgets how large the process was before it became this program, so up to there, which
    for a worker is the size of its manager, it cannot tell more exactly.

    Args:
        clear: the file that makes the kernel count anew.

    Example:
        >>> peak = PeakMemory()
        >>> peak.begin()
        >>> (peak.end() or 1) > 0
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

    def end(self) -> int | None:
        """Bytes at the highest since `begin`; None where the kernel does not count."""
        if self._clear < 0:
            return None
        return int(self._usage(self._self).ru_maxrss) * _KIBIBYTE
