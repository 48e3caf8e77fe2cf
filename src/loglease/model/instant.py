"""Times, durations and event windows as plain numbers.

Two clocks, never mixed: an `Instant` says when one may ask (microseconds, wall time); event times say which events one
may see (nanoseconds, whatever clock wrote the log). Nothing here reads a clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NewType, Self

from loglease.model.errors import DurationInvalid, Malformed, WindowInvalid

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

MICROSECONDS: Final = 1_000_000
NANOSECONDS: Final = 1_000_000_000
MAX_DURATION_S: Final = 10 * 365 * 86_400

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_INSTANT: Final = 253_402_300_799 * MICROSECONDS
LATEST: Final = Instant(_MAX_INSTANT)
"""The last instant that can be written."""
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?")
_UNITS_S: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def instant_text(instant: Instant) -> str:
    """Write an instant as RFC 3339 in UTC, always 27 characters: ``2026-11-23T02:05:20.123456Z``."""
    return (_EPOCH + timedelta(microseconds=instant)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_time_text(nanoseconds: int) -> str:
    """Write an event time as RFC 3339 in UTC with nine fractional digits."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"


def parse_event_time(text: str) -> int:
    """Read RFC 3339 with up to nine fractional digits and return nanoseconds since the epoch.

    Raises:
        Malformed: the text is no such time; a time without a zone is refused, never guessed.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Malformed(
            f"{text[:40]!r} is not a time such as 2026-11-23T09:30:00Z.", next_step="Write a date, a time and a zone."
        )
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError as error:
        raise Malformed(f"{text!r} is not a time that exists.", next_step="Check day, hour and minute.") from error
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * NANOSECONDS + int((fraction or "").ljust(9, "0"))


def parse_instant(text: str) -> Instant:
    """Read RFC 3339; digits beyond microseconds are cut.

    Raises:
        Malformed: the text is no such time, or lies outside the years 1970 to 9999.
    """
    instant = parse_event_time(text) // 1_000
    if not 0 <= instant <= _MAX_INSTANT:
        raise Malformed(f"{text!r} lies outside the years 1970 to 9999.")
    return Instant(instant)


def after(instant: Instant, seconds: float) -> Instant:
    """Return the instant so many seconds later."""
    return Instant(instant + round(seconds * MICROSECONDS))


def parse_duration(text: str) -> int:
    """Read `90s`, `30m`, `2h30m` or `7d` and return whole seconds; a day is exactly 24 hours.

    Raises:
        DurationInvalid: another form, zero, or more than ten years.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise DurationInvalid(
            f"{text[:40]!r} is not a duration.", next_step="Write it like 90s, 30m, 2h30m or 7d, largest unit first."
        )
    seconds = sum(int(part or 0) * unit for part, (_, unit) in zip(match.groups(), _UNITS_S, strict=True))
    if not 0 < seconds <= MAX_DURATION_S:
        raise DurationInvalid(
            f"{text!r} is {'zero' if seconds == 0 else 'more than ten years'}.", next_step="Ask for 1s or more."
        )
    return seconds


def duration_text(seconds: int) -> str:
    """Write whole seconds the way people write them: ``2h30m``; zero is ``0s``."""
    parts = []
    for name, unit in _UNITS_S:
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"


def iso_duration(seconds: int) -> str:
    """Write whole seconds as ISO 8601 does: ``PT2H30M``, ``P7D``; zero is ``PT0S``. A day is exactly 24 hours."""
    days, rest = divmod(seconds, 86_400)
    date = f"P{days}D" if days else "P"
    return date if days and not rest else f"{date}T{duration_text(rest).upper()}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span of event times in nanoseconds, ``[start, end)``; `end` None is open, for following only."""

    start: int
    end: int | None

    @property
    def is_empty(self) -> bool:
        """Whether no event time lies inside."""
        return self.end is not None and self.end <= self.start

    def holds(self, event_ns: int) -> bool:
        """Say whether an event time lies inside."""
        return self.start <= event_ns and (self.end is None or event_ns < self.end)

    def intersect(self, other: Interval) -> Interval | None:
        """Return what both hold, or None where that is nothing."""
        start = max(self.start, other.start)
        ends = [end for end in (self.end, other.end) if end is not None]
        end = min(ends) if ends else None
        return None if end is not None and end <= start else Interval(start, end)


@dataclass(frozen=True, slots=True)
class EventWindow:
    """Which event times a scope covers: from `start_ns` to before `end_ns`, or live, to the end of the grant.

    A window is one piece, never two; `end_ns` None means live. The end of the grant is unknown while people still
    decide, so `until` gives the interval once it is known.

    Raises:
        WindowInvalid: it ends at or before its start.
    """

    start_ns: int
    end_ns: int | None

    def __post_init__(self) -> None:
        if self.end_ns is not None and self.end_ns <= self.start_ns:
            raise WindowInvalid("The event window ends before it starts.", next_step="Check --from and --to.")

    @property
    def live(self) -> bool:
        """Whether events that are still to come are covered."""
        return self.end_ns is None

    def until(self, grant_end: Instant) -> Interval | None:
        """Return the interval of a grant that ends then; None if nothing is left."""
        cap = Interval(self.start_ns, grant_end * 1_000)
        if self.end_ns is None:
            return cap if grant_end * 1_000 > self.start_ns else None
        return cap.intersect(Interval(self.start_ns, self.end_ns))

    def contains(self, other: Self) -> bool:
        """Say whether every event time of `other` is one of ours, whenever the grant ends."""
        if other.start_ns < self.start_ns:
            return False
        return self.end_ns is None or (other.end_ns is not None and other.end_ns <= self.end_ns)

    def intersect(self, other: Self) -> EventWindow | None:
        """Return what both windows hold, or None where that is nothing."""
        both = Interval(self.start_ns, self.end_ns).intersect(Interval(other.start_ns, other.end_ns))
        return None if both is None else EventWindow(both.start, both.end)
