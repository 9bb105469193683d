"""What was learned of places, for other programs and later runs."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic


class Lesson(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True, gc=False):
    """How one function has fared at one place since that was last told.

    Attributes:
        func: the function, as ``module.name#hash``: a function that was changed is another one.
        place: ``executor:LABEL`` or ``node:HOST``.
        environment: fingerprint of Python and packages there; empty if it is not known.
        good: tries that succeeded.
        bad: weight of tries that failed: above 1 for what lies in the place, nearly nothing for what lies
            in the function.
        tries: all tries.
        lack: what the place is proven to lack, as ``module numpy`` or ``memory``.
        memory: most bytes that a successful try used; for the lack of memory, bytes that were not enough.
        hopeless: fingerprint of a failure that is the function's own: it was the same at two healthy places.
        refuted: ``hopeless`` was wrong: a try succeeded after it.
    """

    func: str
    place: str = ""
    environment: str = ""
    good: float = 0.0
    bad: float = 0.0
    tries: int = 0
    lack: str = ""
    memory: int = 0
    hopeless: str = ""
    refuted: bool = False


class PlacesLearned(Event, tag="places.learned"):
    """What a run has learned of places since it last said so. Counts are differences: readers add them up.

    Attributes:
        lessons: one for each function and place.
        forget: readers forget all that they know of functions whose name matches this, said before.
    """

    topic: ClassVar[Topic] = "control"

    lessons: tuple[Lesson, ...] = ()
    forget: str = ""
