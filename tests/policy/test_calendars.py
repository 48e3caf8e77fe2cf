"""Calendars: what is open when, on ordinary days and on those on which clocks are changed; and what may be written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import CATALOG, SRE, bundle_of, codes, files_of, problems_of

from loglease.model.instant import Instant, parse_instant
from loglease.policy.calendar_documents import hours_of
from loglease.policy.calendars import WEEKDAYS, Calendar, Hours

WORK = "mon tue wed thu fri"
EVERY = " ".join(WEEKDAYS)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def calendar(zone: str, days: str, hours: str, closed: str = "") -> Calendar:
    spans = [hours_of(one) for one in hours.split()]
    assert None not in spans
    dates = frozenset(date.fromisoformat(one) for one in closed.split())
    return Calendar(zone=zone, days=frozenset(days.split()), hours=tuple(sorted(spans)), closed=dates)


def open_spans(found: Calendar, first: str, last: str) -> str:
    """Write from when to when a calendar is open, by asking it every minute from one instant to another."""
    minutes = range(parse_instant(first), parse_instant(last), 60_000_000)
    asked = [(at, found.is_open(Instant(at))) for at in minutes]
    changes = [at for (_, before), (at, now) in zip([(0, False), *asked], asked, strict=False) if before != now]
    written = [f"{EPOCH + timedelta(microseconds=at):%dT%H:%M}" for at in changes]
    return ", ".join("-".join(written[at : at + 2]) for at in range(0, len(written), 2))


OFFICE = ("Europe/Berlin", WORK, "08:00-18:00", "2026-12-25")
NIGHT = ("Europe/Berlin", "fri", "22:00-06:00")


@pytest.mark.parametrize(
    ("declared", "first", "last", "spans"),
    [
        pytest.param(OFFICE, "2026-11-20", "2026-11-24", "20T07:00-20T17:00, 23T07:00-23T17:00", id="a weekend"),
        pytest.param(OFFICE, "2026-07-01", "2026-07-02", "01T06:00-01T16:00", id="summer time"),
        pytest.param(OFFICE, "2026-12-24", "2026-12-27", "24T07:00-24T17:00", id="a closed Friday"),
        pytest.param(
            ("UTC", WORK, "08:00-12:00 12:00-13:00 14:30-15:00"),
            *("2026-11-23", "2026-11-24", "23T08:00-23T13:00, 23T14:30-23T15:00"),
            id="spans that touch, and one that does not",
        ),
        pytest.param(("UTC", "tue wed", "00:00-24:00"), "2026-11-23", "2026-11-28", "24T00:00-26T00:00", id="all day"),
        pytest.param(("UTC", "sun mon", "20:00-00:00"), "2026-11-22", "2026-11-25", "22T20:00-23T00:00, 23T20:00-24T00:00",
                     id="up to midnight, over the end of a week"),
        # The night of a Friday runs into Saturday, whatever Saturday is.
        pytest.param(NIGHT, "2026-11-19", "2026-11-24", "20T21:00-21T05:00", id="a night"),
        pytest.param((*NIGHT, "2026-11-21"), "2026-11-19", "2026-11-24", "20T21:00-21T05:00", id="its morning is closed"),
        pytest.param((*NIGHT, "2026-11-20"), "2026-11-19", "2026-11-24", "", id="its evening is closed"),
        pytest.param(
            ("UTC", "fri sat", "22:00-06:00", "2026-11-20"),
            *("2026-11-19", "2026-11-24", "21T22:00-22T06:00"),
            id="the first of two nights is closed",
        ),
        pytest.param(("UTC", "sun", "22:00-06:00"), "2026-11-21", "2026-11-24", "22T22:00-23T06:00", id="into a new week"),
        pytest.param(("UTC", "thu", "22:00-06:00"), "2026-12-30", "2027-01-03", "31T22:00-01T06:00", id="into a new year"),
        # Leap days: 28 February 2028 is a Monday and followed by a 29th; 2027 has none, 2000 had one.
        pytest.param(("UTC", "mon", "22:00-06:00"), "2028-02-28", "2028-03-02", "28T22:00-29T06:00", id="into a leap day"),
        pytest.param(("UTC", EVERY, "09:00-10:00", "2028-02-29"), "2028-02-28", "2028-03-02", "28T09:00-28T10:00, 01T09:00-01T10:00",
                     id="a closed leap day"),
        pytest.param(("UTC", "tue", "09:00-10:00"), "2000-02-28", "2000-03-02", "29T09:00-29T10:00", id="a century's leap day"),
        pytest.param(("UTC", "sun", "22:00-06:00"), "2027-02-27", "2027-03-02", "28T22:00-01T06:00", id="no leap day"),
        # Berlin: 29 March 2026, 02:00 becomes 03:00 at 01:00 UTC; 25 October, 03:00 becomes 02:00 at 01:00 UTC.
        pytest.param(("Europe/Berlin", "sun", "01:00-04:00"), "2026-03-28", "2026-03-30", "29T00:00-29T02:00", id="shorter"),
        pytest.param(("Europe/Berlin", "sun", "02:15-02:45"), "2026-03-28", "2026-03-30", "", id="skipped"),
        pytest.param(("Europe/Berlin", "sun", "02:30-03:30"), "2026-03-28", "2026-03-30", "29T01:00-29T01:30", id="starts in the gap"),
        pytest.param(("Europe/Berlin", "sun", "01:30-02:30"), "2026-03-28", "2026-03-30", "29T00:30-29T01:00", id="ends in the gap"),
        pytest.param(("Europe/Berlin", "sat", "22:00-06:00"), "2026-03-28", "2026-03-30", "28T21:00-29T04:00", id="a short night"),
        pytest.param(("Europe/Berlin", "sun", "01:00-04:00"), "2026-10-24", "2026-10-26", "24T23:00-25T03:00", id="longer"),
        pytest.param(("Europe/Berlin", "sun", "02:15-02:45"), "2026-10-24", "2026-10-26", "25T00:15-25T00:45, 25T01:15-25T01:45", id="twice"),
        pytest.param(("Europe/Berlin", "sun", "01:30-02:30"), "2026-10-24", "2026-10-26", "24T23:30-25T00:30, 25T01:00-25T01:30", id="ends twice"),
        pytest.param(("Europe/Berlin", "sun", "02:30-03:30"), "2026-10-24", "2026-10-26", "25T00:30-25T01:00, 25T01:30-25T02:30", id="starts twice"),
        pytest.param(("Europe/Berlin", "sat", "22:00-06:00"), "2026-10-24", "2026-10-26", "24T20:00-25T05:00", id="a long night"),
        # New York: 8 March 2026, 02:00 becomes 03:00 at 07:00 UTC; 1 November, 02:00 becomes 01:00 at 06:00 UTC.
        pytest.param(("America/New_York", "sun", "01:30-03:30"), "2026-03-08", "2026-03-10", "08T06:30-08T07:30", id="New York, skipped"),
        pytest.param(("America/New_York", "sat", "22:00-06:00"), "2026-03-07", "2026-03-10", "08T03:00-08T10:00", id="New York, short"),
        pytest.param(("America/New_York", "sun", "01:15-01:45"), "2026-11-01", "2026-11-03", "01T05:15-01T05:45, 01T06:15-01T06:45",
                     id="New York, twice"),
        pytest.param(("America/New_York", "sat", "22:00-06:00"), "2026-10-31", "2026-11-03", "01T02:00-01T11:00", id="New York, long"),
        # Offsets of half and quarter hours, of 14 hours, and one that changes by half an hour.
        pytest.param(("Asia/Kolkata", "mon", "09:00-17:00"), "2026-11-22", "2026-11-25", "23T03:30-23T11:30", id="Kolkata"),
        pytest.param(("Asia/Kathmandu", "mon", "00:00-24:00"), "2026-11-22", "2026-11-25", "22T18:15-23T18:15", id="Kathmandu"),
        pytest.param(("Pacific/Kiritimati", "mon", "00:00-24:00"), "2026-11-22", "2026-11-25", "22T10:00-23T10:00", id="Kiritimati"),
        pytest.param(("Australia/Lord_Howe", "sun", "01:30-02:30"), "2026-04-04", "2026-04-06", "04T14:30-04T16:00", id="Lord Howe"),
        # Apia went from Thursday, 29 December 2011, to Saturday, the 31st, at 10:00 UTC of the 30th.
        pytest.param(("Pacific/Apia", "fri", "00:00-24:00"), "2011-12-28", "2012-01-03", "", id="a day that never was"),
        pytest.param(("Pacific/Apia", "thu sat", "00:00-24:00"), "2011-12-28", "2012-01-03", "29T10:00-31T10:00", id="the days beside it"),
        pytest.param(("Pacific/Apia", EVERY, "00:00-24:00", "2011-12-30"), "2011-12-29", "2012-01-02", "29T00:00", id="closed or not"),
        pytest.param(("Pacific/Apia", "thu", "22:00-06:00"), "2011-12-28", "2012-01-03", "30T08:00-30T10:00", id="a night into it"),
        pytest.param(("Pacific/Apia", "fri", "22:00-06:00"), "2011-12-28", "2012-01-03", "30T10:00-30T16:00", id="a night out of it"),
    ],
)  # fmt: skip
def test_open_hours(declared: tuple[str, ...], first: str, last: str, spans: str) -> None:
    """All instants are in UTC."""
    assert open_spans(calendar(*declared), f"{first}T00:00:00Z", f"{last}T00:00:00Z") == spans


def test_hours_are_half_open_to_the_microsecond() -> None:
    office = calendar(*OFFICE)
    start, end = parse_instant("2026-11-23T07:00:00Z"), parse_instant("2026-11-23T17:00:00Z")
    assert [office.is_open(Instant(at)) for at in (start - 1, start, end - 1, end)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("America/New_York", "1970-01-01T00:00:00Z", "19:00-19:01"),  # still 1969 there
        ("America/New_York", "9999-12-31T23:59:59Z", "18:59-19:00"),
        ("Asia/Kolkata", "9999-12-31T23:59:59Z", "23:59-24:00"),  # no date can name it: the last minute that one can
    ],
)
def test_every_instant_has_an_answer(zone: str, at: str, hours: str) -> None:
    now = parse_instant(at)
    assert calendar(zone, EVERY, hours).is_open(now)
    assert not calendar(zone, EVERY, "-".join(reversed(hours.replace("24", "00").split("-")))).is_open(now)


# The oracle walks the clock on the wall minute by minute and knows nothing of spans, midnights or nights: open hours of a
# day begin where the clock shows their start and go on until it shows their end. Where the clock shows something is
# told by the offsets of local times, while calendars ask for the offsets of instants.

SHOWN = "%H:%M"


def walked(days: frozenset[str], closed: frozenset[date], hours: list[tuple[str, str]], first: date) -> set[datetime]:
    """Return the minutes at which a clock shows open hours of five days; one that runs on without being changed."""
    found = set()
    for day in (first + DAY * number for number in range(5)):
        if day.strftime("%a").lower() in days and day not in closed:
            for start, end in hours:
                clock = datetime.combine(day, time.fromisoformat(start))
                found.add(clock)
                while (clock := clock + MINUTE).strftime(SHOWN) != end:
                    found.add(clock)
    return found


def instants_of(shown: datetime, zone: ZoneInfo) -> Iterator[Instant]:
    """Yield the instants at which the clock shows this: one, two, or none where it skips it."""
    offsets = [shown.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    if offsets[0] >= offsets[1]:
        for offset in sorted(set(offsets)):
            yield Instant((shown.replace(tzinfo=UTC) - offset - EPOCH) // MICROSECOND)


@cache
def watched(zone: str, changed: str) -> list[tuple[datetime, Instant]]:
    """Return what the clock shows from the day before a change to the day after, and when: each minute's begin and end."""
    midnight = datetime.combine(date.fromisoformat(changed) - DAY, time())
    minutes = [midnight + MINUTE * number for number in range(3 * 24 * 60)]
    shown = [(minute, moment) for minute in minutes for moment in (minute, minute + MINUTE - MICROSECOND)]
    return [(minute, at) for minute, moment in shown for at in instants_of(moment, ZoneInfo(zone))]


