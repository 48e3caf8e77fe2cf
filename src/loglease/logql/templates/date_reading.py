"""Reading points in time in Go's layouts."""

from __future__ import annotations

import re
from typing import Final

from loglease.logql.templates.dates import DAY, DAYS, MONTHS, SECOND, Civil, civil_of, days_of, parts_of, zone_at
from loglease.logql.templates.values import Moment, TemplateFailed

_ONE_OR_TWO: Final = r"\d\d?"
_TWO: Final = r"\d\d"
_ZONE_NAME: Final = (
    r"UTC|ChST|MeST|GMT(?:[+-](?:0*(?:1?\d|2[0-3]))(?!\d))?|[+-](?:0*(?:1?\d|2[0-3]))(?!\d)"
    r"|[A-Z]{4}T(?![A-Z])|(?:[A-Z]{3}T|WITA)(?![A-Z])|[A-Z]{3}(?![A-Z])"
)
_FIELDS: Final = {
    "2006": ("year", r"\d{4}"),
    "06": ("short_year", _TWO),
    "01": ("month", _TWO),
    "1": ("month", _ONE_OR_TWO),
    "Jan": ("month_name", "|".join(name[:3] for name in MONTHS)),
    "January": ("month_name", "|".join(MONTHS)),
    "02": ("day", _TWO),
    "_2": ("day", r" ?(\d\d?)"),
    "2": ("day", _ONE_OR_TWO),
    "002": ("day_of_year", r"\d{3}"),
    "__2": ("day_of_year", r" {0,2}(\d{1,3})"),
    "Mon": ("weekday", "|".join(name[:3] for name in DAYS)),
    "Monday": ("weekday", "|".join(DAYS)),
    "15": ("hour", _ONE_OR_TWO),
    "03": ("hour_of_12", _TWO),
    "3": ("hour_of_12", _ONE_OR_TWO),
    "04": ("minute", _TWO),
    "4": ("minute", _ONE_OR_TWO),
    "05": ("second", _TWO),
    "5": ("second", _ONE_OR_TWO),
    "PM": ("half", "AM|PM"),
    "pm": ("half", "am|pm"),
    "MST": ("zone", _ZONE_NAME),
}
_NAMES: Final = ("month_name", "weekday")
_RANGES: Final = {
    "month": (1, 12),
    "hour": (0, 23),
    "hour_of_12": (0, 12),
    "minute": (0, 59),
    "second": (0, 59),
}
_FRACTION = re.compile(r"[.,](\d+)", re.ASCII)


def read_in(layout: str, text: str, zone: str = "UTC") -> Moment:
    """Read a moment in a layout; where the text names no zone it is in the one given.

    Raises:
        TemplateFailed: the text is not in the layout, or there is no such zone.
    """
    zone_at(0, zone)
    return _moment(_Reader(layout, text).fields(), zone)


class _Reader:
    """Reads a text along a layout."""

    def __init__(self, layout: str, text: str) -> None:
        self._parts = list(parts_of(layout))
        self._text = text
        self._at = 0
        self._found: dict[str, str] = {}

    def fields(self) -> dict[str, str]:
        """Return what was found for each field; where one stands twice the last counts."""
        for number, (plain, part) in enumerate(self._parts):
            self._skip(plain)
            if not part:
                break
            if part[0] in ".,":
                self._read_fraction(part)
            elif part[0] in "Z-":
                self._read("offset", _offset_pattern(part))
            else:
                self._read(*_FIELDS[part])
                if part in ("05", "5") and self._parts[number + 1][1][:1] not in (".", ","):
                    self._read_fraction(".9")
        if self._at < len(self._text):
            raise TemplateFailed
        return self._found

    def _skip(self, plain: str) -> None:
        """Pass over what stands as it is; spaces may be more, and at the end of the text none."""
        at = 0
        while at < len(plain):
            if plain[at] == " ":
                if self._at < len(self._text) and self._text[self._at] != " ":
                    raise TemplateFailed
                while plain[at : at + 1] == " ":
                    at += 1
                while self._text[self._at : self._at + 1] == " ":
                    self._at += 1
                continue
            if self._text[self._at : self._at + 1] != plain[at]:
                raise TemplateFailed
            at += 1
            self._at += 1

    def _read(self, field: str, pattern: str) -> None:
        flags = re.ASCII | re.IGNORECASE if field in _NAMES else re.ASCII
        match = re.compile(pattern, flags).match(self._text, self._at)
        if match is None:
            raise TemplateFailed
        self._at = match.end()
        value = match[match.lastindex or 0]
        if field == "month_name":
            field, value = "month", str(1 + [name[:3].lower() for name in MONTHS].index(value[:3].lower()))
        if field in _RANGES and not _RANGES[field][0] <= int(value) <= _RANGES[field][1]:
            raise TemplateFailed
        if value in ("Z", "UTC"):
            field = "utc"
        for other in _REPLACED.get(field, ()):
            self._found.pop(other, None)
        self._found[field] = value

    def _read_fraction(self, part: str) -> None:
        match = _FRACTION.match(self._text, self._at)
        if part[1] == "9":
            if match is not None:
                self._found["fraction"] = match[1]
                self._at = match.end()
            return
        digits = len(part) - 1
        if match is None or len(match[1]) < digits:
            raise TemplateFailed
        self._found["fraction"] = match[1][:digits]
        self._at = match.start() + 1 + digits


