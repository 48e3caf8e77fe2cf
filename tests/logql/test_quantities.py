"""Numbers, durations and sizes in both directions; the values are what the Go programs whose forms they are give."""

from __future__ import annotations

import math

import pytest

from loglease.logql import ParseError
from loglease.logql.lexer import quoted_string
from loglease.logql.quantities import go_duration, long_duration, number, print_sample, size

LONGEST = (1 << 63) - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1.5h", 5_400_000_000_000),
        ("-5m", -300_000_000_000),
        ("300us", 300_000),
        ("300µs", 300_000),
        ("1h1.5s", 3_601_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        (".9999999999999999999s", 1_000_000_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        (f"{LONGEST}ns", LONGEST),
        (f"{LONGEST + 1}ns", None),
        (f"-{LONGEST + 1}ns", -LONGEST - 1),
        (f"{'0' * 50}1s", 1_000_000_000),
        ("", None),
        ("5", None),
        ("1d", None),
        (".s", None),
        ("1e3s", None),
        ("--1s", None),
    ],
)
def test_go_durations(text, expected):
    assert go_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1h30m", 5_400_000_000_000),
        ("1y", 31_536_000_000_000_000),
        ("1w2d", 777_600_000_000_000),
        ("5ms", 5_000_000),
        ("293y", None),
        ("1m1h", None),
        ("1.5h", None),
        ("-1h", None),
        ("", None),
    ],
)
def test_prometheus_durations(text, expected):
    assert long_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", 42),
        ("5KiB", 5120),
        ("5kb", 5000),
        ("1.5 MB", 1_500_000),
        ("1,000.5 kB", 1_000_500),
        ("5Ki", 5120),
        ("0.1KiB", 102),
        ("0.", 0),
        ("1\u00a0kB", 1000),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", None),
        ("15.999EiB", 18445591152204945408),
        ("16EiB", None),
        ("1.1.1MB", None),
        ("-1KB", None),
        ("1e3", None),
        ("5ZB", None),
        ("", None),
    ],
)
def test_sizes(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_000", 1000.0),
        ("0x_1p4", 16.0),
        ("0x1p-1074", 5e-324),
        ("+Inf", math.inf),
        ("-infinity", -math.inf),
        ("1e-400", 0.0),
        ("1e400", None),
        ("0x1p1024", None),
        ("0x1.8", None),
        ("1__0", None),
        ("_1", None),
        ("1_.5", None),
        ("+nan", None),
        (" 1", None),
        ("١", None),
    ],
)
def test_numbers(text, expected):
    assert number(text) == expected


def test_no_number_is_a_number_only_without_a_sign():
    assert math.isnan(number("NaN"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (-0.0, "-0"),
        (3.0, "3"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_printed_samples(value, expected):
    assert print_sample(value) == expected


@pytest.mark.parametrize("text", [r'"\U80000000"', r'"\U00110000"', r'"\ud800"', r'"\400"', r'"\xff"', r'"\q"', '"\n"'])
def test_strings_that_are_none(text):
    with pytest.raises(ParseError):
        quoted_string(text, 0)
