"""The node's side: a supervisor beside the pool of workers, and what it sees.

    sampling.py    what node and workers use, as events
    processes.py   the processes of a pool, from /proc
    cgroups.py     limits and mishaps of memory, from the control group
    limits.py      the kernel's limits of a process
    gpus.py        accelerators
    latest.py      readings that may take long
    facts.py       what the node is

Nothing is imported here, and nothing below imports Parsl: this process stays small.
"""
