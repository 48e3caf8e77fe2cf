from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar.prop import vRecur
from tests.volume import volume

from loglease.model.instant import Instant, after, instant_text, parse_instant
from loglease.server.facts.ical import MAX_BYTES, Calendar, CalendarInvalid, calendar_of
from loglease.server.facts.recurrence import RuleRefused, recurrences, require_known

FILE = Path(__file__).parent / "calendars/payments.ics"
BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400


def calendar(*events: str, zone: ZoneInfo | None = BERLIN, more: str = "") -> Calendar:
    inside = "".join(f"BEGIN:VEVENT\n{event.strip()}\nEND:VEVENT\n" for event in events)
    return calendar_of(f"BEGIN:VCALENDAR\nVERSION:2.0\n{more}{inside}END:VCALENDAR\n".encode(), zone)


def local(text: str) -> Instant:
    """Return the instant of a wall time in Berlin."""
    return Instant(int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()) * 1_000_000)


def on_call(found: Calendar, text: str) -> set[str]:
    """Return who is on call at a wall time in Berlin: attendees, or the title where there are none."""
    now = local(text)
    shifts = [one for one in found.shifts(now, after(now, 1)) if one.start <= now < one.end]
    return {name for one in shifts for name in (one.attendees or {one.summary})}


NIGHTS = """UID:1
DTSTART;TZID=Europe/Berlin:20260101T220000
DTEND;TZID=Europe/Berlin:20260102T060000
RRULE:FREQ=DAILY
ATTENDEE:mailto:maria@example.com"""


@pytest.mark.parametrize(
    ("at", "who"),
    [
        ("2026-11-01T21:59:59", set()),
        ("2026-11-01T22:00:00", {"maria@example.com"}),
        ("2026-11-02T05:59:59", {"maria@example.com"}),
        ("2026-11-02T06:00:00", set()),
        # left out: two nights by their times, one by its day
        ("2026-11-03T23:00:00", set()),
        ("2026-11-05T05:00:00", set()),
        ("2026-11-05T22:00:00", {"maria@example.com"}),
        ("2026-12-25T01:00:00", set()),
        ("2026-12-25T22:00:00", {"maria@example.com"}),
        # swapped, and an hour later
        ("2026-11-10T22:30:00", set()),
        ("2026-11-10T23:00:00", {"lee@example.com"}),
        ("2026-11-11T06:30:00", {"lee@example.com"}),
        # cancelled
        ("2026-11-11T23:00:00", set()),
        ("2026-11-12T22:00:00", {"maria@example.com"}),
        # the rule has an end, and the night of that end is the last
        ("2027-04-30T22:00:00", {"maria@example.com"}),
        ("2027-05-01T22:00:00", set()),
    ],
)
def test_a_rota_as_calendar_programs_write_it(at: str, who: set[str]) -> None:
    found = calendar_of(FILE.read_bytes(), None)
    assert on_call(found, at) - {"Noor"} == who


def test_weeks_end_when_days_end_and_are_counted() -> None:
    found = calendar_of(FILE.read_bytes(), None)
    assert on_call(found, "2026-10-05T12:00:00") == {"Noor"}
    assert on_call(found, "2026-10-12T12:00:00") == set()
    assert on_call(found, "2026-10-18T23:59:59") == {"maria@example.com"}
    assert on_call(found, "2026-10-19T00:00:00") == {"maria@example.com", "Noor"}
    assert on_call(found, "2026-10-25T21:00:00") == {"Noor"}
    last = date(2026, 10, 5) + timedelta(weeks=2 * 19)
    assert on_call(found, f"{last}T12:00:00") == {"Noor"}
    assert on_call(found, f"{last + timedelta(weeks=2)}T12:00:00") == set()


def test_nights_are_whole_where_clocks_change() -> None:
    found = calendar(NIGHTS)
    hours = {}
    for shift in found.shifts(local("2026-03-27T12:00"), local("2026-03-30T12:00")):
        hours[instant_text(shift.start)] = (shift.end - shift.start) / 3_600_000_000
    assert hours == {
        "2026-03-27T21:00:00.000000Z": 8,
        "2026-03-28T21:00:00.000000Z": 7,
        "2026-03-29T20:00:00.000000Z": 8,
    }
    autumn = found.shifts(local("2026-10-24T12:00"), local("2026-10-25T12:00"))
    assert [(one.end - one.start) / 3_600_000_000 for one in autumn] == [9]
    assert on_call(found, "2026-10-25T05:59:59") == {"maria@example.com"}
    assert on_call(found, "2026-10-25T06:00:00") == set()


