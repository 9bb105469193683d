"""Every exception of this package.

    DiasporaError                  has .message and .hint
    ├── SettingsError              a setting is unknown, has the wrong type, or cannot be read
    ├── ConfigurationError         what was given is not a Parsl Config, or cannot be made resilient
    ├── FabricError                an event fabric cannot do what was asked; has .url
    │   ├── UnknownFabric          the URL names no fabric that is installed
    │   └── FabricUnavailable      the fabric is there in principle, but cannot be opened or written now
    │       └── Refusal            the web service of Octopus did not do what it was asked to
    ├── PoolError                  a pool of providers, or of executors, cannot be as it was asked for
    │   └── NoMemberAvailable      no member takes a block now; has .reasons, .rejected and .wait
    ├── PatternError               a trigger's pattern is not one; has .path
    ├── EventError                 bytes that are no event of ours, or an event that cannot become bytes
    ├── NotFound                   a run or task that the log does not know; has .what and .where
    ├── NotInTask                  current_task() was called outside a task
    ├── CheckpointError            a task's state cannot be saved or restored
    │   ├── StateNotSavable        a part of it cannot be made bytes; has .part
    │   ├── StateChanged           what was saved does not fit the program any more; has .part
    │   ├── StateNotRestored       a file of it cannot be written back; has .errno
    │   ├── CheckpointDamaged      a save is torn or its bytes are others
    │   ├── CheckpointFenced       a later try has begun, so this one saves no more
    │   └── CheckpointTooLarge     a save would pass the task's quota
    ├── TaskCancelled              cancel() ended the task; has .task and .reason
    ├── TaskHeldTooLong            a task that never ran was held to the end, or failed by hand; has .task
    ├── NonRetryable               raised by an app: trying again cannot help; has .type
    ├── RetryAfter                 raised by an app: try again, but not before so many seconds; has .seconds
    ├── TaskFailure                a try that ended without a usable answer; has .place
    │   ├── ResultUnreadable       the task's result cannot be rebuilt on the submit side
    │   ├── ExceptionUnreadable    the task's exception cannot be rebuilt; has .chain and .traceback
    │   ├── TaskExited             the task called sys.exit(); has .exit_code
    │   ├── TaskInterrupted        KeyboardInterrupt or another interrupt ended the task; has .kind
    │   ├── TaskStopped            the task was made to stop while it ran
    │   ├── TaskLeft               the task saved its state and left, to go on elsewhere; has .reason
    │   └── RunAgain               a program has saved its files and asks to be run again; has .exit_code
    ├── InterchangeLost            an executor's interchange process ended; has .executor and .exit_code
    ├── NoBlocks                   an executor has no block that could run its tasks; has .executor
    ├── NoMember                   a pool of executors has no member that takes tasks; has .pool
    ├── SeamMissing                this release of Parsl lacks what a part of ours rests on; has .seam
    ├── WorkerDied                 a worker died under its task; has .exit_code, .out_of_memory, .hostname
    ├── NeverStarted               a manager held a task and never started it; has .manager
    └── RunnerUnusable             the workers' environment lacks this package, or has one that does not fit

The last seven live in `parsl_diaspora.executors.errors`.
Messages are full sentences: what, where, why. The hint says what to do. All of them survive pickling.
"""

from __future__ import annotations

from typing import Any


def _rebuild(cls: type[DiasporaError], args: tuple[Any, ...], fields: dict[str, Any]) -> DiasporaError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class DiasporaError(Exception):
    """Base of all errors that this package raises.

    Attributes:
        message: what went wrong, where and why, as a sentence.
        hint: what to do about it, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class SettingsError(DiasporaError):
    """A setting is unknown, has the wrong type, or its file cannot be read."""


class ConfigurationError(DiasporaError):
    """What was given is not a Parsl Config, or cannot be made resilient."""


class FabricError(DiasporaError):
    """An event fabric cannot do what was asked of it.

    Attributes:
        url: the fabric's URL, without secrets.
    """

    def __init__(self, message: str, *, url: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url


class UnknownFabric(FabricError):
    """The URL's scheme names no fabric that is installed."""


class FabricUnavailable(FabricError):
    """The fabric cannot be opened, read or written now."""


class PoolError(DiasporaError):
    """A pool of providers, or of executors, cannot be as it was asked for."""


