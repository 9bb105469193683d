"""A program that steps and saves until it is killed, and tells to a file what it was told to be safe.

python -m tests.checkpoint.stepping DIRECTORY[,DIRECTORY] LAUNCH FILE
"""

from __future__ import annotations

import os
import sys

import numpy as np

from parsl_diaspora.checkpoint import Heard, restore
from tests.checkpoint.states import same, saver_of, store_at

CHUNKS = 6
SIZE = CHUNKS * 256 * 1024


def state_of(step):
    """What the program holds after so many steps: nothing else is right."""
    array = np.arange(SIZE // 8, dtype=np.int64)
    array[step % CHUNKS :: CHUNKS * 1024] = step
    return {"step": step, "x": array, "nested": [np.full(1000, step)]}


class Teller(Heard):
    """Appends lines to a file, each whole."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.step = 0

    def tell(self, *words):
        os.write(self._file, f"{' '.join(map(str, words))}\n".encode())

    def saved(self, saved):
        self.tell("safe", self.step)

    def failed(self, reason, error):
        self.tell("failed", reason.replace(" ", "-"), repr(error).replace(" ", "-"))


def main(places, launch, path):
    store, teller = store_at(*places.split(",")), Teller(path)
    store.begin(int(launch))
    found = restore(store, launch=int(launch), lost=lambda save, error: teller.tell("lost", save.name))
    step = found.state["step"] if found is not None else 0
    if found is not None and not same(found.state, state_of(step)):
        teller.tell("wrong", step)
    saver = saver_of(store, int(launch), teller)
    if found is not None:
        saver.go_on_from(found.save, found.manifest)
    teller.tell("began", step)
    while not saver.is_fenced:
        step += 1
        state = state_of(step)
        if not saver.is_busy:
            teller.step = step
            saver.save(state)
    teller.tell("fenced")


if __name__ == "__main__":
    main(*sys.argv[1:])
