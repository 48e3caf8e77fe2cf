"""Calendars: what is open when, on ordinary days and on those on which clocks are changed."""

from __future__ import annotations

from datetime import date

import pytest

from loglease.model.instant import parse_instant
from loglease.policy.calendars import Calendar, Hours

WEEK = frozenset({"mon", "tue", "wed", "thu", "fri"})
OFFICE = (Hours(8 * 60, 18 * 60),)
NIGHT = (Hours(22 * 60, 30 * 60),)


def calendar(zone: str, *days: str, hours: tuple[Hours, ...] = OFFICE, closed: str = "") -> Calendar:
    dates = frozenset(date.fromisoformat(one) for one in closed.split())
    return Calendar(zone=zone, days=frozenset(days) or WEEK, hours=hours, closed=dates)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-23T06:59:59.999999Z", False),
        ("2026-11-23T07:00:00Z", True),
        ("2026-11-23T16:59:59.999999Z", True),
        ("2026-11-23T17:00:00Z", False),
        ("2026-11-22T12:00:00Z", False),  # a Sunday
        ("2026-12-25T12:00:00Z", False),  # a Friday, closed
        ("2026-07-01T06:00:00Z", True),  # summer time
        ("2026-07-01T16:00:00Z", False),
    ],
)
def test_office_hours_in_berlin(at: str, is_open: bool) -> None:
    assert calendar("Europe/Berlin", closed="2026-12-25").is_open(parse_instant(at)) is is_open
