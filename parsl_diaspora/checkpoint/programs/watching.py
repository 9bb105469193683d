"""When the files of a program that runs may be taken for whole."""

from __future__ import annotations

from collections.abc import Callable

from parsl_diaspora.checkpoint.programs.looks import Looks

QUIET = 0.5  # seconds without a change, after which nobody is in the middle of writing
PATIENCE = 60.0  # seconds for a program to answer a signal


class Watch:
    """Looks at the files again and again; says when they can be read. It does nothing itself.

    A program that takes a signal is asked once for each save, and its files are whole when they have changed
    after that and come to rest. Others are never asked: their files are taken when they are at rest. A single
    file that was written beside its name and renamed is whole at once, however often that happens; of several
    files nobody can tell before they rest whether they belong together.

    Args:
        ask: sends the signal; whether any process has a handler for it. None for programs that take none.
        quiet: seconds without a change that are rest.
        patience: seconds for which an answer is waited for; after that, what is at rest is taken.

    Attributes:
        taken: how the files looked when they were saved or restored last.

    Example:
        >>> from parsl_diaspora.checkpoint.programs.looks import Look
        >>> watch = Watch(quiet=1.0)
        >>> looks = {"state.bin": Look(5, 0, 0, 1)}
        >>> [watch.step(now, looks, wanted=True) for now in (0.0, 0.5, 1.0)]
        [False, False, True]
        >>> watch.took(looks)
        >>> watch.step(9.0, looks, wanted=True)  # there is nothing new
        False
    """

    def __init__(
        self,
        ask: Callable[[], bool] | None = None,
        *,
        quiet: float = QUIET,
        patience: float = PATIENCE,
        taken: Looks | None = None,
    ) -> None:
        self.taken: Looks = taken or {}
        self._ask = ask
        self._quiet = quiet
        self._patience = patience
        self._seen: Looks | None = None
        self._since = 0.0
        self._asked: float | None = None
        self._before: Looks = {}
        self._heard = False

    def step(self, now: float, looks: Looks, *, wanted: bool) -> bool:
        """Look once more.

        Args:
            now: monotonic seconds.
            looks: how the files look.
            wanted: a save is wanted.

        Returns:
            Whether the files should be read now.
        """
        if looks != self._seen:
            self._seen, self._since = looks, now
        if not wanted:
            self._asked = None
            return False
        self._ask_if_due(now, looks)
        if not looks or looks == self.taken or self._is_waited_for(now, looks):
            return False
        return now - self._since >= self._quiet or _is_whole(looks)

    def took(self, looks: Looks) -> None:
        """The files were saved as they looked then."""
        self.taken, self._asked = looks, None

    @property
    def asks(self) -> bool:
        """Whether some process takes the signal, as far as was seen."""
        return self._ask is not None and (self._heard or self._asked is None)

    def _ask_if_due(self, now: float, looks: Looks) -> None:
        if self._ask is None:
            return
        waited = self._asked is not None and now - self._asked < self._patience
        if self._asked is not None and self._heard and (waited or looks != self.taken):
            return
        self._asked, self._before, self._heard = now, looks, self._ask()

    def _is_waited_for(self, now: float, looks: Looks) -> bool:
        """Whether the program was asked, and has not begun to write."""
        asked = self._asked
        return asked is not None and self._heard and looks == self._before and now - asked < self._patience


def _is_whole(looks: Looks) -> bool:
    """Whether there is one file alone, and nobody writes to it."""
    return len(looks) == 1 and all(look.is_sealed for look in looks.values())
