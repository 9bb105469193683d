"""The one configuration object: from Python, from YAML, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.checkpoint_settings import CheckpointSpec
from parsl_diaspora.errors import SettingsError
from parsl_diaspora.hints import nearest, nearest_name
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.trigger_settings import Action, Trigger, check_names

__all__ = [
    "ENVIRONMENT_PREFIX",
    "FILE_VARIABLE",
    "OTHER_VARIABLES",
    "RELAY_WORDS",
    "Settings",
    "read_yaml",
]

ENVIRONMENT_PREFIX = "PARSL_DIASPORA_"
FILE_VARIABLE = "PARSL_DIASPORA_SETTINGS"
#: Variables with the prefix that are no settings: `parsl_diaspora.testing.processes` marks processes by them,
#: and one says which services the tests of this project must find.
#: Tells what runs in a block when its walltime is over: whole seconds of the epoch, by the clock of its node.
BLOCK_ENDS_VARIABLE = "PARSL_DIASPORA_BLOCK_ENDS"

OTHER_VARIABLES = frozenset(
    {
        FILE_VARIABLE,
        BLOCK_ENDS_VARIABLE,
        "PARSL_DIASPORA_MARK",
        "PARSL_DIASPORA_PLACE",
        "PARSL_DIASPORA_TEST_NODES",
        "PARSL_DIASPORA_TEST_SERVICES",
    }
)
_TEXTS = (str, str | None, bool | str)
RELAY_WORDS = ("auto", "on", "off")
_URLS = ("fabric", "places")


class _CheckedKeywords(type(msgspec.Struct)):  # type: ignore[misc]
    """Makes ``Settings(max_tires=3)`` answer like the YAML file does, instead of a bare TypeError."""

    def __call__(cls, **values: Any) -> Any:
        _refuse_unknown(values, "the given keywords")
        return _convert(values, cls, "the given keywords")


class Settings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=_CheckedKeywords
):
    """How a program is made resilient. Every field has a default that suits most programs.

    Attributes:
        fabric: URL of the event fabric; None puts a ``file:`` fabric into the run's own directory.
        relay: whether workers send their events to a hub in the submitting process, from where they go to the
            fabric: ``auto`` (only where workers cannot reach the fabric themselves), ``on``, ``off``, or the
            ``HOST`` or ``HOST:PORT`` to listen on. By default it listens on the address that each executor
            gives its own interchange, encrypted, with keys made for the run. True and False, which YAML makes
            of these words, mean ``on`` and ``off``.
        retries: budget per failure class, as ``{"memory": 3}``; see `parsl_diaspora.failures` for the
            classes. Classes that are not named keep their defaults. The class ``application`` defaults to
            ``Config.retries``, but at least 1.
        max_tries: hard total of tries a task, whatever the classes say.
        policy: what is done about failed tries: the path of a YAML file, or the same as a mapping; see
            `parsl_diaspora.recovery.Policy`. Its budgets and its total go over ``retries`` and ``max_tries``.
        sites: site of each executor, by its label. An executor that is not named is a site of its own.
        retry_delay: seconds before the second infrastructure retry; doubles with each further one.
        retry_delay_max: longest delay before a retry, seconds.
        move: which executors a retry may go to: ``app`` (those the app itself allows), ``any``, ``none``.
        quarantine_after: failures of different tasks at one manager within the window that put it in
            quarantine, if none succeeded there meanwhile; 0 switches quarantine off.
        quarantine_window: seconds over which those failures are counted.
        quarantine_for: seconds that a quarantine lasts.
        replace_blocks: start a new block when one is lost, instead of giving the executor up.
        block_start_failures: rounds of blocks in a row that never connect before the tasks of an executor are
            ended; an executor of which no block ever connected is then given up.
        block_wait: seconds for which tasks wait at an executor that has no block, neither running nor queued,
            before they are ended.
        interchange_silence: seconds for which an executor's interchange may answer nothing before it is
            killed and replaced.
        interchange_restarts: new interchanges that an executor may have within ten minutes; one more loss,
            and it is given up.
        stall_after: seconds that a manager may hold tasks without starting any before it counts as stalled;
            None for 5 where its pool runs on this host, and 60 elsewhere, where a shared file system may be
            slow to show that tasks have started.
        events_buffer: events kept in memory while the fabric is slow; beyond it they are counted as lost.
        grace: seconds for which a task whose worker or manager was lost, nobody knows why, waits for late
            evidence of the cause before its next try.
        hold_timeout: seconds for which a held task waits for somebody to release it; then it fails with its
            last error. None for no end.
        restore_workers: put back, after each try, what a task changed in its worker: working directory,
            umask, priority, cores, limits, alarms, handlers of signals, environment variables.
        traceback_limit: bytes of a traceback that are recorded.
        redact: ``package.module:function`` from text to text, applied to recorded messages and tracebacks
            before they leave the worker.
        failure_rules: path of a YAML file with rules that tell why a try failed, tried before the
            built-in ones.
        failure_model: path of a model that guesses where no rule is certain, made by ``parsl-diaspora model
            train``; empty for the one that comes with this package, ``off`` for none.
        destined_after: different healthy places at which the same failure of the same task, with the same
            inputs, proves that trying again is useless; 0 for never.
        diagnoser: ``package.module:function`` of a diagnoser of the site's own, asked about failures that no
            rule tells, in a thread of its own; see `parsl_diaspora.monitoring.deciding.second_opinion`.
        diagnoser_timeout: seconds that it may take for one failure.
        triggers: what to do about which events while the program runs; see `Trigger`.
        places: URL of the fabric through which runs share what they learn of places; None for a directory
            ``places`` beside those of the runs, ``off`` for a memory that ends with the run.
        pool: nodes that must be held, and how far they may become more or fewer with the work; see
            `PoolSpec`. None to leave both to Parsl's own strategy.
        checkpoint: where and how the states of running tasks are kept; see `CheckpointSpec`.

    Example:
        >>> Settings(retries={"memory": 3}, max_tries=8).max_tries
        8
    """

    fabric: str | None = None
    relay: bool | str = "auto"
    retries: dict[str, int] = {}
    max_tries: int = 12
    policy: str | dict[str, Any] | None = None
    sites: dict[str, str] = {}
    retry_delay: float = 0.5
    retry_delay_max: float = 30.0
    move: str = "app"
    quarantine_after: int = 3
    quarantine_window: float = 60.0
    quarantine_for: float = 300.0
    replace_blocks: bool = True
    block_start_failures: int = 3
    block_wait: float = 300.0
    interchange_silence: float = 10.0
    interchange_restarts: int = 3
    stall_after: float | None = None
    grace: float = 0.5
    hold_timeout: float | None = 86_400.0
    events_buffer: int = 50_000
    restore_workers: bool = True
    traceback_limit: int = 8_192
    redact: str | None = None
    failure_rules: str | None = None
    failure_model: str = ""
    destined_after: int = 2
    diagnoser: str | None = None
    diagnoser_timeout: float = 30.0
    triggers: tuple[Trigger, ...] = ()
    places: str | None = None
    pool: PoolSpec | None = None
    checkpoint: CheckpointSpec = CheckpointSpec()

    def __post_init__(self) -> None:
        if isinstance(self.relay, bool):
            msgspec.structs.force_setattr(self, "relay", "on" if self.relay else "off")
        pool: object = self.pool
        if isinstance(pool, dict):
            msgspec.structs.force_setattr(self, "pool", _convert(pool, PoolSpec, "'pool'"))
        checkpoint: object = self.checkpoint
        if isinstance(checkpoint, dict):
            msgspec.structs.force_setattr(
                self, "checkpoint", _convert(checkpoint, CheckpointSpec, "'checkpoint'")
            )
        _check(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "the given settings") -> Settings:
        """Build settings from a mapping; unknown keys are errors that name the nearest valid key.

        Raises:
            SettingsError: a key is unknown or a value does not fit.
        """
        _refuse_unknown(values, where)
        settings: Settings = _convert(values, cls, where)
        return settings

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Settings:
        """Read settings from a YAML file.

        Raises:
            SettingsError: the file cannot be read, does not parse, or holds something else than settings.
        """
        return cls.from_dict(_read_yaml(Path(path)), where=str(path))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from ``PARSL_DIASPORA_<FIELD>`` variables, over the file that `FILE_VARIABLE` names.

        Texts stand as they are, as in ``PARSL_DIASPORA_FABRIC=memory:``; other values are YAML, as in
        ``PARSL_DIASPORA_RETRIES='{memory: 3}'``.

        Raises:
            SettingsError: a variable names no setting, or a value does not fit.
        """
        values: dict[str, Any] = {}
        if path := environ.get(FILE_VARIABLE):
            values.update(_read_yaml(Path(path)))
            _refuse_unknown(values, path)
        values.update(_environment_values(environ))
        return cls.from_dict(values, where="the environment")

    def replace(self, **overrides: Any) -> Settings:
        """A copy with some fields changed.

        Raises:
            SettingsError: a name is no setting, or a value does not fit.
        """
        _refuse_unknown(overrides, "the given keywords")
        return type(self).from_dict({**self.to_dict(), **overrides}, where="the given keywords")

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data; `from_dict` takes it back."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        pool = self.pool.to_dict() if self.pool is not None else None
        checkpoint = self.checkpoint.to_dict()
        triggers = [trigger.to_dict() for trigger in self.triggers]
        return {**values, "pool": pool, "checkpoint": checkpoint, "triggers": triggers}

    def shown(self) -> dict[str, Any]:
        """All fields as plain data without secrets: for logs, events and people."""
        urls = {name: url and without_secrets(url) for name in _URLS for url in [getattr(self, name)]}
        shown = {**self.to_dict(), **urls}
        return {**shown, "triggers": [trigger.shown() for trigger in self.triggers]}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.shown().items())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return list(self.shown().items())


