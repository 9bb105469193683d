"""Who speaks: the hooks in Parsl and the runner on its workers.

    session.py   one run: its state, its fabric, the plans for its tasks
    memoizer.py  each launch and each end of a task, through Parsl's memoizer seam
    retries.py   each failed try, through Parsl's retry handler seam
    hub.py       the program's own monitoring hub, listened to; packages.py spares it repeats
    cancel.py    cancel(future); cancels.py ends tasks, through the seam kernel.py; stops.py has them stopped
                 where they run; errands.py does what Parsl's threads must not wait for
    apps.py      where an app may run
    runner.py    on the worker: runs a try and tells where
    worker/      what the runner is made of
    task.py      current_task(), inside a try
    node/        beside the workers: what node and workers use

Nothing is imported here, so that a worker pays only for the runner.
"""
