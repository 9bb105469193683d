"""`parsl-diaspora model`: what it knows, learning from files and logs, and how good it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "failures"
LINE = '{{"label": "{}", "origin": "{}", "failure": {{"message": "{}"}}}}'


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.jsonl"
    words = {"disk_full": "the attic is packed", "network": "the courier is late"}
    path.write_text(
        "\n".join(
            LINE.format(label, f"{label}{number % 3}", text)
            for label, text in words.items()
            for number in range(6)
        )
    )
    return path


def test_show_says_what_the_model_was_trained_on_and_how_good_it_is(call):
    answer = call("model", "show")
    assert answer.status == 0
    assert "wording.txt" in answer.out
    assert "right where told" in answer.out


def test_a_model_is_trained_and_tested_from_files(call, own, tmp_path):
    made = tmp_path / "made.json"
    answer = call("model", "train", str(own), "-o", str(made))
    assert answer.status == 0, answer.err
    assert "learned from 12 failures of 2 classes" in answer.out
    told = json.loads(call("model", "test", str(own), "--model", str(made), "--json").out)
    assert told["examples"] == 12
    assert told["told_by"]["model"]["right"] == 1.0
    assert json.loads(call("model", "show", "--json", "--model", str(made)).out)["tokens"] > 3


def test_test_prints_precision_and_confusion_by_class(call):
    answer = call("model", "test", str(DATA / "provoked.jsonl"))
    assert answer.status == 0
    assert "macro-F1" in answer.out
    assert "certain rules" in answer.out
    assert "missing_module" in answer.out


def test_rules_of_a_site_take_part(call, own, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {name: ours, class: disk_full, when: {message: attic}, because: we say so}\n")
    told = json.loads(call("model", "test", str(own), "--rules", str(rules), "--json").out)
    assert told["told_by"]["certain rules"]["right"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", "--model", "none.json"), 2, "none.json cannot be read"),
        (("test", "no_such_place"), 2, "no_such_place is neither a file nor a directory"),
        (("train", "memory:", "-o", "x.json"), 1, "There is no labelled failure in memory:"),
    ],
)
def test_what_cannot_be_done_is_said(call, arguments, status, said):
    answer = call("model", *arguments)
    assert answer.status == status
    assert said in answer.err
