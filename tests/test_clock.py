"""Time goes on in order, on the real clock and on the virtual one."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from parsl_diaspora import clock as clocks
from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.testing.clock import VirtualClock


@pytest.fixture
def clock():
    """The system's clock; nothing of it is left after the test."""
    clock = SystemClock()
    yield clock
    clock.close()


@pytest.mark.parametrize("kind", [SystemClock, VirtualClock])
def test_both_clocks_can_do_what_the_package_asks_of_time(kind):
    assert isinstance(kind(), Clock)


# --- the system's clock ---------------------------------------------------------------------------------


def test_system_clock_shows_the_systems_times(clock):
    assert abs(clock.time() - time.time()) < 1
    assert abs(clock.monotonic() - time.monotonic()) < 1


def test_system_timers_fire_in_the_order_of_their_times_and_not_early(clock):
    fired, done = [], threading.Event()
    started = time.monotonic()
    for delay in (0.06, 0.02, 0.04):
        clock.call_later(delay, lambda delay=delay: fired.append((delay, time.monotonic() - started)))
    clock.call_later(0.08, done.set)
    assert done.wait(5)
    assert [delay for delay, _ in fired] == [0.02, 0.04, 0.06]
    assert all(took >= delay for delay, took in fired)


def test_system_timers_that_are_due_together_fire_in_the_order_in_which_they_were_set(clock):
    fired, done = [], threading.Event()
    for number in range(20):
        clock.call_later(-number, lambda number=number: fired.append(number))
        time.sleep(0.001)
    clock.call_later(0.02, done.set)
    assert done.wait(5)
    assert fired == list(range(20))


def test_timer_with_an_earlier_time_overtakes_one_that_is_waited_for(clock):
    done = threading.Event()
    clock.call_later(30, lambda: None)
    clock.call_later(0.01, done.set)
    assert done.wait(5)


def test_failing_timer_is_logged_and_does_not_stop_the_others(clock, caplog):
    done = threading.Event()
    clock.call_later(0.0, lambda: 1 / 0)
    clock.call_later(0.01, done.set)
    assert done.wait(5)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "division by zero" in record.exc_text


def test_timer_may_set_a_timer(clock):
    done = threading.Event()
    clock.call_later(0.0, lambda: clock.call_later(0.0, done.set))
    assert done.wait(5)


@pytest.mark.parametrize("delay", [float("inf"), 1e12])
def test_timer_for_the_end_of_days_does_not_stop_the_others(clock, delay):
    done = threading.Event()
    clock.call_later(delay, lambda: None)
    clock.call_later(0.01, done.set)
    assert done.wait(5)


def test_thread_of_the_timers_ends_when_there_are_none_and_comes_again(clock, monkeypatch):
    monkeypatch.setattr(clocks, "_IDLE", 0.01)
    for _ in range(2):
        fired, threads = threading.Event(), []
        clock.call_later(0.0, lambda threads=threads: threads.append(threading.current_thread()))
        clock.call_later(0.0, fired.set)
        assert fired.wait(5)
        threads[0].join(5)
        assert not threads[0].is_alive()
        assert threads[0].daemon


def test_closed_clock_forgets_its_timers_and_lets_their_thread_end(clock, monkeypatch):
    monkeypatch.setattr(clocks, "_IDLE", 0.01)
    threads, started = [], threading.Event()
    clock.call_later(30, lambda: threads.append("never"))
    clock.call_later(0, lambda: threads.append(threading.current_thread()))
    clock.call_later(0, started.set)
    assert started.wait(5)
    clock.close()
    threads[0].join(5)
    assert not threads[0].is_alive()
    assert len(threads) == 1


def test_system_wait_says_whether_the_event_was_set(clock):
    event = threading.Event()
    assert clock.wait(event, 0.01) is False
    clock.call_later(0.01, event.set)
    assert clock.wait(event, float("inf")) is True


# --- the virtual clock ----------------------------------------------------------------------------------


def test_virtual_clock_stands_still_until_it_is_moved():
    clock = VirtualClock(start=1000.0)
    assert (clock.time(), clock.monotonic()) == (1000.0, 0.0)
    clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (1002.5, 2.5)


def test_virtual_timers_run_in_order_in_the_callers_thread_and_see_their_own_time():
    clock, ran = VirtualClock(), []
    for delay in (3.0, 1.0, 2.0, 1.0):
        clock.call_later(
            delay, lambda d=delay: ran.append((d, clock.monotonic(), threading.current_thread()))
        )
    clock.advance(2.5)
    here = threading.current_thread()
    assert ran == [(1.0, 1.0, here), (1.0, 1.0, here), (2.0, 2.0, here)]
    assert clock.pending() == 1
    assert clock.monotonic() == 2.5


def test_virtual_timers_due_at_once_run_in_the_order_in_which_they_were_set():
    clock, ran = VirtualClock(), []
    for number in range(5):
        clock.call_later(-1, lambda number=number: ran.append(number))
    clock.advance(0)
    assert ran == [0, 1, 2, 3, 4]


