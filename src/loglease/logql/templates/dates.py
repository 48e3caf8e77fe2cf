"""Go's layouts, in which one certain moment (Monday, 2 January 2006, 15:04:05, seven hours west) shows the form."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from loglease.logql.templates.values import Moment, TemplateFailed

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 10**9
_TWO_DIGITS: Final = r"\d{2}"
_ONE_OR_TWO: Final = r"\d{1,2}"
_READ: Final = {
    "2006": (r"\d{4}", "year"),
    "06": (_TWO_DIGITS, "short_year"),
    "01": (_TWO_DIGITS, "month"),
    "1": (_ONE_OR_TWO, "month"),
    "02": (_TWO_DIGITS, "day"),
    "_2": (r"[ ]?\d{1,2}", "day"),
    "2": (_ONE_OR_TWO, "day"),
    "002": (r"\d{3}", "day_of_year"),
    "__2": (r"[ ]{0,2}\d{1,3}", "day_of_year"),
    "15": (_TWO_DIGITS, "hour"),
    "03": (_TWO_DIGITS, "hour_of_12"),
    "3": (_ONE_OR_TWO, "hour_of_12"),
    "04": (_TWO_DIGITS, "minute"),
    "4": (_ONE_OR_TWO, "minute"),
    "05": (r"\d{2}(?:[.,]\d{1,9})?", "second"),
    "5": (r"\d{1,2}(?:[.,]\d{1,9})?", "second"),
    "PM": ("AM|PM", "half"),
    "pm": ("am|pm", "half"),
    "MST": (r"[A-Z]{3,5}|[+-]\d{2}", "zone"),
    "January": ("|".join(_MONTHS), "month_name"),
    "Jan": ("|".join(name[:3] for name in _MONTHS), "month_name"),
    "Monday": ("|".join(_DAYS), "ignored"),
    "Mon": ("|".join(name[:3] for name in _DAYS), "ignored"),
}


def written_in(moment: Moment, layout: str) -> str:
    """Write a moment in a layout."""
    try:
        local = _EPOCH + timedelta(seconds=moment.ns // _SECOND + moment.offset)
    except OverflowError as error:
        raise TemplateFailed from error
    return _PART.sub(lambda match: _written_part(match[0], local, moment), layout)


def written_moment(moment: Moment) -> str:
    """Write a moment as Go prints it."""
    return written_in(moment, "2006-01-02 15:04:05.999999999 -0700 MST")


def _written_part(part: str, local: datetime, moment: Moment) -> str:
    if part[0] in ".,":
        return _written_fraction(part, moment.ns % _SECOND)
    if part[0] in "Z-":
        return _written_offset(part, moment.offset)
    hour = local.hour % 12 or 12
    written = {
        "2006": f"{local.year:04d}",
        "06": f"{local.year % 100:02d}",
        "01": f"{local.month:02d}",
        "1": str(local.month),
        "Jan": _MONTHS[local.month - 1][:3],
        "January": _MONTHS[local.month - 1],
        "02": f"{local.day:02d}",
        "_2": f"{local.day:2d}",
        "2": str(local.day),
        "002": f"{local.timetuple().tm_yday:03d}",
        "__2": f"{local.timetuple().tm_yday:3d}",
        "15": f"{local.hour:02d}",
        "03": f"{hour:02d}",
        "3": str(hour),
        "04": f"{local.minute:02d}",
        "4": str(local.minute),
        "05": f"{local.second:02d}",
        "5": str(local.second),
        "PM": "PM" if local.hour >= 12 else "AM",  # noqa: PLR2004 - noon
        "pm": "pm" if local.hour >= 12 else "am",  # noqa: PLR2004 - noon
        "Mon": _DAYS[local.weekday()][:3],
        "Monday": _DAYS[local.weekday()],
        "MST": moment.zone,
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


def read_in(layout: str, text: str, zone: str = "UTC") -> Moment:
    """Read a moment in a layout; where the text names no zone it is in the one given.

    Raises:
        TemplateFailed: the text is not in the layout, or there is no such zone.
    """
    pattern, kinds = _reader(layout)
    match = re.fullmatch(pattern, text, re.ASCII)
    if match is None:
        raise TemplateFailed
    return _moment(dict(zip(kinds, match.groups(), strict=True)), zone)


def in_zone(ns: int, zone: str) -> Moment:
    """Return a moment with the offset that a zone has then."""
    if zone in ("", "UTC"):
        return Moment(ns)
    try:
        local = datetime.fromtimestamp(ns // _SECOND, ZoneInfo(zone))
    except (ValueError, OSError, OverflowError, KeyError) as error:
        raise TemplateFailed from error
    offset = local.utcoffset() or timedelta()
    return Moment(ns, int(offset.total_seconds()), local.tzname() or zone)


def _reader(layout: str) -> tuple[str, list[str]]:
    pattern = ""
    kinds: list[str] = []
    at = 0
    for match in _PART.finditer(layout):
        pattern += re.escape(layout[at : match.start()])
        at = match.end()
        part = match[0]
        if part[0] in ".,":
            body, kind = (rf"[.,]\d{{{len(part) - 1}}}" if part[1] == "0" else r"(?:[.,]\d{1,9})?"), "fraction"
        elif part[0] in "Z-":
            body, kind = _offset_pattern(part), "offset"
        else:
            body, kind = _READ[part]
        pattern += f"({body})"
        kinds.append(kind if kind not in kinds else f"{kind}_again{len(kinds)}")
    return pattern + re.escape(layout[at:]), kinds


def _offset_pattern(part: str) -> str:
    fields = len(part.replace(":", "")) // 2
    colon = ":" if ":" in part else ""
    digits = r"[+-]\d{2}" + (colon + r"\d{2}") * (fields - 1)
    return f"Z|{digits}" if part[0] == "Z" else digits


def _moment(found: dict[str, str], zone: str) -> Moment:
    year = int(found.get("year", "0"))
    if "short_year" in found:
        short = int(found["short_year"])
        year = 1900 + short if short >= 69 else 2000 + short  # noqa: PLR2004 - Go's own turn of the century
    month, day = int(found.get("month", "1")), int(found.get("day", "1"))
    if "month_name" in found:
        month = 1 + [name[:3] for name in _MONTHS].index(found["month_name"][:3])
    seconds, _, fraction = found.get("second", "0").replace(",", ".").partition(".")
    fraction = found.get("fraction", "").strip(".,") or fraction
    try:
        date = datetime(year or 1, month, day, _hour(found), int(found.get("minute", "0")), int(seconds), tzinfo=UTC)
    except ValueError as error:
        raise TemplateFailed from error
    if "day_of_year" in found:
        date = date.replace(month=1, day=1) + timedelta(days=int(found["day_of_year"]) - 1)
    ns = timegm(date.timetuple()) * _SECOND + int(fraction[:9].ljust(9, "0") or 0)
    if "offset" in found:
        offset = _offset(found["offset"])
        return Moment(ns - offset * _SECOND, offset, "UTC" if found["offset"] == "Z" else "")
    local = in_zone(ns, zone)
    return in_zone(ns - local.offset * _SECOND, zone)


def _hour(found: dict[str, str]) -> int:
    if "hour_of_12" not in found:
        return int(found.get("hour", "0"))
    hour = int(found["hour_of_12"]) % 12
    return hour + 12 if found.get("half", "AM").upper() == "PM" else hour


def _offset(text: str) -> int:
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "").ljust(6, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    return -seconds if text[0] == "-" else seconds
