from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.instant import parse_event_time
from loglease.sources.files.formats import FORMATS, SAMPLE_LINES, FileTimes, Zoned, detect

FILE = parse_event_time("2026-11-23T12:00:00Z")


def read(name: str, line: bytes, zone: str = "UTC", file_ns: int = FILE) -> int | None:
    return FORMATS[name](line, Zoned(zone, file_ns))


@pytest.mark.parametrize(
    ("name", "line", "time"),
    [
        ("rfc3339", b"2026-11-23T09:30:00Z hello", "2026-11-23T09:30:00Z"),
        ("rfc3339", b"2026-11-23T09:30:00.123456789Z hello", "2026-11-23T09:30:00.123456789Z"),
        ("rfc3339", b"2026-11-23T09:30:00.1234567891Z more digits", "2026-11-23T09:30:00.123456789Z"),
        ("rfc3339", b"2026-11-23 09:30:00,120 INFO python", "2026-11-23T09:30:00.12Z"),
        ("rfc3339", b"[2026-11-23T09:30:00+02:00] x", "2026-11-23T07:30:00Z"),
        ("rfc3339", b"2026-11-23T09:30:00-0330 x", "2026-11-23T13:00:00Z"),
        ("rfc3339", b"2026/11/23 09:30:00 [error] nginx", "2026-11-23T09:30:00Z"),
        ("rfc3339", b"2016-12-31T23:59:60Z a leap second", "2017-01-01T00:00:00Z"),
        ("rfc5424", b"<34>1 2026-11-23T09:30:00.003Z host app - - x", "2026-11-23T09:30:00.003Z"),
        ("rfc3164", b"<34>Nov 23 09:30:00 host app: x", "2026-11-23T09:30:00Z"),
        ("rfc3164", b"Nov  3 09:30:00 host app: x", "2026-11-03T09:30:00Z"),
        ("clf", b'1.2.3.4 - u [23/Nov/2026:09:30:00 +0100] "GET /" 200 1', "2026-11-23T08:30:00Z"),
        ("klog", b"I1123 09:30:00.123456   12 main.go:3] x", "2026-11-23T09:30:00.123456Z"),
        ("epoch", b"1795426200 x", "2026-11-23T09:30:00Z"),
        ("epoch", b"1795426200.25 x", "2026-11-23T09:30:00.25Z"),
        ("epoch", b"1795426200123 x", "2026-11-23T09:30:00.123Z"),
        ("epoch", b"1795426200123456 x", "2026-11-23T09:30:00.123456Z"),
        ("epoch", b"[1795426200123456789] x", "2026-11-23T09:30:00.123456789Z"),
        ("json", b'{"level":"info","ts":1795426200.5,"msg":"x"}', "2026-11-23T09:30:00.5Z"),
        ("json", b'{"time":"2026-11-23T09:30:00Z","msg":"ts"}', "2026-11-23T09:30:00Z"),
        ("json", b'{"@timestamp":"2026-11-23T09:30:00.5+01:00"}', "2026-11-23T08:30:00.5Z"),
        ("json", b'{"t":1795426200123}', "2026-11-23T09:30:00.123Z"),
        ("json", b'{"inner":{"ts":1},"timestamp":"1795426200"}', "2026-11-23T09:30:00Z"),
        ("logfmt", b'level=info msg="a time=1" time="2026-11-23 09:30:00" x', "2026-11-23T09:30:00Z"),
        ("logfmt", b"ts=2026-11-23T09:30:00Z caller=x", "2026-11-23T09:30:00Z"),
        ("logfmt", b"t=1795426200 x=y", "2026-11-23T09:30:00Z"),
        ("iso", b"INFO  main 2026-11-23 09:30:00.5 x", "2026-11-23T09:30:00.5Z"),
    ],
)
def test_a_format_reads_its_time(name, line, time):
    assert read(name, line) == parse_event_time(time)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rfc3339", b"2026-13-01T00:00:00Z"),
        ("rfc3339", b"2026-02-30T00:00:00Z"),
        ("rfc3339", b"2026-11-23T25:00:00Z"),
        ("rfc3339", b"9999-11-23T25:00:00Z"),
        ("rfc3339", b"2999-11-23T05:00:00Z beyond what 64 bits hold"),
        ("epoch", b"17954262001 eleven digits"),
        ("epoch", b"9999999999999999999 too much"),
        ("json", b'{"ts":true}'),
        ("json", b'{"ts":null}'),
        ("json", b'{"ts":'),
        ("json", b"[1]"),
        ("klog", b"I1323 09:30:00.1 x"),
        ("rfc3164", b"Nov 31 09:30:00 x"),
        ("logfmt", b"=== a = b"),
    ],
)
def test_what_is_no_time_is_none(name, line):
    assert read(name, line) is None


