"""What a person may do about a failure of each class, once trying again is over."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "application": "Look at the frame in the app's own code; call it with the same arguments by hand.",
    "bug": "Correct the app at the frame named; no place will run it otherwise.",
    "bad_input": "Look at the input that this task got; leave it out, or substitute a value by a policy.",
    "transient": "Nothing, if it is rare; otherwise give the app more tries or longer time-outs of its own.",
    "walltime": "Raise the app's walltime, give it less to do, or let it run at a faster place.",
    "exited": "Raise an exception instead of calling sys.exit(): then it can be told why.",
    "interrupted": "Find out who sent the interrupt: a terminal, or code that raises KeyboardInterrupt.",
    "cancelled": "Nothing: it was asked for. Submit it again if that was a mistake.",
    "crash": "Find the library that crashed: run the app with `python -X faulthandler` at that node.",
    "signalled": "Read the last lines of stderr; after SIGKILL look at the memory that the program takes.",
    "dependency": "Look at the task that failed first: `parsl-diaspora explain RUN --failed` names it.",
    "submission": "Correct the resource specification, or the name of the executor.",
    "serialization": "Pass and return plain data or files; open files, locks and connections cannot travel.",
    "stopped": "Nothing: it was asked for, and the task is tried again.",
    "checkpointed": "Nothing: the program asked for it, and goes on from its files.",
    "left": "Nothing: it goes on from the state that it saved.",
    "worker_lost": "Look at the node's and the manager's log around that time; see who ends processes there.",
    "manager_lost": "Look at the manager's log and at the batch job's output.",
    "node_lost": "Tell the site of the node if it happens again; leave it out of later jobs.",
    "partition": "Check that the node reaches the program's address and ports; see the site's network.",
    "interchange_lost": "Look at interchange.log in the run's directory, and at the load of its host.",
    "executor_lost": "Look at the reason in the message, and at the executor's log in the run's directory.",
    "block_failed": "Look at the output of the batch job, most of all at what worker_init does.",
    "batch_refused": "Check account, partition or queue, walltime and limits in the provider's settings.",
    "block_walltime": "Ask for longer blocks, make tasks shorter, or store checkpoints within them.",
    "preempted": "Use a partition that is not preempted for long tasks, or store checkpoints within them.",
    "memory": "Give a task more memory (fewer workers a node, `@resilience(memory=...)`), or less to do.",
    "limits": "Raise the limit at the place (`ulimit -a` in worker_init), or close what is opened.",
    "disk_full": "Make room, or point the app to another file system; `quota` tells what is left.",
    "mpi": "Read which rank gave up first; check ranks, host file and the launcher's options.",
    "missing_module": "Install the module at that place, or load its environment in worker_init.",
    "version_mismatch": "Use the same versions of Python and libraries on both sides.",
    "missing_file": "Check the path there: is the file system mounted, is the name absolute, was it staged?",
    "permission": "Check owner and mode of the path at that place; make programs executable with `chmod +x`.",
    "gpu": "Run `nvidia-smi` or `rocm-smi` at that node; give each worker an accelerator of its own.",
    "network": "Check that the node may reach the service: proxies, firewalls, names, the service itself.",
    "unknown": "Read message and traceback; a rule of your own (`Settings.failure_rules`) can name it.",
}


def remedy(failure_class: str) -> str:
    """What may be done about failures of a class.

    Example:
        >>> remedy("cancelled")
        'Nothing: it was asked for. Submit it again if that was a mistake.'
    """
    return REMEDIES.get(failure_class, REMEDIES["unknown"])
