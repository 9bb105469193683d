"""Saves a task's state: the task is stopped for a copy in memory, and a thread writes behind it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from parsl_diaspora.checkpoint.identity import Identity
from parsl_diaspora.checkpoint.known import Known
from parsl_diaspora.checkpoint.packing import Packing, zstd
from parsl_diaspora.checkpoint.places import Places
from parsl_diaspora.checkpoint.staging import Staging
from parsl_diaspora.checkpoint.state import Piece, flatten
from parsl_diaspora.checkpoint.store import Manifest, Save, Store
from parsl_diaspora.checkpoint.writing import Writing
from parsl_diaspora.errors import CheckpointFenced, CheckpointTooLarge
from parsl_diaspora.sizes import size_words

logger = logging.getLogger(__name__)


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A save that is safe.

    Attributes:
        save: its name.
        size: bytes of the state.
        written: bytes of the object.
        stopped: seconds for which the task was stopped.
        seconds: from then until it was safe.
        cpu: seconds of a processor that the writing took.
        level: the nearest place that has it.
        levels: how many have it.
        final: the task leaves with it.
    """

    save: Save
    size: int
    written: int
    stopped: float
    seconds: float
    cpu: float
    level: str
    levels: int
    final: bool


class Heard:
    """Who is told of saves, in the thread that writes. What is told must not raise."""

    def saved(self, saved: Saved) -> None:
        """A save is safe."""

    def failed(self, reason: str, error: BaseException) -> None:
        """A save came to nothing; the one before it is still good."""


class _Abandoned(Exception):
    """The try has ended."""


