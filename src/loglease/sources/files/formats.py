"""Event times in text: the formats we know, and which of them a file uses.

A file's format is the first in our order that fits at least nine tenths of its first 100 entries. A line without a time
takes the last one before it, else the file's.

Pure: zones and the file's own time are arguments.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import orjson

SAMPLE_LINES: Final = 100
FITTING_SHARE: Final = 0.9
KEYS: Final = (b"ts", b"time", b"timestamp", b"@timestamp", b"t")

_DAY_NS: Final = 86_400 * 10**9
_MAX_NS: Final = (1 << 63) - 1
_CACHE: Final = 4_096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = {
    name: number + 1 for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
}
_MONTH = rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_STAMP = (
    rb"(\d{4}[-/]\d\d[-/]\d\d[Tt _]\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?"
    rb"(?: ?(Z|z|UTC|GMT|[+-]\d\d:?\d\d)(?![A-Za-z0-9]))?"
)
_ISO = re.compile(_STAMP)
_AT_START = re.compile(rb"[\[(\"']?" + _STAMP)
_RFC5424 = re.compile(rb"(?:<\d{1,3}>)?1 " + _STAMP + rb" ")
_RFC3164 = re.compile(rb"(?:<\d{1,3}>)?" + _MONTH + rb" ([ 0-3]?\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?=[ :])")
_KLOG = re.compile(rb"[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d)\.(\d{1,9}) ")
_COMMON = re.compile(rb"\[(\d\d)/" + _MONTH + rb"/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_EPOCH_AT_START = re.compile(rb"\[?(\d{10}|\d{13}|\d{16}|\d{19})(?:\.(\d{1,9})\d*)?(?=[\s\]:,;|]|$)")
_EPOCH_VALUE = re.compile(rb"(\d{10}|\d{13}|\d{16}|\d{19})(?:\.(\d{1,9})\d*)?")
_PAIR = re.compile(rb"\s*([^\s=]+)(?:=(\"(?:[^\"\\]|\\.)*\"|\S*))?")
_EPOCH_UNITS: Final = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
_SEARCHED_BYTES: Final = 4_096
_ANYWHERE_BYTES: Final = 128


class Zoned:
    """Turns calendar fields into nanoseconds, remembering those it has met: logs repeat their seconds.

    Args:
        zone: name or offset for times that carry none.
        file_ns: the file's own time, which decides the year of times that name none.
    """

    def __init__(self, zone: str = "UTC", file_ns: int = 0) -> None:
        self._zone = zone_of(zone)
        self._known: dict[object, int | None] = {}
        self._file_ns = file_ns

    def set_file_time(self, file_ns: int) -> None:
        """Tell that the file was changed then; years are chosen by it."""
        if file_ns // _DAY_NS != self._file_ns // _DAY_NS:
            self._known.clear()
        self._file_ns = file_ns

    def stamped(self, stamp: bytes, fraction: bytes | None, offset: bytes | None) -> int | None:
        """Return the time of an ISO date and time of day; None if there is no such time."""
        key = (stamp, offset)
        try:
            base = self._known[key]
        except KeyError:
            zone = self._zone if offset is None else offset_of(offset)
            date = (int(stamp[0:4]), int(stamp[5:7]), int(stamp[8:10]))
            base = self._remember(key, _moment(date, stamp[11:], zone))
        return _with_fraction(base, fraction)

    def dated(self, date: tuple[int, int, int], clock: bytes, offset: bytes) -> int | None:
        """Return the time of a date given as numbers."""
        key = (date, clock, offset)
        try:
            return self._known[key]
        except KeyError:
            return self._remember(key, _moment(date, clock, offset_of(offset)))

    def yearless(self, month: int, day: int, clock: bytes, fraction: bytes | None) -> int | None:
        """Return the time nearest to the file's and not over a day after it."""
        key = (month, day, clock)
        try:
            base = self._known[key]
        except KeyError:
            base = self._remember(key, self._nearest(month, day, clock))
        return _with_fraction(base, fraction)

    def _nearest(self, month: int, day: int, clock: bytes) -> int | None:
        latest = self._file_ns + _DAY_NS
        newest = min(9_998, (_EPOCH + timedelta(seconds=max(0, latest) // 10**9)).year + 1)
        for year in range(newest, newest - 11, -1):  # 11 years hold a 29th of February
            moment = _moment((year, month, day), clock, self._zone)
            if moment is not None and moment <= latest:
                return moment
        return None

    def _remember(self, key: object, value: int | None) -> int | None:
        if len(self._known) >= _CACHE:
            self._known.clear()
        self._known[key] = value
        return value


def zone_of(name: str) -> tzinfo:
    """Return the zone that a configuration names."""
    if name[:1] in {"+", "-"}:
        return offset_of(name.encode())
    return UTC if name == "UTC" else ZoneInfo(name)


def offset_of(text: bytes) -> tzinfo:
    """Return the zone of ``Z``, ``+0200`` or ``-03:30``; impossible offsets count as UTC."""
    if text[:1] not in {b"+", b"-"}:
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    if minutes >= 24 * 60:
        return UTC
    return timezone(timedelta(minutes=-minutes if text[:1] == b"-" else minutes))


def _moment(date: tuple[int, int, int], clock: bytes, zone: tzinfo) -> int | None:
    second = int(clock[6:8])
    leap = second == 60  # noqa: PLR2004 - a leap second counts as the second after
    try:
        moment = datetime(*date, int(clock[0:2]), int(clock[3:5]), 59 if leap else second, tzinfo=zone)
        whole = (moment - _EPOCH) // timedelta(seconds=1) + leap
    except (ValueError, OverflowError):
        return None
    return _representable(whole * 10**9)


def _representable(ns: int) -> int | None:
    return ns if 0 <= ns <= _MAX_NS - 10**9 else None


def _with_fraction(base: int | None, fraction: bytes | None) -> int | None:
    if base is None or not fraction:
        return base
    return base + int(fraction.ljust(9, b"0"))


def _epoch(match: re.Match[bytes] | None) -> int | None:
    if match is None:
        return None
    digits, fraction = match.groups()
    unit = _EPOCH_UNITS[len(digits)]
    rest = int(fraction.ljust(9, b"0")) * unit // 10**9 if fraction else 0
    return _representable(int(digits) * unit + rest)


def _value(text: bytes, zoned: Zoned) -> int | None:
    match = _ISO.match(text)
    if match is not None:
        return zoned.stamped(*match.groups())
    return _epoch(_EPOCH_VALUE.fullmatch(text))


def _rfc3339(line: bytes, zoned: Zoned) -> int | None:
    match = _AT_START.match(line)
    return None if match is None else zoned.stamped(*match.groups())


def _rfc5424(line: bytes, zoned: Zoned) -> int | None:
    match = _RFC5424.match(line)
    return None if match is None else zoned.stamped(*match.groups())


def _iso(line: bytes, zoned: Zoned) -> int | None:
    match = _ISO.search(line, 0, _ANYWHERE_BYTES)
    return None if match is None else zoned.stamped(*match.groups())


def _rfc3164(line: bytes, zoned: Zoned) -> int | None:
    match = _RFC3164.match(line)
    if match is None:
        return None
    month, day, clock, fraction = match.groups()
    return zoned.yearless(_MONTHS[month], int(day), clock, fraction)


def _klog(line: bytes, zoned: Zoned) -> int | None:
    match = _KLOG.match(line)
    if match is None:
        return None
    month, day, clock, fraction = match.groups()
    return zoned.yearless(int(month), int(day), clock, fraction)


def _clf(line: bytes, zoned: Zoned) -> int | None:
    match = _COMMON.search(line, 0, _SEARCHED_BYTES)
    if match is None:
        return None
    day, month, year, clock, offset = match.groups()
    return zoned.dated((int(year), _MONTHS[month], int(day)), clock, offset)


def _epoch_line(line: bytes, zoned: Zoned) -> int | None:  # noqa: ARG001 - all formats have one shape
    return _epoch(_EPOCH_AT_START.match(line))


def _json(line: bytes, zoned: Zoned) -> int | None:
    if line[:1] != b"{":
        return None
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    for key in KEYS:
        time = _json_value(found.get(key.decode()), zoned)
        if time is not None:
            return time
    return None


def _json_value(value: object, zoned: Zoned) -> int | None:
    if isinstance(value, str):
        return _value(value.encode(errors="surrogatepass"), zoned)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return _epoch(_EPOCH_VALUE.fullmatch(repr(value).encode()))


def _logfmt(line: bytes, zoned: Zoned) -> int | None:
    for pair in _PAIR.finditer(line, 0, _SEARCHED_BYTES):
        key, value = pair.groups()
        if value and key in KEYS:
            time = _value(value.strip(b'"'), zoned)
            if time is not None:
                return time
    return None


TimeOf = Callable[[bytes, Zoned], int | None]
FORMATS: Final[Mapping[str, TimeOf]] = MappingProxyType({
    "json": _json,
    "rfc5424": _rfc5424,
    "rfc3339": _rfc3339,
    "klog": _klog,
    "rfc3164": _rfc3164,
    "epoch": _epoch_line,
    "clf": _clf,
    "logfmt": _logfmt,
    "iso": _iso,
})  # fmt: skip
"""All formats in the order in which they are tried; ``iso`` is a date and time near the start of a line."""


def detect(lines: Sequence[bytes], zoned: Zoned) -> str | None:
    """Return the name of the format that fits nine tenths of the lines that are not empty, or None."""
    told = [line for line in lines if line]
    if not told:
        return None
    for name, time_of in FORMATS.items():
        if sum(time_of(line, zoned) is not None for line in told) >= FITTING_SHARE * len(told):
            return name
    return None


class FileTimes:
    """The event times of one file's entries, in the order they come.

    Args:
        name: ``auto``, or a format that is known beforehand.
        zone: for times that carry none.
        last_ns: the last time found before, when reading goes on where it had stopped.
    """

    def __init__(self, name: str = "auto", zone: str = "UTC", last_ns: int | None = None) -> None:
        self._zoned = Zoned(zone)
        self._last_ns = last_ns
        self._sample: list[bytes] | None = [] if name == "auto" else None
        self.format: str | None = None if name == "auto" else name

    @property
    def settled(self) -> bool:
        """Whether the format is final: configured, or found in a whole sample."""
        return self._sample is None

    @property
    def last_ns(self) -> int | None:
        """The last time that a line carried."""
        return self._last_ns

    def settle(self, name: str | None) -> None:
        """Take over what was found before."""
        self.format = name
        self._sample = None

    def times(self, entries: Sequence[bytes], *, file_ns: int) -> array[int]:
        """Return one time for each entry; `file_ns` is when the file was last changed."""
        self._zoned.set_file_time(file_ns)
        if self._sample is not None:
            self._learn(self._sample, entries)
        time_of = FORMATS.get(self.format or "")
        if time_of is None:
            fallback = file_ns if self._last_ns is None else self._last_ns
            return array("q", [fallback]) * len(entries)
        zoned = self._zoned
        found = [time_of(entry, zoned) for entry in entries]
        last = self._last_ns
        if None in found:
            for index, time in enumerate(found):
                if time is None:
                    found[index] = file_ns if last is None else last
                else:
                    last = time
        else:
            last = found[-1] if found else last
        self._last_ns = last
        return array("q", found)  # type: ignore[arg-type]  # no None is left

    def _learn(self, sample: list[bytes], entries: Sequence[bytes]) -> None:
        sample.extend(entry[:_SEARCHED_BYTES] for entry in entries[: SAMPLE_LINES - len(sample)])
        self.format = detect(sample, self._zoned)
        if len(sample) >= SAMPLE_LINES:
            self._sample = None
