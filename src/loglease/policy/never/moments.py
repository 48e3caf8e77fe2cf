"""At which instants calendars are open or closed together in different ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from loglease.model.instant import MICROSECONDS, Instant, after
from loglease.policy.calendars import Calendar

_STEP_S: Final = 15 * 60
_DAYS: Final = 8
_MAX_CLOSED: Final = 40
_DAY_S: Final = 86_400


def moments(calendars: Mapping[str, Calendar], now: Instant) -> dict[tuple[bool, ...], Instant]:
    """Return instants by which calendars are open then, one for each set of them that are open together.

    Looked at are eight days from now on, and the next forty closed dates with the days beside them, every quarter of
    an hour.

    Args:
        calendars: those that are read.
        now: the first instant.
    """
    found: dict[tuple[bool, ...], Instant] = {}
    for instant in itertools.chain([now], *(_day(start) for start in _days(calendars, now))):
        found.setdefault(tuple(one.is_open(instant) for one in calendars.values()), instant)
    return found


def _days(calendars: Mapping[str, Calendar], now: Instant) -> Iterator[Instant]:
    if not calendars:
        return
    yield from (after(now, number * _DAY_S) for number in range(_DAYS))
    dates = sorted({day for one in calendars.values() for day in one.closed})
    starts = (int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in dates)
    closed = [start for start in starts if start * MICROSECONDS > now][:_MAX_CLOSED]
    yield from (Instant((start + shift) * MICROSECONDS) for start in closed for shift in (-_DAY_S, 0, _DAY_S))


def _day(start: Instant) -> Iterator[Instant]:
    return (after(start, seconds) for seconds in range(0, _DAY_S, _STEP_S))
