"""What the runner on a worker is made of.

    place.py       where this worker is
    speaking.py    what it says while a try runs
    packing.py     function, arguments and results as bytes, and back
    ending.py      exits and interrupts as failures of their own kinds
    stopping.py    a try that was asked to stop
    children.py    the processes that a try has started
    restoring.py   what a try changed in its worker is put back
    leaving.py     a worker that cannot be put back makes room for a new one
    peak.py        the most memory that a try had

Nothing is imported here, so that a worker pays only for what it uses.
"""