def test_timer_that_sets_itself_again_runs_as_often_as_fits():
    clock, ran = VirtualClock(), []

    def tick():
        ran.append(clock.monotonic())
        clock.call_later(10, tick)

    clock.call_later(10, tick)
    clock.advance(3600)
    assert ran == [10.0 * n for n in range(1, 361)]


def test_virtual_timer_that_fails_stops_no_other_and_is_raised_afterwards():
    clock, ran = VirtualClock(), []
    clock.call_later(1, lambda: 1 / 0)
    clock.call_later(2, lambda: ran.append("second"))
    with pytest.raises(ZeroDivisionError):
        clock.advance(5)
    assert ran == ["second"]
    assert clock.monotonic() == 5


def test_virtual_clock_cannot_be_moved_backwards():
    with pytest.raises(ValueError, match="backwards"):
        VirtualClock().advance(-1)


def test_wait_in_another_thread_ends_when_the_clock_has_been_moved_past_its_end():
    clock = VirtualClock(patience=0.02)
    with ThreadPoolExecutor(1) as threads:
        waited = threads.submit(lambda: (clock.wait(threading.Event(), 60), clock.monotonic()))
        clock.settle()
        clock.advance(59.9)
        assert not waited.done()
        clock.advance(0.2)
        assert waited.result(5) == (False, 60.0)


def test_wait_in_another_thread_ends_when_its_event_is_set():
    clock, event = VirtualClock(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        waited = threads.submit(clock.wait, event, 60)
        clock.settle()
        event.set()
        assert waited.result(5) is True
    assert clock.monotonic() == 0


def test_thread_that_waits_in_a_loop_wakes_each_time_in_one_advance():
    clock, stop, ticks = VirtualClock(), threading.Event(), []

    def loop():
        while not clock.wait(stop, 1.0):
            ticks.append(clock.monotonic())

    thread = threading.Thread(target=loop)
    thread.start()
    clock.settle()
    clock.advance(100)
    assert ticks == [float(n) for n in range(1, 101)]
    stop.set()
    thread.join(5)


def test_two_waiting_threads_and_timers_meet_in_the_order_of_their_times():
    clock, stop, met = VirtualClock(), threading.Event(), []

    def loop(name, period):
        while not clock.wait(stop, period):
            met.append((clock.monotonic(), name))

    threads = [threading.Thread(target=loop, args=each) for each in (("a", 3.0), ("b", 5.0))]
    for thread in threads:
        thread.start()
    clock.call_later(4, lambda: met.append((clock.monotonic(), "timer")))
    clock.settle(2)
    clock.advance(10)
    stop.set()
    for thread in threads:
        thread.join(5)
    assert met[:2] + met[2:] == sorted(met)
    assert met == [(3.0, "a"), (4.0, "timer"), (5.0, "b"), (6.0, "a"), (9.0, "a"), (10.0, "b")]


def test_thread_that_ends_after_its_wait_does_not_hold_the_clock():
    clock = VirtualClock(patience=30.0)
    thread = threading.Thread(target=clock.wait, args=(threading.Event(), 1))
    thread.start()
    clock.settle()
    started = time.monotonic()
    clock.advance(1000)
    assert time.monotonic() - started < 5
    thread.join(5)


def test_thread_that_never_waits_again_holds_the_clock_no_longer_than_its_patience():
    clock, end = VirtualClock(patience=0.02), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: (clock.wait(threading.Event(), 1), end.wait(30)))
        clock.settle()
        started = time.monotonic()
        clock.advance(5)
        assert time.monotonic() - started < 5
        end.set()


def test_wait_in_the_thread_that_made_the_clock_moves_it():
    clock, event, ran = VirtualClock(), threading.Event(), []
    clock.call_later(2, lambda: ran.append(clock.monotonic()))
    assert clock.wait(event, 5) is False
    assert (ran, clock.monotonic()) == ([2.0], 5.0)
    clock.call_later(3, event.set)
    assert clock.wait(event, 60) is True
    assert clock.monotonic() == 8.0


@pytest.mark.parametrize("timeout", [0, -1])
def test_wait_without_time_returns_at_once(timeout):
    clock, event = VirtualClock(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(clock.wait, event, timeout).result(5) is False
        event.set()
        assert threads.submit(clock.wait, event, timeout).result(5) is True
    assert clock.wait(event, timeout) is True


def test_settle_says_how_many_threads_it_waited_for_in_vain():
    with pytest.raises(TimeoutError, match="Only 0 of 2 threads"):
        VirtualClock().settle(2, timeout=0.01)


def test_virtual_times_never_step_back_while_timers_move_the_clock_themselves():
    clock, seen = VirtualClock(), []

    def sleepy():
        seen.append(clock.monotonic())
        clock.wait(threading.Event(), 10)
        seen.append(clock.monotonic())

    clock.call_later(1, sleepy)
    clock.call_later(2, lambda: seen.append(clock.monotonic()))
    clock.advance(3)
    seen.append(clock.monotonic())
    assert all(before <= after for before, after in pairwise(seen))
    assert seen == [1.0, 2.0, 11.0, 11.0]
