"""``parsl-diaspora top``: one run, live in the terminal.

tasks.py    tasks by app and state, and how fast they end, folded from events
places.py   nodes, blocks, managers and workers, folded from events
model.py    both, and what happened lately: the whole view, without any terminal
frame.py    the view at one moment, as data; tables.py puts it into rows of text
follow.py   reads the run's fabric in a thread
text.py     a frame as plain text
app.py      the frames as they come, with keys; needs the library textual
command.py  which of these is wanted
"""

from parsl_diaspora.cli.top.command import add_arguments, run

__all__ = ["add_arguments", "run"]
