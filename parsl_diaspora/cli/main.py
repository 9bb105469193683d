"""The command line: which command is meant, and how errors are told.

Exit status: 0 all is well; 1 the run or task is not there, the task did not end as `cancel` asked, `events
verify` found the log damaged, `events repair` left something so, `triggers test` read an event that does not
match, or `bridge` ended with something not carried; 2 the command was given something that it cannot work
with; 130 interrupted from the keyboard.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from parsl_diaspora import __version__
from parsl_diaspora.cli.examples import examples_of
from parsl_diaspora.errors import DiasporaError, NotFound
from parsl_diaspora.hints import nearest

PROGRAM = "parsl-diaspora"
NOT_FOUND, UNUSABLE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

#: Command to the module that does it, and what it does.
COMMANDS = {
    "demo": ("parsl_diaspora.cli.demo", "see a program survive, in a few minutes, on this machine"),
    "runs": ("parsl_diaspora.cli.runs", "list the runs that left a log here"),
    "report": ("parsl_diaspora.cli.report", "tell how one run went"),
    "explain": ("parsl_diaspora.cli.explain", "tell the story of one task: each try, each decision, and why"),
    "diagnose": ("parsl_diaspora.cli.diagnose", "tell why something failed, by a pasted traceback or log"),
    "top": ("parsl_diaspora.cli.top", "watch a run: nodes, workers, tasks, memory, failures, decisions"),
    "cancel": ("parsl_diaspora.cli.cancel", "stop a task of a running program"),
    "events": ("parsl_diaspora.cli.events", "look at the events themselves"),
    "hold": ("parsl_diaspora.cli.hold", "give a place of a running program no new work, or hold tasks of it"),
    "drain": ("parsl_diaspora.cli.hold", "give a place no new work, and let it go when it has ended its own"),
    "release": ("parsl_diaspora.cli.hold", "let a place have work again, or held tasks go on"),
    "undrain": ("parsl_diaspora.cli.hold", "let a drained place have work again, as long as it has not left"),
    "holds": ("parsl_diaspora.cli.holds", "list the places that get no work, and why"),
    "held": ("parsl_diaspora.cli.held", "list the tasks that wait until somebody releases them, and why"),
    "retry": ("parsl_diaspora.cli.held_orders", "let held tasks go on, with fresh budgets"),
    "fail": ("parsl_diaspora.cli.held_orders", "end held tasks with their last errors"),
    "migrate": ("parsl_diaspora.cli.migrate", "move a running task to another executor while it runs"),
    "places": ("parsl_diaspora.cli.places", "tell what is believed of places: what works where, and why not"),
    "pools": ("parsl_diaspora.cli.pools", "tell what a pool holds, or try one in a simulated world"),
    "policy": ("parsl_diaspora.cli.policy", "check a policy, or try it on the log of a run"),
    "triggers": ("parsl_diaspora.cli.triggers", "try a pattern on events, or do what triggers say"),
    "model": (
        "parsl_diaspora.cli.model",
        "look at, train or test what guesses where no rule is certain",
    ),
    "bridge": ("parsl_diaspora.cli.bridge", "carry events from one fabric to another, and back"),
}
EPILOG = """\
RUN is Parsl's run id, its beginning, or 'last'. Logs are looked for in runinfo/*/events.

  parsl-diaspora runs
  parsl-diaspora report last
  parsl-diaspora explain last 21
  parsl-diaspora explain last --failed
  parsl-diaspora top last
  parsl-diaspora cancel last 21 --reason "wrong input"
  parsl-diaspora events tail --follow
  parsl-diaspora hold last --node n17 --reason "its disk is full"
  parsl-diaspora held last
  parsl-diaspora release last --task 21 --executor gpu
  parsl-diaspora migrate last 21 --to gpu --reason "maintenance at 18:00"
  parsl-diaspora policy simulate policy.yaml --run last
  parsl-diaspora bridge --from file:./events --to kafka://host:9092
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; by default those of this process.

    Returns:
        The exit status.

    Example:
        >>> main(["events", "schema"])  # doctest: +ELLIPSIS
        {
        ...
        0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _show_any_text()
    try:
        return _run(arguments)
    except NotFound as error:
        return _say(str(error), NOT_FOUND)
    except DiasporaError as error:
        return _say(str(error), UNUSABLE)
    except BrokenPipeError:
        return _stop_writing()
    except OSError as error:
        return _say(_words(error), UNUSABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    called = _called(arguments)
    if called and called not in COMMANDS:
        hint = nearest(called, COMMANDS, listed="The commands are")
        raise DiasporaError(f"There is no command {called!r}.", hint=hint)
    try:
        args = _parser(called).parse_args(arguments)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    status: int = import_module(COMMANDS[args.command][0]).run(args)
    sys.stdout.flush()
    return status


def _called(arguments: Sequence[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _parser(called: str) -> argparse.ArgumentParser:
    """The parser, with the options of only the command that is called: no other one is imported."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="What happened to a Parsl program, told from its events.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary.capitalize()}.",
            epilog=examples_of(name, PROGRAM),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == called:
            import_module(module).add_arguments(command)
    return parser


def _show_any_text() -> None:
    """A terminal that cannot show a character of a task's message is no reason to stop."""
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")


def _say(message: str, status: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {' '.join(message.split())}\n")
    return status


def _words(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}." if error.filename else f"{what}."


def _stop_writing() -> int:
    """The reader has gone, as ``head`` does: say no more, not even when the interpreter ends and flushes."""
    with suppress(OSError, ValueError):  # standard output may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


if __name__ == "__main__":
    sys.exit(main())
