"""Where the hub brings events: a target that is slow, not dead."""

from __future__ import annotations

import time

from parsl_diaspora.events import TaskSubmitted, encode, join
from parsl_diaspora.fabric import FlushReport
from parsl_diaspora.fabric.file.frames import pack_frame
from parsl_diaspora.fabric.relay.store import ForwardingStore


class Slow:
    """A fabric that confirms events only when it is told to."""

    def __init__(self):
        self.given, self.confirmed = [], 0

    def publisher(self, source, **options):
        return self

    def forward(self, event):
        self.given.append(event.task)

    def flush(self, timeout):
        return FlushReport(safe=self.confirmed, waiting=len(self.given) - self.confirmed, lost=0)

    def confirm(self):
        self.confirmed = len(self.given)


def frame(*tasks):
    return pack_frame(join([encode(TaskSubmitted(task=task)) for task in tasks]), len(tasks), 1, time.time())


def test_a_target_that_takes_longer_than_a_clients_patience_is_given_each_event_once():
    slow = Slow()
    store = ForwardingStore(slow)
    first, second, third = frame(1, 2), frame(3), frame(4)
    assert not store.append([first])
    assert not store.append([first, second])  # the client sends again, and is not given up
    slow.confirm()
    assert not store.append([first, second])  # the first is safe, the second was not given yet
    slow.confirm()
    assert store.append([first, second])
    assert slow.given == [1, 2, 3]
    assert not store.append([third])
    slow.confirm()
    assert store.append([third])
    assert slow.given == [1, 2, 3, 4]
