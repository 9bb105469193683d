"""What is done about a failed try, and that something always is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsl_diaspora.events import decode, encode
from parsl_diaspora.failures import CLASSES, got_on
from parsl_diaspora.recovery import Budgets, Options, Policy, When, built_in, decide
from parsl_diaspora.recovery.language.conditions import CONDITIONS, MEANINGS, WHY_NOT
from parsl_diaspora.settings import Settings
from tests.recovery.situations import situation, situations

SETTINGS = Settings()
RULES = built_in().rules
ELSEWHERE = {"other_executors": ("birch", "cedar"), "others_have_managers": True}
NEIGHBOUR = {"manager": "m1", "other_manager": True}
LISTED = {"chain": ("builtins.KeyError",), "options": Options(non_retryable=("builtins.KeyError",))}

TABLE = [
    # when to stop
    ("cancelled", "fail", situation("cancelled", retryable=False, **ELSEWHERE)),
    ("raiser-knows-best", "fail", situation(retryable=False, **ELSEWHERE)),
    ("raiser-knows-best", "fail", situation("memory", retryable=False, **ELSEWHERE)),
    ("listed-non-retryable", "fail", situation(**LISTED, **ELSEWHERE)),
    ("dependency-failed", "fail", situation("dependency", **ELSEWHERE)),
    ("own-handler-stops", "fail", situation("manager_lost", own_handler_stops=True)),
    ("refused-at-submission", "fail", situation("submission", phase="launch", **ELSEWHERE)),
    ("proven-hopeless", "fail", situation(destined=True, limit=9, **ELSEWHERE)),
    ("proven-before", "fail", situation("bug", proof="it was proven", limit=9, **ELSEWHERE)),
    ("hard-total", "fail", situation("worker_lost", tries=12, max_tries=12, limit=99)),
    (
        "workers-as-stock",
        "retry",
        situation("missing_module", missing="parsl_diaspora", unfit_everywhere=True),
    ),
    ("lacking-everywhere", "fail", situation("missing_module", missing="x", unfit_everywhere=True, limit=4)),
    ("budget-spent", "fail", situation(used=2, limit=1, **ELSEWHERE)),
    ("budget-spent", "fail", situation("worker_lost", used=5, limit=4)),
    ("checkpointed-again", "retry", situation("checkpointed", tries=12, max_tries=12, used=900, limit=1_000)),
    ("budget-spent", "fail", situation("checkpointed", used=3, limit=2)),
    ("left-for-another-node", "avoid", situation("left", tries=12, max_tries=12, limit=1_000, **NEIGHBOUR)),
    ("left-for-another-executor", "move", situation("left", limit=1_000, **ELSEWHERE)),
    ("left-and-back", "retry", situation("left", used=900, limit=1_000)),
    ("asked-to-wait", "retry", situation("transient", retry_after=30.0, used=9, limit=1)),
    ("budget-spent", "fail", situation("transient", retry_after=1.0, used=9, uses={"asked-to-wait": 10})),
    # a module is missing
    ("lacking-elsewhere", "move", situation("missing_module", missing="x", **ELSEWHERE, **NEIGHBOUR)),
    ("lacking-other-node", "avoid", situation("missing_module", missing="x", **NEIGHBOUR)),
    ("lacking-once-more", "retry", situation("missing_module", missing="x")),
    ("lacking-nowhere", "fail", situation("missing_module", missing="x", used=2, limit=4)),
    (
        "lacking-elsewhere",
        "move",
        situation("missing_module", missing="parsl_diaspora", used=2, limit=4, **ELSEWHERE),
    ),
    # an executor is lost
    ("executor-lost-move", "move", situation("executor_lost", executor_usable=False, **ELSEWHERE)),
    ("executor-lost-wait", "retry", situation("executor_lost", executor_usable=True)),
    ("executor-lost-nowhere", "fail", situation("executor_lost", executor_usable=False)),
    # a manager is lost
    ("manager-lost-move", "move", situation("manager_lost", **ELSEWHERE)),
    ("manager-lost-retry", "retry", situation("manager_lost", **ELSEWHERE, **NEIGHBOUR)),
    ("manager-lost-retry", "retry", situation("manager_lost", other_executors=("birch",))),
    # a worker is lost
    ("worker-lost-retry", "retry", situation("worker_lost", **ELSEWHERE, **NEIGHBOUR)),
    ("worker-lost-again-avoid", "avoid", situation("worker_lost", used=2, limit=4, **ELSEWHERE, **NEIGHBOUR)),
    ("worker-lost-again-move", "move", situation("worker_lost", used=2, limit=4, **ELSEWHERE)),
    ("worker-lost-retry", "retry", situation("worker_lost", used=2, limit=4)),
    # memory and time
    ("memory-move", "move", situation("memory", **ELSEWHERE, **NEIGHBOUR)),
    ("memory-avoid", "avoid", situation("memory", **NEIGHBOUR)),
    ("memory-retry", "retry", situation("memory")),
    ("no-room-move", "move", situation("disk_full", **ELSEWHERE, **NEIGHBOUR)),
    ("no-room-avoid", "avoid", situation("limits", **NEIGHBOUR)),
    ("no-room-retry", "retry", situation("gpu")),
    ("walltime-avoid", "avoid", situation("walltime", **ELSEWHERE, **NEIGHBOUR)),
    ("walltime-move", "move", situation("walltime", **ELSEWHERE)),
    ("once-more-here", "retry", situation("walltime")),
    # the app's own failures
    ("second-opinion-avoid", "avoid", situation(**ELSEWHERE, **NEIGHBOUR)),
    ("second-opinion-move", "move", situation(**ELSEWHERE)),
    ("second-opinion-move", "move", situation("unknown", **ELSEWHERE)),
    ("second-opinion-move", "move", situation("serialization", **ELSEWHERE)),
    ("once-more-here", "retry", situation()),
    (
        "second-opinion-move",
        "move",
        situation(other_manager=True, **ELSEWHERE),
    ),  # where it failed is not known
]


@pytest.mark.parametrize(
    ("rule", "action", "where"), TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)]
)
def test_a_situation_has_its_rule(rule, action, where):
    decision = decide(where, SETTINGS)
    assert (decision.rule, decision.action) == (rule, action)


def test_no_rule_is_unreachable():
    assert {row[0] for row in TABLE} == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_tells_its_reason(rule):
    assert rule.reason
    assert rule.do.action == "other executor" or "{target}" not in rule.reason


def test_the_last_rule_is_for_everything_so_that_none_is_left_without():
    assert (RULES[-1].when, RULES[-1].do.action) == (When(), "here")


def test_each_condition_has_a_meaning_and_some_are_told_when_they_do_not_hold():
    assert set(MEANINGS) == set(CONDITIONS)
    assert set(WHY_NOT) < set(CONDITIONS)


def test_a_decision_says_what_was_weighed_and_passed_over():
    decision = decide(situation("worker_lost", used=1, limit=4, budget="worker_lost", tries=2), SETTINGS)
    assert decision.alternatives == (
        "worker-lost-again-avoid: it is the first such loss",
        "worker-lost-again-move: it is the first such loss",
    )
    assert (decision.budget, decision.used, decision.limit, decision.tries) == ("worker_lost", 1, 4, 2)


def test_a_move_goes_to_the_first_of_the_other_executors_and_says_so():
    decision = decide(situation("missing_module", missing="strokes", **ELSEWHERE), SETTINGS)
    assert decision.target == "birch"
    assert decision.reason == "alder lacks 'strokes'; birch may have it"


def test_a_manager_to_avoid_is_added_to_those_already_avoided():
    assert decide(situation(avoid=("m0",), **NEIGHBOUR), SETTINGS).avoid == ("m0", "m1")


def test_a_move_leaves_the_managers_to_avoid_behind():
    assert decide(situation(avoid=("m0",), **ELSEWHERE), SETTINGS).avoid == ()


def test_without_rules_the_task_fails():
    decision = decide(situation(), SETTINGS, policy=Policy(inherit=False))
    assert (decision.rule, decision.action) == ("no-rule", "fail")


# --- delays ---


def delays(kind, numbers, **known):
    made = []
    for at, number in enumerate(numbers):
        where = situation(
            kind,
            infrastructure_failures=number,
            used=number,
            limit=9_999,
            max_tries=9999,
            id=f"a-{at}",
            **known,
        )
        made.append(decide(where, SETTINGS).delay)
    return made


def test_the_first_retry_after_a_loss_is_immediate_and_later_ones_wait_twice_as_long_each():
    none, first, second, third = delays("manager_lost", [1, 2, 3, 4])
    assert none == 0.0
    for delay, nominal in ((first, 0.5), (second, 1.0), (third, 2.0)):
        assert 0.75 * nominal <= delay <= nominal


def test_a_crowd_of_retries_is_spread_out():
    assert len(set(delays("manager_lost", [3] * 20))) == 20


def test_no_delay_grows_beyond_the_limit_however_many_losses():
    assert all(delay <= SETTINGS.retry_delay_max for delay in delays("manager_lost", [10, 100, 5_000]))


@pytest.mark.parametrize(("kind", "missing"), [("memory", ""), ("missing_module", "strokes")])
def test_a_retry_that_hopes_for_the_place_to_change_gives_it_time(kind, missing):
    (delay,) = delays(kind, [1], missing=missing)
    assert delay > 0


def test_a_second_opinion_waits_for_nothing():
    assert decide(situation(**ELSEWHERE), SETTINGS).delay == 0.0


def test_a_delay_of_zero_can_be_asked_for():
    assert decide(situation("memory"), Settings(retry_delay=0.0)).delay == 0.0


# --- properties ---


@given(situations())
@settings(max_examples=500)
def test_there_is_always_a_decision_and_it_can_be_carried_out_and_told(where):
    decision = decide(where, SETTINGS)
    assert decision.action in ("retry", "move", "avoid", "fail")
    assert decision.reason
    assert (decision.target is not None) == (decision.action == "move")
    assert decision.target is None or decision.target in where.other_executors
    assert 0.0 <= decision.delay <= SETTINGS.retry_delay_max
    assert decision.action != "avoid" or where.manager in decision.avoid
    assert decode(encode(decision)) == decision


@given(situations(), st.text(max_size=5))
def test_the_same_situation_gives_the_same_decision_apart_from_jitter(where, name):
    first = decide(where, SETTINGS)
    assert decide(where, SETTINGS) == first
    second = decide(msgspec.structs.replace(where, id=name), SETTINGS)
    assert first.delay == pytest.approx(second.delay, rel=0.34)
    second.delay = first.delay
    assert first == second


@given(situations())
def test_a_task_that_had_all_its_tries_gets_no_further_one(where):
    if where.tries_are_spent:
        assert decide(where, SETTINGS).action == "fail"


@st.composite
def worlds(draw):
    """What goes wrong at each try, until the world turns good, and what is there at that moment."""
    weather = st.tuples(
        st.sampled_from(sorted(CLASSES)),
        st.sampled_from([(), ("birch",)]),
        st.booleans(),
        st.booleans(),
    )
    return draw(st.lists(weather, max_size=40))


@given(
    worlds(),
    st.integers(1, 15),
    st.dictionaries(st.sampled_from(sorted(CLASSES)), st.integers(0, 9)),
    st.integers(0, 4),
)
@settings(max_examples=300)
def test_a_task_ends_within_max_tries_and_losses_never_spend_the_applications_budget(
    world, max_tries, budgets, retries
):
    chosen = Settings(max_tries=max_tries, retries=budgets)
    accounts = Budgets(chosen, retries)
    spent: dict[str, int] = {}
    own_failures = 0
    tries = 1
    for kind, others, neighbour, usable in world:
        name = accounts.name(kind)
        spent[name] = spent.get(name, 0) + 1
        own_failures += name == "application"
        decision = decide(
            situation(
                kind,
                missing="strokes",
                other_executors=others,
                others_have_managers=bool(others),
                other_manager=neighbour,
                manager="m1",
                executor_usable=usable,
                tries=tries,
                max_tries=accounts.max_tries(Options()),
                budget=name,
                used=spent[name],
                limit=accounts.limit(kind, Options()),
                infrastructure_failures=accounts.infrastructure_failures(spent),
            ),
            chosen,
        )
        assert spent.get("application", 0) == own_failures
        assert not (CLASSES[kind].infrastructure and name == "application")
        if decision.action == "fail":
            break
        tries += not got_on(kind)
    assert tries <= max_tries
    assert own_failures <= accounts.limit("application", Options()) + 1
