"""``parsl-diaspora pools``: what a pool holds, what it would hold, and what earlier runs have left behind."""

from parsl_diaspora.cli.pools.command import add_arguments, run

__all__ = ["add_arguments", "run"]
