"""What to do about a failed try: policies of budgets and rules, the decision, quarantine.

Nothing here knows Parsl: `parsl_diaspora.monitoring.deciding.retries` is the adapter.

language/      policies as people write them, with the built-in one
situation.py   all that a decision may look at
decision.py    the first rule that is for a situation and can be carried out
actions.py     what each action needs, and what it means for the next try
budgets.py     how many failures of each class a task may have
policies.py    the policy that each app has
options.py     what the author of an app says: ``@resilience``
placement.py   where a try goes
quarantine.py  places that get no work for a while
held_reasons.py why a task may be held
replay.py      the same decision again, from a log; simulation.py does it with another policy
"""

from parsl_diaspora.recovery.budgets import Budgets
from parsl_diaspora.recovery.decision import Chosen, choose, decide
from parsl_diaspora.recovery.language.policy import Policy, built_in
from parsl_diaspora.recovery.language.rules import Count, Delay, Do, Resize, Rest, Rule, Wait, When
from parsl_diaspora.recovery.options import Options, options_of, resilience
from parsl_diaspora.recovery.quarantine import Quarantine
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
