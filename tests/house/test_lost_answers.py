"""Each use case that changes something has a test that runs with the answers of the database lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.lost_answers import use_cases

TESTS = Path(__file__).parents[1]


def named() -> Iterator[str]:
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text()
        if "answers_lost" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "answers_lost":
                yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))


def test_each_use_case_that_changes_something_is_tried_with_answers_lost() -> None:
    found = set(named())
    assert len(use_cases()) > 50
    assert found == use_cases(), (sorted(use_cases() - found), sorted(found - use_cases()))
