"""The exit record: what a block's own script writes down of its life, whatever the scheduler says of it.

Most schedulers forget a job when it ends, and Parsl's providers take what is no longer listed for completed.
So the script of a block begins with a few lines of shell that write a small file beside the submit script:
when it began and where, the signals that it was sent, and its exit status. The file is written anew as a
whole and put in place by renaming, so that a reader never sees half of one.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from parsl_diaspora.settings import BLOCK_ENDS_VARIABLE as ENDS

SUFFIX, REVOKED = ".exit", ".revoked"
TERM = 15
_FROM_SIGNAL = 128  # a shell's exit status for a process that was killed by signal N is 128 + N

#: Plain POSIX shell. It asks for nothing but `date`, `hostname`, `mv` and `rm`, and none of them may hurt.
_PROLOGUE = """\
_pd_record={record}
if [ -e {revoked} ]; then echo 'This block was given up before it began.' >&2; exit 0; fi
_pd_text="v=1
start=$(date +%s) host=$(hostname 2>/dev/null) node=${{SLURMD_NODENAME:-}} job=${{SLURM_JOB_ID:-}} pid=$$"
_pd_write() {{
  _pd_new=$_pd_record.$$
  {{ printf '%s\\n' "$_pd_text" > "$_pd_new" && mv -f "$_pd_new" "$_pd_record"; }} 2>/dev/null || :
}}
_pd_signal() {{
  _pd_text="$_pd_text
signal=$2 at=$(date +%s)"
  _pd_write
  trap - "$1"
  kill -s "$1" $$
}}
_pd_exit() {{
  _pd_status=$?
  _pd_text="$_pd_text
status=$_pd_status at=$(date +%s)"
  _pd_write
}}
trap _pd_exit EXIT
trap '_pd_signal TERM 15' TERM
trap '_pd_signal INT 2' INT
trap '_pd_signal HUP 1' HUP
_pd_write
"""


class ExitRecord(msgspec.Struct, frozen=True):
    """What a block's script wrote down. Times are seconds of the epoch by the clock of the node.

    Attributes:
        start: when it began.
        host: name of the node that it began on.
        node: the scheduler's name for that node; empty if it has none.
        signal: number of the first signal that it was sent; 0 for none.
        signal_at: when that was.
        status: exit status; None if it wrote down no end.
        end: when it ended.
    """

    start: float
    host: str = ""
    node: str = ""
    signal: int = 0
    signal_at: float = 0.0
    status: int | None = None
    end: float = 0.0

    @property
    def has_ended(self) -> bool:
        """It wrote down that it ended, or that it was sent a signal that ends it."""
        return self.status is not None or self.signal > 0

    @property
    def seconds(self) -> float:
        """From its beginning to its end, or to the signal."""
        return max(0.0, (self.signal_at or self.end) - self.start)

    @property
    def exit_code(self) -> int | None:
        """As a shell tells it: 128 and the number of a signal that ended it."""
        return _FROM_SIGNAL + self.signal if self.signal else self.status


def prologue(base: Path, walltime: float | None = None) -> str:
    """Lines of shell for the very beginning of a block's script.

    Args:
        base: path of the record without its suffix.
        walltime: seconds; None if the block has no end.

    Example:
        >>> prologue(Path("/runs/000/submit_scripts/block-0")).splitlines()[0]
        '_pd_record=/runs/000/submit_scripts/block-0.exit'
    """
    ends = f"export {ENDS}=$(($(date +%s) + {walltime // 60 * 60:.0f}))\n" if walltime is not None else ""
    names = {"record": shlex.quote(f"{base}{SUFFIX}"), "revoked": shlex.quote(f"{base}{REVOKED}")}
    return _PROLOGUE.format(**names) + ends


def revoke(base: Path) -> None:
    """Let a block that begins later, though nobody waits for it any more, end at once.

    Raises:
        OSError: the mark cannot be made.
    """
    Path(f"{base}{REVOKED}").touch()


def read(base: Path) -> ExitRecord | None:
    """The record of a block; None if there is none, or none that can be read.

    Args:
        base: path of the record without its suffix.
    """
    try:
        text = Path(f"{base}{SUFFIX}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return parse(text)


def parse(text: str) -> ExitRecord | None:
    r"""A record from its text; None if it is none.

    Example:
        >>> parse("v=1\nstart=100 host=n1 node= job= pid=7\nstatus=3 at=160\n").exit_code
        3
        >>> parse("v=1\nstart=100 host=n1 node=n1 job=1 pid=7\nsignal=15 at=130").seconds
        30.0
        >>> parse("torn") is None
        True
    """
    lines = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in text.splitlines()]
    try:
        start = next(line for line in lines if "start" in line)
        signal = next((line for line in lines if "signal" in line), {})
        status = next((line for line in lines if "status" in line), {})
        return ExitRecord(
            start=float(start["start"]),
            host=start.get("host", ""),
            node=start.get("node", ""),
            signal=int(signal.get("signal", 0)),
            signal_at=float(signal.get("at", 0)),
            status=int(status["status"]) if status else None,
            end=float(status.get("at", 0)),
        )
    except (StopIteration, KeyError, ValueError):
        return None
