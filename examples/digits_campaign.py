"""Which classifier reads handwritten digits best? 144 training runs on two sites, as a Parsl program.

    python examples/digits_campaign.py              # resilient: every trial gets its score
    python examples/digits_campaign.py --stock      # the same program on stock Parsl

One site lacks a module that a third of the trials need. The apps, the grid and the two sites are in
``parsl_diaspora.testing.campaign``; resilience is one line below, everything else is plain Parsl.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from parsl_diaspora.testing.campaign.run import Step, run_campaign
from parsl_diaspora.testing.campaign.sites import new_mark, site_config


def show(step: Step) -> None:
    """Print each trial as it ends."""
    outcome = f"accuracy {step.score:.4f}" if step.score is not None else f"failed: {step.error}"
    print(f"{step.elapsed:6.1f} s  {step.done:3}/{step.total}  {step.trial.name:55} {outcome[:80]}")


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; 0 if every trial has its score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stock", action="store_true", help="run on stock Parsl, without resilience")
    parser.add_argument("--fabric", metavar="URL", help="where events go, for instance file:./events")
    parser.add_argument("--seed", type=int, default=7, help="order of the trials and choice of sites (7)")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="give up after so long")
    options = parser.parse_args(arguments)

    mark = new_mark()
    config = site_config(mark=mark, retries=1)
    if not options.stock:
        from parsl_diaspora import resilient

        config = resilient(config, **({"fabric": options.fabric} if options.fabric else {}))
    result = run_campaign(config, seed=options.seed, mark=mark, on_progress=show, deadline=options.deadline)

    print(f"\n{len(result.scores)} scores in {result.seconds:.1f} s", end="; ")
    print(f"{len(result.failures)} trials failed, {len(result.unfinished)} without an answer")
    for error, count in Counter(result.failures.values()).most_common(3):
        print(f"  {count} x {error[:100]}")
    for name, accuracy in result.ranking[:5]:
        print(f"  {accuracy:.4f}  {name}")
    return 1 if result.failures or result.unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
