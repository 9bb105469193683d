"""``parsl-diaspora explain``: the story of one task."""

from __future__ import annotations

import argparse

from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.cli.story import TaskStory
from parsl_diaspora.cli.storyteller import Storyteller
from parsl_diaspora.state.reading import Reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    parser.add_argument("task", metavar="TASK", type=_task, help="which task: the number in Parsl's log")
    parser.add_argument("--traceback", action="store_true", help="show tracebacks whole")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def _task(text: str) -> int:
    if text.isdecimal():
        return int(text)
    message = f"{text!r} is no task: give RUN and the task's number side by side, options before or after"
    raise argparse.ArgumentTypeError(message)


def run(args: argparse.Namespace) -> int:
    """Explain a task."""
    from parsl_diaspora.cli.story_text import render

    story = story_of(find_run(open_logs(args), args.run_id), args.task)
    if args.json:
        write_json(story)
    else:
        render(story, console(), traceback=args.traceback)
    return 0


def story_of(found: Found, task: int) -> TaskStory:
    """Read the run's log and tell the story of one of its tasks.

    Raises:
        NotFound: the log has no event of that task.
    """
    teller = Storyteller(found.run, task)
    for event in Reading(found.fabric):
        teller.listen(event)
    return teller.tell()
