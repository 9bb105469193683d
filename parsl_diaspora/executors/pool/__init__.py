"""Several executors as one.

executor.py    PoolExecutor, which Parsl sees
member.py      a seat of the pool, and the executor that sits there now
face.py        a member as Parsl's kernel sees it, under its own label
work.py        what the pool was given to do, and the copies of it at members
dispatch.py    work on its way: sent, taken elsewhere when a member is lost, ended once
placer.py      which member gets it
advice.py      what the pool asks of the run that it is part of
homeless.py    work that waits for a member
moving.py      work that people move
hedging.py     which work deserves a second copy
keeper.py      the pool's thread: replacements, stragglers
"""
