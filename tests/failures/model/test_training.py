"""What the model learns from, and how well: figures that may not get worse without anybody noticing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import DecisionMade, Diagnosis, Failure, TryFailed
from parsl_diaspora.failures import CLASSES, Context, Diagnoser
from parsl_diaspora.failures.model import LearnedModel, shipped
from parsl_diaspora.failures.model.corpus import Example, from_events, read_examples, write_examples
from parsl_diaspora.failures.model.quality import Confusion, by, by_certain_rules, by_model, judge
from parsl_diaspora.failures.model.training import train
from parsl_diaspora.testing.provocations import PROVOCATIONS
from parsl_diaspora.testing.provocations.wording import examples, read_wordings

DATA = Path(__file__).parents[2] / "data" / "failures"
WORDINGS = read_wordings(DATA / "wording.txt")


def corpus(name):
    return read_examples(DATA / f"{name}.jsonl")


def told(message, label, origin=""):
    return Example(label=label, failure=Failure(message=message), origin=origin)


# --- how good it is ---


def test_rules_and_model_tell_what_origins_say_that_were_never_seen_in_training():
    diagnoser, unseen = Diagnoser(model=shipped()), corpus("test")
    alone, both = judge(by_model(diagnoser), unseen), judge(by(diagnoser), unseen)
    assert alone.macro_f1 >= 0.8
    assert both.macro_f1 >= 0.8
    assert both.wrong <= 0.12
    assert both.macro_f1 >= judge(by(Diagnoser()), unseen).macro_f1 + 0.3


def test_rules_that_are_certain_are_right():
    assert judge(by_certain_rules(), corpus("test")).wrong <= 0.02
    assert judge(by_certain_rules(), corpus("provoked")).wrong == 0


def test_what_was_provoked_for_real_is_told_by_rules_alone():
    assert judge(by(Diagnoser()), corpus("provoked")).macro_f1 >= 0.95


# --- the corpus ---


def test_what_is_trained_on_and_what_is_tested_on_have_no_origin_and_no_wording_in_common():
    sides = {split: [each for each in WORDINGS if each.split == split] for split in ("train", "test")}
    origins, texts = (
        [{value(each) for each in sides[split]} for split in ("train", "test")]
        for value in (lambda each: each.origin, lambda each: re.sub(r"[^a-z]+", " ", each.text.lower()))
    )
    assert not set.intersection(*origins)
    assert not set.intersection(*texts) - {" ", ""}
    assert {each.label for each in sides["test"]} == {each.label for each in sides["train"]}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_files_are_what_the_wordings_make(split):
    assert corpus(split) == list(examples(WORDINGS, split))


def test_the_provoked_failures_are_of_this_librarys_provocations_and_name_no_machine():
    provoked = corpus("provoked")
    assert len(provoked) > 40
    for example in provoked:
        assert PROVOCATIONS[example.origin.removeprefix("provoked: ")].failure_class == example.label
    assert not re.search(r"/(work|root|venv|Users)\b", (DATA / "provoked.jsonl").read_text())


def test_labels_are_classes_and_older_names_of_them_are_understood(tmp_path):
    path = tmp_path / "own.jsonl"
    write_examples(path, [told("x", "environment")])
    assert read_examples(path)[0].label == "missing_module"
    assert {each.label for name in ("train", "test", "provoked") for each in corpus(name)} <= set(CLASSES)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "line 2 is no labelled failure"),
        ('{"label": "gremlins", "failure": {}}', "line 2: 'gremlins' is no class of failures"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(tmp_path, line, said):
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"label": "memory", "failure": {{}}}}\n{line}\n')
    with pytest.raises(SettingsError, match=said):
        read_examples(path)


def test_a_log_teaches_what_certain_rules_have_told_and_nothing_that_was_guessed():
    def pair(number, **diagnosis):
        failed = TryFailed(boot="b", seq=number, run="r", failure=Failure(message=f"m{number}"))
        return [failed, DecisionMade(cause=(failed.id,), run="r", diagnosis=Diagnosis(**diagnosis))]

    events = [
        *pair(1, failure_class="memory", confidence=0.95, rule="memory-error"),
        *pair(2, failure_class="bug", confidence=0.65, rule="mistake-in-the-code"),
        *pair(3, failure_class="gpu", confidence=0.99, rule="model"),
    ]
    assert [(each.label, each.failure.message, each.origin) for each in from_events(events)] == [
        ("memory", "m1", "run r")
    ]


# --- training ---


def test_it_learns_what_a_site_says_in_its_own_words():
    words = {"disk_full": "the attic is packed", "network": "the courier has not come back"}
    known = [
        told(f"{text} {number}", label, f"{label} {number % 4}")
        for label, text in words.items()
        for number in range(8)
    ]
    model = LearnedModel(train(known, data="of a site"))
    for label, text in words.items():
        assert model(Failure(message=f"oh dear, {text} today"), Context()).failure_class == label
    assert model.weights.data == "of a site"


def test_too_little_to_learn_from_is_said():
    with pytest.raises(SettingsError, match="2 examples of 1 classes are too few"):
        train([told("a", "memory"), told("b", "memory")])


def test_without_scikit_learn_training_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SettingsError, match=r"pip install 'parsl-diaspora\[model\]'"):
        train([told("a", "memory"), told("b", "bug")])


def test_figures_are_counted_as_they_should_be():
    found = Confusion([("a", "a"), ("a", "b"), ("b", "b"), ("b", "unknown")])
    assert found.accuracy == 0.5
    assert found.wrong == 0.25
    assert [(each.name, each.precision, each.recall) for each in found.scores()] == [
        ("a", 1.0, 0.5),
        ("b", 0.5, 0.5),
    ]
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
