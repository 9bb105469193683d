"""From one fabric to another: all of it, in order, once for every reader, whatever happens on the way."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.events import (
    EventsLost,
    FabricLagged,
    ManagerSeen,
    RunEnded,
    ServiceDegraded,
    TaskSubmitted,
    TryFailed,
    decode,
    encode,
)
from parsl_diaspora.events.envelope import Event
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.bridge import Bridge, fabric_id
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.fabric.relay import Hub, make_keys
from parsl_diaspora.state import Dedupe
from parsl_diaspora.testing.clock import VirtualClock
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
from parsl_diaspora.testing.history import HistoryReader, Notes, check


def memory():
    return open_fabric("memory:")


def say(fabric, count, source="s", kind=TaskSubmitted):
    publisher = fabric.publisher(source)
    for number in range(1, count + 1):
        publisher.publish(kind(task=number))
    publisher.close()


def read(fabric, name="reader"):
    consumer = fabric.consumer(name)
    events = []
    while found := consumer.poll():
        events += found
    consumer.close()
    return events


def once(events):
    dedupe = Dedupe()
    return [event for event in events if dedupe.is_new(event)], dedupe


def tasks(events):
    return [event.task for event in events if type(event) is TaskSubmitted]


def carry(*arguments, **options):
    """All that is there now."""
    with Bridge(*arguments, **options) as bridge:
        assert bridge.drain()
    return bridge.status()


# --- pairs of fabrics ---


@pytest.mark.parametrize("source", ["memory:", "file:{}/a", "spool:{}/a-spool?to=file:{}/a"])
@pytest.mark.parametrize("target", ["memory:", "file:{}/b", "spool:{}/b-spool?to=file:{}/b"])
def test_all_events_arrive_in_order_and_know_where_they_came_from(tmp_path, source, target):
    source, target = (open_fabric(url.format(tmp_path, tmp_path)) for url in (source, target))
    say(source, 1000)
    if hasattr(source, "drain"):
        assert source.drain()
    status = carry(source, target)
    if hasattr(target, "drain"):
        assert target.drain()
    events = read(target)
    assert tasks(events) == list(range(1, 1001))
    assert {event.via for event in events} == {(fabric_id(source),)}
    assert (status.read, status.forwarded, status.lag, status.why) == (1000, 1000, 0, "")
    source.close()
    target.close()


def test_a_relay_is_a_target_and_no_source(tmp_path):
    make_keys(tmp_path / "keys")
    with Hub(f"file:{tmp_path}/global", tmp_path / "keys") as hub:
        relay, site = open_fabric(hub.url), memory()
        say(site, 300)
        carry(site, relay)
        assert tasks(read(open_fabric(f"file:{tmp_path}/global"))) == list(range(1, 301))
        with pytest.raises(FabricError, match="read elsewhere"):
            Bridge(relay, site)


def test_a_second_bridge_of_the_same_fabrics_goes_on_where_the_first_one_ended(tmp_path):
    site, everywhere = open_fabric(f"file:{tmp_path}/a"), open_fabric(f"file:{tmp_path}/b")
    say(site, 10)
    carry(site, everywhere)
    say(site, 10, "later")
    assert carry(site, everywhere).read == 10
    assert Counter(event.source for event in read(everywhere)) == {"s": 10, "later": 10}


def test_events_of_a_kind_that_is_not_known_go_on_whole():
    site, everywhere = memory(), memory()
    fields = {"kind": "task.teleported", "version": 3, "boot": "ab", "seq": 1, "to": {"x": 1}}
    site.publisher("s").forward(decode(encode_plain(fields)))
    carry(site, everywhere)
    (event,) = read(everywhere)
    assert event.data == {**fields, "via": [fabric_id(site)]}


def encode_plain(fields):
    import msgspec

    return msgspec.msgpack.encode(fields)


def test_event_without_a_crossing_has_the_bytes_it_always_had():
    assert b"via" not in encode(TaskSubmitted(task=1))
    assert decode(encode(TaskSubmitted(via=("a", "b")))).via == ("a", "b")


@pytest.mark.slow
def test_a_broker_that_is_killed_on_the_way_costs_no_event_there_and_none_back(tmp_path, kafka):
    prefix = os.urandom(4).hex()
    site, other = (open_fabric(f"file:{tmp_path}/{name}") for name in ("site", "other"))
    everywhere, seen_there = open_fabric(kafka.url(prefix)), open_fabric(kafka.url(prefix))
    with Bridge(site, everywhere) as there, Bridge(everywhere, site) as back, Bridge(seen_there, other) as on:
        say(site, 2000, "before")
        assert there.drain(30)
        kafka.kill()
        say(site, 2000, "meanwhile")
        time.sleep(0.5)
        kafka.start()
        assert there.drain(30)
        deadline = time.monotonic() + 30
        while on.status().forwarded < 4000 and time.monotonic() < deadline:
            time.sleep(0.05)
        while back.status().loops < 4000 and time.monotonic() < deadline:
            time.sleep(0.05)
    events, dedupe = once(read(other))
    for source in ("before", "meanwhile"):
        own = [event for event in events if event.source == source]
        assert [event.seq for event in own] == list(range(1, 2001))
    assert dedupe.missing == 0
    assert {event.via for event in events if type(event) is TaskSubmitted} == {
        (fabric_id(site), fabric_id(everywhere))
    }
    assert verify(tmp_path / "site").duplicates == 0
    everywhere.close()
    seen_there.close()


# --- identity and loops ---


def test_embedded_log_has_one_id_under_every_path_and_two_logs_have_two(tmp_path):
    first = fabric_id(open_fabric(f"file:{tmp_path}/a"))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert fabric_id(open_fabric(f"file:{tmp_path}/link?roll=1MB")) == first
    assert fabric_id(open_fabric(f"file:{tmp_path}/b")) != first
    assert verify(tmp_path / "a").foreign == []


@pytest.mark.parametrize("host", ["global.example.org:9092", "[2001:db8::1]:9092,[2001:db8::2]:9092"])
def test_a_broker_has_one_id_whatever_the_options_and_secrets_and_another_one_for_another_prefix(host):
    pytest.importorskip("confluent_kafka")
    plain, secret, other = (
        fabric_id(open_fabric(url))
        for url in (
            f"kafka://{host}/p",
            f"kafka://me:pw@{host}/p?compression=zstd&sasl=PLAIN",
            f"kafka://{host}/q",
        )
    )
    assert plain == secret != other


def test_one_fabric_is_not_bridged_to_itself(tmp_path):
    with pytest.raises(FabricError, match="two fabrics"):
        Bridge(open_fabric(f"file:{tmp_path}/a"), open_fabric(f"file:{tmp_path}/a"))


def test_bridges_in_both_directions_settle_with_each_event_once_on_each_side():
    site, everywhere = memory(), memory()
    say(site, 100, "at the site")
    say(everywhere, 50, "elsewhere")
    with Bridge(site, everywhere) as there, Bridge(everywhere, site) as back:
        for _ in range(3):
            assert there.drain()
            assert back.drain()
        settled = site.end(), everywhere.end()
        time.sleep(0.1)
        assert (site.end(), everywhere.end()) == settled == (150, 150)
    for fabric in (site, everywhere):
        events = read(fabric)
        assert Counter(event.source for event in events) == {"at the site": 100, "elsewhere": 50}
        assert len({event.id for event in events}) == 150
    assert (there.status().loops, back.status().loops) == (50, 100)


def test_a_ring_of_three_fabrics_settles():
    ring = [memory() for _ in range(3)]
    say(ring[0], 10)
    bridges = [Bridge(ring[at], ring[(at + 1) % 3]) for at in range(3)]
    for _ in range(3):
        for bridge in bridges:
            assert bridge.drain()
    assert [fabric.end() for fabric in ring] == [10, 10, 10]
    assert bridges[2].status().loops == 10


def test_hops_are_bounded_and_what_is_stopped_is_counted():
    chain = [memory() for _ in range(5)]
    say(chain[0], 10)
    bridges = [Bridge(one, other, most_hops=3) for one, other in pairwise(chain)]
    for bridge in bridges:
        bridge.drain()
    assert [fabric.end() for fabric in chain] == [10, 10, 10, 10, 0]
    assert bridges[-1].status().too_far == 10


# --- topics, filters, reductions ---


def mixed(fabric, count):
    publisher = fabric.publisher("s")
    for number in range(1, count + 1):
        publisher.publish(TryFailed(task=number) if number % 10 == 0 else TaskSubmitted(task=number))
    publisher.publish(RunEnded(done=1))
    publisher.close()


def test_topics_are_picked_and_readers_are_told_that_the_others_are_missing_by_design(tmp_path):
    site, everywhere = memory(), open_fabric(f"file:{tmp_path}/b")
    mixed(site, 100)
    status = carry(site, everywhere, topics=["failures"])
    events, dedupe = once(read(everywhere))
    assert Counter(event.kind for event in events) == {"task.try_failed": 10, "events.compacted": 11}
    assert (status.filtered, status.marks, dedupe.missing, dedupe.duplicates) == (91, 11, 0, 0)
    verdict = verify(tmp_path / "b")
    assert (verdict.gaps, verdict.compacted) == ([], 91)


def test_a_number_that_the_source_itself_lacks_is_still_missing(tmp_path):
    site, everywhere = memory(), open_fabric(f"file:{tmp_path}/b")
    publisher = site.publisher("s")
    for number in (1, 2, 4, 7):
        kind = TryFailed if number == 7 else TaskSubmitted
        publisher.forward(kind(source="s", boot="ab", seq=number))
    carry(site, everywhere, topics=["failures"])
    assert once(read(everywhere))[1].missing == 3
    assert verify(tmp_path / "b").gaps == ["s: 3 up to 7"]


def test_bridges_with_different_filters_together_bring_every_event_to_a_reader():
    site, everywhere = memory(), memory()
    mixed(site, 100)
    carry(site, everywhere, topics=["failures"], name="some")
    carry(site, everywhere, topics=["tasks", "control"], name="others")
    events, dedupe = once(read(everywhere))
    assert sorted(e.seq for e in events if e.kind != "events.compacted") == list(range(1, 102))
    assert dedupe.missing == 0


def test_a_filter_is_any_function_and_one_that_raises_loses_nothing():
    site, everywhere = memory(), memory()
    say(site, 30)
    status = carry(site, everywhere, wants=lambda event: 1 // (event.task % 3) == 1)
    assert tasks(read(everywhere)) == [task for task in range(1, 31) if task % 3 != 2]
    assert status.faults == 10


@pytest.mark.parametrize("topics", [["tusks"], ["tasks", ""]])
def test_a_topic_that_is_none_is_refused(topics):
    with pytest.raises(FabricError, match="is no topic"):
        Bridge(memory(), memory(), topics=topics)


@pytest.mark.parametrize(
    "rule", ["", "last", "stats:", "median:3s", "last:0", "last:-3s", "net:x", "last:10y"]
)
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(FabricError, match="is no rule to reduce events by"):
        Bridge(memory(), memory(), reduce=rule)


class Samples:
    """A source of samples on a clock of its own."""

    def __init__(self, clock):
        self.clock = clock
        self.site, self.everywhere = memory(), memory()
        self.publisher = self.site.publisher("node")

    def bridge(self, **options):
        return Bridge(self.site, self.everywhere, clock=self.clock, **options)

    def say(self, event, after=1.0):
        self.clock.advance(after)
        event.time = self.clock.time()
        self.publisher.publish(event)

    def arrived(self):
        events, dedupe = once(read(self.everywhere, os.urandom(4).hex()))
        assert dedupe.missing == 0
        return events


@pytest.fixture
def samples():
    return Samples(VirtualClock())


def test_last_value_of_each_place_is_kept_when_the_window_ends(samples):
    bridge = samples.bridge(reduce="last:10s")
    for number in range(9):
        samples.say(ManagerSeen(manager=f"m{number % 2}", workers=number))
        bridge.step()
    assert samples.arrived() == []
    assert bridge.status().commits == 0
    samples.clock.advance(1.0)
    bridge.step()
    kept = [event for event in samples.arrived() if isinstance(event, ManagerSeen)]
    assert [(event.manager, event.workers, event.seq) for event in kept] == [("m1", 7, 8), ("m0", 8, 9)]
    assert (bridge.status().reduced, bridge.status().commits) == (7, 1)


def test_statistics_name_the_fields_and_take_the_place_of_the_last_sample(samples):
    bridge = samples.bridge(reduce="stats:30s")
    for workers in (4, 8, 6):
        samples.say(ManagerSeen(manager="m", workers=workers))
    samples.clock.advance(27.0)
    bridge.step()
    *_, stats = samples.arrived()
    assert (stats.of, stats.count, stats.first, stats.last, stats.seq) == ("manager.seen", 3, 1, 3, 3)
    assert (stats.counts, stats.low, stats.mean, stats.high) == (
        {"workers": 3},
        {"workers": 4},
        {"workers": 6.0},
        {"workers": 8},
    )
    assert (stats.source, stats.manager, stats.topic) == ("node", "m", "resources")
    assert stats.time - stats.since == 2.0


def test_a_backlog_is_reduced_by_the_time_of_its_events_not_by_that_of_the_bridge(samples):
    for number in range(1, 61):
        samples.say(ManagerSeen(manager="m", workers=number))
    bridge = samples.bridge(reduce="last:10s")
    bridge.step()
    bridge.stop()
    kept = [event.workers for event in samples.arrived() if isinstance(event, ManagerSeen)]
    assert kept == [9, 19, 29, 39, 49, 59, 60]


def test_net_effect_keeps_the_last_state_of_each_place_whatever_kind_tells_it(samples):
    from parsl_diaspora.events import BlockLost, BlockSeen, ManagerLost

    bridge = samples.bridge(reduce="net:1m")
    said = [
        BlockSeen(block="0", state="PENDING"),
        BlockSeen(block="0", state="RUNNING"),
        ManagerSeen(block="0", manager="m"),
        BlockLost(block="0", state="FAILED"),
        ManagerLost(block="0", manager="m"),
        BlockSeen(block="1", state="PENDING"),
    ]
    for event in said:
        samples.say(event)
    bridge.step()
    bridge.stop()
    kept = [event for event in samples.arrived() if event.kind != "events.compacted"]
    assert [(event.kind, event.block) for event in kept] == [
        ("block.lost", "0"),
        ("manager.lost", "0"),
        ("block.seen", "1"),
    ]


@pytest.mark.parametrize("rule", ["last:10s", "stats:10s"])
def test_the_end_of_a_place_is_never_reduced_and_goes_on_at_once(samples, rule):
    from parsl_diaspora.events import ManagerLost

    bridge = samples.bridge(reduce=rule)
    samples.say(ManagerSeen(manager="m", workers=1))
    samples.say(ManagerSeen(manager="m", workers=2))
    for _ in range(2):
        samples.say(ManagerLost(manager="m", reason="gone"), after=0.1)
    bridge.step()
    assert [event.kind for event in samples.arrived()][-2:] == ["manager.lost"] * 2


def test_what_is_no_sample_goes_on_at_once_in_the_order_of_its_source(samples):
    bridge = samples.bridge(reduce="last:1h")
    for number in range(1, 5):
        samples.say(ManagerSeen(manager="m", workers=number))
        samples.say(ManagerSeen(manager="m", workers=10 * number))
        samples.say(TryFailed(task=number))
        bridge.step()
    events = samples.arrived()
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    kinds = [event.kind for event in events]
    assert kinds == ["events.compacted", "manager.seen", "task.try_failed"] * 4
    assert all(event.workers >= 10 for event in events if isinstance(event, ManagerSeen))


def test_tasks_and_failures_are_reduced_only_if_that_is_asked_for(samples):
    from parsl_diaspora.fabric.bridge import Reduction

    for number in range(5):
        samples.say(TaskSubmitted(func=str(number)))
    bridge = samples.bridge(reduce="last:1h")
    bridge.step()
    assert len(samples.arrived()) == 5
    samples.everywhere = memory()
    other = samples.bridge(reduce=Reduction("last:1h", ["tasks"]))
    other.step()
    other.stop()
    assert [event.func for event in samples.arrived() if isinstance(event, TaskSubmitted)] == ["4"]


def test_a_window_that_was_open_when_the_bridge_died_is_read_again(samples):
    dies = samples.bridge(reduce="last:10s")
    samples.say(ManagerSeen(manager="m", workers=1))
    samples.say(TryFailed(task=1))
    samples.say(ManagerSeen(manager="m", workers=2))
    dies.step()
    assert [event.seq for event in samples.arrived()] == [1, 2]
    samples.say(ManagerSeen(manager="m", workers=3))
    lives = samples.bridge(reduce="last:10s")
    lives.step()
    samples.clock.advance(10.0)
    lives.step()
    seen = [event.workers for event in samples.arrived() if isinstance(event, ManagerSeen)]
    assert seen == [1, 3]


# --- outages ---


def test_an_outage_of_the_target_is_said_once_and_once_more_when_it_is_over():
    clock, site = VirtualClock(), memory()
    everywhere = FaultyFabric(memory(), "refuses")
    bridge = Bridge(site, everywhere, clock=clock, chance=random.Random(1))
    say(site, 20)
    for _ in range(600):
        bridge.step()
        clock.advance(0.2)
    assert bridge.status().lagging
    assert "refuses" in bridge.status().why
    assert everywhere.opened < 30  # it has waited longer and longer
    everywhere.fault = "up"
    for _ in range(300):
        bridge.step()
        clock.advance(0.2)
    assert (bridge.status().lagging, bridge.status().why, bridge.status().lag) == (False, "", 0)
    words = [event for event in read(site) if isinstance(event, FabricLagged)]
    assert [word.over for word in words] == [False, True]
    events = read(everywhere)
    assert tasks(events) == list(range(1, 21))
    assert sum(isinstance(event, FabricLagged) for event in events) == 2  # they went on as well
    bridge.stop()


@pytest.mark.parametrize("fault", ["refuses", "hangs", "deaf", "drops"])
def test_no_fault_of_the_target_loses_an_event(fault):
    site, everywhere = memory(), FaultyFabric(memory())
    bridge = Bridge(site, everywhere, chance=random.Random(2))
    bridge._handover._timeout = 0.02
    with bridge:
        for part in range(4):
            say(site, 50, f"s{part}")
            everywhere.fault = fault if part % 2 == 0 else "up"
            time.sleep(0.1)
        everywhere.fault = "up"
        assert bridge.drain(30)
    events, _ = once(read(everywhere))
    numbers = defaultdict(list)
    for event in events:
        if isinstance(event, TaskSubmitted):
            numbers[event.source].append(event.seq)
    assert numbers == {f"s{part}": list(range(1, 51)) for part in range(4)}


def test_a_bridge_that_is_stopped_during_an_outage_keeps_its_place():
    site, everywhere = memory(), FaultyFabric(memory(), "refuses")
    say(site, 20)
    bridge = Bridge(site, everywhere).start()
    time.sleep(0.1)
    assert bridge.stop(0.3) is False
    everywhere.fault = "up"
    carry(site, everywhere)
    assert tasks(read(everywhere)) == list(range(1, 21))


def test_one_event_that_is_refused_for_good_is_counted_and_said_and_the_others_go_on():
    site = memory()
    everywhere = FaultyFabric(memory(), poison=lambda event: event.task == 7)
    say(site, 20)
    status = carry(site, everywhere)
    assert status.refused == 1
    events, _ = once(read(everywhere))
    assert tasks(events) == [task for task in range(1, 21) if task != 7]
    assert any(isinstance(event, EventsLost) for event in events)


class Away:
    """A fabric whose consumers fail while it is away."""

    def __init__(self, inner):
        self._inner = inner
        self.away = False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def consumer(self, name, *, start="earliest"):
        if self.away:
            raise FabricUnavailable("The broker is away.", url=self.url)
        return AwayConsumer(self, self._inner.consumer(name, start=start))


class AwayConsumer:
    def __init__(self, fabric, inner):
        self._fabric, self._inner = fabric, inner

    def __getattr__(self, name):
        if self._fabric.away and name in ("poll", "commit", "lag"):
            raise FabricUnavailable("The broker is away.", url=self._fabric.url)
        return getattr(self._inner, name)


def test_an_outage_of_the_source_is_waited_for_and_said_on_the_target():
    clock, everywhere = VirtualClock(), memory()
    site = Away(memory())
    bridge = Bridge(site, everywhere, clock=clock)
    say(site, 5)
    bridge.step()
    site.away = True
    for _ in range(300):
        bridge.step()
        clock.advance(0.2)
    assert bridge.status().lagging
    assert "away" in bridge.status().why
    site.away = False
    say(site, 5, "later")
    for _ in range(300):
        bridge.step()
        clock.advance(0.2)
    events = read(everywhere)
    assert Counter(e.source for e in events if isinstance(e, TaskSubmitted)) == {"s": 5, "later": 5}
    assert [event.over for event in events if isinstance(event, FabricLagged)] == [False, True]
    bridge.stop()


def test_a_source_that_is_away_at_the_start_is_opened_later():
    site, everywhere = Away(memory()), memory()
    site.away = True
    with Bridge(site, everywhere) as bridge:
        say(site, 5)
        assert not bridge.drain(0.2)
        site.away = False
        assert bridge.drain()
    assert tasks(read(everywhere)) == [1, 2, 3, 4, 5]


def test_a_fault_of_its_own_is_said_once_and_loses_nothing(monkeypatch, caplog):
    site, everywhere = memory(), memory()
    bridge = Bridge(site, everywhere)
    cross, faults = bridge._crossing.cross, iter([True, False])

    def fails_once(events):
        if next(faults, False):
            raise RuntimeError("a mistake")
        return cross(events)

    monkeypatch.setattr(bridge._crossing, "cross", fails_once)
    say(site, 5)
    with bridge:
        assert bridge.drain(15)
    events = read(everywhere)
    assert tasks(events) == [1, 2, 3, 4, 5]
    assert [event.part for event in events if isinstance(event, ServiceDegraded)] == ["bridge"]
    assert caplog.text.count("goes on from its last commit") == 1


def test_memory_is_bounded_while_the_target_is_away():
    site, everywhere = memory(), FaultyFabric(memory(), "refuses")
    say(site, 50_000)
    bridge = Bridge(site, everywhere).start()
    time.sleep(0.3)
    assert bridge.status().read <= 10_000
    assert bridge.status().lag == 50_000
    assert bridge.stop(0.1) is False


# --- kills ---

_LIVES = """
from parsl_diaspora.fabric.bridge import Bridge, selection
from parsl_diaspora.testing.history import HistoryWriter, Notes
selection.MOST_TAKEN = 300
target, notes, seed = arguments[:3]
lives, every = map(int, arguments[3:])

