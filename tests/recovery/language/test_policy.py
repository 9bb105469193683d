"""Policies of the user's own: what they say is done, and what makes no sense is refused with its line."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import decode, encode
from parsl_diaspora.failures import CLASSES, Context, got_on
from parsl_diaspora.recovery import Budgets, Count, Delay, Do, Options, Policy, Rule, When, built_in, decide
from parsl_diaspora.recovery.language.as_mapping import as_mapping
from parsl_diaspora.recovery.language.policy_file import read_rules
from parsl_diaspora.recovery.language.rules import ACTIONS
from parsl_diaspora.settings import Settings
from tests.recovery.situations import situation, situations

SETTINGS = Settings()
ELSEWHERE = {"other_executors": ("birch", "cedar"), "others_have_managers": True}
PLACE = {"manager": "m1", "node": "n1", "block": "0", "worker": 3}


def policy(*rules, **more):
    """A policy in YAML, one line a rule."""
    head = "".join(f"{name}: {value}\n" for name, value in more.items())
    return Policy.parse(f"{head}rules:\n" + "".join(f"- {{{rule}, reason: because}}\n" for rule in rules))


def decided(when, where, do="fail"):
    """Whether a rule with this condition decides."""
    return decide(where, SETTINGS, policy=policy(f"name: own, when: {{{when}}}, do: {do}")).rule == "own"


# --- when ---

LOG = {"message": "it went wrong", "stderr": "slurmstepd: error: Detected 1 oom-kill event"}
MATCHES = [
    ("class: bug", situation("bug"), situation("memory")),
    ("class: [bug, memory]", situation("memory"), situation("walltime")),
    (
        "class: environment",
        situation("missing_module", limit=4),
        situation("bug"),
    ),  # its name in older releases
    ("layer: runtime", situation("memory"), situation("bug")),
    (
        "exception: KeyError",
        situation(chain=("my.Odd", "builtins.KeyError")),
        situation(chain=("my.KeyErrors",)),
    ),
    ("exception: my.Odd", situation(chain=("my.Odd",)), situation(chain=("your.Odd",))),
    ("exit_code: 85", situation(exit_code=85), situation(exit_code=8)),
    ("exit_code: [1-9, -9]", situation(exit_code=-9), situation(exit_code=10)),
    ("exit_code: 0-255", situation(exit_code=0), situation()),
    ("log: oom.kill", situation(**LOG), situation(message="oom")),
    ("func: 'train*'", situation(func="train_all"), situation(func="retrain")),
    ("func: [a, b]", situation(func="b"), situation(func="ab")),
    ("attempt: 2-3", situation(tries=3), situation(tries=4)),
    ("attempt: '> 2'", situation(tries=3), situation(tries=2)),
    ("is: destined", situation(destined=True), situation()),
    ("is: not destined", situation(), situation(destined=True)),
    ("is: [other_node, not bound]", situation(other_node=True, **PLACE), situation(bound="staged", **PLACE)),
    (
        "count: {by: node, at_least: 3}",
        situation(counter=lambda by, s: 3),
        situation(counter=lambda by, s: 2),
    ),
    ("if: memory_peak > 2 * GB", situation(context=Context(memory_peak=3 * 10**9)), situation()),
    ("if: 'known(node) and attempt == 1'", situation(node="n1"), situation(node="n1", tries=2)),
    ("class: bug, attempt: 1", situation("bug"), situation("bug", tries=2)),
]


@pytest.mark.parametrize(("when", "holds", "does_not"), MATCHES, ids=[row[0] for row in MATCHES])
def test_a_rule_is_for_what_its_condition_says(when, holds, does_not):
    assert decided(when, holds)
    assert not decided(when, does_not)


def test_what_is_counted_and_over_which_time_is_asked():
    asked = []

    def counter(by, within):
        asked.append((by, within))
        return 9

    assert decided("count: {by: site, at_least: 9, within: 30}", situation(counter=counter))
    assert set(asked) == {("site", 30.0)}


# --- do ---


def done(do, where, **more):
    return decide(where, SETTINGS, policy=policy(f"name: own, do: {do}", **more))


@pytest.mark.parametrize(
    ("do", "more", "expected"),
    [
        ("here", {}, ("retry", None, ())),
        ("other worker", {"other_worker": True}, ("avoid", None, ("worker:m1/3",))),
        ("other manager", {"other_manager": True}, ("avoid", None, ("m1",))),
        ("other node", {"other_node": True}, ("avoid", None, ("node:n1",))),
        ("other block", {"other_block": True}, ("avoid", None, ("block:0",))),
        ("other executor", ELSEWHERE, ("move", "birch", ())),
        ("{try: other executor, to: cedar}", ELSEWHERE, ("move", "cedar", ())),
        ("other site", {**ELSEWHERE, "other_sites": ("cedar",)}, ("move", "cedar", ())),
        ("fail", {}, ("fail", None, ())),
        ("hold", {}, ("hold", None, ())),
        ("{substitute: 0}", {}, ("substitute", None, ())),
    ],
)
def test_an_action_is_what_it_says(do, more, expected):
    decision = done(do, situation(**PLACE, **more))
    assert (decision.rule, decision.reason) == ("own", "because")
    assert (decision.action, decision.target, decision.avoid) == expected


IMPOSSIBLE = [
    ("other worker", {}, "no other worker is there at this executor"),
    ("other manager", {}, "no other manager is there at this executor"),
    ("other node", {}, "no other node is there at this executor"),
    ("other node", {"node": None, "other_node": True}, "it is not known which node it was"),
    ("other block", {}, "no other block is there at this executor"),
    ("other executor", {}, "no other executor is usable for this app"),
    ("other executor", {"bound": "its files were staged to alder"}, "its files were staged to alder"),
    ("{try: other executor, to: oak}", ELSEWHERE, "oak cannot be used for this app now"),
    ("other site", ELSEWHERE, "no executor of another site is usable for this app"),
    ("{resize: {memory: x2}}", {}, "nothing tells how much memory it had"),
    (
        "{try: other executor, resize: {memory: 8 GB}}",
        {**ELSEWHERE, "room": {"birch": 10**9, "cedar": 2 * 10**9}},
        "no other executor has nodes with 8 GB",
    ),
    ("{wait: {for: 'file:{file}', at_most: 9}}", {}, "it is not known what 'file:{file}' is here"),
]


@pytest.mark.parametrize(("do", "more", "why"), IMPOSSIBLE, ids=[f"{row[0]}: {row[2]}" for row in IMPOSSIBLE])
def test_what_cannot_be_done_is_passed_over_and_said(do, more, why):
    decision = done(do, situation(**{**PLACE, **more}))
    assert decision.rule != "own"
    assert f"own: {why}" in decision.alternatives


def test_a_rule_may_say_what_is_done_where_its_first_choice_is_impossible():
    own = policy("name: own, do: other node, else: hold")
    decision = decide(situation(**PLACE), SETTINGS, policy=own)
    assert (decision.rule, decision.action) == ("own", "hold")
    assert decision.alternatives == ("own: no other node is there at this executor",)


def test_a_move_goes_where_the_memory_is():
    where = situation(
        "memory",
        context=Context(memory_peak=4 * 10**9),
        room={"birch": 5 * 10**9, "cedar": 16 * 10**9},
        **ELSEWHERE,
    )
    decision = done("{try: other executor, resize: {memory: x2}}", where)
    assert (decision.target, decision.memory) == ("cedar", 8 * 10**9)


@pytest.mark.parametrize(
    ("memory", "asked", "peak", "expected"),
    [
        ("x2", 2_000, 3_000, 4_000),
        ("x2", None, 3_000, 6_000),
        ("peak x1.5", 2_000, 3_000, 4_500),
        ("16 GB", None, None, 16 * 10**9),
        ("x2, most: 3 KB", 2_000, None, 3_000),
    ],
)
def test_memory_grows_from_what_was_asked_for_or_measured(memory, asked, peak, expected):
    where = situation("memory", asked_memory=asked, context=Context(memory_peak=peak))
    assert done(f"{{resize: {{memory: {memory}}}}}", where).memory == expected


def test_a_task_that_has_the_most_already_is_not_tried_with_the_same_again():
    where = situation("memory", asked_memory=4_000)
    decision = done("{resize: {memory: x2, most: 4 KB}}", where)
    assert "own: it asks for 4 kB already, and may have no more than 4 KB" in decision.alternatives


@pytest.mark.parametrize(
    ("delay", "used", "least", "most"),
    [
        ("7", 3, 7, 7),
        ("backoff", 1, 0.375, 0.5),
        ("backoff", 3, 1.5, 2.0),
        ("{seconds: 10, factor: 3, jitter: 0}", 2, 30, 30),
        ("{seconds: 10, factor: 3, most: 60, jitter: 0}", 9, 60, 60),
    ],
)
def test_a_delay_is_what_it_says(delay, used, least, most):
    decision = done(f"{{delay: {delay}}}", situation(used=used, limit=99))
    assert least <= decision.delay <= most


def test_a_task_may_wait_for_what_it_needs():
    where = situation("missing_file", filename="/data/in.h5", limit=2)
    decision = done("{wait: {for: 'file:{file}', at_most: 600, then: hold}}", where)
    assert (decision.wait, decision.wait_timeout, decision.wait_else) == ("file:/data/in.h5", 600, "hold")


def test_memory_move_and_delay_go_together_with_a_place_that_rests():
    do = "{try: other executor, resize: {memory: x2}, delay: 5, priority: 1, quarantine: {node: 60}}"
    decision = done(do, situation(asked_memory=1_000, **PLACE, **ELSEWHERE))
    told = (
        decision.action,
        decision.memory,
        decision.delay,
        decision.priority,
        decision.rest,
        decision.rest_for,
    )
    assert told == ("move", 2_000, 5.0, 1, "node", 60.0)


def test_a_hold_has_a_number_and_a_suggestion():
    decision = done("{hold: {number: 101, suggestion: renew the licence}}", situation())
    assert (decision.held_number, decision.suggestion) == (101, "renew the licence")


def test_the_apps_own_word_on_when_to_try_again_is_kept_by_any_rule():
    assert done("{delay: 5}", situation(retry_after=30.0)).delay == 30.0
    assert done("{delay: 50}", situation(retry_after=30.0)).delay == 50.0
    for odd in (math.nan, -1.0, math.inf):
        assert 0.0 <= done("here", situation(retry_after=odd)).delay <= 86_400.0


def test_a_reason_speaks_of_what_is_known():
    text = (
        "rules: [{name: own, do: other executor, reason: '{func} of {place} to {target}: {file} on {node}'}]"
    )
    where = situation(func="train", filename="/x", **PLACE, **ELSEWHERE)
    assert decide(where, SETTINGS, policy=Policy.parse(text)).reason == "train of alder to birch: /x on n1"


# --- what goes over rules ---


@pytest.mark.parametrize(
    ("where", "rule"),
    [
        (situation(tries=12, limit=99, **ELSEWHERE), "hard-total"),
        (situation("cancelled", limit=99, **ELSEWHERE), "cancelled"),
        (situation(retryable=False, limit=99, **ELSEWHERE), "raiser-knows-best"),
        (situation(own_handler_stops=True, limit=99, **ELSEWHERE), "own-handler-stops"),
        (situation(used=3, limit=2, **ELSEWHERE), "budget-spent"),
    ],
)
def test_no_rule_goes_on_for_ever_or_against_the_program(where, rule):
    assert done("other executor", where).rule == rule
    assert done("other executor", where, inherit="false").action == "fail"


def test_a_rule_with_a_number_of_its_own_asks_no_budget():
    own = policy("name: checkpointed, when: {exit_code: 85}, do: here, times: 3")
    where = situation(exit_code=85, used=9, limit=1, tries=4)
    for used, rule in ((0, "checkpointed"), (2, "checkpointed"), (3, "budget-spent")):
        again = msgspec.structs.replace(where, uses={"checkpointed": used})
        assert decide(again, SETTINGS, policy=own).rule == rule


def test_a_value_may_stand_in_for_a_task_that_would_fail_but_not_for_one_that_is_stopped():
    options = Options(substitute=(None,))
    assert decide(situation(used=9, options=options), SETTINGS).action == "substitute"
    assert decide(situation(options=options, **ELSEWHERE), SETTINGS).action == "move"
    assert decide(situation("cancelled", options=options), SETTINGS).action == "fail"


def test_ones_own_rules_come_first_and_the_built_in_ones_after_them():
    own = policy("name: own, when: {class: bug}, do: fail")
    assert [rule.name for rule in own.all_rules] == ["own", *(rule.name for rule in built_in().rules)]
    assert decide(situation("memory"), SETTINGS, policy=own).rule == "memory-retry"
    alone = policy("name: own, when: {class: bug}, do: fail", inherit="false")
    assert decide(situation("memory"), SETTINGS, policy=alone).rule == "no-rule"


def test_the_policys_budgets_and_total_go_over_the_settings():
    accounts = Budgets(
        Settings(retries={"memory": 7}, max_tries=3), 0, Policy.parse("{budgets: {memory: 1}, max_tries: 5}")
    )
    assert (accounts.limit("memory", Options()), accounts.max_tries(Options())) == (1, 5)


def test_rules_in_python_are_the_same_as_in_yaml():
    made = Policy(
        [
            Rule(
                name="own",
                when=When(count=Count(by="node", at_least=2)),
                do=Do(action="other node"),
                reason="because",
            )
        ]
    )
    read = policy("name: own, when: {count: {by: node, at_least: 2}}, do: other node")
    assert made.rules == read.rules


@pytest.mark.parametrize("rule", built_in().rules, ids=lambda rule: rule.name)
def test_a_rule_is_the_same_after_a_way_through_yaml(rule):
    assert read_rules([as_mapping(rule)], "here") == [rule]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Rule(name="a", do=Do(action="elsewhere"), reason="b"), "elsewhere"),
        (Rule(name="a", when=When(classes=("memroy",)), reason="b"), "no class of failures"),
        (Rule(name="a", when=When(conditions=("destned",)), reason="b"), "no condition"),
        (Rule(name="a", when=When(expression="attempt >"), reason="b"), "does not parse"),
        (Rule(name="a", when=When(log="("), reason="b"), "no pattern"),
        (Rule(name="a", do=Do(delay=Delay(seconds=-1.0)), reason="b"), "seconds from 0"),
        (Rule(name="a", reason="{odd}"), "{odd}"),
        (Rule(name="a"), "must have a reason"),
        (Rule(name="a", times="often", reason="b"), "does not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rules_in_python_are_checked_like_those_in_yaml(wrong, words):
    with pytest.raises(SettingsError) as raised:
        Policy([wrong])
    assert words in str(raised.value)


# --- what makes no sense ---

WRONG = [
    ("rules: [{name: a, do: fail, reason: b, whenn: {}}]", "line 1", "Did you mean 'when'?"),
    (
        "rules:\n- name: a\n  when: {class: memroy}\n  do: fail\n  reason: b",
        "line 3",
        "Did you mean 'memory'?",
    ),
    (
        "rules:\n- name: a\n  when:\n    class: bug\n    clas: bug\n  do: fail\n  reason: b",
        "line 5",
        "Did you mean 'class'?",
    ),
    ("rules: [{name: a, when: {is: destned}, do: fail, reason: b}]", "line 1", "Did you mean 'destined'?"),
    (
        "rules: [{name: a, when: {if: 'attemt > 1'}, do: fail, reason: b}]",
        "line 1",
        "Did you mean 'attempt'?",
    ),
    ("rules: [{name: a, when: {if: 'attempt >'}, do: fail, reason: b}]", "does not parse", ""),
    ("rules: [{name: a, when: {if: '__import__(1)'}, do: fail, reason: b}]", "there is no function", ""),
    ("rules: [{name: a, when: {if: 'func.x'}, do: fail, reason: b}]", "cannot be used", ""),
    ("rules: [{name: a, when: {log: '('}, do: fail, reason: b}]", "no pattern", ""),
    ("rules: [{name: a, when: {log: '(a+)+b'}, do: fail, reason: b}]", "take for ever", "repeat"),
    ("rules: [{name: a, when: {log: '(x|(y*z)*)+'}, do: fail, reason: b}]", "take for ever", "repeat"),
    ("rules: [{name: a, when: {exit_code: 9-1}, do: fail, reason: b}]", "is empty", ""),
    ("rules: [{name: a, when: {exit_code: many}, do: fail, reason: b}]", "no exit code", "1-99"),
    ("rules: [{name: a, when: {attempt: 0}, do: fail, reason: b}]", "the first one is 1", ""),
    ("rules: [{name: a, when: {class: bug, layer: runtime}, do: fail, reason: b}]", "never hold", ""),
    ("rules: [{name: a, when: {is: [bound, not bound]}, do: fail, reason: b}]", "never hold", ""),
    ("rules: [{name: a, when: {count: {by: node, at_least: 65}}, do: fail, reason: b}]", "1 to 64", ""),
    ("rules: [{name: a, when: {count: {by: house, at_least: 2}}, do: fail, reason: b}]", "'house'", "node"),
    ("rules: [{name: a, do: elsewhere, reason: b}]", "nothing that can be done", ""),
    ("rules: [{name: a, do: substitute, reason: b}]", "needs a value", ""),
    ("rules: [{name: a, do: {fail: true, hold: true}, reason: b}]", "both fail and hold", ""),
    ("rules: [{name: a, do: {fail: true, delay: 3}, reason: b}]", "needs a further try", ""),
    ("rules: [{name: a, do: {try: here, to: birch}, reason: b}]", "names executors to move to", ""),
    ("rules: [{name: a, do: {delay: -1}, reason: b}]", "seconds from 0", ""),
    ("rules: [{name: a, do: {delay: .nan}, reason: b}]", "seconds from 0", ""),
    ("rules: [{name: a, do: {resize: {memory: x0.5}}, reason: b}]", "does not grow", ""),
    ("rules: [{name: a, do: {resize: {memory: much}}, reason: b}]", "is no size", ""),
    ("rules: [{name: a, do: {wait: {for: 'file:/x'}}, reason: b}]", "could be for ever", "at_most"),
    (
        "rules: [{name: a, do: {wait: {for: godot, at_most: 9}}, reason: b}]",
        "nothing that can be waited for",
        "",
    ),
    ("rules: [{name: a, do: {wait: {for: fabric, at_most: 9}, delay: 2}, reason: b}]", "both say when", ""),
    ("rules: [{name: a, do: {quarantine: {rack: 3}}, reason: b}]", "'rack'", ""),
    ("rules: [{name: a, do: fail, reason: 'it is {plase}'}]", "{plase}", "Did you mean 'place'?"),
    ("rules: [{name: a, do: fail, reason: 'it is {'}]", "cannot be filled in", ""),
    ("rules: [{name: a, do: fail}]", "must have a reason", ""),
    ("rules: [{do: fail, reason: b}]", "must have a name", ""),
    ("rules: [{name: a, reason: b}]", "must say what to do", ""),
    ("rules: [{name: a, do: here, times: .inf, reason: b}]", "'times'", "never let the task end"),
    ("rules: [{name: a, do: here, times: 0, reason: b}]", "'times'", ""),
    ("max_tries: .inf", "'max_tries'", "tried for ever"),
    ("max_tries: 0", "'max_tries'", ""),
    (
        "max_tries: 4\nrules: [{name: a, do: here, times: 9, reason: b}]",
        "cannot decide 9 times",
        "Raise max_tries to 10",
    ),
    ("max_tries: 4\nrules: [{name: a, when: {attempt: 6}, do: fail, reason: b}]", "no attempt 6", ""),
    ("budgets: {memroy: 3}", "line 1", "Did you mean 'memory'?"),
    ("budgets: {memory: -1}", "'memory'", ""),
    ("budgets: {memory: true}", "'memory'", ""),
    ("inherit: maybe", "'inherit'", ""),
    ("rule: []", "line 1", "Did you mean 'rules'?"),
    ("rules: {name: a}", "must be a list", ""),
    ("rules: [3]", "mapping", ""),
    ("- 3", "mapping", ""),
    ("", "is empty", ""),
    ("rules: [", "no YAML", ""),
    ("max_tries: 3\nmax_tries: 4", "twice", ""),
]


@pytest.mark.parametrize(("text", "words", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_what_makes_no_sense_is_refused_with_its_place_and_a_remedy(text, words, hint):
    with pytest.raises(SettingsError) as raised:
        Policy.parse(text, "own.yaml")
    assert words in str(raised.value)
    assert hint in raised.value.hint
    assert "own.yaml" in str(raised.value)


def test_two_rules_of_one_name_are_refused_with_both_lines():
    with pytest.raises(SettingsError, match=r"two rules called 'a', the first in line 2.*own.yaml, line 3"):
        Policy.parse("rules:\n- {name: a, do: fail, reason: b}\n- {name: a, do: fail, reason: b}", "own.yaml")


UNREACHABLE = [
    ("name: a, do: fail", "name: b, when: {class: bug}, do: here"),
    ("name: a, do: here", "name: b, do: other node"),
    (
        "name: a, when: {class: [bug, memory]}, do: fail",
        "name: b, when: {class: bug, is: destined}, do: fail",
    ),
    ("name: a, when: {layer: runtime}, do: fail", "name: b, when: {class: memory}, do: hold"),
    ("name: a, when: {is: destined}, do: fail", "name: b, when: {is: [destined, bound]}, do: fail"),
    ("name: a, do: other node, else: fail", "name: b, do: other executor"),
]
REACHABLE = [
    ("name: a, do: here", "name: b, do: fail"),  # when the budget is spent
    ("name: a, do: other node", "name: b, do: here"),
    ("name: a, when: {class: bug}, do: fail", "name: b, do: fail"),
    ("name: a, when: {is: destined}, do: fail", "name: b, do: fail"),
    ("name: a, do: here, times: 2", "name: b, do: here"),
    ("name: a, do: {resize: {memory: x2}}", "name: b, do: here"),
    ("name: a, do: hold", "name: b, do: fail"),  # at the hard total
    ("name: a, when: {if: attempt > 1}, do: fail", "name: b, when: {if: attempt > 2}, do: fail"),
]


@pytest.mark.parametrize("rules", UNREACHABLE)
def test_a_rule_that_can_never_decide_is_refused(rules):
    with pytest.raises(SettingsError, match="'b' in the policy can never decide: 'a', which comes first"):
        policy(*rules)


@pytest.mark.parametrize("rules", REACHABLE)
def test_a_rule_that_may_decide_is_not(rules):
    assert len(policy(*rules).rules) == 2


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        Policy.load(tmp_path / "none.yaml")


# --- properties ---

TRIES = [action for action in ACTIONS if action not in ("fail", "hold", "substitute")]


@st.composite
def rules(draw):
    """Any rules that make sense one by one."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        classes = draw(st.lists(st.sampled_from(sorted(CLASSES)), max_size=2, unique=True))
        named = draw(st.sampled_from([(), ("destined",), ("other_manager", "not bound")]))
        when = When(classes=tuple(classes), conditions=named, attempt=draw(st.sampled_from(["", "1", "> 3"])))
        action = draw(st.sampled_from(ACTIONS))
        times = draw(st.sampled_from([None, 1, 50]))
        made.append(Rule(name=f"r{number}", when=when, do=Do(action=action), times=times, reason="because"))
    return made


