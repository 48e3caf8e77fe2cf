"""Where a level is found, and where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql import LEVELS, level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b'{"level":"WARN","msg":"error"}', "warn"),
        (b'{"severity":"Warning"}', "warn"),
        (b'{"lvl":"crit"}', "critical"),
        (b'{"msg":"an error occurred"}', "error"),
        (b'{"level":30,"msg":"x"}', "unknown"),
        (b'{"level":"error"', "error"),
        (b"ts=1 level=debug msg=error", "debug"),
        (b'ts=1 level="error" msg=x', "error"),
        (b"2026-01-01 INFO started", "info"),
        (b"[ERR] no", "error"),
        (b"PANIC: x", "fatal"),
        (b"terrorism and information", "unknown"),
        (b"", "unknown"),
        ("⟦error⟧ debug".encode(), "debug"),
        ("level=⟦secret⟧ fatal".encode(), "fatal"),
        (b"x" * 5_000 + b" error", "unknown"),
    ],
)
def test_a_level_is_found_in_the_text(line, level):
    assert level_of(line, ()) == level


def test_labels_come_before_metadata_and_both_before_the_text():
    assert level_of(b"error", [("level", "debug")], [("severity", "warn")]) == "debug"
    assert level_of(b"error", [], [("severity", "warn")]) == "warn"
    assert level_of(b"error", [("level", "strange")]) == "error"


@given(st.binary(max_size=60))
def test_every_line_has_exactly_one_level(line):
    assert level_of(line, ()) in LEVELS