def speak(name):
    chance = random.Random(f"{seed} {name}")
    writer = HistoryWriter(open_fabric(url).publisher(name), Notes(f"{notes}/{name}"))
    while True:
        writer.publish([chance.randrange(300) for _ in range(chance.randrange(1, 60))])
        writer.flush()
        time.sleep(chance.uniform(0, 0.004))

def bridge():
    wants = (lambda event: event.task is None or event.task % every == 0) if every > 1 else None
    Bridge(open_fabric(url), open_fabric(target), wants=wants).run()

def fork(act, *given):
    child = os.fork()
    if child == 0:
        try:
            act(*given)
        finally:
            os._exit(70)
    return child

def carried():
    consumer, count = open_fabric(target).consumer("count", start="earliest"), 0
    while events := consumer.poll(0.0):
        count += len(events)
    consumer.close()
    return count

chance = random.Random(seed)
speakers = [fork(speak, name) for name in ("one", "two")]
life = 0
while life < lives or (carried() <= 200 and life < 20 * lives):  # on a busy host most die too young
    child = fork(bridge)
    time.sleep(chance.uniform(0.005, 0.08) * (1 + life // lives))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    life += 1
for child in speakers:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("every", [1, 3])
def test_a_bridge_that_is_killed_again_and_again_loses_nothing(tmp_path, url, run_program, every):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    target, notes = open_fabric(f"file:{tmp_path}/global"), tmp_path / "notes"
    notes.mkdir()
    run_program(_LIVES, target.url, notes, seed, 30, every)
    carried = len(read(target))
    assert carried > 100
    wants = (lambda event: event.task is None or event.task % every == 0) if every > 1 else None
    carry(open_fabric(url), target, wants=wants)
    assert verify(tmp_path / "global").gaps == []
    said = [str(path) for path in notes.iterdir()]
    if every == 1:
        HistoryReader(target.consumer("judge"), "judge", Notes(notes / "judge")).drain()
        violations = check([*said, notes / "judge"]).violations
        print(f"{carried} carried by the dead, {len(violations.pop('duplicates', []))} twice")
        assert violations == {}
        return
    there, dedupe = once(read(target, "judge"))
    published, _ = once(read(open_fabric(url), "judge"))
    wanted = [(e.source, e.task) for e in published if type(e) is TaskSubmitted and e.task % every == 0]
    got = [(e.source, e.task) for e in there if type(e) is TaskSubmitted]
    assert dedupe.missing == 0
    for source in ("one", "two"):
        assert [n for s, n in got if s == source] == [n for s, n in wanted if s == source]


# --- the command ---


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "parsl_diaspora.cli.main", "bridge", *map(str, arguments)]


def test_command_carries_until_sigterm_and_ends_with_all_that_is_safe(tmp_path):
    import json

    site, everywhere = open_fabric(f"file:{tmp_path}/a"), open_fabric(f"file:{tmp_path}/b")
    say(site, 100)
    options = ["--from", site.url, "--to", everywhere.url, "--back", "--status", "0.2"]
    with subprocess.Popen(command(*options), stdout=subprocess.PIPE, text=True) as process:
        try:
            first = json.loads(process.stdout.readline())
            say(everywhere, 10, "elsewhere")
            deadline = time.monotonic() + 10
            while len(read(site)) < 110 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert first["name"].startswith("bridge-")
    last = [json.loads(line) for line in said.splitlines()][-2:]
    assert [status["forwarded"] for status in last] == [100, 10]
    assert len(read(site)) == len(read(everywhere)) == 110


def test_command_ends_with_one_when_something_is_not_carried(tmp_path):
    site = open_fabric(f"file:{tmp_path}/a")
    say(site, 10)
    (tmp_path / "b").write_text("no directory")
    options = ["--from", site.url, "--to", f"file:{tmp_path}/b", "--status", "0.2"]
    with subprocess.Popen(command(*options), stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()  # it works
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "carrier-pigeon:x"], "No fabric backend"),
        (["--topics", "tusks"], "is no topic"),
        (["--reduce", "median:3s"], "is no rule"),
        (["--reduce", "last:3s", "--reduce-topics", "x"], "is no topic"),
        (["--ids", "one"], "is not two ids"),
        (["--status", "0"], "too often"),
        (["--status", "soon"], "is no span of time"),
        (["--start", "yesterday"], "cannot start at"),
        (["--from", "file:{}/b"], "two fabrics"),
    ],
)
def test_command_that_cannot_work_says_why(tmp_path, capsys, options, words):
    from parsl_diaspora.cli.main import main

    defaults = {"--from": f"file:{tmp_path}/a", "--to": f"file:{tmp_path}/b"}
    given = dict(zip(options[::2], (text.format(tmp_path) for text in options[1::2]), strict=True))
    arguments = [part for pair in {**defaults, **given}.items() for part in pair]
    assert main(["bridge", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_command_drains_in_process_and_picks_topics(tmp_path):
    from parsl_diaspora.cli.main import main

    site = open_fabric(f"file:{tmp_path}/a")
    mixed(site, 100)
    options = ["--from", site.url, "--to", f"file:{tmp_path}/b", "--topics", "failures", "--drain"]
    assert main(["bridge", *options]) == 0
    events = read(open_fabric(f"file:{tmp_path}/b"))
    assert sum(isinstance(event, TryFailed) for event in events) == 10


def test_every_event_is_carried_whatever_it_says():
    from parsl_diaspora.testing.samples import sample_events

    site, everywhere = memory(), memory()
    publisher = site.publisher("s")
    for event in sample_events():
        event.via = ()
        publisher.publish(event)
    carry(site, everywhere)

    def plain(event: Event):
        event.via = ()
        return event

    assert [plain(event) for event in read(everywhere)] == read(site)


def has_patterns():
    return importlib.util.find_spec("parsl_diaspora.fabric.triggers") is not None


@pytest.mark.skipif(not has_patterns(), reason="this release has no patterns")
@pytest.mark.parametrize("in_a_file", [True, False])
def test_command_filters_by_a_pattern(tmp_path, in_a_file):
    from parsl_diaspora.cli.main import main

    site, pattern = open_fabric(f"file:{tmp_path}/a"), '{"kind": ["task.try_failed"], "task": [10, 20]}'
    mixed(site, 100)
    if in_a_file:
        (tmp_path / "pattern.json").write_text(pattern)
        pattern = f"@{tmp_path}/pattern.json"
    options = ["--from", site.url, "--to", f"file:{tmp_path}/b", "--filter", pattern, "--drain"]
    assert main(["bridge", *options]) == 0
    events = read(open_fabric(f"file:{tmp_path}/b"))
    assert [event.task for event in events if isinstance(event, TryFailed)] == [10, 20]


@pytest.mark.skipif(has_patterns(), reason="this release has patterns")
def test_command_without_patterns_says_what_else_there_is(tmp_path, capsys):
    from parsl_diaspora.cli.main import main

    options = ["--from", f"file:{tmp_path}/a", "--to", f"file:{tmp_path}/b", "--filter", "{}"]
    assert main(["bridge", *options]) == 2
    assert "--topics" in capsys.readouterr().err