def _convert(values: Mapping[str, Any], cls: Any, where: str) -> Any:
    try:
        return msgspec.convert(dict(values), cls)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SettingsError):  # a trigger has said better what is wrong with it
            raise error.__cause__ from None
        raise _unfit(str(error), where) from error


def _unfit(told: str, where: str) -> SettingsError:
    """What msgspec says of a value, in our words: ``Expected `int`, got `str` - at `$.max_tries```."""
    what, _, path = told.replace("`", "").partition(" - at ")
    what = _WORDS.sub(lambda found: _OURS[found[0]], f"{what[:1].lower()}{what[1:]}")
    name = path.removeprefix("$.").removesuffix("[...]") or "settings"
    hint = "docs/settings.md tells what each setting can be."
    if unknown := _UNKNOWN.search(told):
        what = f"it has no option {unknown[1]!r}"
        hint = nearest(unknown[1], _OPTIONS_OF.get(name.partition(".")[0], _OPTIONS_OF["triggers"]))
    return SettingsError(f"{name!r} in {where} does not fit: {what}.", hint=hint)


_OPTIONS_OF = {
    "checkpoint": CheckpointSpec.__struct_fields__,
    "triggers": (*Action.__struct_fields__, *Trigger.__struct_fields__),
}
_OURS = {"object": "mapping", "array": "list", "null": "none", "float": "number", "int": "whole number"}
_WORDS = re.compile(rf"\b({'|'.join(_OURS)})\b")
_UNKNOWN = re.compile(r"unknown field `(\w+)`")