_REPLACED: Final = {
    "year": ("short_year",),
    "short_year": ("year",),
    "hour": ("hour_of_12",),
    "hour_of_12": ("hour",),
}


def _offset_pattern(part: str) -> str:
    colon = ":" if ":" in part else ""
    fields = len(part.replace(":", "")) // 2
    digits = r"[+-]\d\d" + (colon + r"\d\d") * (fields - 1)
    return f"Z|{digits}" if part[0] == "Z" else digits


def _moment(found: dict[str, str], zone: str) -> Moment:
    seconds = days_of(_civil(found)) * DAY + _hour(found) * 3600
    seconds += int(found.get("minute", "0")) * 60 + int(found.get("second", "0"))
    rest = int(found.get("fraction", "0")[:9].ljust(9, "0"))
    name = found.get("zone", "")
    if "utc" in found:
        return Moment(seconds * SECOND + rest)
    if "offset" in found:
        offset = _offset(found["offset"])
        known = zone_at(seconds - offset, zone)
        if known[0] != offset or name not in ("", known[1]):
            known = offset, name
        return Moment((seconds - offset) * SECOND + rest, *known)
    if name:
        named = _named_offset(name, seconds, zone)
        if named is not None:
            return Moment((seconds - named) * SECOND + rest, *zone_at(seconds - named, zone))
        return Moment(seconds * SECOND + rest, int(name[3:] or 0) * 3600 if name.startswith("GMT") else 0, name)
    # What a clock shows twice or never belongs to one of the two offsets; this is how Go chooses.
    offset, _ = zone_at(seconds, zone)
    if offset:
        offset, _ = zone_at(seconds - offset, zone)
    return Moment((seconds - offset) * SECOND + rest, *zone_at(seconds - offset, zone))


def _civil(found: dict[str, str]) -> Civil:
    year = int(found.get("year", "0"))
    if "short_year" in found:
        short = int(found["short_year"])
        year = 1900 + short if short >= 69 else 2000 + short  # noqa: PLR2004 - Go's own turn of the century
    civil = Civil(year, int(found.get("month", "1")), int(found.get("day", "1")))
    if "day_of_year" in found:
        numbered = civil_of(days_of(Civil(year, 1, 1)) + int(found["day_of_year"]) - 1)
        agrees = all(getattr(numbered, field) == getattr(civil, field) for field in ("month", "day") if field in found)
        if numbered.year != year or not agrees:
            raise TemplateFailed
        return numbered
    if civil_of(days_of(civil)) != civil:
        raise TemplateFailed
    return civil


def _hour(found: dict[str, str]) -> int:
    hour = int(found.get("hour_of_12", found.get("hour", "0")))
    half = found.get("half", "").upper()
    if half == "PM" and hour < 12:  # noqa: PLR2004 - noon
        return hour + 12
    return 0 if half == "AM" and hour == 12 else hour  # noqa: PLR2004 - noon


def _offset(text: str) -> int:
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    if hours > 24 or minutes > 60 or seconds > 60:  # noqa: PLR2004 - Go lets the ends pass
        raise TemplateFailed
    total = hours * 3600 + minutes * 60 + seconds
    return -total if text[0] == "-" else total


def _named_offset(name: str, seconds: int, zone: str) -> int | None:
    """Return the offset that a zone has under a name: near this time, else at some time of the year."""
    for distance in (0, -DAY, DAY, -182 * DAY, 182 * DAY):
        offset, known = zone_at(seconds + distance, zone)
        if known == name:
            return offset
    return None
