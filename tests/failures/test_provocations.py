"""Each class of failures, provoked for real on a pool: its class, its evidence and what is done about it."""

from __future__ import annotations

import contextlib
import os
import re

import pytest
from parsl import python_app

from parsl_diaspora.events import DecisionMade
from parsl_diaspora.testing.processes import worker_init
from parsl_diaspora.testing.provocations import PROVOCATIONS
from parsl_diaspora.testing.provocations.breaking import BREAKAGES, RefusingProvider
from parsl_diaspora.testing.provocations.framework import echo
from parsl_diaspora.testing.provocations.resources import (
    MEBIBYTE,
    can_limit_memory,
    enter_group,
    remove_groups,
)
from parsl_diaspora.testing.provocations.running import outcomes, start
from tests.integration import apps
from tests.integration.conftest import ROOT, Program
from tests.integration.looking import LONG, until
from tests.integration.test_lost_blocks import QuickProvider

GROUPED = [name for name, each in PROVOCATIONS.items() if each.in_group]
DEADLY = [name for name, each in PROVOCATIONS.items() if each.deadly and not each.in_group]
CHEAP = [name for name in PROVOCATIONS if name not in (*GROUPED, *DEADLY)]
#: Classes after which a further try at the only place there is waits a little.
MAY_PASS = ("memory", "limits", "disk_full", "gpu", "missing_module", "version_mismatch")


def provoked(made, names):
    """What came of these, all run as one program."""
    futures = {}
    for name in names:
        if PROVOCATIONS[name].possible():
            futures[start(PROVOCATIONS[name], made.directory / "scratch")] = PROVOCATIONS[name]
    ends = [future.exception(timeout=LONG) for future in futures]
    assert all(ends), [each.name for each, end in zip(futures.values(), ends, strict=True) if end is None]
    return {
        outcome.provocation.name: outcome
        for outcome in outcomes(made.events(), {future.tid: each for future, each in futures.items()})
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    made = Program(f"test-{os.getpid()}-provoked", tmp_path_factory.mktemp("provoked"))
    made.load(made.pool("alder"), max_tries=2, retry_delay=0.05)
    yield provoked(made, CHEAP)
    made.close()


@pytest.mark.timeout(2 * LONG)
@pytest.mark.parametrize("name", CHEAP)
def test_what_is_provoked_is_told_by_class_and_evidence_and_decided(found, name):
    provocation = PROVOCATIONS[name]
    if not provocation.possible():
        pytest.skip("this machine cannot do it")
    assert bool(found[name].failure.stderr) >= provocation.by_stderr
    diagnosis = found[name].decision.diagnosis
    assert diagnosis.failure_class == provocation.failure_class, diagnosis
    assert re.search(provocation.evidence, " ".join(diagnosis.evidence)), diagnosis
    decision = found[name].decision
    assert decision.action == ("fail" if found[name].failure.phase == "launch" else "retry"), decision
    assert bool(decision.delay) >= (diagnosis.failure_class in MAY_PASS), decision


def assert_told(found):
    for name, outcome in found.items():
        diagnosis = outcome.decision.diagnosis
        assert diagnosis.failure_class == PROVOCATIONS[name].failure_class, diagnosis
        assert re.search(PROVOCATIONS[name].evidence, " ".join(diagnosis.evidence)), diagnosis


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_what_takes_its_worker_along_is_told_apart_by_how_the_worker_ended(program):
    # the manager may tell first, and knows less: then a further try
    program.load(program.pool("alder"), max_tries=3, retries={"crash": 0})
    found = provoked(program, DEADLY)
    assert_told(found)
    assert {each.provocation.failure_class for each in found.values()} == {"crash", "worker_lost"}


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
@pytest.mark.skipif(not can_limit_memory(), reason="no control group can be made here")
def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_told_from_one_that_is_killed(program):
    begin = worker_init(program.mark, "alder", {"PYTHONPATH": str(ROOT)})
    group = enter_group(str(os.getpid()), 600 * MEBIBYTE)
    provider = QuickProvider(init_blocks=1, min_blocks=1, max_blocks=1, worker_init=f"{begin}\n{group}")
    program.load(program.pool("alder", provider=provider), max_tries=3)
    try:
        found = provoked(program, GROUPED)
    finally:
        program.close()
        remove_groups()
    assert_told(found)
    assert list(found) == GROUPED


@pytest.mark.timeout(2 * LONG)
def test_refusals_of_a_batch_system_and_blocks_that_never_start_are_told_apart(program):
    def pool(label, provider):
        return program.pool(label, provider=provider)

    refusing = RefusingProvider(init_blocks=1, min_blocks=1, max_blocks=1)
    failing = QuickProvider(init_blocks=1, min_blocks=1, max_blocks=1, worker_init="exit 7")
    program.load(
        pool("refused", refusing), pool("failed", failing), block_wait=3, block_start_failures=1, max_tries=1
    )
    futures = [python_app(echo, executors=[label])("x") for label in ("refused", "failed")]
    assert all(future.exception(timeout=LONG) for future in futures)
    found = {event.executor: event for event in program.events() if isinstance(event, DecisionMade)}
    assert found["refused"].diagnosis.failure_class == "batch_refused", found["refused"].diagnosis
    assert found["failed"].diagnosis.failure_class == "block_failed", found["failed"].diagnosis


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
@pytest.mark.parametrize("failure_class", BREAKAGES)
def test_managers_and_nodes_that_go_away_are_told_apart(program, failure_class):
    kernel = program.load(program.pool("alder", workers=1), max_tries=3)
    assert apps.spin(1, 0.0).result(timeout=LONG) == 1
    future = apps.spin(7, 3.0)
    until(lambda: any(each.running for each in kernel.memoizer.session.live.picture.managers.values()))
    BREAKAGES[failure_class](program.mark)
    with contextlib.suppress(Exception):  # its block may be the only one
        future.result(timeout=LONG)
    told = [event.diagnosis for event in program.events() if isinstance(event, DecisionMade)]
    assert told[-1].failure_class == failure_class, told
    assert told[-1].evidence
