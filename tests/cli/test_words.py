"""Numbers, times and places in words."""

from __future__ import annotations

import doctest

import pytest

from parsl_diaspora.cli import event_words, output, storyteller, words
from parsl_diaspora.state import reading


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.00034, "0.3 ms"),
        (0.05, "50 ms"),
        (0.1, "0.1 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.9, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (900_000, "10 d 10 h"),
    ],
)
def test_a_span_of_time_is_told_in_the_unit_that_fits(seconds, text):
    assert words.duration(seconds) == text


def test_a_minute_is_not_sixty_seconds():
    assert words.duration(59.97) == "1 min 0 s"


def test_a_moment_is_told_with_its_zone():
    assert words.moment(0.0).split()[-1]
    assert words.short_moment(1_790_000_000, now=1_790_000_100).count(":") == 1
    assert words.short_moment(1_000_000_000, now=1_790_000_000).endswith("2001")


def test_a_share_of_nothing_is_none():
    assert words.share(0, 0) == "0 %"
    assert words.share(1, 3) == "33.3 %"


def test_lines_that_say_something():
    assert words.first_line("\n \n  one\ntwo") == "one"
    assert words.last_line("one\n two \n\n") == "two"
    assert words.first_line("") == words.last_line("") == ""


def test_plain_keeps_text_lines_and_tabs():
    assert words.plain("a\tb\r\nc\rd é 漢") == "a\tb\nc\nd é 漢"


@pytest.mark.parametrize("module", [words, event_words, reading, storyteller, output])
def test_the_examples_of_the_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0
