"""Calendars: at which instants it is a working hour somewhere. How a document declares one stands in `facts`.

A calendar compares what a clock on the wall of its zone shows with hours that each day has. So an hour that the clock
shows twice is open or closed both times, and one that it skips is never asked about.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final, Self

from loglease.model.instant import Instant

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_PLACE: Final = frozenset({"localtime", "Factory", "posixrules"})
"""Zones of a machine, not of a place: a bundle would mean something else on another one."""


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """A half-open span in minutes from the midnight with which its day begins; beyond 1,440 is the next morning.

    Raises:
        ValueError: it starts outside its day, is empty, or is longer than 24 hours.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < DAY_MINUTES or not self.start < self.end <= self.start + DAY_MINUTES:
            raise ValueError("hours start within their day and last up to 24 hours")

    def meets(self, other: Self, days_later: int = 0) -> bool:
        """Say whether both hold a common minute if the other belongs to a day that is so many days later."""
        shift = days_later * DAY_MINUTES
        return self.start < other.end + shift and other.start + shift < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Open hours of some weekdays in one zone.

    Attributes:
        zone: name of an IANA zone, spelled as there.
        days: words of `WEEKDAYS`: those on which hours start.
        hours: of each of these days, sorted.
        closed: dates on which no hours start; those of the night before still end in their morning.

    Raises:
        ValueError: the zone is not known.
    """

    zone: str
    days: frozenset[str]
    hours: tuple[Hours, ...]
    closed: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if self.zone not in known_zones():
            raise ValueError(f"{self.zone[:40]!r} is no known zone")
        _zone(self.zone)  # read while loading, so that no decision reads a file

    def is_open(self, now: Instant) -> bool:
        """Say whether a clock of the zone shows open hours, of its day or of the night before."""
        local = _local(now, _zone(self.zone))
        today, minute = local.date(), local.hour * 60 + local.minute
        return self._opens(today, minute) or self._opens(today - timedelta(days=1), minute + DAY_MINUTES)

    def _opens(self, day: date, minute: int) -> bool:
        """Say whether hours that start on this day hold the minute counted from its midnight."""
        if WEEKDAYS[day.weekday()] not in self.days or day in self.closed:
            return False
        return any(one.start <= minute < one.end for one in self.hours)


@cache
def known_zones() -> frozenset[str]:
    """Return the names of all zones of the time-zone data at hand."""
    return frozenset(zoneinfo.available_timezones() - _NO_PLACE)


@cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def _local(now: Instant, zone: zoneinfo.ZoneInfo) -> datetime:
    """Return what a clock of the zone shows; beyond the last minute that a date can have, that minute."""
    try:
        return (_EPOCH + timedelta(microseconds=now)).astimezone(zone)
    except OverflowError:
        return datetime.max.replace(tzinfo=zone)
