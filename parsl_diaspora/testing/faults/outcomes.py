"""What came of one scenario, and how it is said in a table."""

from __future__ import annotations

import msgspec

#: What a program says that is to be killed itself.
READY = "ready"


class Outcome(msgspec.Struct, kw_only=True):
    """What a program under one fault went through. Times are seconds since the fault.

    Attributes:
        scenario: its name.
        kind: ``ours`` or ``stock``.
        bound: seconds after which nothing was waited for any more.
        noticed: when the first failed try came to the retry handler; None if none did.
        failure: class of what came there.
        relaunched: when the last try began; None if none began after the fault.
        ended: when the last future ended; None if one had not at the bound.
        done: tasks with a result.
        total: all tasks.
        saw: classes of the exceptions that the program got, each once.
        wasted: tries that failed.
        suspected: when a node was suspected; None if none was.
        recovered: when it was taken back; None if it was not.
        gone: when nothing of the run was left, after its submit process was killed; None if that was not it.
    """

    scenario: str
    kind: str
    bound: float
    noticed: float | None = None
    failure: str = ""
    relaunched: float | None = None
    ended: float | None = None
    done: int = 0
    total: int = 0
    saw: tuple[str, ...] = ()
    wasted: int = 0
    suspected: float | None = None
    recovered: float | None = None
    gone: float | None = None

    def when(self, moment: float | None) -> str:
        """A time in words, or that it never came.

        Example:
            >>> outcome = Outcome(scenario="manager", kind="stock", bound=30)
            >>> outcome.when(4.25), outcome.when(None)
            ('4.2 s', 'not in 30 s')
        """
        return f"not in {self.bound:.0f} s" if moment is None else f"{moment:.1f} s"

    @property
    def story(self) -> str:
        """What the program saw, in a few words.

        Example:
            >>> Outcome(scenario="s", kind="ours", bound=9, done=2, total=2, ended=3.0, wasted=1).story
            '2 of 2 done, 1 try lost'
        """
        words = [f"{self.done} of {self.total} done"]
        if self.wasted:
            words.append(f"{self.wasted} {'try' if self.wasted == 1 else 'tries'} lost")
        if self.suspected is not None:
            words.append(f"suspect after {self.suspected:.1f} s")
        if self.recovered is not None:
            words.append(f"trusted again after {self.recovered:.1f} s")
        return ", ".join([*words, *self.saw])


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Outcome).decode
