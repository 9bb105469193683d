"""Orders as files: whole, addressed, and gone in time."""

from __future__ import annotations

import pytest

from parsl_diaspora.executors.supervision.orders import LARGEST, OrdersBox, read_order

STOP = {"kind": "stop", "task": 3, "try": 0, "reason": "no longer needed", "grace": 0.5}


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


def names(box):
    return sorted(path.name for path in box.directory.iterdir())


def test_an_order_is_read_as_it_was_given(tmp_path):
    box = OrdersBox(tmp_path / "orders")
    name = box.give({"manager": "m1"}, STOP)
    assert names(box) == [name]
    order = read_order((box.directory / name).read_bytes())
    assert order.message == STOP
    assert (box.directory / name).stat().st_mode & 0o777 == 0o600
    assert box.directory.stat().st_mode & 0o777 == 0o700


def test_an_order_is_for_all_places_that_hold_what_it_names(tmp_path):
    box = OrdersBox(tmp_path)
    order = read_order((tmp_path / box.give({"node": "n1", "block": "0"}, STOP)).read_bytes())
    assert order.is_for({"node": "n1", "block": "0", "manager": "m1"})
    assert not order.is_for({"node": "n1", "block": "1"})
    assert not order.is_for({"node": "n1"})
    everybody = read_order((tmp_path / box.give({}, STOP)).read_bytes())
    assert everybody.is_for({"node": "n7"})


def test_orders_are_kept_for_their_lifetime_only(tmp_path):
    clock = Clock()
    box = OrdersBox(tmp_path, now=clock)
    old = box.give({}, STOP, lifetime=10.0)
    clock.time = 9.0
    young = box.give({}, STOP, lifetime=10.0)
    assert names(box) == sorted([old, young])
    clock.time = 11.0
    newest = box.give({}, STOP)
    assert names(box) == sorted([young, newest])


def test_a_withdrawn_order_is_gone_and_closing_leaves_nothing(tmp_path):
    box = OrdersBox(tmp_path / "orders")
    box.withdraw(box.give({}, STOP))
    assert names(box) == []
    box.give({}, STOP)
    box.close()
    assert not box.directory.exists()


def test_what_nobody_could_take_is_refused(tmp_path):
    box = OrdersBox(tmp_path)
    with pytest.raises(ValueError, match="not by colour"):
        box.give({"colour": "red"}, STOP)
    with pytest.raises(ValueError, match="at most"):
        box.give({}, {"kind": "stop", "reason": "x" * LARGEST})
    assert names(box) == []