def test_a_start_that_does_not_exist_and_one_that_exists_twice() -> None:
    found = calendar(NIGHTS.replace("T220000", "T023000").replace("20260102", "20260101"))
    [spring] = found.shifts(local("2026-03-29T00:00"), local("2026-03-29T12:00"))
    assert instant_text(spring.start) == "2026-03-29T01:30:00.000000Z"  # 03:30, as if the clock had gone on
    [autumn] = found.shifts(local("2026-10-25T00:00"), local("2026-10-25T12:00"))
    assert instant_text(autumn.start) == "2026-10-25T00:30:00.000000Z"  # the first 02:30


def test_handovers_leave_no_gap_over_the_year() -> None:
    shift = """UID:{uid}
DTSTART;TZID=Europe/Berlin:202601{first}T090000
DTEND;TZID=Europe/Berlin:202601{last}T090000
RRULE:FREQ=WEEKLY;INTERVAL=2
SUMMARY:{uid}"""
    found = calendar(shift.format(uid="a", first="05", last="12"), shift.format(uid="b", first="12", last="19"))
    shifts = found.shifts(local("2026-01-05T09:00"), local("2027-01-04T09:00"))
    assert len(shifts) == 52
    assert all(one.end == other.start and one.summary != other.summary for one, other in pairwise(shifts))


@pytest.mark.parametrize(
    ("duration", "hours"),
    [("PT8H", 8), ("P1D", 23), ("P1DT1H", 25), ("PT15M", 0.25)],
)
def test_a_duration_in_days_is_of_the_calendar_and_one_in_hours_elapses(duration: str, hours: float) -> None:
    found = calendar(f"UID:1\nDTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:{duration}")
    [shift] = found.shifts(local("2026-03-28T00:00"), local("2026-03-30T00:00"))
    assert (shift.end - shift.start) / 3_600_000_000 == hours


def test_zones_of_other_names_and_of_both_ends() -> None:
    windows = calendar("UID:1\nDTSTART;TZID=W. Europe Standard Time:20260701T100000\nDURATION:PT1H")
    assert on_call(windows, "2026-07-01T10:30") == {""}
    flight = calendar(
        "UID:1\nDTSTART;TZID=Europe/Berlin:20261024T220000\nDTEND;TZID=America/New_York:20261024T180000\n"
        "RRULE:FREQ=DAILY;COUNT=2"
    )
    lengths = [one.end - one.start for one in flight.shifts(local("2026-10-24T00:00"), local("2026-10-27T00:00"))]
    assert lengths == [2 * 3_600_000_000] * 2
    utc = calendar("UID:1\nDTSTART:20260701T080000Z\nDTEND:20260701T090000Z\nSUMMARY:x", zone=None)
    assert on_call(utc, "2026-07-01T10:30") == {"x"}


def test_days_and_floating_times_are_of_the_zone_that_is_configured_or_of_the_file() -> None:
    day = "UID:1\nDTSTART;VALUE=DATE:20260701\nSUMMARY:x"
    assert on_call(calendar(day), "2026-07-01T00:00") == {"x"}
    assert on_call(calendar(day, zone=ZoneInfo("Asia/Tokyo")), "2026-06-30T17:00") == {"x"}
    assert on_call(calendar(day, zone=None, more="X-WR-TIMEZONE:Asia/Tokyo\n"), "2026-06-30T17:00") == {"x"}
    assert on_call(calendar("UID:1\nDTSTART:20260701T100000\nDURATION:PT1H\nSUMMARY:x"), "2026-07-01T10:30") == {"x"}
    with pytest.raises(CalendarInvalid, match=r"event 1: .* configure one"):
        calendar(day, zone=None)
    with pytest.raises(CalendarInvalid, match="configure one"):
        calendar(day, zone=None, more="X-WR-TIMEZONE:Middle/Earth\n")


def test_more_dates_can_be_listed() -> None:
    found = calendar(
        "UID:1\nDTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nRDATE;TZID=Europe/Berlin:20260705T100000,20260709T100000\nSUMMARY:x"
    )
    assert [day for day in range(1, 31) if on_call(found, f"2026-07-{day:02}T10:30")] == [1, 5, 9]


