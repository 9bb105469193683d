"""How many nodes, and where: pools that hold what they should, and grow and shrink with the work.

    sites.py        what is asked of the places where blocks come from
    supply.py       the blocks that there are
    demand.py       the work that there is
    counts.py       what is held beside what should be
    work.py         nodes that the work asks for
    forecast.py     how long things take
    durations.py    how long the tries of each app take
    quantiles.py    the value below which a part of them lies
    trend.py        what has lasted
    planner.py      what to ask for
    choice.py       of which site, for how long
    pace.py         how often a site is asked
    budget.py       what may be used
    spares.py       nodes beyond what is asked for
    letting_go.py   what goes
    held.py         part of the time in which all was held
    lacks.py        what is lacking, and since when
    controller.py   one step after another
    simulator/      thousands of nodes in no time

Nothing here knows Parsl.
"""
