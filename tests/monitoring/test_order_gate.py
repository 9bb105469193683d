"""Orders from outside are obeyed if they are signed with the run's key, and only once."""

from __future__ import annotations

import pickle
import stat
import uuid

import msgspec
import parsl
import pytest

from parsl_diaspora import open_fabric, resilient
from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import (
    DecisionMade,
    DiagnosisRevised,
    Event,
    OrderAnswered,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    TaskActionAsked,
    TaskCancelAsked,
    TaskHeld,
    TaskReleased,
    TryStarted,
    decode,
    encode,
)
from parsl_diaspora.fabric.relay import Hub
from parsl_diaspora.monitoring.order_gate import MOST_ANSWERS, OrderGate
from parsl_diaspora.monitoring.relay import KEYS
from parsl_diaspora.monitoring.run_key import KEY_FILE, LIFETIME, ORDERS, RunKey
from parsl_diaspora.testing.clock import VirtualClock
from parsl_diaspora.testing.samples import sample_event
from tests.monitoring.parking.test_held import becomes

KEY = RunKey(b"the key of the run")


class Gate:
    def __init__(self, key=KEY):
        self.clock = VirtualClock()
        self.said = []
        self.gate = OrderGate("r", key, self.said.append, self.clock)

    def sign(self, event, key=KEY):
        event.run = event.run or "r"
        return key.sign(event, self.clock.time())

    def passes(self, event):
        return self.gate.passes(event)


@pytest.fixture
def gate():
    return Gate()


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_an_order_that_is_signed_passes_whichever_way_it_came(gate, kind):
    order = sample_event(kind)
    order.run = "r"
    gate.sign(order)
    arrived = decode(encode(order))
    arrived.source, arrived.boot, arrived.seq, arrived.time = "bridge", "b", 9, 1.0
    arrived.via = ("another fabric",)
    assert gate.passes(arrived)
    assert gate.said == []


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_an_order_that_was_changed_is_refused(gate, kind):
    signed = {"source", "boot", "seq", "time", "mono", "via", "run", "version"}
    for field in msgspec.structs.fields(kind):
        if field.name in signed or field.name == "mac":
            continue
        order = gate.sign(sample_event(kind).__class__(task=7))
        setattr(order, field.name, getattr(sample_event(kind), field.name))
        assert not gate.passes(order), field.name


@pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)
def test_an_order_without_a_signature_is_refused_and_told_of(gate, kind):
    assert not gate.passes(kind(run="r", owner="mallory"))
    (answer,) = gate.said
    assert (answer.accepted, answer.why) == (False, "it is not signed")


@pytest.mark.parametrize("kind", [TaskHeld, TaskReleased, PlaceQuarantined, DecisionMade, DiagnosisRevised])
def test_nobody_else_speaks_for_the_program(gate, kind):
    assert not gate.passes(kind(run="r", task=3))


def test_an_order_is_good_once(gate):
    order = gate.sign(PlaceHeld(node="n1"))
    assert gate.passes(order)
    assert not gate.passes(order)
    assert gate.said[-1].why == "it has been used before"
    assert gate.passes(gate.sign(PlaceHeld(node="n1")))


@pytest.mark.parametrize("seconds", [LIFETIME + 1, -LIFETIME - 1])
def test_an_order_is_not_good_for_ever_nor_too_early(gate, seconds):
    order = KEY.sign(PlaceHeld(run="r", node="n1"), gate.clock.time() - seconds)
    assert not gate.passes(order)
    assert "too old" in gate.said[-1].why


def test_used_numbers_are_remembered_for_as_long_as_they_are_good_and_no_longer(gate):
    early = KEY.sign(PlaceHeld(run="r", node="n1"), gate.clock.time() + LIFETIME - 1)
    assert gate.passes(early)
    for _ in range(8):
        gate.clock.advance(LIFETIME / 4)
        gate.passes(gate.sign(PlaceHeld(node="n2")))
        assert not gate.passes(early)
    gate.clock.advance(3 * LIFETIME)
    gate.passes(gate.sign(PlaceHeld(node="n2")))
    assert len(gate.gate._seen) == 1


@pytest.mark.parametrize("key", [RunKey(b"another"), RunKey(b"")])
def test_an_order_that_is_signed_with_another_key_is_refused(gate, key):
    assert not gate.passes(gate.sign(PlaceHeld(node="n1"), key))


@pytest.mark.parametrize("order", ["", "x", "-", "nan-1", "1e999-1", "0-0"])
def test_a_number_that_is_none_is_refused(gate, order):
    event = PlaceHeld(run="r", node="n1", order=order)
    event.mac = KEY._mac(event)
    assert not gate.passes(event)


def test_a_run_without_a_key_obeys_nobody():
    gate = Gate(key=None)
    assert not gate.passes(gate.sign(PlaceHeld(node="n1")))


def test_what_is_no_order_or_of_another_run_passes(gate):
    assert gate.passes(TryStarted(run="r", task=3))
    assert gate.passes(PlaceHeld(run="another", node="n1"))


def test_a_flood_of_forged_orders_is_counted_and_answered_a_few_times(gate, caplog):
    for number in range(500):
        assert not gate.passes(PlaceHeld(run="r", node=f"n{number}"))
    assert gate.gate.refused == 500
    assert len(gate.said) == MOST_ANSWERS
    assert caplog.text.count("was refused") == 1


