"""Small real ways to make tasks fail, one or more for each class of failures.

provocation.py  what a provocation is
application.py  failures of the program's own code
framework.py    on the way between program and worker
resources.py    memory, disks, limits: met for real, with limits of the kernel
environment.py  modules, versions, files, permissions, services, devices
programs.py     programs that print and exit as those do which an ordinary machine lacks
breaking.py     breaking what is around a task: providers, managers, nodes
registry.py     all of them, by class
running.py      running many of them as one program
collect.py      a command that makes a labelled corpus of what they leave in the log
"""

from parsl_diaspora.testing.provocations.provocation import Provocation
from parsl_diaspora.testing.provocations.registry import PROVOCATIONS, named, of_class

__all__ = ["PROVOCATIONS", "Provocation", "named", "of_class"]
