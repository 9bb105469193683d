"""Sizes and spans of time as people write them."""

from __future__ import annotations

import pytest

from parsl_diaspora.sizes import parse_bytes, parse_seconds, size_words


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("17B", 17),
        ("200MB", 200_000_000),
        ("200 mb", 200_000_000),
        (" 1k ", 1000),
        ("64KiB", 65_536),
        ("1.5GiB", 1_610_612_736),
        ("2.5G", 2_500_000_000),
        ("1TB", 10**12),
        (".5k", 500),
        ("9223372036854775807", 2**63 - 1),
        ("1.0005k", 1000),
        ("0.1 GiB", 107_374_182),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "MB", "-1", "+1", "1e3", "1,5GB", "1.2.3", "1PB", "1 000", "2ki", "1.", "nan", "inf", "٣MB", "1\n2"],
)
def test_what_is_no_size_is_told_so_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no size\. Write it as in '200MB'"):
        parse_bytes(text)


def test_a_size_is_one_that_a_file_can_have() -> None:
    with pytest.raises(ValueError, match="more than a file system can hold"):
        parse_bytes("9223372036854775808")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("100ms", 0.1),
        ("50us", 5e-5),
        ("30s", 30.0),
        ("15m", 900.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
        ("2w", 1_209_600.0),
        ("2.5", 2.5),
        (" 1.5 H ", 5400.0),
    ],
)
def test_a_span_of_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1 day", "1:30", "1e3", "nan", "inf", "5y", "10mm", "9" * 400]
)
def test_what_is_no_span_of_time_is_told_so_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no span of time\. Write it as in '100ms'"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_345_678, "12.3 MB"),
        (999_960_000, "1 GB"),
        (64e9, "64 GB"),
        (1.5e15, "1500 TB"),
    ],
)
def test_a_size_is_told_in_three_figures(size: float, words: str) -> None:
    assert size_words(size) == words
