"""Managers in quarantine get no tasks; a file that says nothing sensible denies nobody."""

from __future__ import annotations

import os
import pickle

import pytest
from parsl.executors.high_throughput.manager_selector import (
    BlockIdManagerSelector,
    ManagerSelector,
    RandomManagerSelector,
)

from parsl_diaspora.executors.agent.agent import Agent
from parsl_diaspora.executors.agent.control import CONTROL, Control, control_file
from parsl_diaspora.executors.agent.selector import QuarantineSelector

READY = {
    name: {"block_id": str(number), "hostname": f"n{number}"}
    for number, name in enumerate([b"m0", b"m1", b"m2"])
}


class Reversed(ManagerSelector):
    """A selector of the program's own."""

    def sort_managers(self, ready_managers, manager_list):
        return sorted(manager_list, reverse=True)


def write_denied(path, managers):
    control_file(path.parent).write(Control(denied=frozenset(managers)))


def offered(selector):
    return selector.sort_managers(READY, set(READY))


@pytest.fixture
def path(tmp_path):
    return tmp_path / CONTROL


@pytest.fixture
def selector(path):
    return QuarantineSelector(str(path.parent), Reversed())


def test_without_a_file_all_managers_are_offered_in_the_programs_own_order(selector):
    assert offered(selector) == [b"m2", b"m1", b"m0"]


def test_managers_in_the_file_are_left_out_and_come_back_when_they_are_taken_out(selector, path):
    write_denied(path, {"m1", "gone"})
    assert offered(selector) == [b"m2", b"m0"]
    write_denied(path, {"m0"})
    assert offered(selector) == [b"m2", b"m1"]
    write_denied(path, set())
    assert offered(selector) == [b"m2", b"m1", b"m0"]


def test_all_can_be_left_out_which_parks_the_tasks(selector, path):
    write_denied(path, {"m0", "m1", "m2"})
    assert offered(selector) == []


def test_a_change_within_one_tick_of_the_file_systems_clock_is_seen(selector, path):
    write_denied(path, {"m1"})
    os.utime(path, ns=(1, 1))
    assert offered(selector) == [b"m2", b"m0"]
    write_denied(path, {"m2"})
    os.utime(path, ns=(1, 1))
    assert offered(selector) == [b"m1", b"m0"]


@pytest.mark.parametrize("content", ["", "{", "5", "null", '{"denied": [["m1"]]}', '{"denied": [1', "\ud800"])
def test_a_file_that_makes_no_sense_denies_nobody(selector, path, content):
    write_denied(path, {"m1"})
    assert len(offered(selector)) == 2
    path.write_bytes(content.encode("utf-8", errors="surrogatepass"))
    assert len(offered(selector)) == 3


@pytest.mark.parametrize("how", ["removed", "directory"])
def test_a_file_that_cannot_be_read_any_more_denies_nobody(selector, path, how):
    write_denied(path, {"m1"})
    assert len(offered(selector)) == 2
    path.unlink()
    if how == "directory":
        path.mkdir()
    assert len(offered(selector)) == 3


def test_a_file_that_came_to_its_senses_is_obeyed_again(selector, path):
    path.write_text("{")
    assert len(offered(selector)) == 3
    write_denied(path, {"m1"})
    assert len(offered(selector)) == 2


def test_the_file_is_not_read_again_while_it_stays_the_same(selector, path, monkeypatch):
    write_denied(path, {"m1"})
    offered(selector)
    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    assert offered(selector) == [b"m2", b"m0"]


@pytest.mark.parametrize("inner", [RandomManagerSelector(), BlockIdManagerSelector(), Reversed()])
def test_it_travels_into_the_interchange_with_the_programs_own_selector(path, inner):
    write_denied(path, {"m1"})
    arrived = pickle.loads(pickle.dumps(QuarantineSelector(str(path.parent), inner)))
    assert sorted(offered(arrived)) == [b"m0", b"m2"]
    assert type(arrived.inner) is type(inner)


def test_a_reader_never_sees_half_a_file(path):
    write_denied(path, {"m1"})
    with path.open() as reader:
        write_denied(path, {f"m{n}" for n in range(1000)})
        assert reader.read() == '{"denied":["m1"]}'
    assert sorted(each.name for each in path.parent.iterdir()) == [CONTROL]


@pytest.mark.parametrize("held", [{"blocks": {"1"}}, {"nodes": {"n1"}}])
def test_managers_in_a_place_that_is_held_are_left_out_also_those_that_join_later(selector, path, held):
    control_file(path.parent).write(Control(**{level: frozenset(names) for level, names in held.items()}))
    assert offered(selector) == [b"m2", b"m0"]
    later = {b"m9": {"block_id": "1", "hostname": "n1"}, b"m8": {"block_id": "8"}}
    assert selector.sort_managers({**READY, **later}, set(later)) == [b"m8"]


def test_the_supervisors_of_nodes_are_asked_last_and_the_programs_selector_does_not_see_them(path):
    seen = []

    class Spy(ManagerSelector):
        def sort_managers(self, ready_managers, manager_list):
            seen.extend(manager_list)
            return list(manager_list)

    selector = QuarantineSelector(str(path.parent), Spy())
    ready = {**READY, b"node-m0": {"block_id": "diaspora-node"}}
    assert selector.sort_managers(ready, {b"node-m0", b"m1"}) == [b"node-m0", b"m1"]
    assert seen == [b"m1"]


def test_an_agent_works_only_in_another_process_than_the_makers(path):
    made = QuarantineSelector(str(path.parent), Reversed())
    copy = pickle.loads(pickle.dumps(made))
    assert copy._agent is None


@pytest.mark.parametrize("agent", [True, False])
def test_an_agent_comes_along_unless_it_would_find_nothing(path, monkeypatch, agent):
    made = pickle.dumps(QuarantineSelector(str(path.parent), Reversed(), agent=agent))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    started = []
    monkeypatch.setattr(Agent, "start", lambda _: started.append(True))
    assert offered(pickle.loads(made)) == [b"m2", b"m1", b"m0"]
    assert bool(started) is agent


def test_a_manager_on_trial_gets_one_task_at_a_time_and_afterwards_all_that_it_can_hold(selector, path):
    ready = {name: {**record, "tasks": [], "max_capacity": 8} for name, record in READY.items()}

    def offer():
        return selector.sort_managers(ready, set(ready)), ready[b"m1"]["max_capacity"]

    control_file(path.parent).write(Control(trials=frozenset({"m1", "gone"})))
    assert offer() == ([b"m2", b"m1", b"m0"], 1)
    ready[b"m1"]["tasks"].append(7)
    assert offer() == ([b"m2", b"m0"], 1)
    ready[b"m1"]["tasks"].clear()
    assert offer() == ([b"m2", b"m1", b"m0"], 1)
    control_file(path.parent).write(Control())
    assert offer() == ([b"m2", b"m1", b"m0"], 8)
