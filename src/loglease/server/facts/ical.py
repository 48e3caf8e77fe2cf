"""Reads iCalendar files into shifts: who has one, from when to when. Source: RFC 5545.

Zones are those of this system: what a file says of a zone is left out, so that one that is out of date, or made up,
moves no shift. Times are wall times there, and so are ends: a night from 22:00 to 06:00 ends at 06:00 also where clocks
change, as calendar programs show it. A time that does not exist counts from before the change, one that exists twice is
the first. What is not understood refuses the whole file, since a guess could put somebody on call.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import icalendar
from icalendar.prop import vRecur

from loglease.model.instant import MICROSECONDS, Instant
from loglease.server.facts.recurrence import RuleRefused, recurrences, require_known

MAX_BYTES: Final = 1 << 20
MAX_EVENTS: Final = 10_000
MAX_SHIFTS: Final = 50_000
WITHIN_S: Final = 10.0
"""How long the rules of one file may take."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEEDED: Final = frozenset(
    {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID", "STATUS", "ATTENDEE"}
)
_ODD: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
"""What libraries raise over a file that is none, or has values that none of us thought of."""
_AWAY: Final = frozenset({"DECLINED", "DELEGATED"})


class CalendarInvalid(Exception):
    """A file cannot be read; the text says why, without what is in it."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A time, and who has it.

    Attributes:
        start: and `end`: half-open.
        attendees: mail addresses in lower case.
        summary: the title of the event.
    """

    start: Instant
    end: Instant
    attendees: frozenset[str]
    summary: str


