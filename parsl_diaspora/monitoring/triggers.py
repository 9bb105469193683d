"""The triggers of a run: their engine begins and ends with it, and their actions may be Parsl apps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from parsl_diaspora.events import Event, RunEnded
from parsl_diaspora.fabric import FlushReport
from parsl_diaspora.fabric.triggers import Pattern, TriggerEngine, find, make_handler, plain
from parsl_diaspora.state import Live
from parsl_diaspora.trigger_settings import Trigger, check_names

END_SECONDS = 10.0
_FLUSH_SECONDS = 2.0
_EARLIER = 1.0  # seconds before the engine's start that a fabric may have taken the run's first events


class AppCall:
    """Starts a Parsl app with an event as a dict; the action ends as the app's future does.

    What its tasks do leads to no further action of this trigger: an app that fails, started for failures,
    would go on for ever.

    Args:
        trigger: as declared.
    """

    def __init__(self, trigger: Trigger) -> None:
        self._app = find(trigger.action.app, trigger.name)
        self._tasks: set[int] = set()
        self._starting = threading.Lock()  # held until the task is known, so that no event comes before

    def __call__(self, event: Event) -> Any:
        """Start the app."""
        with self._starting:
            future = self._app(plain(event))
            number = getattr(future, "tid", None)
            if number is not None:
                self._tasks.add(number)
        return future

    def caused(self, event: Event) -> bool:
        """Whether the event is about a task of this app's making."""
        if event.task is None:
            return False
        with self._starting:
            return event.task in self._tasks

    def close(self) -> None:
        """Nothing is held."""


MAKERS = {"app": AppCall}


def check_triggers(triggers: Iterable[Trigger]) -> None:
    """Find out before anything runs whether triggers can be had.

    Raises:
        PatternError: the pattern of one is none.
        SettingsError: an action cannot be had, or a name is taken.
        FabricError: a fabric cannot be opened.
    """
    declared = tuple(triggers)
    check_names(declared)
    for trigger in declared:
        Pattern(trigger.pattern)
        make_handler(trigger, MAKERS).close()


class _LiveVoice:
    """Says what triggers have done as the run itself, so that its picture knows."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def publish(self, event: Event) -> None:
        """Say an event."""
        self._live.say(event)

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait for what was said to be safe."""
        return self._live.flush(timeout)


class RunTriggers:
    """Follows the run's fabric from its first event to its last.

    Args:
        live: the run's state.
        triggers: as declared.
    """

    def __init__(self, live: Live, triggers: Iterable[Trigger]) -> None:
        self._live = live
        run = live.picture.run
        self.engine = TriggerEngine(
            live.fabric,
            triggers,
            voice=_LiveVoice(live),
            name=f"triggers-{run[:8]}",
            start=time.time() - _EARLIER,
            makers=MAKERS,
            accepts=lambda event: event.run == run,
            is_last=lambda event: isinstance(event, RunEnded),
            absorb=live.absorb,
            durable=False,
        )
        self.engine.start()

    def end(self) -> None:
        """Do what is left, the run's last event included; what is not done then becomes dead letters."""
        try:
            self._live.flush(_FLUSH_SECONDS)
            if not self.engine.finish(END_SECONDS, gives_up=True):
                raise TimeoutError(f"actions were still under way {END_SECONDS:g} s after the run's end")
        except Exception as error:  # noqa: BLE001 - promise 1: a program's end is not to fail for this
            self._live.absorb("triggers", error)
