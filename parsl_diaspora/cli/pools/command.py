"""Which of the commands about pools is meant."""

from __future__ import annotations

import argparse

from parsl_diaspora.cli.find import LAST, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.cli.pools import orphans
from parsl_diaspora.cli.pools.read import read_scenario, read_spec
from parsl_diaspora.cli.pools.show import render_pool, show
from parsl_diaspora.cli.pools.simulate import render_check, render_outcome
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.simulator import Scenario, scenario_of, simulate
from parsl_diaspora.state.reading import Reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    shown = commands.add_parser("show", help="tell what a run's pool holds, lacks and waits for")
    shown.description = "Tell what a run's pool holds, what it lacks and why, and what it has used."
    shown.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    add_where(shown)
    check = commands.add_parser("check", help="read a pool, and tell what it asks for")
    check.description = "Read a pool, and tell what it asks for. What cannot be held is told; status 2."
    tried = commands.add_parser("simulate", help="let the pool controller hold a pool in a simulated world")
    tried.description = (
        "Run the controller that programs run, in a world with waits, losses and work of your choice, on a "
        "virtual clock: a day of a thousand nodes takes a few minutes."
    )
    for command in (check, tried):
        command.add_argument("spec", metavar="SPEC", help="YAML: a pool, or settings that hold one")
    tried.add_argument(
        "--trace", metavar="FILE", help="YAML: what the world is like (default: an hour, calm)"
    )
    tried.add_argument("--run", dest="run_id", metavar="RUN", help="a world as that of this run, by its log")
    tried.add_argument("--hours", type=float, help="how long, over what the trace says")
    tried.add_argument("--seed", type=int, help="of all chance, over what the trace says")
    add_where(tried)
    orphans.add_arguments(commands.add_parser("orphans", help="find blocks whose programs are gone"))
    for command in (shown, check, tried):
        command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    if args.what == "show":
        found = show(find_run(open_logs(args), args.run_id))
        write_json(found) if args.json else render_pool(found, console())
        return 0
    if args.what == "orphans":
        return orphans.run(args)
    spec = read_spec(args.spec)
    if args.what == "check":
        write_json(spec) if args.json else render_check(args.spec, spec, console())
        return 0
    scenario = _scenario(args, spec)
    outcome = simulate(spec, scenario)
    write_json(outcome) if args.json else render_outcome(args.spec, spec, scenario, outcome, console())
    return 0


def _scenario(args: argparse.Namespace, spec: PoolSpec) -> Scenario:
    if args.run_id is None:
        return read_scenario(args.trace, hours=args.hours, seed=args.seed)
    found = find_run(open_logs(args), args.run_id)
    return scenario_of(Reading(found.fabric), spec, found.run, seed=args.seed or 1)
