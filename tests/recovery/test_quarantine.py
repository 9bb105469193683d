"""A manager where different tasks keep failing rests for a while, but never the last one."""

from __future__ import annotations

import random

import pytest

from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    ManagerLost,
    ManagerSeen,
    PlaceQuarantined,
    TaskSubmitted,
    TryEnded,
    TryFailed,
)
from parsl_diaspora.recovery import Quarantine
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Picture

RUN = "run"


class Site:
    """A picture to which failures and successes happen."""

    def __init__(self, *managers, **settings):
        self.picture = Picture(RUN)
        self.quarantine = Quarantine(Settings(**settings))
        self.task = 0
        for name in managers:
            self.tell(ManagerSeen(executor="alder", manager=name, workers=2))

    def tell(self, event, at=0.0):
        event.run, event.time = RUN, at or 1.0
        self.picture.fold(event)

    def _launch(self, task):
        if task is None:
            self.task += 1
            task = self.task
        self.tell(TaskSubmitted(task=task, try_id=0, executor="alder", func="simulate"))
        return task

    def fail(self, manager, at, kind="application", task=None):
        place = {"executor": "alder", "manager": manager, "task": self._launch(task), "try_id": 0}
        self.tell(TryFailed(**place), at)
        self.tell(DecisionMade(**place, diagnosis=Diagnosis(failure_class=kind), tries=1), at)
        return self.quarantine.consider(self.picture, manager, at)

    def succeed(self, manager, at):
        self.tell(TryEnded(executor="alder", manager=manager, task=self._launch(None), try_id=0), at)


def test_three_different_tasks_that_fail_in_a_row_put_a_manager_to_rest():
    site = Site("m1", "m2")
    assert [site.fail("m1", at) for at in (10, 11)] == [None, None]
    event = site.fail("m1", 12)
    assert isinstance(event, PlaceQuarantined)
    assert (event.manager, event.executor, event.seconds) == ("m1", "alder", 300.0)
    assert "3 different tasks" in event.reason


def test_one_task_that_fails_again_and_again_says_nothing_about_the_place():
    site = Site("m1", "m2")
    assert [site.fail("m1", at, task=7) for at in range(10, 20)] == [None] * 10


def test_a_success_in_between_clears_the_place():
    site = Site("m1", "m2")
    site.fail("m1", 10)
    site.fail("m1", 11)
    site.succeed("m1", 12)
    assert site.fail("m1", 13) is None
    assert site.fail("m1", 14) is None
    assert site.fail("m1", 15) is not None


def test_failures_that_lie_further_apart_than_the_window_do_not_add_up():
    site = Site("m1", "m2", quarantine_window=60.0)
    assert [site.fail("m1", at) for at in (10, 50, 100)] == [None, None, None]


def test_the_threshold_can_be_set_and_switched_off():
    assert Site("m1", "m2", quarantine_after=1).fail("m1", 10) is not None
    off = Site("m1", "m2", quarantine_after=0)
    assert [off.fail("m1", at) for at in range(10, 30)] == [None] * 20


@pytest.mark.parametrize(
    "kind", ["missing_module", "manager_lost", "executor_lost", "dependency", "submission"]
)
def test_failures_that_are_not_the_places_do_not_count(kind):
    site = Site("m1", "m2")
    assert [site.fail("m1", at, kind) for at in range(10, 20)] == [None] * 10


@pytest.mark.parametrize("kind", ["application", "worker_lost", "memory", "walltime", "serialization"])
def test_failures_that_may_be_the_places_count(kind):
    site = Site("m1", "m2")
    assert [site.fail("m1", at, kind) for at in (10, 11, 12)][2] is not None


def test_the_last_manager_of_an_executor_never_rests():
    site = Site("m1")
    assert [site.fail("m1", at) for at in range(10, 20)] == [None] * 10


def test_managers_that_are_lost_or_rest_already_are_no_company():
    site = Site("m1", "m2", "m3")
    site.tell(ManagerLost(executor="alder", manager="m2", reason="gone"))
    for at in (10, 11):
        site.fail("m3", at)
    site.tell(site.fail("m3", 12), 12)
    assert [site.fail("m1", at) for at in range(13, 20)] == [None] * 7


def test_a_manager_of_another_executor_is_no_company():
    site = Site("m1")
    site.tell(ManagerSeen(executor="birch", manager="b1", workers=2))
    assert [site.fail("m1", at) for at in range(10, 20)] == [None] * 10


def test_a_manager_that_rests_is_not_put_to_rest_again():
    site = Site("m1", "m2")
    assert [site.fail("m1", at) is not None for at in range(10, 20)].count(True) == 1


def test_after_its_time_it_is_put_on_trial_once():
    site = Site("m1", "m2")
    for at in (10, 11, 12):
        site.fail("m1", at)
    event = site.quarantine.release("manager", "m1")
    assert (event.manager, event.trial) == ("m1", True)
    assert site.quarantine.release("manager", "m1") is None