CHANGES = [
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"), ("Pacific/Apia", "2011-12-30"), ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"), ("Asia/Kolkata", "2028-02-29"), ("Asia/Kathmandu", "1986-01-01"),
    ("Africa/Monrovia", "1972-01-07"), ("America/Sao_Paulo", "2018-11-04"), ("Antarctica/Troll", "2026-03-29"),
    ("Africa/Casablanca", "2026-02-15"), ("Pacific/Kwajalein", "1993-08-21"), ("America/St_Johns", "2006-10-29"),
    ("UTC", "2026-12-31"),
]  # fmt: skip
CLOCKS = st.sampled_from(
    ["00:00", "00:01", "01:30", "02:00", "02:30", "03:00", "06:00", "09:15", "18:00", "22:00", "23:59"]
)
SPANS = st.lists(st.tuples(CLOCKS, CLOCKS).filter(lambda span: span[0] != span[1]), min_size=1, max_size=3)


@given(
    place=st.sampled_from(CHANGES),
    days=st.frozensets(st.sampled_from(WEEKDAYS), min_size=1),
    spans=SPANS,
    closed=st.frozensets(st.integers(-2, 2), max_size=2),
)
def test_a_calendar_is_open_exactly_where_a_clock_that_is_watched_shows_open_hours(
    place: tuple[str, str], days: frozenset[str], spans: list[tuple[str, str]], closed: frozenset[int]
) -> None:
    changed = date.fromisoformat(place[1])
    dates = frozenset(changed + DAY * number for number in closed)
    found = calendar(place[0], " ".join(days), " ".join("-".join(one) for one in spans), " ".join(map(str, dates)))
    expected = walked(days, dates, spans, changed - DAY * 2)
    wrong = [(minute, at) for minute, at in watched(*place) if found.is_open(at) is not (minute in expected)]
    assert wrong == []


