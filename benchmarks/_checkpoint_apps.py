"""Apps that workers import by name. Used by checkpoint.py."""

from __future__ import annotations

from typing import Any

import parsl

from parsl_diaspora import resilience


def relax(size: int, steps: int, pace: float, trail: str) -> dict[str, Any]:
    """Work on a field: a part of it in each step, then a pause if there is a pace.

    Args:
        size: of the field in bytes.
        steps: in all.
        pace: seconds to pause after each step.
        trail: a file that gets a line for each step: time, process, and number; empty for none.

    Returns:
        Seconds that the steps of this try took, of the clock and of processors; a sum that all steps change.
    """
    import os
    import time
    from pathlib import Path

    import numpy as np

    from parsl_diaspora import current_task

    task = current_task()
    state = task.restore() or {"step": 0, "field": np.random.default_rng(1).random(size // 8)}
    field, part = state["field"], max(1, size // 8 // 10)
    began, cpu = time.perf_counter(), time.process_time()
    with Path(trail or os.devnull).open("a", buffering=1) as file:
        while state["step"] < steps:
            first = state["step"] % 10 * part
            piece = field[first : first + part]
            piece += np.sqrt(piece)
            piece *= 0.5
            state["step"] += 1
            if pace:
                time.sleep(pace)
            file.write(f"{time.time():.3f} {os.getpid()} {state['step']}\n")
            if task.should_checkpoint():
                task.save(state)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "sum": float(field.sum())}


@parsl.python_app
@resilience(max_tries=50)
def plain(size: int, steps: int, pace: float, trail: str) -> dict[str, Any]:
    """Without checkpoints."""
    return relax(size, steps, pace, trail)


@parsl.python_app
@resilience(max_tries=50, checkpoint=True)
def saved(size: int, steps: int, pace: float, trail: str) -> dict[str, Any]:
    """With checkpoints at the automatic interval."""
    return relax(size, steps, pace, trail)


@parsl.python_app
@resilience(max_tries=50, checkpoint=True)
def moved(size: int, dirty: int, stop: str) -> dict[str, float]:
    """Changes so many bytes of its state a second, until a file appears; all its numbers are the same then.

    Returns:
        How many steps it did, and the sum of its state, which tells the same.
    """
    import time
    from pathlib import Path

    import numpy as np

    from parsl_diaspora import current_task

    pace, task = 0.01, current_task()
    state = task.restore() or {"step": 0, "field": np.random.default_rng(1).random(size // 8).round()}
    field, part = state["field"], round(dirty * pace / 8)
    while not Path(stop).exists():
        first = state["step"] * part % (len(field) - part)
        field[first : first + part] += 1.0
        state["step"] += 1
        time.sleep(pace)
        if task.should_checkpoint():
            task.save(state)
    begun = float(np.random.default_rng(1).random(size // 8).round().sum())
    return {"steps": state["step"], "added": (float(field.sum()) - begun) / part}
