"""Parameters, formats and times: what is read, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.gateway.errors import CursorInvalid, NotAcceptable, TooLarge
from loglease.gateway.parameters import parameters_of
from loglease.gateway.request import Format, accepts_only_json, format_of, resume_text
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant, Interval
from loglease.sources.interface import Direction

NOW = Instant(1_700_000_000_000_000)
NOW_NS = NOW * 1_000
HOUR = 3_600 * 10**9


def test_what_is_not_said_has_a_default():
    found = parameters_of(b"", NOW)
    assert found.query == "{}"
    assert found.interval == Interval(NOW_NS - HOUR, NOW_NS)
    assert (found.limit, found.direction, found.follow) == (None, Direction.BACKWARD, False)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("1700000000", 1_700_000_000 * 10**9),
        ("1600000000.5", 1_600_000_000_500_000_000),
        ("1600000000.1239", 1_600_000_000_124_000_000),
        ("1600000000000000001", 1_600_000_000_000_000_001),
        ("2020-09-13T12:26:40Z", 1_600_000_000 * 10**9),
        ("2020-09-13T14:26:40.000000007%2B02:00", 1_600_000_000 * 10**9 + 7),
        ("0", 0),
    ],
)
def test_times_come_in_four_forms(text, start):
    assert parameters_of(f"start={text}&end=1700000001".encode(), NOW).interval.start == start


def test_since_counts_from_the_end():
    assert parameters_of(b"since=1h30m", NOW).interval == Interval(NOW_NS - 3 * HOUR // 2, NOW_NS)
    assert parameters_of(b"since=500ms&end=1000", NOW).interval == Interval(10**12 - 500_000_000, 10**12)
    assert parameters_of(b"since=1d&follow=true", NOW).interval == Interval(NOW_NS - 24 * HOUR, None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"start=1&start=2", "malformed"),
        (b"start=1&st%61rt=2", "malformed"),
        (b"query=%7B%7D&query=%7B%7D", "malformed"),
        (b"limit=0", "malformed"),
        (b"limit=-1", "malformed"),
        (b"limit=1e3", "malformed"),
        (b"limit=", "malformed"),
        (b"limit=%D9%A1", "malformed"),
        (b"direction=sideways", "malformed"),
        (b"follow=yes", "malformed"),
        (b"follow=true&direction=backward", "malformed"),
        (b"follow=true&end=5", "malformed"),
        (b"start=yesterday", "malformed"),
        (b"start=-5", "malformed"),
        (b"start=99999999999999999999", "malformed"),
        (b"start=2020-09-13T12:26:40", "malformed"),
        (b"since=0s", "malformed"),
        (b"since=1.5h", "malformed"),
        (b"since=", "malformed"),
        (b"query=%ff", "malformed"),
        (b"regexp=x", "unknown_parameter"),
        (b"start=10&end=5", "query_invalid"),
        (b"access_token=x", "malformed"),
        (b"query=llp_abcdefghijklmnopqrstuvwx", "malformed"),
    ],
)
def test_wrong_parameters_are_refused(query, code):
    with pytest.raises(LogLeaseError) as caught:
        parameters_of(query, NOW)
    assert caught.value.code == code


def test_names_that_are_not_listed_are_ignored():
    assert parameters_of(b"shards=1&interval=2&unknown=3&unknown=4", NOW) == parameters_of(b"", NOW)


def test_parameters_have_a_bound():
    with pytest.raises(TooLarge):
        parameters_of(b"x=" + b"y" * 300_000, NOW)
    with pytest.raises(TooLarge):
        parameters_of(b"&".join(b"a%d=1" % n for n in range(200)), NOW)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(query):
    try:
        found = parameters_of(query, NOW)
    except LogLeaseError:
        return
    assert found.interval.start >= 0


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"", Format.NDJSON),
        (b"*/*", Format.NDJSON),
        (b"text/event-stream", Format.SSE),
        (b"text/plain", Format.TEXT),
        (b"text/plain;q=0.2, application/x-ndjson", Format.NDJSON),
        (b"text/html,application/xhtml+xml,*/*;q=0.8", Format.NDJSON),
        (b"text/event-stream, */*", Format.SSE),
    ],
)
def test_the_format_is_what_the_client_prefers(accept, expected):
    assert format_of([(b"accept", accept)]) is expected


@pytest.mark.parametrize("accept", [b"application/json", b"text/plain;q=0", b"image/png", b"text/plain;q=x"])
def test_other_formats_are_refused(accept):
    with pytest.raises(NotAcceptable):
        format_of([(b"accept", accept)])


def test_errors_are_json_only_where_nothing_else_is_named():
    assert accepts_only_json([(b"accept", b"application/json")])
    assert not accepts_only_json([(b"accept", b"application/json, */*")])
    assert not accepts_only_json([])


def test_a_resume_value_has_one_form():
    assert resume_text([]) is None
    assert resume_text([(b"last-event-id", b"abc")]) == "abc"
    for bad in ([(b"last-event-id", b"a b")], [(b"last-event-id", b"a"), (b"last-event-id", b"b")]):
        with pytest.raises(CursorInvalid):
            resume_text(bad)
