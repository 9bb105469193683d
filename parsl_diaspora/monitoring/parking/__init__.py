"""Tasks that are kept back: for a while, until a condition holds, or until somebody releases them.

parked.py      the table of parked tasks
parked_ends.py how they end with the run
waits.py       conditions that tasks wait for, looked at by one thread
unexplained.py losses that may yet be explained, by evidence that comes after the decision
held_events.py what is said of held tasks
task_orders.py what people ask of tasks from outside
"""
