"""``parsl-diaspora demo``: one campaign three times: undisturbed, stock under faults, ours under faults.

messages.py  what a variant tells while it runs
variant.py   one variant, in a process of its own
listener.py  what it hears of its own run, and whether that is all
screen.py    what the person sees meanwhile
verdict.py   the table at the end, and whether the promise was kept
command.py   the three in turn
"""

from __future__ import annotations

from parsl_diaspora.cli.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
