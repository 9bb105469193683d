"""The diagnoser that a program's settings ask for."""

from __future__ import annotations

from parsl_diaspora.failures.diagnosis import Diagnoser, Model
from parsl_diaspora.failures.rules import built_in, load_rules
from parsl_diaspora.settings import Settings


def diagnoser_for(settings: Settings, model: Model | None = None) -> Diagnoser:
    """Rules of the site before the built-in ones.

    Raises:
        SettingsError: the file of rules cannot be read, or something in it is wrong.
    """
    rules = built_in()
    if settings.failure_rules:
        rules = load_rules(settings.failure_rules) + rules
    return Diagnoser(rules, model=model, destined_after=settings.destined_after)