def _refuse_unknown(values: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key in Settings.__struct_fields__:
            continue
        hint = nearest(str(key), Settings.__struct_fields__, listed="The settings are")
        raise SettingsError(f"{key!r} in {where} is not a setting.", hint=hint)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; an empty mapping if nothing.

    Raises:
        SettingsError: the file cannot be read, or does not parse.
    """
    from parsl_diaspora.lined_yaml import read_lined

    values = read_lined(path)
    return {} if values is None else _plain(values)


def _plain(value: Any) -> Any:
    """The same without the lines where things stand."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _read_yaml(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        kind = type(values).__name__
        message = f"The settings file {path} holds a {kind}, not settings."
        raise SettingsError(message, hint="Write 'name: value' lines, as in 'max_tries: 8'.")
    return values


def _environment_values(environ: Mapping[str, str]) -> dict[str, Any]:
    import yaml

    texts = {field.name for field in msgspec.structs.fields(Settings) if field.type in _TEXTS}
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in OTHER_VARIABLES:
            continue
        key = name[len(ENVIRONMENT_PREFIX) :].lower()
        _refuse_unknown({key: text}, f"the environment ({name})")
        try:
            values[key] = (text or None) if key in texts else yaml.safe_load(text)
        except yaml.YAMLError as error:
            message = f"The environment variable {name} does not parse as YAML: {text!r}."
            hint = f"Its value is written as in {ENVIRONMENT_PREFIX}RETRIES='{{memory: 3}}'."
            raise SettingsError(message, hint=hint) from error
    return values


def _check(settings: Settings) -> None:
    for name, low in _LOWER_BOUNDS.items():
        value = getattr(settings, name)
        if value is not None and not value >= low:  # not a number is not, either
            hint = f"The default is {Settings.__struct_defaults__[Settings.__struct_fields__.index(name)]}."
            raise SettingsError(f"The setting {name!r} must be at least {low}, not {value}.", hint=hint)
    if settings.move not in ("app", "any", "none"):
        message = f"The setting 'move' cannot be {settings.move!r}."
        raise SettingsError(message, hint="Use 'app', 'any' or 'none'.")
    _check_relay(str(settings.relay))
    check_names(settings.triggers)
    for key, budget in settings.retries.items():
        if budget < 0:
            message = f"The retry budget of {key!r} must be at least 0, not {budget}."
            raise SettingsError(message, hint="0 means no retry.")


def _check_relay(relay: str) -> None:
    if relay in RELAY_WORDS:
        return
    near = nearest_name(relay.lower(), RELAY_WORDS, likeness=0.7)  # anything else is the name of a host
    if near or not relay.strip():
        hint = f"Did you mean {near!r}?" if near else "Leave it out for 'auto'."
        message = f"The setting 'relay' must be 'auto', 'on', 'off' or a host, not {relay!r}."
        raise SettingsError(message, hint=hint)


_LOWER_BOUNDS: dict[str, float] = {
    "max_tries": 1,
    "retry_delay": 0,
    "retry_delay_max": 0,
    "quarantine_after": 0,
    "quarantine_window": 0,
    "quarantine_for": 0,
    "block_start_failures": 1,
    "block_wait": 1,
    "interchange_silence": 1,
    "interchange_restarts": 0,
    "stall_after": 0.1,
    "grace": 0,
    "hold_timeout": 0,
    "events_buffer": 100,
    "traceback_limit": 0,
    "destined_after": 0,
    "diagnoser_timeout": 0.1,
}
