"""Who speaks: the hooks in Parsl and the runner on its workers.

    session.py   one run: its state, its fabric, the plans for its tasks
    tries.py     each try, as it is launched and as it ends
    memoizer.py  each launch and each end of a task, through Parsl's memoizer seam
    deciding/    each failed try, through Parsl's retry handler seam
    placing/     where tries go, and what they teach about places
    parking/     tasks that are kept back
    cancelling/  tasks that somebody asked to be stopped
    kernel.py    what Parsl's kernel does with a task, in one place
    holds.py     what people ask of places
    order_gate.py only signed orders come in, by the key of run_key.py
    hub.py       the program's own monitoring hub, listened to; packages.py spares it repeats
    errands.py   what Parsl's threads must not wait for
    relay.py     a run's hub for workers that reach no fabric; reach.py tells who does
    keeping.py   events are kept while a service is away
    scaler.py    the thread that holds a pool; orphans.py ends what dead runs have left in its queues
    triggers.py  what is to be done about events while the program runs
    runner.py    on the worker: runs a try and tells where
    worker/      what the runner is made of; orders.py hands orders on
    task.py      current_task(), inside a try
    node/        beside the workers: the supervisor of a node

Nothing is imported here, so that a worker pays only for the runner.
"""
