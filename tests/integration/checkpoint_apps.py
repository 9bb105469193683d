"""Apps with checkpoints, imported by workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from parsl import bash_app, python_app

from parsl_diaspora import Checkpoint, current_task, resilience

COUNTING = Path(__file__).parents[1] / "monitoring" / "worker" / "counting.py"


def _note(path, *words):
    with open(path, "a") as file:
        print(*words, file=file)


@python_app
@resilience(checkpoint="10ms")
def count_and_die(steps, die_at, path):
    """Counts, saves all the time, and is killed at given steps, each once. Tells each step to a file."""
    task = current_task()
    state = task.restore({"step": 0})
    while state["step"] < steps:
        step = state["step"] = state["step"] + 1
        _note(path, step, task.attempt)
        if task.should_checkpoint():
            task.save(state)
        if step in die_at and not os.path.exists(f"{path}.{step}"):
            _note(f"{path}.{step}", "dead")
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.005)
    return state["step"]


@python_app
@resilience(checkpoint=Checkpoint(interval="20ms", key="sum-{name}"))
def sum_slowly(name, steps, path):
    """Sums with numpy; takes a tenth of a second a step."""
    import numpy as np

    task = current_task()
    state = task.restore({"step": 0, "sum": np.zeros(1000)})
    _note(path, "begins at", state["step"])
    while state["step"] < steps:
        state["sum"] += np.arange(1000.0) * state["step"]
        state["step"] += 1
        if task.should_checkpoint():
            task.save(state)
        _note(path, "did", state["step"])
        time.sleep(0.1)
    return float(state["sum"].sum())


@bash_app
@resilience(checkpoint=Checkpoint(interval="100ms", files=("{directory}/state.txt",), exit_code=85))
def count_in_a_file(directory, until, *words):
    """A program that knows nothing of us and keeps how far it is in a file."""
    import sys

    return f"cd {directory} && {sys.executable} {COUNTING} {until} {' '.join(words)}"


@python_app(executors=["left"])
@resilience(checkpoint="50ms")
def turn(size, dirty, steps, path):
    """Has a state of so many bytes and changes some of them in each step of 10 ms; tells where it is."""
    import numpy as np

    task = current_task()
    state = task.restore({"step": 0, "big": np.zeros(size // 8)})
    _note(path, "begins at", state["step"], "on", os.environ["PARSL_WORKER_POOL_ID"], time.time())
    big = state["big"]
    number = len(big)
    while state["step"] < steps:
        begin = state["step"] * dirty // 8 % number
        big[begin : begin + dirty // 8] += 1
        state["step"] += 1
        if task.should_checkpoint():
            task.save(state)
        if state["step"] % 10 == 0:
            _note(path, "did", state["step"])
        time.sleep(0.01)
    return float(big.sum())


@python_app(executors=["left"])
@resilience(checkpoint="50ms")
def walk(steps, pause, path):
    """Counts in steps that take so many seconds; tells where it is."""
    task = current_task()
    state = task.restore({"step": 0})
    _note(path, "begins at", state["step"], "as", task.attempt)
    while state["step"] < steps:
        state["step"] += 1
        if task.should_checkpoint():
            task.save(state)
        _note(path, "did", state["step"])
        time.sleep(pause)
    return state["step"]


@python_app(executors=["left"])
@resilience(checkpoint="50ms")
def forgetful(steps, path):
    """Saves, and never restores."""
    task = current_task()
    for step in range(steps):
        if task.should_checkpoint():
            task.save({"step": step})
        _note(path, "did", step)
        time.sleep(0.05)
    return steps


@python_app(executors=["right"])
def occupy(path):
    """Keeps a worker busy until a file is there."""
    _note(f"{path}.begun", "begun")
    while not os.path.exists(path):
        time.sleep(0.02)
    return "done"


@python_app(executors=["right"])
def quick(number):
    """Nothing of note."""
    return number + 1


@python_app(executors=["left"])
def occupy_left(path):
    """Keeps a worker busy until a file is there; it cannot save itself."""
    while not os.path.exists(path):
        time.sleep(0.02)
    return "done"