def test_the_newest_version_of_an_event_counts_and_a_cancelled_one_takes_its_changes_along() -> None:
    event = "UID:1\nSEQUENCE:{}\nDTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nSUMMARY:{}"
    assert on_call(calendar(event.format(2, "new"), event.format(1, "old")), "2026-07-01T10:30") == {"new"}
    change = "UID:1\nRECURRENCE-ID;TZID=Europe/Berlin:20260701T100000\nDTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nSUMMARY:other"
    assert on_call(calendar(event.format(1, "x"), change), "2026-07-01T10:30") == {"other"}
    assert on_call(calendar(event.format(1, "x") + "\nSTATUS:CANCELLED", change), "2026-07-01T10:30") == set()
    assert on_call(calendar(change), "2026-07-01T10:30") == {"other"}
    both = calendar(*(f"DTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\nSUMMARY:{one}" for one in "ab"))
    assert on_call(both, "2026-07-01T10:30") == {"a", "b"}


START = "UID:s3cret\nDTSTART;TZID=Europe/Berlin:20260701T100000\nDURATION:PT1H\n"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("UID:s3cret\nSUMMARY:x", "has no DTSTART"),
        ("UID:s3cret\nDTSTART:s3cret", "DTSTART cannot be read"),
        ("UID:s3cret\nDTSTART;TZID=Middle/Earth:20260701T100000", "zone is none of IANA"),
        (START + "DTSTART:20260701T100000Z", "DTSTART stands twice"),
        (START.replace("PT1H", "-PT1H"), "ends before it starts"),
        (START + "RRULE:FREQ=SECONDLY", "does not go by days"),
        (START + "RRULE:FREQ=HOURLY", "does not go by days"),
        (START + "RRULE:FREQ=s3cret", "RRULE cannot be read"),
        (START + "RRULE:FREQ=DAILY;BYSECOND=1", "BYSECOND of its RRULE is not understood"),
        (START + "RRULE:FREQ=DAILY;BYSETPOS=1", "BYSETPOS of its RRULE is not understood"),
        (START + "RRULE:FREQ=YEARLY;RSCALE=HEBREW;BYMONTH=5L", "RSCALE of its RRULE is not understood"),
        (START + "RRULE:FREQ=YEARLY;BYMONTH=5L", "of another calendar"),
        (START + "RRULE:FREQ=WEEKLY;BYDAY=2MO", "only months and years have"),
        (START + "RRULE:FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        (START + "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "several RRULEs"),
        (START + "EXRULE:FREQ=DAILY", "EXRULE"),
        (START + "RDATE;VALUE=PERIOD:20260701T100000Z/PT1H", "period"),
        (START + "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260701T100000", "RANGE"),
        (START + "SEQUENCE:s3cret", "cannot be read"),
    ],
)
def test_what_is_not_understood_refuses_the_file_without_telling_what_it_is(event: str, told: str) -> None:
    with pytest.raises(CalendarInvalid, match=told) as refused:
        calendar(NIGHTS, event)
    assert "event 2" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_change_of_another_kind_than_its_event_is_refused() -> None:
    with pytest.raises(CalendarInvalid, match="RECURRENCE-ID is a date"):
        calendar(START, START + "RECURRENCE-ID;VALUE=DATE:20260701")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"s3cret",
        b"BEGIN:VCALENDAR\n",
        b"BEGIN:VEVENT\nEND:VCALENDAR\n",
        b"\xff\xfe\x00",
        b"BEGIN:VCALENDAR\n" * 5_000,
        b"BEGIN:VCALENDAR\nBEGIN:VTIME\n ZONE\nTZID:x\nEND:VTIMEZONE\nEND:VCALENDAR\n",
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_calendar_is_refused(data: bytes) -> None:
    with pytest.raises(CalendarInvalid):
        calendar_of(data, BERLIN)


def test_too_many_shifts_are_refused_and_those_of_long_ago_cost_nothing() -> None:
    hours = ",".join(map(str, range(24)))
    minutes = ",".join(map(str, range(60)))
    found = calendar(START.replace("2026", "2000") + f"RRULE:FREQ=DAILY;BYHOUR={hours};BYMINUTE={minutes}")
    with pytest.raises(CalendarInvalid, match="too many times"):
        found.shifts(local("2026-07-01T00:00"), local("2026-07-02T00:00"))
    daily = calendar(START.replace("2026", "1950") + "RRULE:FREQ=DAILY")
    assert len(daily.shifts(local("2026-07-01T00:00"), local("2026-07-02T00:00"))) == 1
    late = calendar(START.replace("2026", "9999").replace("PT1H", "P900D") + "RRULE:FREQ=DAILY")
    with pytest.raises(CalendarInvalid, match="cannot be followed"):
        late.shifts(parse_instant("9999-12-01T00:00:00Z"), parse_instant("9999-12-30T00:00:00Z"))