def test_nobody_knows_where_it_failed_so_nobody_rests():
    site = Site("m1", "m2")
    assert site.quarantine.consider(site.picture, None, 10.0) is None
    assert site.quarantine.consider(site.picture, "never seen", 10.0) is None


def test_a_program_whose_tasks_fail_everywhere_keeps_all_its_managers():
    site = Site("m1", "m2", "m3", "m4")
    rested = [site.fail(f"m{1 + n % 4}", 10 + n / 10) for n in range(200)]
    assert rested == [None] * 200


def test_a_study_in_which_half_the_tasks_fail_seldom_loses_a_manager():
    chance = random.Random(7)
    site = Site("m1", "m2", "m3", "m4")
    rested = 0
    for n in range(2_000):
        manager, at = f"m{chance.randint(1, 4)}", 10 + n / 10
        if chance.random() < 0.5:
            site.succeed(manager, at)
        elif site.fail(manager, at) is not None:
            rested += 1
            site.quarantine.release("manager", manager)
            site.quarantine.succeeded((("manager", manager),))
    assert rested < 8


def test_a_bad_manager_is_found_among_good_ones_even_if_some_tasks_fail_there_too():
    site = Site("m1", "m2")
    for n in range(20):
        site.succeed("m2", 10 + n / 10)
    site.fail("m2", 12.5)
    assert [site.fail("m1", at) is not None for at in (13, 14, 15)] == [False, False, True]


# --- on trial, and other levels ---


def rested(*managers, **settings):
    """A site whose first manager is on trial after its quarantine."""
    site = Site(*(managers or ("m1", "m2")), **settings)
    for at in (10, 11):
        site.fail("m1", at)
    site.tell(site.fail("m1", 12), 12)
    site.tell(site.quarantine.release("manager", "m1"), 300)
    return site


def test_a_success_at_a_place_on_trial_releases_it():
    site = rested()
    (event,) = site.quarantine.succeeded((("manager", "m1"), ("node", "n1")))
    assert (event.manager, event.trial) == ("m1", False)
    site.tell(event, 301)
    assert site.picture.quarantined.on_trial == set()
    assert site.quarantine.succeeded((("manager", "m1"),)) == []


def test_a_failure_at_a_place_on_trial_renews_its_quarantine_longer_each_time_but_not_for_ever():
    site, seconds = rested(quarantine_for=300.0), []
    for at in range(400, 410):
        (event,) = site.quarantine.failed(site.picture, (("manager", "m1"),), "application")
        seconds.append(event.seconds)
        site.tell(event, at)
        site.tell(site.quarantine.release("manager", "m1"), at)
    assert seconds[:4] == [600, 1200, 2400, 3600]
    assert seconds[-1] == 3600


def test_what_is_not_the_places_decides_no_trial():
    site = rested()
    assert site.quarantine.failed(site.picture, (("manager", "m1"),), "dependency") == []


def test_before_its_trial_nothing_is_decided():
    site = Site("m1", "m2")
    for at in (10, 11, 12):
        site.fail("m1", at)
    assert site.quarantine.succeeded((("manager", "m1"),)) == []
    assert site.quarantine.failed(site.picture, (("manager", "m1"),), "application") == []


def place(site, level, name):
    event = site.quarantine.place(site.picture, level, name, 60.0, "its disk is full")
    if event is not None:
        site.tell(event, 20)
    return event


def test_a_node_rests_with_all_its_managers_and_those_that_come_later():
    site = Site("m3")
    for name in ("m1", "m2"):
        site.tell(ManagerSeen(executor="alder", manager=name, node="n1", workers=2))
    assert place(site, "node", "n1").node == "n1"
    site.tell(ManagerSeen(executor="alder", manager="m4", node="n1", workers=2))
    assert site.picture.present["alder"] == {"m3"}
    site.tell(site.quarantine.release("node", "n1"), 90)
    assert site.picture.present["alder"] == {"m1", "m2", "m3", "m4"}


def test_the_only_node_of_an_executor_never_rests():
    site = Site()
    site.tell(ManagerSeen(executor="alder", manager="m1", node="n1", workers=2))
    site.tell(ManagerSeen(executor="birch", manager="b1", node="n2", workers=2))
    assert place(site, "node", "n1") is None


def test_an_executor_rests_unless_no_other_one_has_managers():
    site = Site("m1")
    assert place(site, "executor", "alder") is None
    site.tell(ManagerSeen(executor="birch", manager="b1", workers=2))
    assert place(site, "executor", "alder").executor == "alder"
    assert place(site, "executor", "birch") is None
    assert site.picture.quarantined.reasons == {("executor", "alder"): "its disk is full"}
