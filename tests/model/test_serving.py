"""`may_serve` against its definition, at each border and one step before and behind it."""

from __future__ import annotations

from itertools import product

import pytest

from loglease.model.serving import Standing, may_serve
from loglease.model.session import CloseWhy

NOW = 1_000
AROUND = (NOW - 1, NOW, NOW + 1)


def asked(standing: Standing, *, lease: int = NOW + 1, current: bool = True, lines: int = 1, size: int = 10) -> object:
    return may_serve(standing, lines=lines, size=size, lease_until_ns=lease, epoch_current=current, boot_ns=NOW)


def standing(**changes: object) -> Standing:
    fits = {"deadline_ns": NOW + 1, "lapse_ns": NOW + 1, "ceiling_lines": 5, "ceiling_bytes": 100}
    return Standing(**{**fits, **changes})  # type: ignore[arg-type]


def test_what_is_covered_in_every_way_may_be_served() -> None:
    assert asked(standing()) is None
    assert asked(standing(handed_lines=4, handed_bytes=90)) is None
    assert asked(standing(handed_lines=5, handed_bytes=100), lines=0, size=0) is None


@pytest.mark.parametrize(
    ("changes", "given", "why"),
    [
        ({"deadline_ns": NOW}, {}, CloseWhy.EXPIRED),
        ({"deadline_ns": NOW - 1}, {}, CloseWhy.EXPIRED),
        ({}, {"lease": NOW}, CloseWhy.DATABASE),
        ({}, {"lease": NOW - 1}, CloseWhy.DATABASE),
        ({}, {"current": False}, CloseWhy.DATABASE),
        ({"lapse_ns": NOW}, {}, CloseWhy.AUDIT),
        ({"lapse_ns": NOW - 1}, {}, CloseWhy.AUDIT),
        ({"handed_lines": 5}, {}, CloseWhy.AUDIT),
        ({"handed_lines": 3}, {"lines": 3}, CloseWhy.AUDIT),
        ({"handed_bytes": 91}, {}, CloseWhy.AUDIT),
        ({"ceiling_lines": 0}, {}, CloseWhy.AUDIT),
        ({"ceiling_bytes": 0}, {}, CloseWhy.AUDIT),
        ({"ending": CloseWhy.REVOKED}, {}, CloseWhy.REVOKED),
    ],
)
def test_one_thing_that_is_missing_ends_it(changes: dict[str, int], given: dict[str, int], why: CloseWhy) -> None:
    assert asked(standing(**changes), **given) is why  # type: ignore[arg-type]


def test_nothing_is_served_that_any_of_the_conditions_forbids() -> None:
    """All combinations of the borders; the first cause is kept, and losing the database comes before the end."""
    for deadline, lapse, lease, current, ending in product(
        AROUND, AROUND, AROUND, (True, False), (None, CloseWhy.LOCKED)
    ):
        found = asked(standing(deadline_ns=deadline, lapse_ns=lapse, ending=ending), lease=lease, current=current)
        if ending is not None:
            assert found is ending
        elif not current or lease <= NOW:
            assert found is CloseWhy.DATABASE
        elif deadline <= NOW:
            assert found is CloseWhy.EXPIRED
        else:
            assert found is (CloseWhy.AUDIT if lapse <= NOW else None)


def test_a_session_that_nobody_described_serves_nothing() -> None:
    assert asked(Standing(deadline_ns=NOW + 1)) is CloseWhy.AUDIT
    assert Standing(deadline_ns=0) == Standing(
        deadline_ns=0, lapse_ns=0, ceiling_lines=0, ceiling_bytes=0, handed_lines=0, handed_bytes=0, ending=None
    )
