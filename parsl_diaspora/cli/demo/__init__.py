"""``parsl-diaspora demo``: one campaign three times, then six faults, stock beside ours.

messages.py    what a variant tells while it runs
variant.py     one variant, in a process of its own
listener.py    what it hears of its own run, and whether that is all
screen.py      what the person sees meanwhile
closing_faults.py  faults at the end, stock beside ours
verdict.py     the table at the end, and whether the promise was kept
command.py     the three in turn
"""

from parsl_diaspora.cli.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
