"""How running tasks are saved: what the settings say of all, and what an app's author says of one."""

from __future__ import annotations

import signal as signals
from typing import Any

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.sizes import parse_bytes, parse_seconds

AUTO = "auto"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the tasks of one app are saved: ``@resilience(checkpoint=Checkpoint(...))``.

    Attributes:
        interval: time between two saves, as ``"30s"``, or ``auto`` for the one that loses least, from what a
            save costs and how often tasks fail where it runs. Empty for what the settings say.
        key: names the state over runs of the program. By default it is found from function and arguments.
            Names of arguments in braces stand for them, as in ``"simulation-{seed}"``.
        keep: saves that stay; 0 for what the settings say.
        copy: stop the task only for a copy in memory and write behind it. False saves the memory and stops
            the task while its state is written. None for what the settings say.
        files: of a bash app: files that are its state, as it names them in its working directory; patterns as
            of a shell, and directories for all that is in them. Names of arguments in braces stand for them,
            as in ``"{directory}/state.bin"``. They are put back before the program runs.
        exit_code: of a bash app: "I have saved my files, run me again", as 85 in HTCondor.
        signal: of a bash app: asks its programs to save, as ``"SIGUSR1"``. Empty for none. Those that have no
            handler for it are not sent it.

    Example:
        >>> Checkpoint(interval="30s", key="simulation-{seed}").interval
        '30s'
    """

    interval: str = ""
    key: str = ""
    keep: int = 0
    copy: bool | None = None
    files: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: str = ""

    def __post_init__(self) -> None:
        check_interval(self.interval, "a checkpoint's interval", empty=True)
        if self.keep < 0:
            raise SettingsError(f"A checkpoint's keep must be at least 1, not {self.keep}.", hint=_KEEP)
        if self.signal and self.signal not in signals.Signals.__members__:
            message = f"A checkpoint's signal cannot be {self.signal!r}."
            raise SettingsError(message, hint="Write it as in signal='SIGUSR1'.")

    @classmethod
    def of(cls, given: Any) -> Checkpoint | None:
        """What ``@resilience(checkpoint=...)`` was given: True, an interval, or all of it.

        Raises:
            SettingsError: it is none of these, or says something that cannot be.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls()
        if isinstance(given, (str, int, float)):
            return cls(interval=str(given))
        if isinstance(given, cls):
            return given
        message = f"checkpoint in @resilience cannot be {given!r}."
        raise SettingsError(message, hint="Write True, an interval as in '30s', or Checkpoint(...).")


class CheckpointSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Where and how the states of running tasks are kept: the setting ``checkpoint``.

    Attributes:
        store: a directory that all nodes see, or a URL that ``fsspec`` knows, as ``s3://bucket/prefix``; None
            for ``checkpoints`` beside the run directories.
        local: a directory on each node's own disk that keeps every save, too: a task that begins again on
            the same node reads it there. Empty for none.
        interval: time between two saves of a task, as ``"30s"``, or ``auto``.
        keep: saves of a task that stay.
        quota: room that the saves of one task may take, as ``"10 GB"``; empty for no limit.
        copy: stop a task only for a copy in memory and write behind it; it takes as much memory as the state.
        compress: compress where that takes less time than it saves; for that ``zstandard`` must be there.
        keep_for: time for which states of tasks that never ended well are kept.
        move_within: time in which a worker must begin the successor of a running task that is to move.
            Otherwise it stays where it is.
    """

    store: str | None = None
    local: str = ""
    interval: str = AUTO
    keep: int = 2
    quota: str = ""
    copy: bool = True
    compress: bool = True
    keep_for: str = "30d"
    move_within: str = "5m"

    def __post_init__(self) -> None:
        check_interval(self.interval, "'interval' of the setting 'checkpoint'")
        if self.keep < 1:
            message = f"'keep' of the setting 'checkpoint' must be at least 1, not {self.keep}."
            raise SettingsError(message, hint=_KEEP)
        if self.store and without_secrets(self.store) != self.store:
            message = f"The store of checkpoints holds a secret: {without_secrets(self.store)!r}."
            raise SettingsError(message, hint=_NO_SECRETS)
        _check_text(self.quota or "0", parse_bytes, "quota")
        _check_text(self.keep_for, parse_seconds, "keep_for")
        _check_text(self.move_within, parse_seconds, "move_within")

    @property
    def quota_bytes(self) -> int:
        """The quota; 0 for none."""
        return parse_bytes(self.quota) if self.quota else 0

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without what is as it always is."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


_NO_SECRETS = "It would travel with each task. Its library finds it in ~/.aws, or in AWS_SECRET_ACCESS_KEY."
_KEEP = "The default is 2: the newest, and one in case it is damaged."


def check_interval(text: str, what: str, *, empty: bool = False) -> None:
    """Refuse what is no interval.

    Raises:
        SettingsError: it is none.
    """
    if text == AUTO or (empty and not text):
        return
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        raise SettingsError(f"{_begin(what)} does not fit: {error}", hint="Or write 'auto'.") from None
    if seconds <= 0:
        raise SettingsError(f"{_begin(what)} must be more than 0, not {text}.", hint="Or write 'auto'.")


def interval_seconds(text: str) -> float | None:
    """An interval in seconds; None for the best."""
    return None if text in ("", AUTO) else parse_seconds(text)


def _check_text(text: str, parse: Any, name: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        hint = "As in quota='50 GB', keep_for='30d'."
        raise SettingsError(
            f"{name!r} of the setting 'checkpoint' does not fit: {error}", hint=hint
        ) from None


def _begin(text: str) -> str:
    return text[:1].upper() + text[1:]
