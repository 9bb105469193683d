"""What is special to the relay: hubs that die or freeze, bad links, strangers, orders, processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import resource
import stat
import subprocess
import sys
import threading
import time
from collections import Counter

import msgspec
import psutil
import pytest
import zmq

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.events import TaskSubmitted, decode_many, encode, join
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.frames import Scan, pack_frame, scan_frames
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.fabric.relay import Hub, RelayFabric, make_keys
from parsl_diaspora.fabric.relay.keys import ClientKeys, load_client_keys, load_hub_keys
from parsl_diaspora.fabric.relay.link import Link
from parsl_diaspora.fabric.relay.wire import MAX_IN_FLIGHT, Ack, Batch, Done, Hello, pack, unpack_at_client
from tests.fabric.relay_help import Follower, HubProcess, Proxy, new_seed, read_log
from tests.waiting import becomes

KILLS = 20


@pytest.fixture
def keys(tmp_path):
    return make_keys(tmp_path / "keys").parent


@pytest.fixture
def hub(url, keys):
    with Hub(url, keys) as hub:
        yield hub


@pytest.fixture
def hub_process(url, keys):
    hub = HubProcess(url, keys)
    yield hub
    hub.close()


@pytest.fixture
def proxied(hub, keys):
    """A link to the hub that can be spoiled, and the fabric behind it."""
    proxy = Proxy(port_of(hub.url))
    yield proxy, RelayFabric(f"relay:127.0.0.1:{proxy.port}?key={keys / 'client.key'}")
    proxy.close()


def port_of(url):
    return int(url.split(":")[2].partition("?")[0])


def say(publisher, numbers):
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number))


def tasks(directory):
    events, skipped = read_log(directory)
    assert skipped == 0
    return [event.task for event in events]


@pytest.fixture
def clients():
    """Makes clients that do as they like; they are closed after the test."""
    context, made = zmq.Context(), []

    def client(url, *, keys=None, kind=zmq.DEALER):
        made.append(context.socket(kind))
        if keys is not None:
            own = load_client_keys(keys / "client.key")
            made[-1].curve_serverkey = own.hub.encode()
            made[-1].curve_publickey = own.public.encode()
            made[-1].curve_secretkey = own.secret.encode()
        made[-1].connect(f"tcp://127.0.0.1:{port_of(url)}")
        return made[-1]

    yield client
    context.destroy(linger=0)


def batch_of(boot, number, *, base=1, events=3, size=1):
    """The two parts of a batch."""
    first = (number - 1) * events + 1
    encoded = [
        encode(TaskSubmitted(boot=boot, seq=seq, task=seq, func="x" * size))
        for seq in range(first, first + events)
    ]
    return [pack(Batch(boot, number, base)), pack_frame(join(encoded), events, first, time.time())]


def ack_from(socket, patience=5000):
    return unpack_at_client(socket.recv()) if socket.poll(patience) else None


# --- hubs that die, freeze, or cannot write ---------------------------------------------------------------


def start_speaker(url, source, seed, mode):
    command = [sys.executable, "-W", "ignore", "-m", "tests.fabric.relay_speaker", url, source, seed, mode]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(speaker):
    """What a speaker that is told to end has said: what was safe at last, lost, and published."""
    output, _ = speaker.communicate(timeout=40)
    _, safe, lost, published = output.splitlines()[-1].split()
    told = [int(line.split()[1]) for line in output.splitlines()]
    assert told == sorted(told)
    return int(safe), int(lost), int(published)


def test_no_acknowledged_event_is_lost_when_the_hub_is_killed_again_and_again(directory, hub_process):
    seed = new_seed()
    chance = random.Random(seed)
    speakers = {
        f"s{number}": start_speaker(hub_process.url, f"s{number}", f"{seed}/{number}", mode)
        for number, mode in enumerate(("queued", "immediate", "queued"))
    }
    follower = Follower(directory)
    time.sleep(0.3)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 0.15))
        hub_process.kill()
        hub_process.start()
    ends = {source: heard(speaker) for source, speaker in speakers.items()}
    assert hub_process.terminate() == 0
    events, skipped = read_log(directory)
    assert skipped == 0
    assert not verify(directory).damaged
    met = {event.id: event for event in follower.stop()}  # in the order in which each came first
    first_met = list(met.values())
    assert met.keys() == {event.id for event in events}
    assert all(event.task == event.seq and set(event.func) <= {"x"} for event in first_met)
    for source, (safe, lost, published) in ends.items():
        own = [event.seq for event in first_met if event.source == source]
        behind = [event.seq for event in first_met if event.source == f"{source}/behind"]
        assert (safe, lost) == (published + published // 50, 0)
        assert own == list(range(1, published + 1))
        assert behind == list(range(50, published + 1, 50))
    twice = Counter(event.id for event in events) - Counter(met.keys())
    assert all("behind" in met[twice_met].source for twice_met in twice)  # the log tells of own events only


def test_events_wait_while_the_hub_is_frozen_and_arrive_once_and_in_order(directory, hub_process):
    publisher = open_fabric(hub_process.url).publisher("s")
    say(publisher, range(100))
    assert publisher.flush(10).safe == 100
    hub_process.freeze()
    for begin in range(100, 1600, 100):
        say(publisher, range(begin, begin + 100))
        publisher.flush(0.1)
    report = publisher.flush(0.1)
    assert (report.safe, report.waiting, report.lost) == (100, 1500, 0)
    hub_process.thaw()
    assert publisher.flush(10).safe == 1600
    publisher.close()
    assert tasks(directory) == list(range(1600))


def test_immediate_publisher_waits_for_a_frozen_hub_once_and_for_milliseconds_only(hub_process):
    publisher = open_fabric(hub_process.url).publisher("s", immediate=True)
    say(publisher, range(10))
    assert publisher.flush(5).safe == 10
    hub_process.freeze()
    started = time.monotonic()
    say(publisher, range(10, 510))
    assert time.monotonic() - started < 1.5  # waited for each time, it would be 2.5
    hub_process.thaw()
    assert publisher.flush(10).safe == 510
    publisher.publish(TaskSubmitted(task=510))
    assert publisher.flush(1).safe == 511
    publisher.close()


def test_hub_that_cannot_write_acknowledges_nothing_and_goes_on_when_it_can(directory, hub):
    publisher = open_fabric(hub.url).publisher("s")
    say(publisher, range(10))
    assert publisher.flush(5).safe == 10
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        for begin in range(10, 100, 10):
            say(publisher, range(begin, begin + 10))
            publisher.flush(0.02)
        report = publisher.flush(0.1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (report.safe, report.waiting) == (10, 90)
    assert publisher.flush(10).safe == 100
    publisher.close()
    assert tasks(directory) == list(range(100))


def test_batch_that_comes_again_is_acknowledged_and_stored_once_even_by_the_next_hub(
    directory, url, keys, clients
):
    for _ in range(2):
        with Hub(url, keys) as hub:
            client = clients(hub.url, keys=keys)
            for _ in range(2):
                client.send_multipart(batch_of("a" * 16, 1))
                assert ack_from(client) == Ack("a" * 16, 1)
            client.send_multipart(batch_of("a" * 16, 2, base=2))
            assert ack_from(client) == Ack("a" * 16, 2)
    assert tasks(directory) == [1, 2, 3, 4, 5, 6]


def test_batch_is_not_taken_before_the_one_in_front_of_it(directory, hub, keys, clients):
    client = clients(hub.url, keys=keys)
    client.send_multipart(batch_of("a" * 16, 2))
    assert ack_from(client) == Ack("a" * 16, 0)
    for number in (1, 2):
        client.send_multipart(batch_of("a" * 16, number))
        assert ack_from(client) == Ack("a" * 16, number)
    assert tasks(directory) == [1, 2, 3, 4, 5, 6]


def test_hub_goes_on_after_a_fault_of_its_own_and_says_it_once(directory, hub, monkeypatch, caplog):
    broken = threading.Event()

    def fail(*_):
        broken.set()
        raise RuntimeError("broken store")

    with monkeypatch.context() as patch:
        patch.setattr("parsl_diaspora.fabric.relay.store.SegmentStore.append", fail)
        publisher = open_fabric(hub.url).publisher("s")
        say(publisher, range(10))
        assert broken.wait(5)
        assert publisher.flush(1.5).waiting == 10
    assert publisher.flush(10).safe == 10
    publisher.close()
    assert tasks(directory) == list(range(10))
    assert caplog.text.count("met a fault") == 1


def test_waiting_for_a_hub_costs_no_processor_time(hub_process):
    got = []
    publisher = open_fabric(hub_process.url).publisher("s", on_order=got.append)
    say(publisher, range(10))
    assert publisher.flush(5).safe == 10
    for away in (hub_process.freeze, hub_process.kill):
        away()
        say(publisher, range(10))
        publisher._courier._inbox.answers.append(Done("unsendable"))
        before = time.process_time()
        publisher.flush(1.5)
        assert time.process_time() - before < 0.5
    publisher.close(0.0)


def test_frames_in_the_log_tell_how_far_each_boot_has_come(directory, hub):
    publisher = open_fabric(hub.url).publisher("s")
    for number in range(60):
        publisher.publish(TaskSubmitted(task=number))
        if number % 7 == 0:
            publisher.forward(TaskSubmitted(source="behind", boot="f", seq=number + 1))
            publisher.flush(number % 2)
    assert publisher.close(5).safe == 69
    told = []
    for path in sorted(directory.glob("relay.*.events")):
        told.extend(scan_frames(path.read_bytes(), 0, Scan(0)))
    assert len(told) > 10
    for frame in told:
        events = decode_many(frame.body)
        own = {event.source for event in events} == {"s"}
        assert frame.first == (events[0].seq if own else 0)
        assert [event.seq for event in events] == list(
            range(events[0].seq, events[0].seq + frame.count)
        ) or not own


def test_hub_can_forward_to_another_hub(directory, hub, keys):
    with Hub(hub.url, keys) as nearer:
        publisher = open_fabric(nearer.url).publisher("s")
        say(publisher, range(100))
        assert publisher.close(10).safe == 100
    events, _ = read_log(directory)
    assert [(event.source, event.seq, event.task) for event in events] == [
        ("s", n + 1, n) for n in range(100)
    ]


def test_what_the_connection_refuses_for_a_moment_is_sent_when_it_has_room(hub, monkeypatch):
    refusals = []

    class HardOfHearing(Link):
        def send(self, *parts):
            if len(refusals) < 3:
                refusals.append(parts)
                self._refused = True
                return False
            return super().send(*parts)

    monkeypatch.setattr("parsl_diaspora.fabric.relay.courier.Link", HardOfHearing)
    publisher = open_fabric(hub.url).publisher("s")
    publisher.publish(TaskSubmitted())
    assert publisher.flush(2.5).safe == 1  # looked for each second only, it would take three
    assert len(refusals) == 3
    publisher.close()


# --- links ------------------------------------------------------------------------------------------------


def test_link_that_is_cut_delayed_and_swallows_loses_and_doubles_nothing(directory, proxied):
    chance = random.Random(new_seed())
    proxy, fabric = proxied
    publisher = fabric.publisher("s")
    count = 0
    for fault in chance.sample(["cut", "middle", "swallow", "delay", "down"] * 2, 10):
        if fault == "cut":
            proxy.cut()
        proxy.cut_after = 90 if fault == "middle" else None
        proxy.delay = 0.02 if fault == "delay" else 0.0
        proxy.swallow = fault == "swallow"
        proxy.open = fault != "down"
        if fault == "down":
            proxy.cut()
        for _ in range(chance.randrange(1, 10)):
            say(publisher, range(count, count + 30))
            count += 30
            publisher.flush(0.03)
        proxy.swallow, proxy.open = False, True
    proxy.delay, proxy.cut_after = 0.0, None
    report = publisher.flush(20)
    assert (report.safe, report.waiting, report.lost) == (count, 0, 0)
    publisher.close()
    assert tasks(directory) == list(range(count))


def test_a_handshake_that_is_garbled_on_the_way_is_made_again(directory, proxied):
    proxy, fabric = proxied
    proxy.garble = 3
    publisher = fabric.publisher("s")
    say(publisher, range(3))
    report = publisher.flush(20)
    assert (report.safe, report.waiting, proxy.garble) == (3, 0, 0)
    publisher.close()
    assert tasks(directory) == [0, 1, 2]


def test_nothing_on_the_wire_can_be_read(directory, hub, proxied):
    proxy, fabric = proxied
    orders = []
    publisher = fabric.publisher("plain-source", on_order=orders.append, place={"node": "plain-node"})
    publisher.publish(TaskSubmitted(func="plain-function" * 50))
    assert publisher.flush(5).safe == 1
    assert hub.order("plain-source", {"do": "plain-order"}).wait(5)
    publisher.close()
    assert orders == [{"do": "plain-order"}]
    assert b"plain-function" in b"".join(path.read_bytes() for path in directory.glob("*.events"))
    assert len(proxy.passed) > 1000
    assert b"plain" not in proxy.passed


# --- strangers --------------------------------------------------------------------------------------------


def test_hub_does_not_start_without_keys(url, tmp_path):
    with pytest.raises(FabricError, match=r"hub\.key cannot be read: No such file") as caught:
        Hub(url, tmp_path)
    assert "make_keys" in caught.value.hint
    done = subprocess.run(
        [sys.executable, "-m", "parsl_diaspora.fabric.relay", "--to", url, "--keys", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "hub.key cannot be read" in done.stderr


def test_stranger_with_another_key_gets_nothing_in(directory, hub, keys, tmp_path, caplog):
    stranger = tmp_path / "stranger"
    make_keys(stranger)
    good, own = load_client_keys(keys / "client.key"), load_client_keys(stranger / "client.key")
    knows_hub = ClientKeys(hub=good.hub, public=own.public, secret=own.secret)
    for number, client in enumerate((own, knows_hub)):
        file = tmp_path / f"{number}.key"
        file.write_bytes(msgspec.json.encode(client))
        file.chmod(0o600)
        publisher = RelayFabric(f"relay:127.0.0.1:{port_of(hub.url)}?key={file}").publisher("stranger")
        publisher.publish(TaskSubmitted(task=1))
        report = publisher.close(0.5)
        assert (report.safe, report.lost) == (0, 1)
    friend = open_fabric(hub.url).publisher("friend")
    friend.publish(TaskSubmitted(task=2))
    assert friend.close(5).safe == 1
    assert tasks(directory) == [2]
    assert "refused a connection from 127.0.0.1" in caplog.text
    assert "refuses this run's key" in caplog.text


def test_stranger_without_a_key_gets_nothing_in(directory, hub, clients):
    plain, noise = clients(hub.url), clients(hub.url, kind=zmq.STREAM)
    plain.send_multipart(batch_of("a" * 16, 1))
    noise.send_multipart([noise.recv_multipart()[0], b"GET / HTTP/1.0\r\n\r\n"])
    assert ack_from(plain, 500) is None
    friend = open_fabric(hub.url).publisher("friend")
    friend.publish(TaskSubmitted(task=2))
    assert friend.close(5).safe == 1
    assert tasks(directory) == [2]


def test_message_that_is_none_and_frame_that_is_damaged_change_nothing(directory, hub, keys, clients):
    client = clients(hub.url, keys=keys)
    head, frame = batch_of("a" * 16, 1)
    for odd in (
        [b""],
        [b"\xff" * 100],
        [head],
        [head, b""],
        [head, frame[:-1]],
        [head, frame[:-1] + b"!"],
        [head, frame + b"more"],
        [head, frame + frame],
        [pack(Ack("a" * 16, 1))],
        [b"", head, frame],
    ):
        client.send_multipart(odd)
    client.send_multipart(batch_of("b" * 16, 1))
    assert ack_from(client) == Ack("b" * 16, 1)
    assert tasks(directory) == [1, 2, 3]


def test_keys_are_closed_to_others_and_stay_in_their_files(keys):
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for name, load in (("hub.key", load_hub_keys), ("client.key", load_client_keys)):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600
        loaded = load(keys if name == "hub.key" else keys / name)
        assert loaded.secret not in repr(loaded) + str(loaded) + repr(loaded.__rich_repr__())
        with pytest.raises(TypeError, match="is not pickled"):
            pickle.dumps(loaded)


def test_keys_that_others_can_read_are_refused(url, keys):
    (keys / "client.key").chmod(0o640)
    with pytest.raises(FabricError, match="open to others"):
        load_client_keys(keys / "client.key")
    (keys / "hub.key").chmod(0o604)
    with pytest.raises(FabricError, match="open to others"):
        Hub(url, keys)


def test_file_that_holds_no_keys_is_refused_without_being_quoted(keys):
    (keys / "client.key").write_text('{"hub": "hunter2"}')
    with pytest.raises(FabricError, match="holds no keys") as caught:
        load_client_keys(keys / "client.key")
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


def test_keys_of_a_run_are_not_replaced(keys):
    with pytest.raises(FabricError, match="File exists"):
        make_keys(keys)


# --- many and slow ----------------------------------------------------------------------------------------


def test_ten_processes_publish_at_once(directory, hub):
    speakers = {
        f"p{number}": start_speaker(hub.url, f"p{number}", str(number), "queued") for number in range(10)
    }
    becomes(lambda: len({event.source for event in read_log(directory)[0]}) == 20)
    ends = {source: heard(speaker) for source, speaker in speakers.items()}
    met = Counter(event.source for event in read_log(directory)[0])
    assert {source: met[source] for source in ends} == {source: end[2] for source, end in ends.items()}
    assert verify(directory).duplicates == 0


def test_peer_that_never_reads_costs_bounded_memory_and_nobody_else_time(hub_process, keys, clients):
    client = clients(hub_process.url, keys=keys)
    friend = open_fabric(hub_process.url).publisher("friend")
    friend.publish(TaskSubmitted())
    assert friend.flush(10).safe == 1
    before = psutil.Process(hub_process.process.pid).memory_info().rss
    parts = batch_of("a" * 16, 1, size=60_000, events=1)
    deadline = time.monotonic() + 1.5
    sent = 0
    while time.monotonic() < deadline:
        if client.poll(10, zmq.POLLOUT):
            client.send_multipart(parts, zmq.NOBLOCK)
            sent += 1
    assert sent > 4 * MAX_IN_FLIGHT
    friend.publish(TaskSubmitted())
    assert friend.close(5).safe == 2
    assert psutil.Process(hub_process.process.pid).memory_info().rss - before < 50_000_000


# --- orders -----------------------------------------------------------------------------------------------


def test_order_reaches_whom_it_is_for_once_and_the_ticket_tells(hub):
    got = {name: [] for name in ("one", "two", "three")}
    fabric = open_fabric(hub.url)
    publishers = [
        fabric.publisher(name, on_order=got[name].append, place={"node": node, "block": "0"})
        for name, node in (("one", "n1"), ("two", "n1"), ("three", "n2"))
    ]
    deaf = fabric.publisher("deaf", place={"node": "n1"})
    deaf.publish(TaskSubmitted())
    for name in got:
        assert hub.order(name, {"hello": name}).wait(5)
    ticket = hub.order({"node": "n1"}, {"do": "drain", "seconds": 3.5})
    assert becomes(lambda: ticket.answers() == {"one": "", "two": ""})
    assert becomes(lambda: hub.waiting_orders() == 0)
    time.sleep(1.2)
    drain = {"do": "drain", "seconds": 3.5}
    assert got == {
        "one": [{"hello": "one"}, drain],
        "two": [{"hello": "two"}, drain],
        "three": [{"hello": "three"}],
    }
    for publisher in (*publishers, deaf):
        publisher.close()


def test_what_the_taker_of_an_order_raises_goes_back(hub):
    def fail(message):
        raise ValueError(message["why"])

    publisher = open_fabric(hub.url).publisher("s", on_order=fail)
    ticket = hub.order("s", {"why": "no such task"})
    assert ticket.wait(5)
    assert ticket.answers() == {"s": "ValueError: no such task"}
    publisher.close()


def test_slow_taker_of_orders_holds_up_no_events(hub):
    release = threading.Event()
    publisher = open_fabric(hub.url).publisher("s", on_order=lambda _: release.wait(30))
    ticket = hub.order("s", {"do": "something slow"})
    say(publisher, range(100))
    assert publisher.flush(5).safe == 100
    assert not ticket.wait(1.5)
    release.set()
    assert ticket.wait(5)
    publisher.close()


def test_order_waits_for_a_peer_that_is_away_until_its_lifetime_is_over(hub):
    waits = hub.order({"node": "n1"}, {"number": 1})
    ends = hub.order({"node": "n1"}, {"number": 2}, lifetime=0.0)
    assert becomes(lambda: hub.waiting_orders() == 1)
    got = []
    publisher = open_fabric(hub.url).publisher("s", on_order=got.append, place={"node": "n1"})
    assert waits.wait(5)
    assert got == [{"number": 1}]
    assert ends.answers() == {}
    publisher.close()


def test_order_reaches_a_peer_whose_link_was_broken_meanwhile(hub, proxied):
    proxy, fabric = proxied
    got = []
    publisher = fabric.publisher("s", on_order=got.append)
    assert hub.order("s", {"number": 1}).wait(5)
    proxy.open = False
    proxy.cut()
    ticket = hub.order("s", {"number": 2})
    assert not ticket.wait(0.3)
    proxy.open = True
    assert ticket.wait(10)
    assert got == [{"number": 1}, {"number": 2}]
    publisher.close()


def test_orders_are_bounded_in_number_and_size_and_must_be_plain(hub):
    with pytest.raises(FabricError, match="more than 65536"):
        hub.order("s", {"text": "x" * 70_000})
    with pytest.raises(FabricError, match="must be plain data"):
        hub.order("s", {"odd": object()})
    for number in range(1000):
        hub.order("s", {"number": number})
    with pytest.raises(FabricError, match="1000 orders wait already"):
        hub.order("s", {"number": 1000})
    got = []
    publisher = open_fabric(hub.url).publisher("s", on_order=lambda message: got.append(message["number"]))
    assert becomes(lambda: hub.waiting_orders() == 0)
    assert sorted(got) == list(range(1000))
    publisher.close()


# --- processes --------------------------------------------------------------------------------------------


def test_hub_process_ends_with_its_stdin_and_takes_orders_from_it(directory, url, keys):
    hub = HubProcess(url, keys, "--follow-stdin")
    got = []
    publisher = open_fabric(hub.url).publisher("s", on_order=got.append)
    publisher.publish(TaskSubmitted(task=1))
    hub.process.stdin.write(b'no order\n{"to": "s", "message": {"do": "drain"}}\n')
    hub.process.stdin.flush()
    assert becomes(lambda: got == [{"do": "drain"}])
    assert publisher.close(5).safe == 1
    hub.process.stdin.close()
    assert hub.process.wait(10) == 0
    assert b"no order that can be given" in hub.process.stderr.read()
    hub.close()
    assert tasks(directory) == [1]


def test_hub_process_that_is_asked_to_end_stores_what_has_arrived(directory, hub_process):
    publishers = [open_fabric(hub_process.url).publisher(f"s{number}") for number in range(3)]
    for publisher in publishers:
        say(publisher, range(2000))
    assert hub_process.terminate() == 0
    safe = sum(publisher.close(1.0).safe for publisher in publishers)
    assert len(tasks(directory)) >= safe
    assert not verify(directory).torn


def test_hub_process_listens_where_it_is_asked_to_and_on_loopback_by_default(hub_process, url, keys):
    connections = psutil.Process(hub_process.process.pid).net_connections(kind="tcp")
    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    with pytest.raises(FabricUnavailable, match="cannot listen on"):
        Hub(url, keys, listen=f"127.0.0.1:{port_of(hub_process.url)}")
    with Hub(url, keys, listen="0.0.0.0") as everywhere:
        assert everywhere.url.startswith(f"relay:{os.uname().nodename}:")


def test_forked_child_has_a_life_and_a_connection_of_its_own(directory, hub, run_program):
    run_program(
        """
        def say(numbers):
            for number in numbers:
                speaker.publish(TaskSubmitted(task=number))

        speaker = open_fabric(arguments[0]).publisher("s")
        say(range(10))
        child = os.fork()
        if child == 0:
            say(range(10, 20))
            os._exit(0 if speaker.flush(10).safe == 10 else 1)
        say(range(20, 30))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert speaker.close(5).safe == 20
        """,
        hub.url,
    )
    events, _ = read_log(directory)
    lives = {boot: [e.task for e in events if e.boot == boot] for boot in {e.boot for e in events}}
    assert sorted(lives.values()) == [[*range(10), *range(20, 30)], list(range(10, 20))]


def speak_once(fabric):
    publisher = fabric.publisher("spawned", immediate=True)
    publisher.publish(TaskSubmitted(task=7))
    publisher.close()


def test_fabric_can_be_given_to_a_spawned_process(directory, hub):
    process = multiprocessing.get_context("spawn").Process(target=speak_once, args=(open_fabric(hub.url),))
    process.start()
    process.join(30)
    assert tasks(directory) == [7]


@pytest.mark.parametrize("up", [True, False])
def test_program_that_forgets_to_close_ends_at_once(hub, up):
    code = """
