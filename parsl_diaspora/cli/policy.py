"""``parsl-diaspora policy``: is a policy sound, and what would it have decided on a log?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, heading, pairs, table, write_json
from parsl_diaspora.cli.words import count, duration
from parsl_diaspora.recovery.language.policy import Policy, built_in
from parsl_diaspora.recovery.language.words import RuleWords, rule_words
from parsl_diaspora.recovery.simulation import ClassTotals, Difference, Side, Simulation
from parsl_diaspora.state.reading import Reading

DEFAULT = "default"
_FEW = 20


class PolicyCheck(msgspec.Struct, kw_only=True):
    """A policy that is sound.

    Attributes:
        source: its file.
        budgets: that it names.
        max_tries: its total, if it names one.
        inherits: how many built-in rules come after its own.
        rules: its own ones in words.
    """

    source: str
    budgets: dict[str, int]
    max_tries: int | None
    inherits: int
    rules: list[dict[str, str]]


class SimulationReport(msgspec.Struct, kw_only=True):
    """What a policy would have decided.

    Attributes:
        policy: its file.
        against: what it is compared with: ``log``, ``default`` or a file.
        run: Parsl's run id.
        classes: what it changes, by failure class.
        differences: failed tries about which it decides otherwise.
        untold: decisions of a release that kept too little to decide again.
    """

    policy: str
    against: str
    run: str
    classes: dict[str, ClassTotals]
    differences: list[Difference]
    untold: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    check = commands.add_parser("check", help="read a policy, and tell what it says")
    check.description = "Read a policy, and tell what it says. What is wrong is told with its line; status 2."
    simulate = commands.add_parser("simulate", help="tell what a policy would have decided on a log")
    simulate.description = (
        "Decide upon each failed try of a run again, and tell what the policy would have done otherwise. How "
        "those tries would have ended nobody knows: saved are tries of tasks that the policy ends, or sends "
        "at once to the executor where they came to a good end."
    )
    for command in (check, simulate):
        command.add_argument("file", metavar="FILE", help=f"the policy; '{DEFAULT}' for the built-in one")
        command.add_argument("--json", action="store_true", help="as JSON")
    simulate.add_argument(
        "--run", dest="run_id", metavar="RUN", default=LAST, help="which run (default: last)"
    )
    simulate.add_argument(
        "--against",
        metavar="POLICY",
        help=f"compare with this policy, or '{DEFAULT}' (default: what was decided then)",
    )
    add_where(simulate)


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    policy = _policy(args.file)
    if args.what == "check":
        found = check(policy)
        write_json(found) if args.json else render_check(found, console())
        return 0
    against = _policy(args.against) if args.against else None
    report = simulate(policy, find_run(open_logs(args), args.run_id), against)
    write_json(report) if args.json else render(report, console())
    return 0


def _policy(name: str) -> Policy:
    return built_in() if name == DEFAULT else Policy.load(name)


def check(policy: Policy) -> PolicyCheck:
    """What a policy says."""
    return PolicyCheck(
        source=policy.source,
        budgets=policy.budgets,
        max_tries=policy.max_tries,
        inherits=len(policy.all_rules) - len(policy.rules),
        rules=[rule_words(rule)._asdict() for rule in policy.rules],
    )


def simulate(policy: Policy, found: Found, against: Policy | None = None) -> SimulationReport:
    """Decide upon a run's failed tries again."""
    simulation = Simulation(policy, found.run, against)
    for event in Reading(found.fabric):
        simulation.take(event)
    return SimulationReport(
        policy=policy.source,
        against=against.source if against is not None else "log",
        run=found.run,
        classes=dict(sorted(simulation.classes.items())),
        differences=simulation.differences,
        untold=simulation.untold,
    )


# --- text ---


def render_check(found: PolicyCheck, out: Console) -> None:
    """Print what a policy says."""
    out.print(Text(f"{found.source} is sound", style="bold"))
    out.print(pairs(_facts(found)))
    if found.rules:
        heading(out, "Its rules, the first that fits decides")
        rows = [RuleWords(**words) for words in found.rules]
        titles = ("rule", "for", "when", "what is done", "reason")
        out.print(table(titles, rows, wrapped=titles[1:]))


def _facts(found: PolicyCheck) -> Iterator[tuple[str, object]]:
    if found.budgets:
        yield "budgets", ", ".join(f"{name} {budget}" for name, budget in found.budgets.items())
    if found.max_tries is not None:
        yield "in all", count(found.max_tries, "try", "tries")
    yield "then", count(found.inherits, "built-in rule") if found.inherits else "the task fails"


def render(report: SimulationReport, out: Console) -> None:
    """Print what a policy would have decided."""
    beside = "what was decided" if report.against == "log" else report.against
    out.print(Text(f"{report.policy} on run {report.run}, beside {beside}", style="bold"))
    rows = [(kind, *_totals(totals)) for kind, totals in report.classes.items()]
    if rows:
        out.print(table(_TITLES, rows, numbers=_TITLES[1:]))
    else:
        out.print("  No try failed that could be decided upon again.")
    if report.untold:
        out.print(f"  {count(report.untold, 'decision')} of another release cannot be made again.")
    if report.differences:
        heading(out, "Otherwise")
        titles = ("task", "try", "class", "was", "would be")
        out.print(table(titles, _rows(report), wrapped=("was", "would be")))
    if len(report.differences) > _FEW:
        out.print(f"  and {len(report.differences) - _FEW} more; --json has them all.")


_TITLES = ("class", "failed", "otherwise", "wasted", "saved", "time saved", "lost", "prolonged")


def _totals(totals: ClassTotals) -> tuple[object, ...]:
    return (
        totals.failed,
        totals.changed,
        totals.wasted,
        totals.saved,
        duration(totals.seconds_saved),
        totals.lost,
        totals.prolonged,
    )


def _rows(report: SimulationReport) -> Iterator[tuple[object, ...]]:
    for each in report.differences[:_FEW]:
        yield each.task, each.try_id, each.failure_class, _words(each.was), _words(each.would)


def _words(side: Side) -> str:
    where = f" to {side.target}" if side.target else ""
    after = f" after {duration(side.delay)}" if side.delay else ""
    return f"{side.action}{where}{after} ({side.rule})"
