"""Each rule finds what breaks it, and nothing else does; the logs are whole in every other respect."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.audit.semantic.twins import TWINS, Twin
from tests.audit.semantic.writer import Writer

from loglease.audit.semantic import RULES, BreachKind
from loglease.audit.semantic.reference import reference_text

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "audit-rules.md"
CASES = [(rule, twin) for rule, twins in TWINS.items() for twin in twins]


def test_there_is_a_twin_for_every_rule() -> None:
    assert list(TWINS) == [rule.name for rule in RULES] == [f"S{number}" for number in range(1, 28)]


@pytest.mark.parametrize(("rule", "twin"), CASES, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_a_log_that_breaks_one_rule_is_found_by_that_rule_alone(rule: str, twin: Twin) -> None:
    log = Writer().begin()
    inputs = twin(log) or {}
    report = log.check(**inputs)
    assert report.broken == {rule}, [str(one) for one in report.breaches]
    assert not report.holds()
    found = report.of(BreachKind.VIOLATION)
    assert all(one.index in one.entries and one.index < len(log.entries) for one in found)


def test_the_reference_is_written_from_the_table() -> None:
    written = "python -m loglease.audit.semantic.reference > docs/reference/audit-rules.md"
    assert PAGE.read_text() == reference_text(), f"run: {written}"