class Saver:
    """Saves one try's states.

    Args:
        store: of its task.
        identity: of the try.
        heard: told of saves.
        keep: saves that stay.
        quota: bytes that the task's saves may take; 0 for no limit.
        copy: copy the state first, so that the task goes on while it is written. Without it the task is
            stopped for as long as writing takes, and no memory is needed.
        compress: compress chunks where it pays.

    Attributes:
        is_fenced: a later try has begun, so nothing more can be saved.
        newest: what the newest save of this try consists of, once it is safe; None while there is none.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.checkpoint.store import DirectoryLevel
        >>> store = Store([DirectoryLevel(tempfile.mkdtemp())], "key")
        >>> saver = Saver(store, Identity(run="r", task=0, attempt=0, launch=1))
        >>> saver.save({"step": 7}), saver.wait(10.0)
        (True, True)
        >>> store.saves()
        [Save(launch=1, number=1)]
        >>> saver.close()
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        heard: Heard | None = None,
        *,
        keep: int = 2,
        quota: int = 0,
        copy: bool = True,
        compress: bool = True,
    ) -> None:
        self._store = store
        self._identity = identity
        self._heard = heard or Heard()
        self._keep = max(1, keep)
        self._quota = quota
        self._copy = copy
        self._library = zstd() if compress else None
        self._staging = Staging()
        self._known = Known()
        self._places = Places(store, identity.launch, self._one_place_fails)
        self._kept: list[tuple[Save, Manifest]] = []
        self._number = 0
        self._speed = 0.0
        self._ready = threading.Condition()
        self._job: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self.is_fenced = False
        self.newest: Manifest | None = None

    # --- the task's side ---

    def go_on_from(self, save: Save, manifest: Manifest) -> None:
        """The task goes on from a save of an earlier try, which stays until there are enough of this one.

        Nothing that this try saves builds on it: a worker that is still alive somewhere, and has not seen yet
        that it was given up, may remove objects of its own.
        """
        self._kept = [(save, manifest)]

    @property
    def is_busy(self) -> bool:
        """Whether a save is being written."""
        return self._job is not None

    def save(self, state: Any, *, final: bool = False) -> bool:
        """Save a state; whether it was taken: it is not while the one before is written.

        A final one waits for that, and is safe when this returns true.

        Args:
            state: see `parsl_diaspora.checkpoint.state.flatten`.
            final: the task leaves with it.

        Raises:
            StateNotSavable: a part of it cannot be made bytes.
        """
        if self._closed or self.is_fenced:
            return False
        if self.is_busy:
            if not final:
                return False
            self.wait(None)
        began = time.perf_counter()
        pieces: Sequence[Piece] = flatten(state)
        if final or not self._copy:  # the task that leaves has nothing to go on with meanwhile
            return self._write(pieces, began, None, final)
        try:
            pieces = self._staging.copy(pieces)
        except (OSError, MemoryError) as error:
            self._heard.failed("there is no memory for a copy of the state", error)
            return False
        self._hand_over(partial(self._write, pieces, began, time.perf_counter(), final))
        return True

    def prepare(self, size: int) -> None:
        """Have memory for a copy of so many bytes made ready behind the task, if nothing is written now."""
        if self._copy and not self._closed and not self.is_busy:
            self._hand_over(partial(self._staging.prepare, size))

    def wait(self, timeout: float | None) -> bool:
        """Wait until nothing is being written; whether that came within so many seconds."""
        with self._ready:
            return self._ready.wait_for(lambda: self._job is None, timeout)

    def close(self) -> None:
        """The try has ended: what is still being written is given up."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(2.0)
        self._staging.close()

    # --- the thread's side ---

    def _hand_over(self, job: Callable[[], object]) -> None:
        with self._ready:
            self._job = job
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="diaspora-checkpoint", daemon=True)
                self._thread.start()
            self._ready.notify_all()

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._job is not None or self._closed)
                job = self._job
                if job is None or self._closed:
                    self._job = None
                    self._ready.notify_all()
                    return
            try:
                job()
            except Exception:  # the task must not suffer
                logger.exception("parsl_diaspora: a checkpoint met a fault of ours.")
            finally:
                del job
                with self._ready:
                    self._job = None
                    self._ready.notify_all()

    def _write(self, pieces: Sequence[Piece], began: float, copied: float | None, final: bool) -> bool:
        """Write a save to all levels and remove what is not needed any more; whether it is safe."""
        try:
            saved = self._written(pieces, began, copied, final)
        except _Abandoned:
            return False
        except CheckpointFenced as error:
            self.is_fenced = True
            self._heard.failed("a later try of the task has begun", error)
        except CheckpointTooLarge as error:
            self._heard.failed("it would pass the quota", error)
        except (OSError, ImportError) as error:
            self._heard.failed("the store takes nothing", error)
        except Exception as error:  # the task must not suffer from a fault of ours
            logger.exception("parsl_diaspora: a checkpoint met a fault of ours.")
            self._heard.failed("a fault of ours", error)
        else:
            self._heard.saved(saved)
            return True
        return False

    def _written(self, pieces: Sequence[Piece], began: float, copied: float | None, final: bool) -> Saved:
        cpu = time.thread_time()
        self._places.look()
        if not self._places.hold(self._known.objects):
            self._known = Known()
        self._number += 1
        save = Save(self._identity.launch, self._number)
        writing = self._writing(save, pieces, final)
        level, levels = self._places.write(save, writing)
        ended = time.perf_counter()
        seconds = ended - (began if copied is None else copied)
        self._speed = writing.written / max(seconds, 1e-6)
        self._settle(save, writing)
        return Saved(
            save=save,
            size=sum(piece.leaf.size for piece in pieces),
            written=writing.written,
            stopped=seconds if copied is None else copied - began,
            seconds=seconds,
            cpu=time.thread_time() - cpu,
            level=level.url,
            levels=levels,
            final=final,
        )

    def _writing(self, save: Save, pieces: Sequence[Piece], final: bool) -> Writing:
        identity = self._identity
        about = Manifest(
            leaves=(),
            chunks=(),
            saves=(),
            run=identity.run,
            task=identity.task,
            attempt=identity.attempt,
            time=time.time(),
            final=final,
        )
        packing = Packing(self._speed, self._library)
        return Writing(
            save.name, pieces=pieces, known=self._known, packing=packing, about=about, check=self._check
        )

    def _check(self, written: int) -> None:
        if self._closed:
            raise _Abandoned
        if self._quota and self._known.size + written > self._quota:
            message = f"The task's saves may take {size_words(self._quota)}, and this one would need more."
            raise CheckpointTooLarge(message, hint="Raise the quota in the setting 'checkpoint'.")

    def _settle(self, save: Save, writing: Writing) -> None:
        if writing.manifest is None:
            return
        self.newest = writing.manifest
        self._known = Known(writing.manifest)
        self._kept = [(save, writing.manifest), *self._kept][: self._keep]
        try:
            self._store.retain(self._kept, self._identity.launch)
        except OSError as error:
            self._heard.failed("saves that are not needed cannot be removed", error)

    def _one_place_fails(self, error: OSError) -> None:
        self._heard.failed("one of the places that keep saves takes nothing", error)