# --- the key ---


def test_the_key_is_the_users_alone_and_is_shown_nowhere(tmp_path):
    key = RunKey.make(tmp_path)
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert repr(key) == "RunKey(***)"
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(key)
    event = RunKey.load(path).sign(PlaceHeld(run="r", node="n1"))
    assert key.problem(event) == ""
    assert RunKey.make(tmp_path).problem(event) == "its signature does not fit"
    RunKey.remove(tmp_path)
    with pytest.raises(FabricError, match="cannot be read"):
        RunKey.load(path)


def test_a_key_that_others_can_read_is_refused(tmp_path):
    RunKey.make(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(FabricError, match="open to others"):
        RunKey.load(tmp_path / KEY_FILE)


# --- real programs ---


class Program:
    def __init__(self, directory, url, **settings):
        self.url = url
        stock = parsl.Config(
            executors=[parsl.ThreadPoolExecutor(label="alder")], run_dir=str(directory), strategy="none"
        )
        self.kernel = parsl.load(resilient(stock, fabric=url, **settings))
        self.session = self.kernel.memoizer.session
        self.live = self.session.begin(self.kernel.run_id)
        self.key = RunKey.load(self.session._run_dir / KEY_FILE)

    def publish(self, event, url=None):
        event.run = self.kernel.run_id
        publisher = open_fabric(url or self.url).publisher("elsewhere", immediate=True)
        publisher.publish(event)
        publisher.close(5.0)

    def signed(self, event):
        event.run = self.kernel.run_id
        return self.key.sign(event)

    def held(self):
        return [hold.name for hold in self.live.picture.holds]

    def answers(self):
        self.live.flush()
        consumer = open_fabric(self.url).consumer(uuid.uuid4().hex)
        return [event.why for event in consumer.poll() if isinstance(event, OrderAnswered)]


@pytest.fixture
def load(tmp_path):
    made = []

    def load(url, **settings):
        made.append(Program(tmp_path, url, **settings))
        return made[-1]

    yield load
    for each in made:
        each.kernel.cleanup()
    parsl.clear()


@pytest.mark.parametrize("url", ["memory:{}", "file:{}"])
def test_a_program_obeys_signed_orders_and_no_others(load, tmp_path, url):
    program = load(url.format(tmp_path / "log"))
    program.publish(PlaceHeld(node="n1", owner="mallory"))
    signed = program.signed(PlaceHeld(node="n2", owner="ada"))
    program.publish(signed)
    assert becomes(lambda: program.held() == ["n2"])
    program.publish(program.signed(PlaceReleased(node="n2", owner="ada")))
    assert becomes(lambda: program.held() == [])
    program.publish(signed)  # again
    program.publish(TaskCancelAsked(task=0, owner="mallory"))
    program.publish(TaskActionAsked(task=0, action="fail", owner="mallory"))
    assert becomes(lambda: len(program.answers()) == 4)
    assert program.held() == []
    assert sorted(program.answers()) == [
        "it has been used before",
        "it is not signed",
        "it is not signed",
        "it is not signed",
    ]


def test_what_is_said_in_a_runs_first_moments_is_heard(tmp_path, monkeypatch):
    """The order is given after the run has begun and before its listener has."""
    from parsl_diaspora.state import Live

    start = Live.start

    def late(live):
        key = RunKey.load(next(tmp_path.glob(f"*/{KEY_FILE}")))
        publisher = open_fabric(live.fabric.url).publisher("elsewhere", immediate=True)
        publisher.publish(key.sign(PlaceHeld(run=live.picture.run, node="n1", owner="ada")))
        publisher.close(5.0)
        start(live)

    monkeypatch.setattr(Live, "start", late)
    program = Program(tmp_path, f"file:{tmp_path / 'log'}")
    try:
        assert becomes(lambda: program.held() == ["n1"])
    finally:
        program.kernel.cleanup()
        parsl.clear()


def test_orders_through_the_relay_are_obeyed_if_they_are_signed(load, tmp_path):
    from parsl_diaspora.fabric.relay import make_keys

    program = load(f"memory:{uuid.uuid4().hex}")  # no other process reaches it but through the relay
    make_keys(tmp_path / KEYS)
    hub = Hub(program.live.fabric, tmp_path / KEYS, listen=["127.0.0.1:0"])
    try:
        program.publish(PlaceHeld(node="n1", owner="mallory"), hub.urls[0])
        program.publish(program.signed(PlaceHeld(node="n2", owner="ada")), hub.urls[0])
        assert becomes(lambda: program.held() == ["n2"])
        assert becomes(lambda: program.answers() == ["it is not signed"])
    finally:
        hub.close()


def test_the_key_is_in_no_event_nor_log_and_goes_with_the_run(tmp_path, caplog):
    caplog.set_level("DEBUG")
    program = Program(tmp_path, f"file:{tmp_path / 'log'}")
    path = program.session._run_dir / KEY_FILE
    secret = path.read_bytes()
    program.publish(program.signed(PlaceHeld(node="n2", owner="ada")))
    assert becomes(lambda: program.held() == ["n2"])
    program.kernel.cleanup()
    parsl.clear()
    assert not path.exists()
    assert secret.decode() not in caplog.text
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes(), file
    assert isinstance(program.signed(PlaceHeld()), Event)
