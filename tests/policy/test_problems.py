"""Problems of one run: a flood of them stays bounded, and hides neither an error nor what comes first."""

from __future__ import annotations

from loglease.policy import Severity
from loglease.policy.problems import At, Problems


def test_an_error_is_told_however_many_warnings_come_before_and_after_it() -> None:
    problems = Problems()
    for line in range(1, 5_001):
        problems.add(At("a.yaml", line, 1), "P412", "no test", severity=Severity.WARNING)
        if line == 2_500:
            problems.add(At("z.yaml", 9, 1), "P110", "unknown field")
    found = problems.found()
    assert len(found) == 100
    assert [str(one.at) for one in found] == [*(f"a.yaml:{line}:1" for line in range(1, 100)), "z.yaml:9:1"]


def test_the_first_errors_are_told_in_whatever_order_they_are_found() -> None:
    problems = Problems()
    for line in range(5_000, 0, -1):
        problems.add(At("a.yaml", line, 1), "P110", "unknown field")
    assert [one.at.line for one in problems.found()] == list(range(1, 101))