def a_policy(made, **more):
    try:
        return Policy(made, **more)
    except SettingsError:  # one of them could never decide
        return Policy(made[:1], **more)


@given(situations(), rules(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_policy_always_decides_the_same_and_never_beyond_the_total(where, made, inherit):
    own = a_policy(made, inherit=inherit)
    decision = decide(where, SETTINGS, policy=own)
    assert decision == decide(where, SETTINGS, policy=own)
    assert decision.action in ("retry", "move", "avoid", "fail", "hold", "substitute")
    assert decision.reason
    assert (decision.target is not None) == (decision.action == "move")
    assert decision.target is None or decision.target in where.other_executors
    if where.tries_are_spent:
        assert decision.action in ("fail", "substitute")
    assert decode(encode(decision)) == decision


@given(st.lists(st.sampled_from(sorted(CLASSES)), max_size=40), rules(), st.integers(1, 15))
@settings(max_examples=200, deadline=None)
def test_under_any_policy_a_task_ends_within_its_total_and_losses_cost_the_program_nothing(
    world, made, total
):
    own = a_policy(made)
    accounts = Budgets(Settings(max_tries=total), 2, own)
    spent, uses, tries, own_failures = {}, {}, 1, 0
    for kind in world:
        name = accounts.name(kind)
        spent[name] = spent.get(name, 0) + 1
        own_failures += name == "application"
        assert not (CLASSES[kind].infrastructure and name == "application")
        where = situation(
            kind,
            tries=tries,
            max_tries=total,
            budget=name,
            used=spent[name],
            limit=accounts.limit(kind, Options()),
            uses=dict(uses),
            **ELSEWHERE,
        )
        decision = decide(where, SETTINGS, policy=own)
        assert spent.get("application", 0) == own_failures
        if decision.action in ("fail", "substitute", "hold"):
            break
        uses[decision.rule] = uses.get(decision.rule, 0) + 1
        tries += not got_on(kind)
    assert tries <= total
