"""What does an action: a handler is called with an event, in a thread of its trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from typing import Any, Protocol

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.triggers.publish import Publish
from parsl_diaspora.fabric.triggers.tree import plain
from parsl_diaspora.fabric.triggers.webhook import Webhook
from parsl_diaspora.trigger_settings import Trigger


class Handler(Protocol):
    """Does an action."""

    def __call__(self, event: Event) -> Any:
        """Do it. What it raises counts as a failure, `NonRetryable` as one that trying again cannot help.

        Returns:
            Anything; if it is a future, the action ends with it.
        """
        ...

    def caused(self, event: Event) -> bool:
        """Whether the event comes of an earlier action, so that acting on it would go on for ever."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


Maker = Callable[[Trigger], Handler]


class Call:
    """Calls a function with the event as a dict.

    Args:
        function: the function.
    """

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self._function = function

    def __call__(self, event: Event) -> Any:
        """Call it."""
        return self._function(plain(event))

    def caused(self, event: Event) -> bool:
        """What a function does elsewhere is not known."""
        del event
        return False

    def close(self) -> None:
        """Nothing is held."""


def make_handler(trigger: Trigger, makers: Mapping[str, Maker]) -> Handler:
    """The handler of a trigger's action.

    Args:
        trigger: as declared.
        makers: further kinds of actions, by name; ``app`` is known only where Parsl is.

    Raises:
        SettingsError: the action cannot be had.
        FabricError: the fabric to publish to cannot be opened.
    """
    action = trigger.action
    if maker := makers.get(action.what):
        return maker(trigger)
    if action.what == "call":
        return Call(find(action.call, trigger.name))
    if action.webhook is not None:
        return Webhook(action.webhook, action.headers, timeout=trigger.timeout / 2, trigger=trigger.name)
    if action.publish is not None:
        return Publish(action.publish, timeout=trigger.timeout / 2, trigger=trigger.name)
    hint = "Declare the trigger in the program's settings, or use call, webhook or publish."
    message = f"The trigger {trigger.name!r} starts a Parsl app, which only a run of a Parsl program can do."
    raise SettingsError(message, hint=hint)


def find(target: Any, trigger: str) -> Callable[..., Any]:
    """What an action names.

    Raises:
        SettingsError: there is no such thing, or it cannot be called.
    """
    found = _load(target, trigger) if isinstance(target, str) else target
    if not callable(found):
        message = f"The trigger {trigger!r} names {target!r}, which cannot be called."
        raise SettingsError(message, hint="Name a function, as package.module:function.")
    return found  # type: ignore[no-any-return]


def _load(target: str, trigger: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return reduce(getattr, name.split("."), import_module(module))
    except Exception as error:  # importing the user's module may raise anything
        message = f"The trigger {trigger!r} names {target!r}, which cannot be had: {error}."
        raise SettingsError(message, hint="It is written as package.module:function.") from error
