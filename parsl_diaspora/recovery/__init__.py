"""What to do about a failed try: options, budgets, rules as data, the decision, quarantine.

Nothing here knows Parsl: `parsl_diaspora.monitoring.retries` is the adapter.
"""

from __future__ import annotations

from parsl_diaspora.recovery.budgets import Budgets
from parsl_diaspora.recovery.decision import Situation, decide
from parsl_diaspora.recovery.options import Options, options_of, resilience
from parsl_diaspora.recovery.quarantine import Quarantine
from parsl_diaspora.recovery.rules import RULES, Rule

__all__ = [
    "RULES",
    "Budgets",
    "Options",
    "Quarantine",
    "Rule",
    "Situation",
    "decide",
    "options_of",
    "resilience",
]
