"""What to do about a failed try: policies of budgets and rules, the decision, quarantine.

Nothing here knows Parsl: `parsl_diaspora.monitoring.retries` is the adapter.

rules.py       rules as plain data, the same from Python and YAML
policy.py      a policy; read by policy_file.py, when_file.py and do_file.py, checked by checking.py
default.yaml   the built-in policy
matching.py    which rules are for a failure: conditions.py, expressions.py
actions.py     what each action needs, and what it means for the next try
decision.py    the first rule that is for a situation and can be carried out
replay.py      the same again, from a log
options.py     what the author of an app says: ``@resilience``
"""

from __future__ import annotations

from parsl_diaspora.recovery.budgets import Budgets
from parsl_diaspora.recovery.decision import Chosen, choose, decide
from parsl_diaspora.recovery.options import Options, options_of, resilience
from parsl_diaspora.recovery.policy import Policy, built_in
from parsl_diaspora.recovery.quarantine import Quarantine
from parsl_diaspora.recovery.rules import Count, Delay, Do, Resize, Rest, Rule, Wait, When
from parsl_diaspora.recovery.situation import Situation

__all__ = [
    "Budgets",
    "Chosen",
    "Count",
    "Delay",
    "Do",
    "Options",
    "Policy",
    "Quarantine",
    "Resize",
    "Rest",
    "Rule",
    "Situation",
    "Wait",
    "When",
    "built_in",
    "choose",
    "decide",
    "options_of",
    "resilience",
]
