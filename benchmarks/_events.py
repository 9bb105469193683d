"""The events that benchmarks of the fabric carry: real ones, of about 300 bytes."""

from __future__ import annotations

from parsl_diaspora.events import TaskSubmitted, encode

RUN = "0c8d9d3e-6f0e-4b52-9d5c-2a9f6f1f7c11"
BOOT = "b" * 16
BATCH = 100
PAD = "f" * 180  # makes an event of about 300 bytes


def sample(number: int) -> TaskSubmitted:
    """An event of about 300 bytes."""
    return TaskSubmitted(
        source="submit:host:1", boot=BOOT, seq=number, run=RUN, task=number, executor="htex", func=PAD
    )


def encoded(count: int = BATCH) -> list[bytes]:
    """So many events, ready to be appended."""
    return [encode(sample(number)) for number in range(1, count + 1)]