import sys
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.events import TaskSubmitted
publisher = open_fabric(sys.argv[1]).publisher("s", on_order=print)
publisher.publish(TaskSubmitted())
publisher.flush(0.2)
"""
    if not up:
        hub.close()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, hub.url], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 10


def test_publisher_says_once_that_the_hub_does_not_answer(keys, caplog, monkeypatch):
    monkeypatch.setattr("parsl_diaspora.fabric.relay.courier.SAY_AFTER", 0.1)
    publisher = RelayFabric(f"relay:127.0.0.1:9?key={keys / 'client.key'}").publisher("s")
    publisher.publish(TaskSubmitted())
    publisher.flush(2.5)
    assert caplog.text.count("takes no events") == 1
    publisher.close(0.0)


# --- URLs -------------------------------------------------------------------------------------------------


def test_url_of_a_relay_goes_there_and_back(keys):
    url = f"relay:[::1]:4000?key={keys}/client.key"
    assert RelayFabric(url).url == RelayFabric(RelayFabric(url).url).node_url
    assert (
        RelayFabric(f"relay://host:4000?key={keys}/client.key").url
        == f"relay:host:4000?key={keys}/client.key"
    )


@pytest.mark.parametrize(
    "url",
    [
        "relay:",
        "relay:host",
        "relay:host:1",
        "relay:host:0?key=k",
        "relay:host:70000?key=k",
        "relay:host:x?key=k",
        "relay:host:1?key=",
        "relay:host:1?key=k&more=1",
        "relay:host:1?k",
        "relay:::1:1?key=k",
        "relay:a b:1?key=k",
    ],
)
def test_url_that_names_no_relay_is_an_error_with_a_hint(url):
    with pytest.raises(FabricError) as caught:
        open_fabric(url)
    assert "relay:HOST:PORT?key=FILE" in caught.value.hint


def test_host_that_is_not_known_is_like_a_hub_that_is_away(keys):
    publisher = RelayFabric(f"relay:no-such-host.invalid:4000?key={keys / 'client.key'}").publisher("s")
    publisher.publish(TaskSubmitted())
    assert publisher.flush(0.2).waiting == 1
    assert publisher.close(0.0).lost == 1


def test_publisher_needs_the_keys_at_once(tmp_path):
    with pytest.raises(FabricError, match="cannot be read"):
        RelayFabric(f"relay:127.0.0.1:4000?key={tmp_path}/client.key").publisher("s")


def test_hello_of_a_client_is_small():
    assert len(pack(Hello("a" * 16, "worker:n1:1", {"node": "n1"}, takes_orders=True))) < 100
