"""On each node of a block: a small process that starts the stock worker pool and looks after it.

    main.py        the command `parsl-diaspora-node`; whatever fails here, the stock pool runs
    command.py     the pool's command line
    pool.py        around the stock pool: dead workers are found in a moment, nothing outlives the supervisor
    supervisor.py  the loop
    life.py        one pool's process: started, watched, ended
    kernel.py      what Linux offers for that
    signals.py     signals that arrive here
    deaths.py      workers that ended, and what they ran
    stops.py       tries that must stop
    inbox.py       orders from the submit side
    program.py     whether the program still is there
    htex_link.py   signs of life through the interchange's own port
    presence.py    whether and how there can be such a link
    channel.py     how events leave the node
    processes.py   a pool's processes as /proc shows them; what cannot be read is counted
    sampling.py    what the node and each worker use
    cgroups.py     the control group's memory: limit, use, and what the kernel did about it
    limits.py      the kernel's limits of a process
    gpus.py        accelerators, asked through the vendor's tool
    facts.py       what a node has
    latest.py      readings that may hang are made in a thread

None of it imports Parsl: a supervisor has to be small.
"""