class NoMemberAvailable(PoolError):
    """No member of a pool provider takes a block now.

    Attributes:
        reasons: why each of them does not, by member; the scheduler's own words where it rejected.
        rejected: members whose schedulers were asked just now and rejected it.
        wait: seconds until one of them may be asked again; infinity if nobody can tell.
    """

    def __init__(
        self,
        message: str,
        *,
        reasons: dict[str, str] | None = None,
        rejected: tuple[str, ...] = (),
        wait: float = 0.0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.reasons = reasons or {}
        self.rejected = rejected
        self.wait = wait


class PatternError(DiasporaError):
    """The pattern of a trigger is not one.

    Attributes:
        path: where in the pattern, as ``failure.message[0].prefix``.
    """

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class EventError(DiasporaError):
    """Bytes that are no event of ours, or an event that cannot become bytes."""


class NotFound(DiasporaError):
    """A run or a task that the log does not know.

    Attributes:
        what: what was looked for.
        where: the fabrics or directories that were searched.
    """

    def __init__(self, message: str, *, what: str = "", where: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.what = what
        self.where = where


class NotInTask(DiasporaError):
    """``current_task()`` was called outside a task that this package runs."""


class TaskCancelled(DiasporaError):
    """Somebody asked that the task be stopped, so it has no result. It is never tried again.

    Attributes:
        task: Parsl's task id.
        reason: what whoever asked said, or an empty string.
    """

    def __init__(self, message: str, *, task: int | None = None, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.task = task
        self.reason = reason


class TaskHeldTooLong(DiasporaError):
    """A task that never ran was held, and somebody, the end of the program, or ``hold_timeout`` ended it.

    Attributes:
        task: Parsl's task id.
    """

    def __init__(self, message: str, *, task: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.task = task


class NonRetryable(DiasporaError):
    """Raised inside an app to say that trying again cannot help: the raiser knows best.

    Args:
        message: what is wrong.
        type: a short name for this kind of failure, for reports and rules.

    Example:
        >>> raise NonRetryable("missing calibration file", type="BadInput")
        Traceback (most recent call last):
        ...
        parsl_diaspora.errors.NonRetryable: missing calibration file
    """

    def __init__(
        self,
        message: str = "The app says that trying again cannot help.",
        *,
        type: str = "",  # noqa: A002 - the name that users read in reports
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.type = type


class RetryAfter(DiasporaError):
    """Raised inside an app to be tried again, but not before so many seconds.

    Args:
        seconds: to wait, from the moment that the failure is known.
        reason: what the app waits for, for people.

    Attributes:
        seconds: as given.

    Example:
        >>> raise RetryAfter(30, "the licence server is busy")
        Traceback (most recent call last):
        ...
        parsl_diaspora.errors.RetryAfter: the licence server is busy (to be tried again after 30 s)
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        words = reason or "The app asks for time."
        super().__init__(f"{words} (to be tried again after {seconds:g} s)")
        self.seconds = float(seconds)


class TaskFailure(DiasporaError):
    """A try that ended without an answer that the submit side can use.

    Attributes:
        place: where the try ran, as ``key=value`` words, as far as it is known.
    """

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place


class ResultUnreadable(TaskFailure):
    """The task finished, but its result cannot be sent or rebuilt on the submit side."""


class ExceptionUnreadable(TaskFailure):
    """The task raised, but its exception cannot be rebuilt on the submit side.

    Attributes:
        chain: qualified class names, the raised one first, then its bases up to Exception.
        traceback: the worker's traceback as text.
    """

    def __init__(
        self,
        message: str,
        *,
        chain: tuple[str, ...] = (),
        traceback: str = "",
        place: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, place=place, hint=hint)
        self.chain = chain
        self.traceback = traceback


class TaskExited(TaskFailure):
    """The task called ``sys.exit()``. Its worker lives on.

    Attributes:
        exit_code: what a program would have handed to its parent.
    """

    def __init__(self, message: str, *, exit_code: int = 0, place: str = "", hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.exit_code = exit_code


class TaskInterrupted(TaskFailure):
    """An exception that is no ``Exception``, as KeyboardInterrupt, ended the task. Its worker lives on.

    Attributes:
        kind: name of the exception's class.
    """

    def __init__(self, message: str, *, kind: str = "", place: str = "", hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.kind = kind


class TaskStopped(TaskFailure):
    """The task was made to stop while it ran, because somebody asked for it."""


class TaskLeft(TaskFailure):
    """The task saved its state and left its place, to go on from there elsewhere.

    Attributes:
        reason: why, in words.
    """

    def __init__(self, message: str, *, reason: str = "", place: str = "", hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.reason = reason


class CheckpointError(DiasporaError):
    """A task's state cannot be saved or restored."""


class StateNotSavable(CheckpointError):
    """A part of a task's state cannot be made bytes.

    Attributes:
        part: its name.
    """

    def __init__(self, message: str, *, part: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.part = part


class StateChanged(CheckpointError):
    """What was saved does not fit the program as it is now.

    Attributes:
        part: name of the part of the state.
    """

    def __init__(self, message: str, *, part: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.part = part


class StateNotRestored(CheckpointError):
    """A file that belongs to a task's state cannot be written back, so there is no state to go on from.

    Attributes:
        errno: of the operating system; None if it gave none.
    """

    def __init__(self, message: str, *, errno: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class CheckpointDamaged(CheckpointError):
    """A save is torn, or its bytes are not those that were written."""


class CheckpointFenced(CheckpointError):
    """A later try of the task has begun, so this one can save no more."""


class CheckpointTooLarge(CheckpointError):
    """A save would need more room than the task may have."""


class RunAgain(TaskFailure):
    """The program of a bash app has ended with the exit code that says: checkpointed, run me again.

    Its files were saved, and they are others than those that it began with.

    Attributes:
        exit_code: of the program.
    """

    def __init__(self, message: str, *, exit_code: int = 85, place: str = "", hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.exit_code = exit_code