def test_a_year_is_chosen_nearest_to_the_file_and_not_over_a_day_after_it():
    new_year = parse_event_time("2027-01-01T00:10:00Z")
    assert read("rfc3164", b"Dec 31 23:59:00 h x", file_ns=new_year) == parse_event_time("2026-12-31T23:59:00Z")
    assert read("rfc3164", b"Jan  1 23:59:00 h x", file_ns=new_year) == parse_event_time("2027-01-01T23:59:00Z")
    assert read("rfc3164", b"Jan  2 01:00:00 h x", file_ns=new_year) == parse_event_time("2026-01-02T01:00:00Z")
    assert read("rfc3164", b"Feb 29 01:00:00 h x", file_ns=new_year) == parse_event_time("2024-02-29T01:00:00Z")


def test_a_zone_holds_only_where_the_line_names_none():
    assert read("rfc3339", b"2026-07-01 12:00:00 x", "Europe/Berlin") == parse_event_time("2026-07-01T10:00:00Z")
    assert read("rfc3339", b"2026-07-01 12:00:00Z x", "Europe/Berlin") == parse_event_time("2026-07-01T12:00:00Z")
    assert read("rfc3339", b"2026-07-01 12:00:00 x", "-03:30") == parse_event_time("2026-07-01T15:30:00Z")


@given(
    moment=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 - Hypothesis wants none
    minutes=st.integers(-840, 840),
    separator=st.sampled_from("T "),
    digits=st.integers(0, 9),
    nanos=st.integers(0, 10**9 - 1),
)
def test_rfc3339_gives_back_what_was_written(moment, minutes, separator, digits, nanos):
    zone = timezone(timedelta(minutes=minutes))
    moment = moment.replace(microsecond=0, tzinfo=zone)
    fraction = f".{nanos:09d}"[: digits + 1] if digits else ""
    offset = moment.isoformat()[19:]
    line = f"{moment.isoformat(separator)[:19]}{fraction}{offset} some text".encode()
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    assert read("rfc3339", line) == seconds * 10**9 + int((fraction[1:] or "0").ljust(9, "0"))


@given(st.binary(max_size=200))
def test_no_bytes_break_a_format(line):
    zoned = Zoned("UTC", FILE)
    for time_of in FORMATS.values():
        time = time_of(line, zoned)
        assert time is None or 0 <= time < 1 << 63


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.dictionaries(st.sampled_from(["ts", "time", "t", "x"]), inner)))  # fmt: skip
def test_no_json_breaks_a_format(value):
    time = read("json", orjson.dumps({"ts": value, "t": value}))
    assert time is None or 0 <= time < 1 << 63


def test_detection_wants_nine_tenths():
    good, bad = b"2026-11-23T09:30:00Z x", b"  at some.place"
    assert detect([good] * 9 + [bad], Zoned()) == "rfc3339"
    assert detect([good] * 8 + [bad] * 2, Zoned()) is None
    assert detect([], Zoned()) is None
    assert detect([b"", b""], Zoned()) is None


def test_the_format_is_settled_by_the_first_hundred_entries():
    times = FileTimes()
    times.times([b"1795426200 x"] * 60, file_ns=FILE)
    settled = [times.settled]
    times.times([b"1795426200 x"] * 60, file_ns=FILE)
    assert [*settled, times.settled] == [False, True]
    assert times.format == "epoch"
    assert list(times.times([b"2026-11-23T09:30:00Z x"], file_ns=FILE)) == [parse_event_time("2026-11-23T09:30:00Z")]


def test_another_format_after_the_sample_is_not_detected():
    times = FileTimes()
    times.times([b"1795426200 x"] * SAMPLE_LINES, file_ns=FILE)
    assert list(times.times([b"I1123 10:00:00.1 x"], file_ns=FILE)) == [1_795_426_200 * 10**9]


def test_a_line_without_a_time_takes_the_last_one_else_the_file_s():
    times = FileTimes("rfc3339")
    found = times.times([b"start", b"2026-11-23T09:30:00Z a", b"b", b"2026-11-23T09:31:00Z c", b"d"], file_ns=FILE)
    first, second = parse_event_time("2026-11-23T09:30:00Z"), parse_event_time("2026-11-23T09:31:00Z")
    assert list(found) == [FILE, first, first, second, second]
    assert list(times.times([b"e"], file_ns=FILE + 5)) == [second]
    assert times.last_ns == second


def test_a_file_without_times_takes_its_own():
    times = FileTimes()
    assert list(times.times([b"a", b"b"], file_ns=FILE)) == [FILE, FILE]
    assert list(times.times([b"c"], file_ns=FILE + 7)) == [FILE + 7]