@pytest.mark.parametrize(("start", "end"), [(-1, 60), (1440, 1500), (60, 60), (120, 60), (0, 1441), (600, 2041)])
def test_hours_lie_within_a_day_from_their_start(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="hours"):
        Hours(start, end)


@pytest.mark.parametrize(
    "zone", ["Mars/Base", "europe/berlin", "localtime", "Factory", "posixrules", "../etc/passwd", ""]
)
def test_a_calendar_needs_a_zone_of_a_place(zone: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        Calendar(zone=zone, days=frozenset({"mon"}), hours=(Hours(0, 60),))


def test_zones_are_there_without_those_of_the_system() -> None:
    program = "from loglease.policy.calendars import known_zones; print('Europe/Berlin' in known_zones())"
    without = os.environ | {"PYTHONTZPATH": ""}
    found = subprocess.run([sys.executable, "-c", program], env=without, capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"


FACTS = """\
api: loglease/v1
kind: Facts
id: main
calendars:
  office: {zone: Europe/Berlin, days: [mon, fri], hours: ["08:00-18:00"], closed: [2026-12-25]}
"""
MORE = FACTS.replace("id: main", "id: more").replace("office:", "night:").replace("08:00-18:00", "22:00-06:00")


def test_calendars_of_all_facts_documents_are_in_the_bundle() -> None:
    found = bundle_of(CATALOG, FACTS, MORE).calendars
    assert found == {
        "office": calendar("Europe/Berlin", "mon fri", "08:00-18:00", "2026-12-25"),
        "night": calendar("Europe/Berlin", "mon fri", "22:00-06:00", "2026-12-25"),
    }
    assert bundle_of(CATALOG).calendars == {}


def test_hours_may_be_written_in_any_order_and_in_two_ways() -> None:
    one = bundle_of(FACTS.replace('"08:00-18:00"', '"20:00-24:00", "08:00-18:00"'))
    two = bundle_of(FACTS.replace('"08:00-18:00"', '08:00-18:00, "20:00-00:00"'))
    assert one.calendars == two.calendars
    assert one.hash == two.hash


def test_what_calendars_mean_is_part_of_the_hash() -> None:
    bundles = [
        bundle_of(CATALOG, SRE),
        bundle_of(CATALOG, SRE, FACTS),
        bundle_of(CATALOG, SRE, MORE),
        bundle_of(CATALOG, SRE, FACTS, MORE),
        *(
            bundle_of(CATALOG, SRE, FACTS.replace(old, new))
            for old, new in [
                ("office", "desk"), ("Europe/Berlin", "Europe/Paris"), ("fri", "tue"), ("08:00", "08:01"),
                ("18:00", "17:59"), ("12-25", "12-24"), (", closed: [2026-12-25]", ""),
            ]
        ),
    ]  # fmt: skip
    assert len({one.hash for one in bundles}) == len(bundles)


def test_how_calendars_are_spread_over_documents_is_not() -> None:
    joined = FACTS + MORE.splitlines()[-1] + "\n"
    apart = [bundle_of(CATALOG, SRE, FACTS, MORE), bundle_of(MORE, SRE, CATALOG, FACTS)]
    assert {one.hash for one in apart} == {bundle_of(CATALOG, SRE, joined).hash}


ONE = '{zone: Europe/Berlin, days: [mon, fri], hours: ["08:00-18:00"], closed: [2026-12-25]}'


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("calendars:", "calenders:", ["P110", "P111"]),
        (ONE, "[]", ["P111", "P111", "P111", "P112"]),
        (ONE, "{}", ["P111", "P111", "P111", "P119"]),
        ("zone: Europe/Berlin, ", "", ["P111"]),
        ("days: [mon, fri], ", "", ["P111"]),
        ('hours: ["08:00-18:00"], ', "", ["P111"]),
        ("zone:", "zones:", ["P110", "P111"]),
        ("zone:", "open: true, zone:", ["P110"]),
        ("Europe/Berlin", "europe/berlin", ["P321"]),
        ("Europe/Berlin", "Europe/Berln", ["P321"]),
        ("Europe/Berlin", "localtime", ["P321"]),
        ("Europe/Berlin", "../../etc/passwd", ["P321"]),
        ("Europe/Berlin", "/usr/share/zoneinfo/UTC", ["P321"]),
        ("Europe/Berlin", "+01:00", ["P113", "P321"]),
        ("Europe/Berlin", "[Europe/Berlin]", ["P112"]),
        ("Europe/Berlin", "''", ["P114"]),
        ("zone: Europe/Berlin", "zone:", ["P113"]),
        ("[mon, fri]", "[]", ["P119"]),
        ("[mon, fri]", "mon", ["P114"]),
        ("[mon, fri]", "[mon, monday]", ["P115"]),
        ("[mon, fri]", "[Mon]", ["P115"]),
        ("[mon, fri]", "[mon, fri, mon]", ["P107"]),
        ("[mon, fri]", "[1]", ["P113", "P115"]),
        ("[mon, fri]", "[[mon]]", ["P112"]),
        ('["08:00-18:00"]', "[]", ["P119"]),
        ('["08:00-18:00"]', "08:00-18:00", ["P114"]),
        ('["08:00-18:00"]', "[{from: 8}]", ["P112"]),
        *(
            ("08:00-18:00", text, ["P114"])
            for text in [
                "8:00-18:00", "08:00-18", "08-18", "08:00", "08:00-", "08:00–18:00", "08:00 - 18:00", "08:00-18:60", "08:60-18:00", "08:00-25:00",
                "08:00-24:01", "24:00-08:00", "08:00-08:00", "00:00-00:00", "08:00:00-18:00:00", "-08:00-18:00", "٠٨:00-18:00", "",
            ]
        ),
        ('["08:00-18:00"]', '["08:00-18:00", "08:00-18:00"]', ["P107"]),
        ('["08:00-18:00"]', '["08:00-12:00", "11:59-13:00"]', ["P322"]),
        ('["08:00-18:00"]', '["08:00-18:00", "09:00-10:00"]', ["P322"]),
        ('["08:00-18:00"]', '["22:00-06:00", "23:00-23:30"]', ["P322"]),
        ('[mon, fri], hours: ["08:00-18:00"]', '[mon, tue], hours: ["22:00-06:00", "05:00-09:00"]', ["P322"]),
        ('[mon, fri], hours: ["08:00-18:00"]', '[sun, mon], hours: ["05:00-09:00", "22:00-06:00"]', ["P322"]),
        ("[2026-12-25]", "[]", ["P119"]),
        ("[2026-12-25]", "2026-12-25", ["P114"]),
        ("[2026-12-25]", "[2026-12-25, 2026-12-26, 2026-12-25]", ["P107"]),
        *(
            ("[2026-12-25]", f"[{text}]", ["P114"])
            for text in ["2026-02-29", "2026-13-01", "2026-12-32", "25.12.2026", "12-25", "20261225", "0000-01-01", "mon"]
        ),
        ("[2026-12-25]", "[[2026-12-25]]", ["P112"]),
        ("office:", "Office:", ["P114"]),
        ("office:", "ber-lin:", ["P114"]),
        ("office:", "_office:", ["P114"]),
        ("office:", "1st:", ["P114"]),
        ("office:", "büro:", ["P114"]),
        ("office:", f"{'o' * 64}:", ["P114"]),
        ("office:", "in:", ["P114"]),
        ("office:", "true:", ["P114"]),
        ("office:", "package:", ["P114"]),
        ("calendars:", "facts: {}\ncalendars:", ["P119"]),
        ("calendars:", "risk: []\ncalendars:", ["P119"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_calendar_has_a_code(old: str, new: str, wrong: list[str]) -> None:
    assert old in FACTS
    assert sorted(codes(problems_of(CATALOG, FACTS.replace(old, new, 1)))) == wrong


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("office:", f"{'o' * 63}:"),
        ("Europe/Berlin", "UTC"),
        ("Europe/Berlin", "Etc/GMT+5"),
        (", closed: [2026-12-25]", ""),
        ("[2026-12-25]", "['2026-12-25', 2028-02-29, 9999-12-31]"),
        ('["08:00-18:00"]', '["08:00-12:00", "12:00-13:00"]'),
        ('["08:00-18:00"]', "[22:00-06:00, 06:00-22:00]"),
        ('["08:00-18:00"]', '["22:00-06:00", "05:00-09:00"]'),  # no Friday night meets a Monday morning
        ('[mon, fri], hours: ["08:00-18:00"]', '[mon, wed, fri, sun], hours: ["22:00-06:00", "06:00-09:00"]'),
    ],
)
def test_what_is_right(old: str, new: str) -> None:
    assert old in FACTS
    assert len(bundle_of(CATALOG, FACTS.replace(old, new, 1)).calendars) == 1


def test_a_facts_document_declares_something() -> None:
    head = "".join(FACTS.splitlines(keepends=True)[:3])
    assert codes(problems_of(head)) == ["P111"]
    assert codes(problems_of(head + "calendars: {}\n")) == ["P119"]
    assert codes(problems_of(head + "calendars: [office]\n")) == ["P112"]


def test_an_unknown_zone_has_its_place_its_mark_and_the_nearest_name() -> None:
    (found,) = problems_of(FACTS.replace("Europe/Berlin", "Europe/Berln"))
    assert found.render() == (
        "policies/main.yaml:5:18: error[P321] unknown zone 'Europe/Berln'\n"
        ' 5 |   office: {zone: Europe/Berln, days: [mon, fri], hours: ["08:00-18:00"], closed: [2026-12-25]}\n'
        "   |                  ^^^^^^^^^^^^ = help: did you mean 'Europe/Berlin'?"
    )
    assert problems_of(FACTS.replace("Europe/Berlin", "xyz"))[0].help == (
        "write the name of an IANA zone, such as Europe/Berlin or UTC"
    )


def test_each_problem_of_hours_marks_the_later_one() -> None:
    text = FACTS.replace('"08:00-18:00"', '"22:00-06:00", "9:00-10:00", "23:00-01:00"')
    assert [(str(one.at), one.at.width, one.message) for one in problems_of(text)] == [
        ("policies/main.yaml:5:74", 12, "'9:00-10:00' are no hours"),
        ("policies/main.yaml:5:88", 13, "the hours 23:00-01:00 overlap 22:00-06:00"),
    ]


def test_a_name_stands_for_one_calendar_in_all_documents() -> None:
    again = FACTS.replace("id: main", "id: again")  # sorted by id it is the first, by place the second
    documents = [CATALOG, FACTS, again, FACTS.replace("id: main", "id: more")]
    lines = files_of(*documents)["policies/main.yaml"].decode().splitlines()
    first, *others = (number for number, line in enumerate(lines, 1) if line.startswith("  office"))
    told = f"the first is at policies/main.yaml:{first}:3"
    assert [(one.code, one.message, one.at.line, one.help) for one in problems_of(*documents)] == [
        ("P107", "calendar 'office' is given twice", line, told) for line in others
    ]


def test_two_calendars_of_one_document_have_two_names() -> None:
    assert codes(problems_of(FACTS + FACTS.splitlines()[-1] + "\n")) == ["P107"]


def test_calendars_are_bounded() -> None:
    entry = FACTS.splitlines(keepends=True)[-1]
    many = FACTS + "".join(entry.replace("office", f"c{number}") for number in range(199))
    assert len(bundle_of(many).calendars) == 200
    over = many + entry.replace("office", "one_more")
    assert codes(problems_of(over)) == ["P108"]
    beyond = entry.replace("office", "two_more").replace("Europe", "Mars")  # is not looked at
    assert codes(problems_of(over + beyond)) == ["P108"]

    hours = ", ".join(f"{hour:02}:00-{hour:02}:30" for hour in range(24))
    assert len(bundle_of(FACTS.replace('"08:00-18:00"', hours)).calendars["office"].hours) == 24
    assert codes(problems_of(FACTS.replace('"08:00-18:00"', f"{hours}, 00:30-00:45"))) == ["P108"]

    dates = [str(date(2026, 1, 1) + DAY * number) for number in range(1_001)]
    assert len(bundle_of(FACTS.replace("2026-12-25", ", ".join(dates[:1_000]))).calendars["office"].closed) == 1_000
    assert codes(problems_of(FACTS.replace("2026-12-25", ", ".join(dates)))) == ["P108"]


def test_a_calendar_that_is_wrong_hides_nothing_else() -> None:
    wrong = FACTS.replace("Europe/Berlin", "Mars/Base").replace("[mon, fri]", "[moon]").replace("18:00", "18")
    assert codes(problems_of(wrong.replace("12-25", "12-32"))) == ["P321", "P115", "P114", "P114"]


def test_the_clocks_that_are_watched_skip_and_repeat() -> None:
    minutes = {f"{zone} {changed[:7]}": len(watched(zone, changed)) // 2 - 3 * 24 * 60 for zone, changed in CHANGES}
    assert minutes == {
        "Europe/Berlin 2026-03": -60, "Europe/Berlin 2026-10": 60, "America/New_York 2026-03": -60,
        "America/New_York 2026-11": 60, "Pacific/Apia 2011-12": -24 * 60, "Australia/Lord_Howe 2026-04": 30,
        "Australia/Lord_Howe 2026-10": -30, "Asia/Kolkata 2028-02": 0, "Asia/Kathmandu 1986-01": -15,
        "Africa/Monrovia 1972-01": -45, "America/Sao_Paulo 2018-11": -60, "Antarctica/Troll 2026-03": -120,
        "Africa/Casablanca 2026-02": 60, "Pacific/Kwajalein 1993-08": -24 * 60, "America/St_Johns 2006-10": 60,
        "UTC 2026-12": 0,
    }  # fmt: skip
