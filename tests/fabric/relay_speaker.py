"""A program that publishes through a relay until its stdin ends, and says after each burst what is safe.

Arguments: URL, source, seed, and ``immediate`` or ``queued``. Its answers are lines ``SOURCE SAFE LOST``.
"""

from __future__ import annotations

import random
import select
import sys
import time

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric


def main():
    url, source, seed, mode = sys.argv[1:]
    chance = random.Random(seed)
    publisher = open_fabric(url).publisher(source, immediate=mode == "immediate")
    number = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(chance.randrange(1, 200)):
            number += 1
            publisher.publish(TaskSubmitted(task=number, func="x" * chance.randrange(400)))
            if number % 50 == 0:
                publisher.forward(
                    TaskSubmitted(source=f"{source}/behind", boot=f"{source}/b", seq=number, task=number)
                )
        report = publisher.flush(chance.uniform(0, 0.1))
        print(source, report.safe, report.lost, flush=True)
        time.sleep(chance.uniform(0, 0.02))
    report = publisher.close(20)
    print(source, report.safe, report.lost, number, flush=True)


main()
