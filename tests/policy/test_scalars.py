"""What scalars mean, and which plain words must be quoted."""

from __future__ import annotations

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loglease.policy.scalars import day, duration_s, integer, is_ambiguous, size_bytes

TRAPS = [
    *("no", "No", "NO", "on", "off", "y", "Y", "n", "yes", "true", "True", "false", "null", "Null", "~", "", "=", "<<"),
    *("012", "0o17", "0x1F", "0b11", "1_000", "12:30", "1:20:30", "190:20:30.15", "685_230.15", "-1", "+1", "0"),
    *("1e3", "1.5", ".5", "5.", ".inf", "-.INF", ".nan", "2026-11-23", "2026-11-23T09:30:00Z"),
]


@pytest.mark.parametrize("text", TRAPS)
def test_traps_need_quotes(text: str) -> None:
    assert is_ambiguous(text)


@pytest.mark.parametrize(
    "text", ["prod", "pay-api", "30m", "500MB", "1.2.3", "v1", "none", "group:sre", "10.0.0.1", "e3", "-x"]
)
def test_ordinary_words_do_not(text: str) -> None:
    assert not is_ambiguous(text)


@given(st.text(st.sampled_from("0123456789abcdefoxnysinTtZ.:-+_eE~ "), min_size=1, max_size=8))
def test_whatever_the_parser_itself_resolves_otherwise_is_a_trap(text: str) -> None:
    """PyYAML's own resolver is YAML 1.1: what it does not read as a string we never accept as one."""
    resolved = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    if resolved != "tag:yaml.org,2002:str":
        assert is_ambiguous(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("-3", -3), ("9007199254740991", 2**53 - 1)])
def test_integers(text: str, value: int) -> None:
    assert integer(text) == value


@pytest.mark.parametrize(
    "text", ["", "01", "+1", "-0", "1_0", "0x1", "1.0", "1e3", "٣", "9007199254740992", "9" * 30, " 1"]
)
def test_what_is_no_integer(text: str) -> None:
    assert integer(text) is None


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("30m", 1800), ("2h30m", 9000), ("7d", 604800)])
def test_durations(text: str, value: int) -> None:
    assert duration_s(text) == value


@pytest.mark.parametrize(
    "text", ["", "0s", "-1h", "30", "1.5h", "m", "30m2h", "P1Y", "٣m", "1 h", "9999999999h", "10000d"]
)
def test_what_is_no_duration(text: str) -> None:
    assert duration_s(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("1B", 1), ("500MB", 500_000_000), ("256MiB", 256 << 20), ("2GB", 2 * 10**9), ("1kB", 1000)]
)
def test_sizes(text: str, value: int) -> None:
    assert size_bytes(text) == value


@pytest.mark.parametrize("text", ["", "0MB", "500", "500mb", "1.5GB", "-1MB", "MB", "1 MB", "9999999999TB", "01MB"])
def test_what_is_no_size(text: str) -> None:
    assert size_bytes(text) is None


def test_days() -> None:
    assert day("2027-05-01") == date(2027, 5, 1)
    assert [day(text) for text in ("2027-13-01", "2027-5-1", "x", "20270501", "2027-02-30")] == [None] * 5
