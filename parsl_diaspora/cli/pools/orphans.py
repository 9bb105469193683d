"""``parsl-diaspora pools orphans``: blocks in the queue whose programs are gone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from parsl_diaspora.cli.find import SHORT, add_where, names_fabric, open_logs
from parsl_diaspora.cli.output import console, table, write_json
from parsl_diaspora.cli.words import count
from parsl_diaspora.errors import NotFound
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.providers.orphans import BlockJob, block_jobs, cancel_jobs
from parsl_diaspora.providers.queues import Queue, queues_here
from parsl_diaspora.providers.runs import Runs

NOT_DONE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.description = (
        "List the blocks of Parsl that your schedulers have, with how their programs are. With --cancel, end "
        "those whose programs have ended or were killed on this host. Where nothing is known of one, or "
        "only that it has been silent, its blocks are left alone unless its run is named."
    )
    parser.add_argument("--cancel", action="store_true", help="end the blocks of programs that are gone")
    parser.add_argument(
        "--run",
        dest="named",
        metavar="RUN",
        action="append",
        default=[],
        help="with --cancel: end the blocks of this run too, by the beginning of its id, unless it runs here",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """List them, and end them if that is asked."""
    queues = _queues()
    blocks = block_jobs(queues, Runs(_logs(args)).find)
    chosen = [each for each in blocks if each.is_orphan or _is_named(each, args.named)]
    left = cancel_jobs(queues, chosen) if args.cancel else []
    if args.json:
        write_json({"blocks": blocks, "cancelled": [each.job.id for each in chosen] if args.cancel else []})
    else:
        render(blocks, console())
        sys.stdout.write(f"{_words(chosen, left, cancelled=args.cancel)}\n")
    return NOT_DONE if left else 0


def _queues() -> list[Queue]:
    queues = queues_here()
    if not queues:
        hint = "Run this where jobs are submitted, or load the scheduler's module first."
        raise NotFound(
            "No scheduler can be asked here: squeue and scancel are not on PATH.", what="squeue", hint=hint
        )
    return queues


def _logs(args: argparse.Namespace) -> list[Fabric]:
    """Logs that the options name. Without any, the run directories of the jobs are looked into."""
    if args.run_dir or names_fabric(args):
        return open_logs(args)
    try:
        return open_logs(args)
    except NotFound:
        return []


def _is_named(block: BlockJob, names: Sequence[str]) -> bool:
    """Whether the user answers for it. A program that is seen to run is not taken at anybody's word."""
    return block.of.state != "running" and any(name and block.of.run.startswith(name) for name in names)


def _words(chosen: Sequence[BlockJob], left: Sequence[BlockJob], *, cancelled: bool) -> str:
    if not chosen:
        return "No block belongs to a program that is gone."
    many = count(len(chosen), "block")
    if not cancelled:
        return f"{many} of programs that are gone: parsl-diaspora pools orphans --cancel ends them."
    if left:
        ids = ", ".join(each.job.id for each in left)
        return f"{len(chosen) - len(left)} of {many} are gone from the queue; still there: {ids}."
    return f"Ended {many} of programs that are gone."


def render(blocks: Sequence[BlockJob], out: Console) -> None:
    """All blocks as a table."""
    if not blocks:
        return
    names = ("job", "state", "used", "run", "program", "is", "name")
    rows = [
        (
            each.job.id,
            each.job.state.lower(),
            each.job.used,
            each.of.run[:SHORT],
            each.of.program,
            each.of.state,
            each.job.name,
        )
        for each in blocks
    ]
    out.print(table(names, rows, wrapped=("program", "name"), indent=0, gap=2))
