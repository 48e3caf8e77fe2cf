"""Reads the calendars of Facts documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from loglease.policy.calendars import DAY_MINUTES, WEEKDAYS, Calendar, Hours, known_zones
from loglease.policy.fact_names import check_name
from loglease.policy.fields import Reader
from loglease.policy.problems import At, did_you_mean, nearest, shown
from loglease.policy.tree import Items, Node, Scalar

MAX_CALENDARS: Final = 200
MAX_HOURS: Final = 24
MAX_CLOSED: Final = 1_000

_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_Placed = tuple[Hours, str, At]


def calendars_of(declared: Iterable[tuple[Scalar, Node]], reader: Reader) -> dict[str, Calendar]:
    """Read the calendars of all Facts documents, in the order of files and lines."""
    found: dict[str, Calendar] = {}
    for number, (key, node) in enumerate(declared):
        if number == MAX_CALENDARS:
            reader.problems.add(
                key.at, "P108", f"the bundle has more than {MAX_CALENDARS} calendars", "share one between policies"
            )
            break
        check_name(key, key.text, "a calendar", "cal.<name>", reader)
        found[key.text] = _calendar(node, f"calendar {shown(key.text)}", reader)
    return found


def _calendar(node: Node, what: str, reader: Reader) -> Calendar:
    record = reader.record(node, what, ("zone", "days", "hours", "closed"))
    days = _days(record.need("days", "[mon, tue, wed, thu, fri]"), reader)
    return Calendar(
        zone=_zone(record.need("zone", "Europe/Berlin"), reader),
        days=days,
        hours=_hours(record.need("hours", '["08:00-18:00"]'), days, reader),
        closed=_closed(record.node("closed"), reader),
    )


def _zone(node: Node | None, reader: Reader) -> str:
    name = reader.text(node, "zone")
    if name in known_zones():
        return name
    if node is not None and name:
        close = nearest(name, known_zones())
        remedy = f"did you mean '{close}'?" if close else "write the name of an IANA zone, such as Europe/Berlin or UTC"
        reader.problems.add(node.at, "P321", f"unknown zone {shown(name)}", remedy)
    return "UTC"


def _days(node: Node | None, reader: Reader) -> frozenset[str]:
    given = reader.texts(node, "days")
    for word, at in given:
        if word and word not in WEEKDAYS:
            reader.problems.add(at, "P115", f"a day cannot be {shown(word)}", did_you_mean(word, WEEKDAYS))
    return frozenset(word for word, _ in given if word in WEEKDAYS)


def _hours(node: Node | None, days: frozenset[str], reader: Reader) -> tuple[Hours, ...]:
    if node is not None and _are_too_many(node, "hours", MAX_HOURS, reader):
        return ()
    placed: list[_Placed] = []
    for text, at in reader.texts(node, "hours"):
        hours = hours_of(text)
        if hours is not None:
            placed.append((hours, text, at))
        elif text:
            remedy = "write it like 08:00-18:00, 22:00-06:00 for a night or 00:00-24:00 for a whole day"
            reader.problems.add(at, "P114", f"{shown(text)} are no hours", remedy)
    _refuse_overlaps(placed, days, reader)
    return tuple(sorted(hours for hours, _, _ in placed))


def hours_of(text: str) -> Hours | None:
    """Read `08:00-18:00`; an end that is not after the start is one of the next day; None if it is neither."""
    match = _HOURS.fullmatch(text)
    if match is None:
        return None
    start = int(match[1]) * 60 + int(match[2])
    end = DAY_MINUTES if match[3] is None else int(match[3]) * 60 + int(match[4])
    if start == end:
        return None  # nothing, or a whole day: who wrote it has to say
    return Hours(start, end if start < end else end + DAY_MINUTES)


def _refuse_overlaps(placed: list[_Placed], days: frozenset[str], reader: Reader) -> None:
    """Report each span that holds a minute of one before it, be it of the same day or of the night before."""
    in_a_row = any(
        day in days and after in days for day, after in zip(WEEKDAYS, (*WEEKDAYS[1:], WEEKDAYS[0]), strict=True)
    )
    for position, (hours, text, at) in enumerate(placed):
        for other, written, _ in placed[:position]:
            nightly = in_a_row and (hours.meets(other, 1) or other.meets(hours, 1))
            if hours.meets(other) or nightly:
                reader.problems.add(at, "P322", f"the hours {text} overlap {written}", "join them, or part them")


def _closed(node: Node | None, reader: Reader) -> frozenset[date]:
    if node is None or _are_too_many(node, "closed", MAX_CLOSED, reader):
        return frozenset()
    found: set[date] = set()
    for item in reader.items(node, "closed"):
        day = reader.date(item, "each of closed")
        if day in found:
            reader.problems.add(item.at, "P107", f"{shown(str(day))} is given twice", "remove one")
        if day is not None:
            found.add(day)
    return frozenset(found)


def _are_too_many(node: Node, what: str, most: int, reader: Reader) -> bool:
    if not isinstance(node, Items) or len(node.items) <= most:
        return False
    reader.problems.add(node.at, "P108", f"{what} has more than {most:,} entries", f"at most {most:,}")
    return True
