"""Go's layouts, in which one certain moment (Monday, 2 January 2006, 15:04:05, seven hours west) shows the form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from loglease.logql.templates.values import Moment, TemplateFailed

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_PART = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|002|__2|_2(?!006)|01|02|03|04|05|06|15|PM|pm"
    r"|Z07:00:00|Z07:00|Z070000|Z0700|Z07|-07:00:00|-07:00|-070000|-0700|-07|[.,]0+(?!\d)|[.,]9+(?!\d)|[1-5]"
)
_EPOCH_DAY: Final = 719_468
"""Days from 1 March of the year 0 to the epoch: years that begin in March end with their leap day."""
_FOUR_CENTURIES: Final = 146_097
SECOND: Final = 10**9
DAY: Final = 86_400
_FIRST_KNOWN: Final = -62_000_000_000
_LAST_KNOWN: Final = 253_000_000_000
"""Between these seconds zones can be asked; it is the same outside as at the border."""


class Civil(NamedTuple):
    """A day of the calendar; years may be 0 and below."""

    year: int
    month: int
    day: int


def civil_of(days: int) -> Civil:
    """Return the day of the calendar that is so many days after the epoch."""
    era, rest = divmod(days + _EPOCH_DAY, _FOUR_CENTURIES)
    year = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    rest -= 365 * year + year // 4 - year // 100
    march = (5 * rest + 2) // 153
    day = rest - (153 * march + 2) // 5 + 1
    month = march + 3 if march < 10 else march - 9  # noqa: PLR2004 - January and February end the year
    return Civil(year + era * 400 + (month <= 2), month, day)  # noqa: PLR2004 - the same


def days_of(civil: Civil) -> int:
    """Return how many days after the epoch a day of the calendar is."""
    year = civil.year - (civil.month <= 2)  # noqa: PLR2004 - January and February end the year
    march = (civil.month + 9) % 12
    era, rest = divmod(year, 400)
    in_year = (153 * march + 2) // 5 + civil.day - 1
    return era * _FOUR_CENTURIES + rest * 365 + rest // 4 - rest // 100 + in_year - _EPOCH_DAY


def parts_of(layout: str) -> Iterator[tuple[str, str]]:
    """Yield what stands as it is in a layout, each with the part after it; the last part is empty."""
    at = 0
    for match in _PART.finditer(layout):
        yield layout[at : match.start()], match[0]
        at = match.end()
    yield layout[at:], ""


def written_in(moment: Moment, layout: str) -> str:
    """Write a moment in a layout."""
    return _PART.sub(lambda match: _written_part(match[0], moment), layout)


def written_moment(moment: Moment) -> str:
    """Write a moment as Go prints it."""
    return written_in(moment, "2006-01-02 15:04:05.999999999 -0700 MST")


def _written_part(part: str, moment: Moment) -> str:
    if part[0] in ".,":
        return _written_fraction(part, moment.ns % SECOND)
    if part[0] in "Z-":
        return _written_offset(part, moment.offset)
    if part == "MST":
        return moment.zone or _written_offset("-0700", moment.offset)
    days, seconds = divmod(moment.ns // SECOND + moment.offset, DAY)
    if part in ("15", "03", "3", "04", "4", "05", "5", "PM", "pm"):
        return _written_time(part, seconds)
    civil = civil_of(days)
    day_of_year = days - days_of(Civil(civil.year, 1, 1)) + 1
    weekday = DAYS[(days + 3) % 7]
    sign = "-" if civil.year < 0 else ""
    written = {
        "2006": f"{sign}{abs(civil.year):04d}",
        "06": f"{civil.year % 100:02d}",
        "01": f"{civil.month:02d}",
        "1": str(civil.month),
        "Jan": MONTHS[civil.month - 1][:3],
        "January": MONTHS[civil.month - 1],
        "02": f"{civil.day:02d}",
        "_2": f"{civil.day:2d}",
        "2": str(civil.day),
        "002": f"{day_of_year:03d}",
        "__2": f"{day_of_year:3d}",
        "Mon": weekday[:3],
        "Monday": weekday,
    }
    return written[part]


def _written_time(part: str, seconds: int) -> str:
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    hour_of_12 = hour % 12 or 12
    written = {
        "15": f"{hour:02d}",
        "03": f"{hour_of_12:02d}",
        "3": str(hour_of_12),
        "04": f"{minute:02d}",
        "4": str(minute),
        "05": f"{second:02d}",
        "5": str(second),
        "PM": "PM" if hour >= 12 else "AM",  # noqa: PLR2004 - noon
        "pm": "pm" if hour >= 12 else "am",  # noqa: PLR2004 - noon
    }
    return written[part]


def _written_fraction(part: str, nanoseconds: int) -> str:
    digits = f"{nanoseconds:09d}"[: len(part) - 1]
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits.ljust(len(part) - 1, "0")


def _written_offset(part: str, offset: int) -> str:
    if part[0] == "Z" and offset == 0:
        return "Z"
    minutes, seconds = divmod(abs(offset), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if offset < 0 else "+"
    colon = ":" if ":" in part else ""
    shown = f"{sign}{hours:02d}"
    fields = len(part.replace(":", "")) // 2
    if fields > 1:
        shown += f"{colon}{minutes:02d}"
    return f"{shown}{colon}{seconds:02d}" if fields > 2 else shown  # noqa: PLR2004 - with seconds


def zone_at(seconds: int, zone: str) -> tuple[int, str]:
    """Return the offset of a zone at a second since the epoch, and what it is called then.

    Raises:
        TemplateFailed: there is no such zone.
    """
    if zone in ("", "UTC", "Local"):
        return 0, "UTC"
    known = min(max(seconds, _FIRST_KNOWN), _LAST_KNOWN)
    try:
        local = datetime.fromtimestamp(known, UTC).astimezone(ZoneInfo(zone))
    except (ValueError, OSError, OverflowError, KeyError) as error:
        raise TemplateFailed from error
    offset = local.utcoffset()
    return (int(offset.total_seconds()) if offset else 0), local.tzname() or ""
