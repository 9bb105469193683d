"""How many failures of each class a task may have."""

from __future__ import annotations

import pytest

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery import Budgets, Options
from parsl_diaspora.settings import Settings

NONE = Options()


@pytest.mark.parametrize(("retries", "budget"), [(0, 1), (1, 1), (5, 5)])
def test_the_applications_budget_is_the_programs_but_at_least_one_second_opinion(retries, budget):
    assert Budgets(Settings(), retries).limit("application", NONE) == budget


def test_a_class_that_is_named_in_the_settings_gets_that_budget_and_the_others_keep_theirs():
    budgets = Budgets(Settings(retries={"memory": 7, "application": 0}), retries=5)
    assert budgets.limit("memory", NONE) == 7
    assert budgets.limit("application", NONE) == 0
    assert budgets.limit("worker_lost", NONE) == max(5, CLASSES["worker_lost"].budget or 0)


@pytest.mark.parametrize("name", [name for name, each in CLASSES.items() if each.budget != 0])
def test_no_class_that_is_worth_a_retry_gets_less_than_the_program_allows_for_any_failure(name):
    assert Budgets(Settings(), retries=9).limit(name, NONE) >= 9
    assert Budgets(Settings(), retries=0).limit("memory", NONE) == CLASSES["memory"].budget


def test_what_never_helps_gets_no_retry_however_many_the_program_allows():
    assert Budgets(Settings(), retries=9).limit("submission", NONE) == 0


def test_the_apps_own_word_is_above_the_settings():
    budgets = Budgets(Settings(retries={"memory": 7}, max_tries=20), retries=0)
    options = Options(retries={"memory": 1, "application": 3}, max_tries=2)
    assert budgets.limit("memory", options) == 1
    assert budgets.limit("application", options) == 3
    assert budgets.max_tries(options) == 2
    assert budgets.max_tries(NONE) == 20


def test_what_is_unknown_counts_as_the_applications_own():
    budgets = Budgets(Settings(), retries=3)
    assert budgets.name("unknown") == "application"
    assert budgets.limit("unknown", NONE) == 3


@pytest.mark.parametrize("where", ["settings", "app"])
def test_what_is_unknown_can_be_given_a_budget_of_its_own(where):
    given = {"unknown": 4}
    budgets = Budgets(Settings(retries=given if where == "settings" else {}), retries=0)
    options = Options(retries=given if where == "app" else {})
    assert budgets.name("unknown", options) == "unknown"
    assert budgets.limit("unknown", options) == 4


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_infrastructure_never_charges_the_applications_budget(name):
    assert not (CLASSES[name].infrastructure and Budgets(Settings(), 0).name(name) == "application")


def test_losses_are_counted_over_all_classes_of_infrastructure():
    spent = {
        "worker_lost": 2,
        "manager_lost": 1,
        "missing_module": 1,
        "application": 5,
        "from a later release": 9,
    }
    assert Budgets.infrastructure_failures(spent) == 4


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("memry", "Did you mean 'memory'?"),
        ("worker", "Did you mean 'worker_lost'?"),
        ("xyz", "The classes are: app"),
    ],
)
def test_a_class_that_does_not_exist_is_an_error_that_names_the_nearest(name, hint):
    with pytest.raises(SettingsError, match="the settings") as raised:
        Budgets(Settings(retries={name: 3}), retries=0)
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("retries", "settings", "options", "limit"),
    [
        (3, {}, {}, 5),
        (0, {}, {}, 1),
        (3, {"application": 3}, {}, 3),
        (3, {}, {"application": 3}, 3),
        (3, {"application": 0}, {}, 0),
    ],
)
def test_failures_by_chance_are_worth_more_tries_unless_somebody_named_a_number(
    retries, settings, options, limit
):
    budgets = Budgets(Settings(retries=settings), retries)
    assert budgets.limit("bug", Options(retries=options), by_chance=True) == limit
    assert budgets.limit("bug", Options(retries=options)) <= limit