@dataclass(frozen=True, slots=True)
class _Moment:
    """A wall time in a zone; `day` for one that was written as a date."""

    wall: datetime
    zone: ZoneInfo
    day: bool = False

    def at(self) -> Instant:
        return _instant(self.wall, self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One VEVENT.

    Attributes:
        length: wall time from start to end, or elapsed time where `exact`.
        without: starts that are left out, and days on which they are.
        replaces: the start of the occurrence that this one stands for.
    """

    uid: str
    start: _Moment
    length: timedelta
    exact: bool
    rule: Mapping[str, list[Any]] | None
    extra: tuple[_Moment, ...]
    without: frozenset[Instant]
    without_days: frozenset[date]
    replaces: _Moment | None
    sequence: int
    cancelled: bool
    attendees: frozenset[str]
    summary: str

    def shift(self, wall: datetime, zone: ZoneInfo) -> Shift:
        start = _instant(wall, zone)
        end = Instant(start + self.length // timedelta(microseconds=1)) if self.exact else None
        return Shift(start, end or _instant(wall + self.length, zone), self.attendees, self.summary)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The events of one file."""

    masters: tuple[_Event, ...] = ()
    replaced: Mapping[str, Mapping[Instant, _Event]] = field(default_factory=dict)

    def shifts(self, first: Instant, last: Instant) -> tuple[Shift, ...]:
        """Return the shifts that have a part in a time, in the order of their starts.

        Raises:
            CalendarInvalid: there are too many, or rules take too long.
        """
        found: list[Shift] = []
        until = time.monotonic() + WITHIN_S
        try:
            for event in self.masters:
                found += _shifts(event, self.replaced.get(event.uid, {}), first, last)
                if len(found) > MAX_SHIFTS or time.monotonic() > until:
                    raise CalendarInvalid("it has too many shifts")
            found += (
                one.shift(one.start.wall, one.start.zone)
                for replacements in self.replaced.values()
                for one in replacements.values()
                if not one.cancelled
            )
        except RuleRefused as error:
            raise CalendarInvalid(str(error)) from None
        except _ODD:
            raise CalendarInvalid("a rule of it cannot be followed") from None
        kept = {one for one in found if one.start < last and one.end > first}
        return tuple(sorted(kept, key=lambda one: (one.start, one.end, one.summary, sorted(one.attendees))))


def _shifts(event: _Event, replaced: Mapping[Instant, _Event], first: Instant, last: Instant) -> Iterator[Shift]:
    """Yield the shifts of one event that nothing replaces or leaves out; some may lie outside the time."""
    for moment in _starts(event, last):
        shift = event.shift(moment.wall, moment.zone)
        gone = shift.start in replaced or shift.start in event.without or moment.wall.date() in event.without_days
        if shift.end > first and not gone:
            yield shift


def _starts(event: _Event, last: Instant) -> Iterator[_Moment]:
    start = event.start
    yield from event.extra
    if event.rule is None:
        yield start
        return
    # A day more, since wall times are compared.
    before = _wall(last, start.zone) + timedelta(days=1)
    ends_at = _until(event.rule, start)
    for wall in recurrences(event.rule, start.wall, before):
        moment = _Moment(wall, start.zone)
        if ends_at is not None and moment.at() > ends_at:
            return
        yield moment


def _until(rule: Mapping[str, list[Any]], start: _Moment) -> Instant | None:
    """Return the last instant at which an occurrence may start."""
    for until in rule.get("UNTIL", ()):
        if not isinstance(until, datetime):
            return Instant(_instant(datetime.combine(until, datetime.max.time()), start.zone))
        return _instant(until.replace(tzinfo=None), until.tzinfo or start.zone)
    return None


def calendar_of(data: bytes, zone: ZoneInfo | None) -> Calendar:
    """Read a file.

    Args:
        data: at most 1 MiB.
        zone: of days and of times without one; None takes what the file says of itself as ``X-WR-TIMEZONE``.

    Raises:
        CalendarInvalid: it is no calendar, or has something that is not understood.
    """
    if len(data) > MAX_BYTES:
        raise CalendarInvalid(f"it has more than {MAX_BYTES >> 20} MiB")
    try:
        found = icalendar.Calendar.from_ical(_without_zones(data))
        components, zones = found.walk("VEVENT"), found.walk("VTIMEZONE")
    except _ODD:
        raise CalendarInvalid("it is no iCalendar file") from None
    if zones:
        raise CalendarInvalid("it has a zone that is not written plainly")
    if len(components) > MAX_EVENTS:
        raise CalendarInvalid(f"it has more than {MAX_EVENTS:,} events")
    zone = zone or _own_zone(found)
    events = []
    for number, component in enumerate(components, 1):
        try:
            events.append(_Reading(component, zone, number).event())
        except (CalendarInvalid, RuleRefused) as error:
            raise CalendarInvalid(f"event {number}: {error}") from None
        except _ODD:
            raise CalendarInvalid(f"event {number} cannot be read") from None
    return _joined(events)


def _without_zones(data: bytes) -> bytes:
    """Leave out what a file says of zones."""
    kept, inside = [], False
    for line in data.splitlines(keepends=True):
        word = line.strip().upper()
        inside = inside or word == b"BEGIN:VTIMEZONE"
        if not inside:
            kept.append(line)
        inside = inside and word != b"END:VTIMEZONE"
    return b"".join(kept)


def _own_zone(found: Any) -> ZoneInfo | None:
    name = found.get("X-WR-TIMEZONE")
    try:
        return None if name is None else ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _joined(events: Iterable[_Event]) -> Calendar:
    """Take the newest version of each event, and put replacements to what they replace."""
    masters: dict[str, _Event] = {}
    replaced: dict[str, dict[Instant, _Event]] = {}
    for event in events:
        group: dict[Any, _Event] = masters if event.replaces is None else replaced.setdefault(event.uid, {})
        key = event.uid if event.replaces is None else event.replaces.at()
        if key not in group or group[key].sequence <= event.sequence:
            group[key] = event
    for uid, replacements in replaced.items():
        master = masters.get(uid)
        for one in replacements.values():
            if master is not None and one.replaces is not None and one.replaces.day is not master.start.day:
                raise CalendarInvalid("a RECURRENCE-ID is a date where the event has a time, or the other way round")
    cancelled = {one.uid for one in masters.values() if one.cancelled}
    return Calendar(
        tuple(one for one in masters.values() if not one.cancelled),
        {uid: replacements for uid, replacements in replaced.items() if uid not in cancelled},
    )


class _Reading:
    """Reads one VEVENT."""

    def __init__(self, component: Any, zone: ZoneInfo | None, number: int) -> None:
        self._component = component
        self._zone = zone
        self._number = number
        if broken := _NEEDED & {name for name, _ in component.errors}:
            raise CalendarInvalid(f"its {', '.join(sorted(broken))} cannot be read")

    def event(self) -> _Event:
        component = self._component
        if "EXRULE" in component:
            raise CalendarInvalid("EXRULE is not understood; use EXDATE")
        start = self._moment("DTSTART")
        if start is None:
            raise CalendarInvalid("it has no DTSTART")
        length, exact = self._length(start)
        without = [self._placed(one) for one in self._listed("EXDATE")]
        return _Event(
            uid=str(component.get("UID", "")) or f"event {self._number} without UID",
            start=start,
            length=length,
            exact=exact,
            rule=self._rule(),
            extra=tuple(self._placed(one) for one in self._listed("RDATE")),
            without=frozenset(one.at() for one in without),
            without_days=frozenset(one.wall.date() for one in without if one.day),
            replaces=self._replaces(),
            sequence=int(component.get("SEQUENCE", 0)),
            cancelled=str(component.get("STATUS", "")).upper() == "CANCELLED",
            attendees=frozenset(self._attendees()),
            summary=str(component.get("SUMMARY", "")).strip(),
        )

    def _moment(self, name: str) -> _Moment | None:
        found = self._component.get(name)
        if found is None:
            return None
        if isinstance(found, list):
            raise CalendarInvalid(f"{name} stands twice")
        return self._placed(found)

    def _placed(self, found: Any) -> _Moment:
        """Return a time of the file with its zone."""
        given = found.dt
        if isinstance(given, tuple):
            raise CalendarInvalid("an RDATE with a period is not understood; write another event")
        if not isinstance(given, datetime):
            return _Moment(datetime.combine(given, datetime.min.time()), self._floating(), day=True)
        if isinstance(given.tzinfo, ZoneInfo):
            return _Moment(given.replace(tzinfo=None), given.tzinfo)
        if given.tzinfo is not None or "TZID" in found.params:
            raise CalendarInvalid("its zone is none of IANA")
        return _Moment(given, self._floating())

    def _floating(self) -> ZoneInfo:
        if self._zone is None:
            raise CalendarInvalid("it has days, or times without a zone: configure one")
        return self._zone

    def _length(self, start: _Moment) -> tuple[timedelta, bool]:
        end, duration = self._moment("DTEND"), self._component.get("DURATION")
        if end is not None:
            same = str(end.zone) == str(start.zone)
            elapsed = timedelta(microseconds=end.at() - start.at())
            length, exact = (end.wall - start.wall, False) if same else (elapsed, True)
        elif duration is not None:
            length = duration.dt
            exact = length % timedelta(days=1) != timedelta(0)
        else:
            length, exact = timedelta(days=1 if start.day else 0), False
        if length < timedelta(0):
            raise CalendarInvalid("it ends before it starts")
        return length, exact

    def _rule(self) -> Mapping[str, list[Any]] | None:
        found = self._component.get("RRULE")
        if found is None:
            return None
        if not isinstance(found, vRecur):
            raise CalendarInvalid("it has several RRULEs")
        require_known(found)
        return dict(found)

    def _replaces(self) -> _Moment | None:
        found = self._component.get("RECURRENCE-ID")
        if found is not None and "RANGE" in found.params:
            raise CalendarInvalid("a RECURRENCE-ID with RANGE is not understood")
        return self._moment("RECURRENCE-ID")

    def _listed(self, name: str) -> Iterator[Any]:
        found = self._component.get(name, [])
        for one in found if isinstance(found, list) else [found]:
            for inner in one.dts:
                inner.params.update(one.params)
                yield inner

    def _attendees(self) -> Iterator[str]:
        found = self._component.get("ATTENDEE", [])
        for one in found if isinstance(found, list) else [found]:
            scheme, _, address = str(one).strip().partition(":")
            status = str(one.params.get("PARTSTAT", "")).upper()
            role = str(one.params.get("ROLE", "")).upper()
            if scheme.lower() == "mailto" and status not in _AWAY and role != "NON-PARTICIPANT":
                yield address.strip().casefold()


def _instant(wall: datetime, zone: tzinfo) -> Instant:
    return Instant((wall.replace(tzinfo=zone, fold=0) - _EPOCH) // timedelta(microseconds=1))


def _wall(instant: Instant, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(seconds=instant // MICROSECONDS)).astimezone(zone).replace(tzinfo=None)
