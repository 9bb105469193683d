"""The learned model: silent where it is not sure, never above a certain rule, never in the way of a run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import Failure
from parsl_diaspora.failures import CLASSES, Context, Diagnoser
from parsl_diaspora.failures.diagnosis import CERTAIN
from parsl_diaspora.failures.matching import Finding
from parsl_diaspora.failures.model import LearnedModel, Weights, model_for, read_weights, shipped
from parsl_diaspora.failures.model.corpus import read_examples
from parsl_diaspora.failures.model.features import tokens
from parsl_diaspora.failures.model.guess import SHIPPED
from parsl_diaspora.failures.model.weights import pack_row, taxonomy_version, write_weights

DATA = Path(__file__).parents[2] / "data" / "failures"
KEY = Failure(chain=("builtins.KeyError", "builtins.LookupError", "builtins.Exception"), message="'x'")
OWN = ("study.Odd", "builtins.Exception")
SMALL = Weights(
    classes=("disk_full", "memory"),
    taxonomy=taxonomy_version(),
    tokens={"full": pack_row([127, -127]), "ram": pack_row([-127, 127])},
    step=0.05,
    importance={"full": 1.0, "ram": 1.0},
    base=(0.0, 0.0),
    bar=0.6,
)


def odd(message):
    return Failure(chain=OWN, message=message)


def test_what_no_rule_names_is_told_by_its_words():
    found = Diagnoser(model=shipped()).diagnose(odd("the scratch area of this node has no free space left"))
    assert (found.failure_class, found.rule) == ("disk_full", "model")
    assert "space" in found.evidence[0]


def test_what_it_has_no_words_for_is_left_to_the_rules():
    assert shipped()(odd("xyzzy plugh"), Context()) is None
    assert Diagnoser(model=shipped()).diagnose(odd("xyzzy plugh")).rule == "own-exception"


def test_where_a_rule_names_the_same_class_its_reason_stands():
    found = Diagnoser(model=lambda *_: Finding("model", "bug", 0.99, "words", "")).diagnose(KEY)
    assert found.rule == "mistake-in-the-code"


def test_a_guess_counts_only_if_it_is_surer_than_the_rule():
    for confidence, rule in ((0.6, "mistake-in-the-code"), (0.9, "model")):
        guess = Finding("model", "network", confidence, "words", "")
        assert Diagnoser(model=lambda *_, guess=guess: guess).diagnose(KEY).rule == rule


def test_below_its_bar_it_says_nothing():
    model = LearnedModel(SMALL)
    assert model(odd("full"), Context()).failure_class == "disk_full"
    assert model(odd("full ram"), Context()) is None


@pytest.mark.parametrize("name", ["provoked", "test", "train"])
def test_a_certain_rule_is_never_overridden(name):
    alone, both = Diagnoser(), Diagnoser(model=shipped())
    certain = 0
    for example in read_examples(DATA / f"{name}.jsonl"):
        found = alone.find(example.failure, example.context)
        if found.confidence >= CERTAIN:
            certain += 1
            assert both.find(example.failure, example.context) == found
    assert certain > 30


@given(
    st.builds(
        Failure,
        chain=st.lists(st.text(max_size=20), max_size=3).map(tuple),
        message=st.text(),
        stderr=st.text(),
        traceback=st.text(),
        errno=st.none() | st.integers(),
        exit_code=st.none() | st.integers(),
    )
)
def test_whatever_failed_it_answers_with_a_class_or_with_nothing(failure):
    found = shipped()(failure, Context())
    assert found is None or (
        found.failure_class in CLASSES and shipped().weights.bar <= found.confidence <= 1
    )
    assert sum(shipped().chances(failure, Context()).values()) == pytest.approx(1)


def test_numbers_and_paths_are_no_tokens():
    one, other = odd("cannot read /scratch/a/b.h5 at line 17"), odd("cannot read /home/x/y.nc at line 4")
    assert tokens(one, Context()) == tokens(other, Context())


def test_what_is_known_of_the_place_counts():
    place = Context(out_of_memory=True, memory_peak=95, memory_limit=100, block_state="RUNNING")
    assert {"fact:out-of-memory", "fact:memory-9", "fact:block-RUNNING"} <= tokens(odd("x"), place)


def test_guessing_takes_less_than_a_millisecond():
    failures = [example.failure for example in read_examples(DATA / "test.jsonl")]
    shipped()
    best = min(_seconds(failures) for _ in range(5))
    assert best / len(failures) < 0.001


def _seconds(failures):
    begun = time.perf_counter()
    for failure in failures:
        shipped()(failure, Context())
    return time.perf_counter() - begun


def test_guessing_needs_neither_scikit_learn_nor_numpy():
    code = (
        "import sys; from parsl_diaspora.failures.model import shipped;"
        "from parsl_diaspora.events import Failure; from parsl_diaspora.failures import Context;"
        "assert shipped()(Failure(message='CUDA out of memory'), Context()).failure_class == 'gpu';"
        "assert not {'sklearn', 'numpy', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- its file ---


def test_the_shipped_file_is_small_and_says_what_it_is():
    weights = shipped().weights
    assert SHIPPED.stat().st_size < 300_000
    assert "wording" in weights.data
    assert weights.trained > 0
    assert weights.quality["right_where_told"] >= 0.8
    assert set(weights.classes) <= set(CLASSES)


def test_a_model_survives_its_file(tmp_path):
    write_weights(tmp_path / "m.json", SMALL)
    assert read_weights(tmp_path / "m.json") == SMALL


def spoilt(**changes):
    return msgspec.json.encode(msgspec.structs.replace(SMALL, **changes))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged"),
        (b'{"format": "x"}', "is damaged"),
        (spoilt(tokens={"full": "!"}), "is damaged"),
        (spoilt(tokens={"full": pack_row([1])}), "a row is too short"),
        (spoilt(base=(0.0,)), "a row is too short"),
        (spoilt(format=2), "has format 2, not 1"),
        (spoilt(classes=("disk_full", "gremlins")), "is stale: this release has no class 'gremlins'"),
    ],
)
def test_a_file_that_is_no_good_is_refused_with_the_remedy(tmp_path, content, said):
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=said) as refused:
        read_weights(path)
    assert "parsl-diaspora model train" in str(refused.value)


def test_a_class_that_got_another_name_is_known_by_it():
    model = LearnedModel(msgspec.structs.replace(SMALL, classes=("environment", "unreadable")))
    assert model.classes == ("missing_module", "serialization")


def test_without_its_file_a_run_goes_on_and_is_told_once(tmp_path):
    told = []
    assert model_for(str(tmp_path / "none.json"), lambda *fault: told.append(fault)) is None
    assert [(part, type(fault)) for part, fault in told] == [("model of failures", SettingsError)]
    assert model_for("off", lambda *fault: told.append(fault)) is None
    assert model_for("", lambda *fault: told.append(fault)) is shipped()
    assert len(told) == 1
