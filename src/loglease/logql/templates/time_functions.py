"""Functions on points in time."""

from __future__ import annotations

from typing import Final

from loglease.logql.templates.date_reading import read_in
from loglease.logql.templates.dates import Civil, days_of, written_in
from loglease.logql.templates.values import MAX_WHOLE, Moment, TemplateFailed, Value, count, text, wrapped

_UNITS_BY_DIGITS: Final = {5: 86400 * 10**9, 10: 10**9, 13: 10**6, 16: 10**3, 19: 1}

_YEAR_1: Final = Moment(days_of(Civil(1, 1, 1)) * 86400 * 10**9)


def date(layout: Value, moment: Value) -> str:
    """Write a moment, or whole seconds since the epoch, in a layout and in UTC."""
    ns = moment.ns if isinstance(moment, Moment) else count(moment) * 10**9
    return written_in(Moment(ns), text(layout))


def to_date(layout: Value, value: Value) -> Moment:
    """Read a moment in a layout, in UTC if the text names no zone; what cannot be read is the year 1."""
    wanted, shown = text(layout), text(value)
    try:
        return read_in(wanted, shown)
    except TemplateFailed:
        return _YEAR_1


def to_date_in_zone(layout: Value, zone: Value, value: Value) -> Moment:
    """Read a moment in a layout, in a zone if the text names none."""
    return read_in(text(layout), text(value), text(zone))


def unix_to_time(value: Value) -> Moment:
    """Read digits since the epoch; how many there are tells the unit: days, seconds, milli-, micro-, nanoseconds."""
    digits = text(value)
    unit = _UNITS_BY_DIGITS.get(len(digits))
    if unit is None or not digits.isascii() or not digits.isdecimal():
        raise TemplateFailed
    if int(digits) > MAX_WHOLE:
        raise TemplateFailed
    return Moment(int(digits) * unit)


def epoch_seconds(moment: Value) -> str:
    """Write whole seconds since the epoch."""
    return str(_ns(moment) // 10**9)


def epoch_milliseconds(moment: Value) -> str:
    """Write whole milliseconds since the epoch."""
    return str(_ns(moment) // 10**6)


def epoch_nanoseconds(moment: Value) -> str:
    """Write nanoseconds since the epoch."""
    return str(wrapped(_ns(moment)))


def _ns(moment: Value) -> int:
    if not isinstance(moment, Moment):
        raise TemplateFailed
    return moment.ns
