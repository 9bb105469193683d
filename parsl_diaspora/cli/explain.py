"""``parsl-diaspora explain``: the story of one task, or what made tasks fail."""

from __future__ import annotations

import argparse

from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.cli.story import TaskStory
from parsl_diaspora.cli.storyteller import Storyteller
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.state.reading import Reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("of", metavar="RUN TASK", nargs="*", help="which run (default: last), and which task")
    parser.add_argument(
        "--failed", action="store_true", help="in place of TASK: all that failed, root causes first"
    )
    parser.add_argument("--traceback", action="store_true", help="show tracebacks whole")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Explain a task, or what failed."""
    run_id, task = _which(args.of, failed=args.failed)
    found = find_run(open_logs(args), run_id)
    if task is None:
        return _explain_failed(found, as_json=args.json)
    from parsl_diaspora.cli.story_text import render

    story = story_of(found, task)
    if args.json:
        write_json(story)
    else:
        render(story, console(), traceback=args.traceback)
    return 0


_WHICH = "Write explain RUN TASK, as explain last 21, or explain RUN --failed for all that failed."


def _which(given: list[str], *, failed: bool) -> tuple[str, int | None]:
    """The run, and the task unless all that failed is meant."""
    if failed:
        if len(given) > 1:
            hint = "Leave the task's number out: explain RUN --failed."
            raise DiasporaError("explain --failed tells of a whole run, not of one task.", hint=hint)
        return (given[0] if given else LAST), None
    if not given or len(given) > 2:  # noqa: PLR2004 - RUN TASK
        raise DiasporaError("explain tells of one task, and none is named.", hint=_WHICH)
    run_id, text = (LAST, given[0]) if len(given) == 1 else given
    if not text.isdecimal():
        raise DiasporaError(f"{text!r} is no number of a task.", hint=_WHICH)
    return run_id, int(text)


def _explain_failed(found: Found, *, as_json: bool) -> int:
    from parsl_diaspora.cli.failed import causes_of, plain, render

    causes = causes_of(Reading(found.fabric), found.run)
    if as_json:
        write_json(plain(causes))
    else:
        render(causes, found.run, console())
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
