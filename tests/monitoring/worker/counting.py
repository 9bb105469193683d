"""A program that knows nothing of us: it counts, and keeps how far it is in a file.

counting.py UNTIL [options as name=value]

pause   seconds a step
write   steps between two writings of state.txt; 0 for only when it is asked
rename  no: it writes into the file itself
again   ends with 85 after so many steps, when it has written its state
ask     yes: SIGUSR1 lets it write its state and go on
leave   yes: SIGUSR1 lets it write its state and end with 85
kill    yes: it kills itself after as many steps as stand in kill.txt, once
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

STATE = Path("state.txt")


def write(count: int, rename: str = "yes") -> None:
    if rename == "no":
        STATE.write_text(str(count))
        return
    beside = STATE.with_suffix(".new")
    beside.write_text(str(count))
    time.sleep(0.01)  # a file system's clock ticks every few milliseconds, and real states take longer
    beside.replace(STATE)


def main() -> None:
    until = int(sys.argv[1])
    options = dict(each.split("=") for each in sys.argv[2:])
    pause, every = float(options.get("pause", 0)), int(options.get("write", 1))
    asked = []
    if "ask" in options or "leave" in options:
        signal.signal(signal.SIGUSR1, lambda *_: asked.append(True))
    count = begin = int(STATE.read_text()) if STATE.exists() else 0
    with open("begun.txt", "a") as begun:
        begun.write(f"{begin}\n")
    while count < until:
        time.sleep(pause)
        count += 1
        if every and count % every == 0:
            write(count, options.get("rename", "yes"))
        if asked:
            asked.clear()
            write(count)
            if "leave" in options:
                sys.exit(85)
        if "again" in options and count - begin >= int(options["again"]):
            write(count)
            sys.exit(85)
        if "kill" in options and Path("kill.txt").exists() and count >= int(Path("kill.txt").read_text()):
            Path("kill.txt").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    Path("result.txt").write_text(str(count))


if __name__ == "__main__":
    main()
