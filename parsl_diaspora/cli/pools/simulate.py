"""What a pool asks for, and what came of a simulation, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.output import heading, pairs, table
from parsl_diaspora.cli.words import count, duration
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.simulator import Outcome, Scenario
from parsl_diaspora.scaling.simulator.measure import quantile

ALL = 0.9999


def render_check(name: str, spec: PoolSpec, out: Console) -> None:
    """Print what a pool asks for."""
    out.print(Text(f"{name} can be held", style="bold"))
    out.print(pairs(_asked(spec)))
    heading(out, "Sites")
    rows = [
        (
            name,
            spec.location(name),
            site.min_nodes,
            f"{site.most:g}",
            ", ".join(site.capabilities),
            f"{site.cost:g}",
            ", ".join(site.walltimes),
        )
        for name, site in spec.sites.items()
    ]
    titles = ("site", "location", "least", "most", "can do", "cost", "walltimes")
    out.print(table(titles, rows, numbers=("least", "most", "cost"), wrapped=("can do", "walltimes")))


def _asked(spec: PoolSpec) -> Iterator[tuple[str, object]]:
    yield "nodes", f"{spec.min_nodes} at least, {spec.most:g} at most"
    if spec.min_locations > 1:
        each = count(spec.min_nodes_per_location, "node")
        yield "spread", f"over {spec.min_locations} locations at least, {each} each"
    for capability, nodes in spec.capabilities.items():
        yield capability, f"{count(nodes, 'node')} at least"
    if spec.availability:
        yield "held", f"{spec.availability:.2%} of the time, with spare nodes as losses make necessary"
    yield "let go", f"after {duration(spec.seconds('idle'))} without work"
    if spec.node_hours is not None:
        yield "budget", f"{spec.node_hours:g} node-hours"
    if spec.max_cost is not None:
        yield "budget", f"{spec.max_cost:g} for costs"


def render_outcome(name: str, spec: PoolSpec, scenario: Scenario, outcome: Outcome, out: Console) -> None:
    """Print what came of a simulation."""
    title = f"{name}, {outcome.hours:g} simulated hours, seed {scenario.seed}"
    out.print(Text(title, style="bold"))
    out.print(pairs(_facts(spec, outcome)))
    if outcome.deficits:
        heading(out, "What was lacking")
        rows = sorted(outcome.deficits.items(), key=lambda row: -row[1])
        out.print(table(("what", "said"), rows, numbers=("said",)))


def _facts(spec: PoolSpec, outcome: Outcome) -> Iterator[tuple[str, object]]:
    yield "targets", _held(outcome)
    if outcome.heals:
        half, most = quantile(outcome.heals, 0.5), max(outcome.heals)
        healed = f"{count(len(outcome.heals), 'time')}, half of them within {duration(half)}"
        yield "healed", f"{healed}, the longest {duration(most)}"
    yield "lost", f"{count(outcome.losses, 'node')}, {count(outcome.lost, 'try', 'tries')} with them"
    requests = count(outcome.requests, "block")
    yield (
        "asked for",
        f"{requests}, {outcome.most_requests} a minute at most (limit {spec.requests_per_minute})",
    )
    yield (
        "let go",
        f"{count(outcome.released, 'block')}, {count(outcome.killed, 'try', 'tries')} killed by it",
    )
    least = f"no pool could do with less than {outcome.least_node_hours:.1f}"
    yield "used", f"{outcome.node_hours:.1f} node-hours ({least})"
    if outcome.submitted:
        end = f", the last after {duration(outcome.makespan)}" if outcome.done else ""
        yield "tasks", f"{outcome.done} of {outcome.submitted} ended{end}"


def _held(outcome: Outcome) -> str:
    if outcome.first_held is None:
        return "never held"
    share = "always" if outcome.held > ALL else f"{outcome.held:.2%} of the time"
    return f"held {share} after the first {duration(outcome.first_held)}"
