"""How triggers are declared: in Python, or in YAML under ``triggers``."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.masking import without_secrets

_REFERENCE = re.compile(r"(env|file):.")
_KINDS = ("call", "app", "webhook", "publish")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOWER_BOUNDS = {
    "at_most": 1,
    "per": 0.001,
    "unique_for": 0.001,
    "retries": 0,
    "retry_delay": 0,
    "retry_delay_max": 0,
    "timeout": 0.01,
}


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """What a trigger does with an event: exactly one of the four.

    Attributes:
        call: a function that takes the event as a dict, or its name as ``package.module:function``.
        app: a Parsl app that takes the event as a dict, or its name in the same form.
        webhook: URL that gets the event as a CloudEvent in JSON, by POST; or ``env:NAME`` or ``file:PATH``
            for where that URL is kept, if it is a secret.
        headers: further headers of the webhook; a value can be ``env:NAME`` or ``file:PATH``, too.
        publish: URL of the fabric that gets the event as it is.
    """

    call: Any = None
    app: Any = None
    webhook: str | None = None
    headers: dict[str, str] = {}
    publish: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            has = f"both {' and '.join(given)}" if given else "neither call, app, webhook nor publish"
            raise SettingsError(f"An action must be one thing, and this one has {has}.", hint=_HINT)
        if self.headers and self.webhook is None:
            hint = "Add {webhook: URL}, or leave the headers out."
            raise SettingsError("An action has headers, but no webhook to send them to.", hint=hint)
        for name in ("call", "app"):
            target = getattr(self, name)
            if target is not None and not callable(target) and not _is_name(target):
                raise SettingsError(
                    f"The action's {name!r} is {target!r}, which cannot be called.", hint=_HINT
                )

    @property
    def what(self) -> str:
        """Which of the four."""
        return next(name for name in _KINDS if getattr(self, name) is not None)

    def shown(self) -> dict[str, Any]:
        """As plain data without secrets."""
        shown: dict[str, Any] = {self.what: self._target()}
        if self.headers:
            shown["headers"] = {name: _masked(value) for name, value in self.headers.items()}
        return shown

    def __str__(self) -> str:
        return f"{self.what} {self._target()}"

    def __repr__(self) -> str:
        return f"Action({', '.join(f'{name}={value!r}' for name, value in self.shown().items())})"

    def _target(self) -> str:
        target = getattr(self, self.what)
        if self.what == "webhook":
            return without_path(target)
        if self.what == "publish":
            return without_secrets(target)
        return target if isinstance(target, str) else name_of(target)


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events lead to which action.

    Attributes:
        name: letters, digits, dots, dashes and underscores; told apart from the others by it.
        pattern: which events, in the grammar of AWS EventBridge's event patterns.
        action: what to do.
        at_most: actions within ``per`` seconds; further events are held back and counted. None: no limit.
        per: seconds.
        unique_by: fields, as ``failure.frame``: of events with the same values there only the first within
            ``unique_for`` seconds counts.
        unique_for: seconds.
        retries: how often an action that failed is tried again.
        retry_delay: seconds before the first of these; doubles with each further one.
        retry_delay_max: longest delay, seconds.
        timeout: seconds that one try may take. It is then given up; as it may still be at work, it is not
            tried again.
        dead_letter: URL of the fabric that is told of events whose action failed; None for the fabric that
            they came from.

    Example:
        >>> Trigger(name="t", pattern={"kind": ["run.ended"]}, action=Action(call="builtins:print")).retries
        2
    """

    name: str
    pattern: dict[str, Any]
    action: Action
    at_most: int | None = None
    per: float = 60.0
    unique_by: tuple[str, ...] = ()
    unique_for: float = 60.0
    retries: int = 2
    retry_delay: float = 1.0
    retry_delay_max: float = 60.0
    timeout: float = 60.0
    dead_letter: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            hint = "Use at most 64 letters, digits, dots, dashes and underscores."
            raise SettingsError(f"{self.name!r} is no name for a trigger.", hint=hint)
        fields: Any = self.unique_by  # made in Python, it may be a list, or one field
        unique_by = (fields,) if isinstance(fields, str) else tuple(fields)
        msgspec.structs.force_setattr(self, "unique_by", unique_by)
        for name, low in _LOWER_BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and low <= value < float("inf")):
                message = (
                    f"The option {name!r} of the trigger {self.name!r} must be at least {low}, not {value}."
                )
                raise SettingsError(message, hint="docs/settings.md has the defaults.")

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as plain data but for what can be called."""
        return {**_given(self), "action": _given(self.action)}

    def shown(self) -> dict[str, Any]:
        """The same without secrets, all of it plain data."""
        shown = {**_given(self), "action": self.action.shown()}
        if self.dead_letter:
            shown["dead_letter"] = without_secrets(self.dead_letter)
        return shown


def check_names(triggers: tuple[Trigger, ...]) -> None:
    """Refuse two triggers of the same name.

    Raises:
        SettingsError: there are two.
    """
    names = [trigger.name for trigger in triggers]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"Two triggers have the name {twice!r}.", hint="Events tell them apart by it.")


def without_path(url: str) -> str:
    """A webhook's URL as far as it can be shown: its path is often the secret.

    Example:
        >>> without_path("https://me:pw@hooks.example.org/services/T0/B0/x?y=1")
        'https://hooks.example.org/...'
    """
    if _REFERENCE.match(url):
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "..."
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}/..."


def name_of(target: Any) -> str:
    """The name of something that can be called; never its repr, which may show what it holds."""
    function = getattr(target, "func", target)
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    return f"{module}:{name}" if name else type(target).__name__


def is_reference(value: str) -> bool:
    """Whether a value says where a secret is kept: ``env:NAME`` or ``file:PATH``."""
    return bool(_REFERENCE.match(value))


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if callable(value) or value != _default(field):
            given[field.name] = list(value) if isinstance(value, tuple) else value
    return given


def _default(field: msgspec.structs.FieldInfo) -> Any:
    factory: Any = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()


def _masked(value: str) -> str:
    return value if is_reference(value) else "***"


def _is_name(target: Any) -> bool:
    module, colon, name = target.partition(":") if isinstance(target, str) else ("", "", "")
    return bool(
        colon and name and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))
    )


_HINT = (
    "Write one of {call: package.module:function}, {app: package.module:app}, {webhook: URL}, {publish: URL}."
)
