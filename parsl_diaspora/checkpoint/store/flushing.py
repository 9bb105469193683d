"""A large file that is being written is brought to the disk meanwhile, not only at its end."""

from __future__ import annotations

import os
import threading
from types import TracebackType

_STEP = 32 * 1024 * 1024  # bytes written before they are brought to the disk


class Flushing:
    """Syncs a file again and again in a thread while it grows; what that raises is raised at the end.

    Args:
        descriptor: of the file, which stays open.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile(buffering=0) as file, Flushing(file.fileno()) as flushing:
        ...     flushing.wrote(file.write(b"state"))
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unsynced = 0
        self._more = threading.Event()
        self._ended = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Flushing:
        return self

    def wrote(self, size: int) -> None:
        """So many bytes more were written."""
        self._unsynced += size
        if self._unsynced < _STEP:
            return
        self._unsynced = 0
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="diaspora-flush", daemon=True)
            self._thread.start()
        self._more.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._more.set()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        while True:
            self._more.wait()
            self._more.clear()
            if self._ended:
                return
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:  # the kernel may tell it only once
                self._error = error
                return
