"""Pattern to action: what is to be done about which events.

pattern.py    which events are meant, in the grammar of AWS EventBridge's event patterns
handlers.py   what is done: a function, a webhook, a further fabric; Parsl apps come from where Parsl is known
running.py    one trigger at work: throttling, deduplication, retries, dead letters
engine.py     the consumer of a fabric that drives them
"""

from parsl_diaspora.fabric.triggers.engine import TriggerEngine
from parsl_diaspora.fabric.triggers.handlers import Handler, Maker, find, make_handler
from parsl_diaspora.fabric.triggers.letters import Voice
from parsl_diaspora.fabric.triggers.pattern import Mismatch, Pattern
from parsl_diaspora.fabric.triggers.running import Counts
from parsl_diaspora.fabric.triggers.tree import plain

__all__ = [
    "Counts",
    "Handler",
    "Maker",
    "Mismatch",
    "Pattern",
    "TriggerEngine",
    "Voice",
    "find",
    "make_handler",
    "plain",
]
