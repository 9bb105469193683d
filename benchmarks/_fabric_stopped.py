"""A writer that is stopped: what the other one can still append."""

from __future__ import annotations

import time

from _candidates import STORES
from _figures import Figure, Measured, Part, Sizes
from _processes import Helper

SETTLE = 0.05  # seconds


def measure(name: str, place: str, sizes: Sizes) -> Measured:
    """Events a second of one writer, alone and while another one is stopped."""
    with Helper("append_on", name, f"{place}-alone") as writer:
        writer.hear()
        alone = _rate(writer, sizes.seconds)
    with Helper("append_on", name, place) as writer:
        writer.hear()  # it has opened the store; later it might wait for the other one even there
        with Helper("hold", name, place) as other:
            other.hear()
            time.sleep(SETTLE)
            other.stop()
            beside = _rate(writer, sizes.seconds)
    return {"alone": alone, "beside": beside, "ratio": beside / alone}


def _rate(writer: Helper, seconds: float) -> float:
    writer.tell()
    time.sleep(seconds)
    counts = [message["events"] for message in writer.kill()]
    return int(max(counts, default=0)) / seconds


PART = Part(
    "stopped",
    "a second writer while the first is stopped by SIGSTOP, inside a transaction where there are any",
    STORES,
    measure,
    (
        Figure("alone", "without, events/s"),
        Figure("beside", "while it is stopped, events/s"),
        Figure("ratio", "ratio", 0.9, "{:.2f}"),
    ),
)
