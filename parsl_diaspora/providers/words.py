"""What a scheduler said, for people: its own words, shortened, and without secrets."""

from __future__ import annotations

from typing import Any, NamedTuple

from parsl_diaspora.masking import without_secrets

LONGEST = 400  # characters that are kept


class Heard(NamedTuple):
    """What a command of a scheduler said.

    Attributes:
        command: its first word.
        code: exit status.
        out: on standard output.
        err: on standard error.
    """

    command: str
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """In one line."""
        said = shortened(self.err) or shortened(self.out) or "it said nothing"
        return f"{self.command} ended with code {self.code}: {said}"


def words_of(error: BaseException) -> str:
    r"""The words of an error: what the scheduler's command said where Parsl has kept it, else its own.

    Example:
        >>> from parsl.providers.errors import SubmitException
        >>> words_of(
        ...     SubmitException("j", "no id", stdout="", stderr="sbatch: error: QOSMaxSubmitJob\n", retcode=1)
        ... )
        'sbatch: error: QOSMaxSubmitJob'
    """
    for name in ("stderr", "stdout", "reason"):
        if said := shortened(getattr(error, name, None)):
            return said
    return shortened(str(error)) or type(error).__name__


def shortened(text: Any) -> str:
    r"""A text in one line, its beginning and end if it is long.

    Example:
        >>> shortened("a\n  b ")
        'a b'
    """
    line = without_secrets(" ".join(str(text or "").split()))
    if len(line) <= LONGEST:
        return line
    half = LONGEST // 2
    return f"{line[:half]} ... {line[-half:]}"
