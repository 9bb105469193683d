"""A site's own diagnoser is asked off the critical path, and whatever it does the program goes on."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from parsl_diaspora.events import Diagnosis, DiagnosisRevised, Failure, TryFailed, encode
from parsl_diaspora.monitoring.deciding.second_opinion import SecondOpinion, second_opinion_for
from parsl_diaspora.settings import Settings
from tests.waiting import becomes

UNSURE = Diagnosis(failure_class="application", confidence=0.5, evidence=("the app raised Odd",))
FAILED = TryFailed(task=7, try_id=1, executor="alder", failure=Failure(chain=("study.Odd",), message="m"))
FAILED.boot, FAILED.seq = "boot", 1


class Told:
    """A session that remembers what is said and absorbed."""

    def __init__(self, **settings):
        self.settings = Settings(**settings)
        self.said, self.absorbed = [], []
        self.live = self

    def say(self, event):
        self.said.append(event)

    def absorb(self, part, error):
        self.absorbed.append(str(error))


_made = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while _made:
        _made.pop().close()


def asked(ask, diagnosis=UNSURE, **settings):
    session = Told(**settings)
    opinion = SecondOpinion(session, ask)
    _made.append(opinion)
    opinion.consider(FAILED, "simulate", diagnosis)
    return session, opinion


def test_its_answer_is_said_with_its_reason_and_cause():
    session, _ = asked(lambda q: {"class": "gpu", "confidence": 0.8, "reason": f"{q['func']} needs one"})
    assert becomes(lambda: session.said)
    (event,) = session.said
    assert isinstance(event, DiagnosisRevised)
    assert (event.task, event.try_id, event.cause) == (7, 1, (FAILED.id,))
    assert (event.diagnosis.failure_class, event.diagnosis.rule) == ("gpu", "site")
    assert event.diagnosis.evidence == ("simulate needs one", "the app raised Odd")


def test_it_gets_plain_data_and_all_classes():
    got = []
    asked(got.append)
    assert becomes(lambda: got)
    assert got[0]["type"] == "study.Odd"
    assert "memory" in got[0]["classes"]


def test_it_is_not_asked_about_what_a_rule_is_sure_of():
    got = []
    asked(got.append, Diagnosis(failure_class="memory", confidence=0.9))
    time.sleep(0.1)
    assert not got


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("memroy", "is no class"),
        (7, "An answer is a class"),
        ({"class": "gpu", "confidence": 9}, "between 0 and 1"),
        ({"class": "gpu", "confidence": "high"}, "could not convert"),
        ({"class": "gpu", "confidence": 10**400}, "too large"),
    ],
)
def test_nonsense_is_counted_nothing_is_said_and_it_is_asked_again(answer, words):
    answers = [answer, "gpu"]
    session, opinion = asked(lambda _: answers.pop(0))
    assert becomes(lambda: session.absorbed)
    assert words in session.absorbed[0]
    assert not session.said
    opinion.consider(FAILED, "simulate", UNSURE)
    assert becomes(lambda: session.said)
    assert session.said[0].diagnosis.failure_class == "gpu"


@pytest.mark.parametrize("answer", [None, "application", {"class": "gpu", "confidence": 0.2}])
def test_an_answer_that_changes_nothing_is_not_said(answer):
    done = threading.Event()
    session, opinion = asked(lambda _: answer)
    opinion._ask = lambda _: done.set()
    opinion.consider(FAILED, "simulate", UNSURE)
    assert done.wait(5)
    assert (session.said, session.absorbed) == ([], [])


class NoText:
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize("reason", [NoText(), "\udcff"])
def test_a_reason_that_is_no_text_does_not_keep_the_answer_from_being_said(reason):
    session, _ = asked(lambda _: {"class": "gpu", "confidence": 0.8, "reason": reason})
    assert becomes(lambda: session.said)
    assert session.said[0].diagnosis.failure_class == "gpu"
    assert encode(session.said[0])


def test_one_that_ends_its_thread_is_counted():
    session, opinion = asked(lambda _: sys.exit("no model here"))
    assert becomes(lambda: session.absorbed == ["no model here"])
    assert not opinion.hung


def test_many_executors_that_fail_at_once_are_answered_by_one_thread():
    session = Told()
    busy, most = [], []

    def ask(_):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.005)
        busy.pop()
        return "gpu"

    opinion = SecondOpinion(session, ask)
    _made.append(opinion)
    each = [threading.Thread(target=opinion.consider, args=(FAILED, "f", UNSURE)) for _ in range(20)]
    for thread in each:
        thread.start()
    assert becomes(lambda: len(session.said) == 20)
    assert max(most) == 1


def test_one_that_raises_is_asked_again_and_one_that_hangs_is_not():
    session, opinion = asked(lambda _: 1 / 0)
    assert becomes(lambda: session.absorbed == ["division by zero"])
    release = threading.Event()
    opinion._ask = lambda _: release.wait(30)
    opinion._session.settings = Settings(diagnoser_timeout=0.1)
    began = time.monotonic()
    opinion.consider(FAILED, "simulate", UNSURE)
    assert time.monotonic() - began < 10
    assert becomes(lambda: opinion.hung)
    release.set()
    assert "is not asked again" in session.absorbed[-1]


def test_one_that_cannot_be_had_is_said_once_and_the_run_goes_on():
    session = Told(diagnoser="no_such_module:ask")
    assert second_opinion_for(session) is None
    assert "no_such_module" in session.absorbed[0]
    assert second_opinion_for(Told()) is None
