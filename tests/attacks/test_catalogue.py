"""Every row of the catalogue has a test or says why it has none; nothing is marked that is no row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.attacks.catalogue import CATALOGUE, TESTS, marked_tests

ROWS = {row.id: row for row in CATALOGUE}
THREAT_MODEL = Path(__file__).parents[2] / "docs" / "explanation" / "threat-model.md"
SIZES = {
    "AU": 10, "AP": 14, "PO": 5, "GW": 13, "QL": 9, "RD": 10, "RV": 11, "AD": 8, "UI": 5, "IN": 4, "DS": 5, "FT": 5,
    "BG": 3, "DP": 3,
}  # fmt: skip


def test_the_catalogue_is_whole() -> None:
    assert len(ROWS) == len(CATALOGUE)
    counted = {area: sum(one.startswith(area) for one in ROWS) for area in SIZES}
    assert counted == SIZES
    assert all(len(row.attempt.split()) > 1 for row in CATALOGUE)


def test_each_row_has_a_test_or_a_reason() -> None:
    tests = marked_tests(TESTS)
    assert not [row.id for row in CATALOGUE if not tests.get(row.id) and len(row.later.split()) < 5]


def test_what_is_marked_is_a_row() -> None:
    assert set(marked_tests(TESTS)) <= set(ROWS)


def test_a_name_that_says_its_row_is_marked_with_it() -> None:
    marked = {(test, row) for row, found in marked_tests(TESTS).items() for test in found}
    named = re.compile(r"def (test_([a-z]{2})_((?:\d\d_)+)\w*)\(")
    for path in Path(__file__).parent.glob("test_*.py"):
        for name, area, numbers in named.findall(path.read_text()):
            for number in numbers.strip("_").split("_"):
                row = f"{area.upper()}-{number}"
                assert row not in ROWS or (f"attacks/{path.name}::{name}", row) in marked, (name, row)


def test_readers_are_told_what_cannot_be_tried_yet() -> None:
    section = THREAT_MODEL.read_text().partition("## Attacks that are tried")[2].partition("\n## ")[0]
    assert set(re.findall(r"\b[A-Z]{2}-\d\d\b", section)) == {row.id for row in CATALOGUE if row.later}
