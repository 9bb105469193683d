"""How supervisors of nodes are started, and what the submit side shares with them.

launch_command.py the pool starts under a supervisor, where there is one
nodefile.py       what supervisors are told
orders.py         orders for them, as files
board.py          what each worker runs now, in memory that workers and supervisor share
"""
