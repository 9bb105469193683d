"""Programs that know nothing of us and keep their state in files: when these are whole, and what they hold.

looks.py      which files there are, and whether they have changed
whole.py      files read as one, or not at all
watching.py   when files of a running program may be taken
"""

from parsl_diaspora.checkpoint.programs.looks import Look, Looks, looks_of
from parsl_diaspora.checkpoint.programs.watching import Watch
from parsl_diaspora.checkpoint.programs.whole import WholeFile, read_whole, remove_others

__all__ = ["Look", "Looks", "Watch", "WholeFile", "looks_of", "read_whole", "remove_others"]