# Rules against dateutil with all of their parts, and against days counted one by one.

PARTS = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])},
    optional={
        "INTERVAL": st.integers(1, 5).map(str),
        "COUNT": st.integers(1, 30).map(str),
        "BYDAY": st.lists(st.sampled_from(["MO", "WE", "SA", "SU"]), min_size=1, max_size=3, unique=True).map(",".join),
        "BYMONTH": st.lists(st.sampled_from(["1", "3", "10"]), min_size=1, max_size=2, unique=True).map(",".join),
        "BYMONTHDAY": st.lists(st.sampled_from(["1", "15", "-1", "-2"]), min_size=1, max_size=2, unique=True).map(
            ",".join
        ),
        "BYHOUR": st.sampled_from(["9", "9,21"]),
        "WKST": st.sampled_from(["MO", "SU"]),
    },
)


@settings(max_examples=volume(20, 60))
@given(PARTS, st.integers(0, 400))
def test_rules_name_the_times_that_dateutil_names(parts: dict[str, str], days: int) -> None:
    if parts["FREQ"] == "WEEKLY":
        parts.pop("BYMONTHDAY", None)  # has no meaning there
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    start, before = datetime(2026, 1, 1, 9) + timedelta(days=days), datetime(2029, 1, 1)  # noqa: DTZ001 - wall times
    rule = vRecur.from_ical(text)
    require_known(rule)
    expected = rrulestr(f"{text};UNTIL=20290101T000000" if "COUNT" not in parts else text, dtstart=start)
    assert list(recurrences(rule, start, before)) == [one for one in expected if one < before]


@settings(max_examples=volume(20, 60))
@given(
    st.integers(0, 23), st.integers(1, 30), st.sets(st.integers(0, 6), min_size=1), st.sets(st.integers(0, 20)),
    st.sampled_from(["2026-03-27", "2026-10-23", "2026-06-01"]),
)  # fmt: skip
def test_shifts_are_those_of_days_counted_one_by_one(
    hour: int, length: int, weekdays: set[int], left_out: set[int], first: str
) -> None:
    begin = datetime.fromisoformat(first).replace(hour=hour)
    names = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
    days = [begin + timedelta(days=n) for n in range(21)]
    wanted = [one for n, one in enumerate(days) if one.weekday() in weekdays and n not in left_out]
    end = begin + timedelta(hours=length)
    lines = [
        "UID:1", f"DTSTART;TZID=Europe/Berlin:{begin:%Y%m%dT%H%M%S}", f"DTEND;TZID=Europe/Berlin:{end:%Y%m%dT%H%M%S}",
        f"RRULE:FREQ=DAILY;BYDAY={','.join(names[day] for day in sorted(weekdays))}",
        *(f"EXDATE;TZID=Europe/Berlin:{days[n]:%Y%m%dT%H%M%S}" for n in sorted(left_out)),
    ]  # fmt: skip
    found = calendar("\n".join(lines)).shifts(local(first), local((begin + timedelta(days=21)).isoformat()))
    expected = [
        tuple(
            int(one.replace(tzinfo=BERLIN).astimezone(UTC).timestamp()) * 1_000_000
            for one in (day, day + timedelta(hours=length))
        )
        for day in wanted
    ]
    assert sorted((one.start, one.end) for one in found) == sorted(one for one in expected if one[0] < one[1])


@given(st.text(st.sampled_from("BEGIN:VEVNTUIDRS=;,20261Z\n -+"), max_size=200))
def test_any_text_is_a_calendar_or_is_refused(text: str) -> None:
    with suppress(CalendarInvalid):
        calendar_of(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{text}\nEND:VEVENT\nEND:VCALENDAR\n".encode(), BERLIN)


@given(st.text(st.sampled_from("FREQDAILYWK=;,BMONTH1239-+C"), max_size=60))
def test_any_rule_is_followed_or_refused(text: str) -> None:
    try:
        found = calendar(f"{START}RRULE:FREQ=DAILY;{text}")
        found.shifts(local("2026-07-01T00:00"), local("2026-07-05T00:00"))
    except (CalendarInvalid, RuleRefused):
        pass
