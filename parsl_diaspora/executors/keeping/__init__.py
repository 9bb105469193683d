"""What an executor rests on is kept: its interchange, its blocks, and the tasks that are with them.

kept.py        an executor whose interchange may be replaced while it runs, and
interchange.py when that is done: the interchange is dead, or answers nothing
commands.py    each command to the interchange has a time-out
pipes.py       what stands in front of the queues of tasks and results
blocks.py      a lost block is replaced; an executor is given up only when none of its blocks ever started
stranded.py    tasks at an executor that has no block, and none to come, are ended
"""
