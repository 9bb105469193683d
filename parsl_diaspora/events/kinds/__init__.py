"""The kinds of events, past tense, grouped by what they are about.

A kind that changes its meaning gets a new ``VERSION`` and an entry in `parsl_diaspora.events.codec.UPGRADES`
that turns the old one into the new.
"""

from parsl_diaspora.events.envelope import Event as _Event
from parsl_diaspora.events.envelope import kind_of as _kind_of
from parsl_diaspora.events.kinds import (
    checkpoints,
    decisions,
    fabrics,
    held,
    migrations,
    nodes,
    places,
    pools,
    resources,
    tasks,
    triggers,
)

__all__ = ["KINDS"]

_WHERE = (checkpoints, decisions, fabrics, held, migrations, nodes, places, pools, resources, tasks, triggers)
_MODULES = {module.__name__ for module in _WHERE}


def _all_kinds(base: type[_Event]) -> dict[str, type[_Event]]:
    return {_kind_of(cls): cls for cls in base.__subclasses__() if cls.__module__ in _MODULES}


KINDS: dict[str, type[_Event]] = _all_kinds(_Event)
