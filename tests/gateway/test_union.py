"""Calls that name no grant: one answer under all active grants that allow it, each line once, under the first of them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from urllib.parse import urlencode

import pytest
from tests.gateway.world import T0, TOKEN, ListReader, Tail, World, call, eventually, line, world
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from loglease.gateway import GatewaySettings
from loglease.gateway.admission import MAX_TOGETHER
from loglease.model.grant import GrantState
from loglease.model.limits import Limits
from loglease.model.scope import Level
from loglease.sources.interface import SourceUnavailable

SECOND = 10**9
MAIL = "mail bob@example.com"
KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    *(f"secretbody{n:02d}AbCdEfGhIjKlMn" for n in range(6)),
    "-----END RSA PRIVATE KEY-----",
]
LINES = [line(T0 + n * SECOND, f"line {n} {MAIL}", service="a", pod=str(n % 2)) for n in range(10)]
SPAN = f"start={T0}&end={T0 + 20 * SECOND}"
FORWARD = f"/logs?{SPAN}&direction=forward"


def loki(route: str, **parameters: object) -> str:
    return f"/loki/api/v1/{route}?{urlencode(parameters)}" + (f"&{SPAN}" if "time" not in parameters else "")


async def asked(w: World, route: str, **parameters: object) -> dict:
    answer = await call(w, loki(route, **parameters))
    assert answer.status == 200, answer.raw
    assert answer.whole
    return json.loads(answer.body)


async def served(w: World) -> dict[str, tuple[int, str]]:
    """Return lines and cause of each grant's only session."""
    entries = await w.entries("session.closed")
    assert len({one["ref"]["grant"] for one in entries}) == len(entries)
    return {one["ref"]["grant"]: (one["data"]["total"]["lines"], one["data"]["why"]) for one in entries}


def masked(text: str) -> bool:
    return "bob@example.com" not in text


@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_a_line_of_two_grants_comes_once_under_the_older_one(tmp_path, direction):
    async with world(tmp_path, lines=LINES) as w:
        older = await w.grant('{service="a", pod="1"}', profile="raw@1")
        newer = await w.grant('{service="a"}', profile="pii-default@1")
        answer = await call(w, f"/logs?{SPAN}&direction={direction}")
        numbers = [int(text.split()[1]) for text in answer.lines]
        assert numbers == (list(range(10)) if direction == "forward" else list(range(9, -1, -1)))
        assert all(masked(text) == (int(text.split()[1]) % 2 == 0) for text in answer.lines)
        assert (answer.end, answer.whole) == ("complete", True)
        assert await served(w) == {older.id: (5, "complete"), newer.id: (5, "complete")}


async def test_what_an_older_grant_covers_is_decided_by_its_window_and_its_own_line_rules(tmp_path):
    lines = [
        line(T0 + 0 * SECOND, f"level=error needle {MAIL}", service="a"),
        line(T0 + 1 * SECOND, f"level=info needle {MAIL}", service="a"),
        line(T0 + 2 * SECOND, f"level=error other {MAIL}", service="a"),
        line(T0 + 9 * SECOND, f"level=error needle {MAIL}", service="a"),
    ]
    async with world(tmp_path, lines=lines) as w:
        ruled = await w.grant(end_ns=T0 + 5 * SECOND, level=Level.ERROR, contains=("needle",), profile="raw@1")
        rest = await w.grant(profile="pii-default@1")
        for direction in ("forward", "backward"):
            answer = await call(w, f"/logs?{SPAN}&direction={direction}")
            texts = answer.lines if direction == "forward" else answer.lines[::-1]
            assert [masked(text) for text in texts] == [False, True, True, True]
        lines_of = Counter()
        for one in await w.entries("session.closed"):
            lines_of[one["ref"]["grant"]] += one["data"]["total"]["lines"]
        assert lines_of == {ruled.id: 2, rest.id: 6}


@pytest.mark.attack("GW-12")
async def test_line_rules_of_an_older_grant_look_at_what_its_own_redactor_leaves(tmp_path):
    lines = [line(T0, f"a {MAIL}", service="a")]
    async with world(tmp_path, lines=lines) as w:
        # Under its own profile the line does not hold what the older grant demands, so the line is the newer one's.
        await w.grant(contains=("bob@example.com",), profile="pii-default@1")
        newer = await w.grant(profile="raw@1")
        answer = await call(w, FORWARD)
        assert answer.lines == [f"a {MAIL}"]
        assert (await served(w))[newer.id] == (1, "complete")


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("border", [1, 4])
async def test_a_secret_that_begins_in_another_grants_line_stays_masked(tmp_path, direction, border):
    lines = [line(T0 + n * SECOND, text, service="a") for n, text in enumerate(KEY)]
    async with world(tmp_path, lines=lines) as w:
        await w.grant(end_ns=T0 + border * SECOND, profile="pii-default@1")
        await w.grant(profile="pii-default@1")
        answer = await call(w, f"/logs?{SPAN}&direction={direction}")
        assert len(answer.lines) == len(KEY)
        assert "secretbody" not in answer.body.decode()


async def test_grants_over_several_sources_make_one_answer_in_order(tmp_path):
    async with world(tmp_path, lines=LINES[::2]) as w:
        w.more_readers["two"] = ListReader(LINES[1::2])
        # It covers the same labels in another source, so it leaves nothing out here.
        await w.grant(source="two", profile="raw@1")
        await w.grant(profile="raw@1")
        assert [int(text.split()[1]) for text in (await call(w, FORWARD)).lines] == list(range(10))
        found = await asked(w, "query_range", query="{}", limit=3)
        assert [text.split()[1] for one in found["data"]["result"] for _, text in one["values"]] == ["8", "9", "7"]
        assert found["data"]["stats"]["summary"]["totalEntriesReturned"] == 3
        assert "warnings" not in found


@pytest.mark.parametrize("broken", ["src", "two"])
@pytest.mark.parametrize(
    "path", [FORWARD, loki("query_range", query="{}"), loki("series"), "/logs?follow=true&start=0"]
)
async def test_if_one_read_fails_the_call_fails(tmp_path, broken, path):
    async with world(tmp_path, lines=LINES[:1]) as w:
        w.more_readers["two"] = ListReader(LINES[1:2])
        await w.grant()
        await w.grant(source="two")
        failing = w.reader if broken == "src" else w.more_readers["two"]

        async def fails(*args: object):
            if args:
                raise SourceUnavailable("The source cannot be reached.", next_step="Try again.")
            yield

        failing.read = failing.series = failing.follow = fails  # type: ignore[assignment]
        answer = await call(w, path)
        if "follow" in path:
            assert (answer.status, answer.end) == (200, "source")
        else:
            assert answer.status == 502, answer.raw
        assert {why for _, why in (await served(w)).values()} == {"source"}


async def test_a_used_up_budget_ends_the_answer_after_what_it_allows(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        small = await w.grant('{service="a", pod="1"}', limits=Limits(lines=2))
        large = await w.grant('{service="a"}')
        answer = await call(w, FORWARD)
        assert [int(text.split()[1]) for text in answer.lines] == [0, 1, 2, 3, 4]
        assert (answer.status, answer.end, answer.whole) == (200, "ended", True)
        assert await served(w) == {small.id: (2, "ended"), large.id: (3, "ended")}
        stored = await w.stored_grant(small)
        assert (stored.state, stored.ended_why, stored.usage.lines) == (GrantState.ENDED, "used", 2)
        stored = await w.stored_grant(large)
        assert (stored.state, stored.usage.lines) == (GrantState.ACTIVE, 3)
        # What is over allows nothing any more, and covers nothing.
        assert len((await call(w, FORWARD)).lines) == 10


async def test_a_grant_without_queries_left_is_left_out_and_a_rate_refuses_the_call(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        await w.grant('{service="a", pod="1"}', limits=Limits(queries=1), profile="raw@1")
        newer = await w.grant('{service="a"}', profile="pii-default@1", limits=Limits(queries_per_min=2))
        assert sum(masked(text) for text in (await call(w, FORWARD)).lines) == 5
        await w.stored_grant(newer)
        assert sum(masked(text) for text in (await call(w, FORWARD)).lines) == 10
        assert (await call(w, FORWARD)).status == 429


async def test_an_opening_that_fails_closes_what_was_opened(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        await w.grant()
        await w.grant('{pod="1"}', limits=Limits(queries_per_min=1))
        assert (await call(w, FORWARD)).status == 200
        assert (await call(w, FORWARD)).status == 429
        opened, closed = await w.entries("session.opened"), await w.entries("session.closed")
        assert {one["ref"]["session"] for one in opened} == {one["ref"]["session"] for one in closed}
        assert len(opened) == 3


async def test_grants_that_do_not_allow_the_call_take_no_part(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        inside = await w.grant()
        await w.grant('{service="b"}')
        await w.grant(start_ns=T0 + 50 * SECOND)
        scheduled = await w.grant(state=GrantState.SCHEDULED)
        await w.grant(holder=w.bob)
        answer = await call(w, f"{FORWARD}&query=%7Bservice%3D%22a%22%7D")
        assert len(answer.lines) == 10
        assert set(await served(w)) == {inside.id}
        assert (await w.stored_grant(scheduled)).state is GrantState.SCHEDULED


async def test_a_call_outside_all_grants_says_what_each_covers(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        await w.grant('{service="a"}')
        await w.grant('{service="b"}')
        refused = await call(w, f"{FORWARD}&query=%7Bservice%3D%22c%22%7D")
        assert refused.status == 403
        for one in ("a", "b"):
            assert f"the query asks for service=c, the grant covers service={one}".encode() in refused.body
        found = await asked(w, "query_range", query='{service="c"}')
        assert (found["data"]["result"], len(found["warnings"])) == ([], 2)
        found = await asked(w, "query_range", query='{service="b"}')
        assert "warnings" not in found


async def test_more_grants_than_one_answer_is_made_under_are_refused(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        for _ in range(MAX_TOGETHER):
            await w.grant()
        assert len((await call(w, FORWARD)).lines) == 10
        await w.grant()
        refused = await call(w, FORWARD)
        assert (refused.status, refused.body.startswith(b"grant_ambiguous")) == (409, True)


async def test_more_grants_than_are_looked_at_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("loglease.gateway.grant_index.GrantIndex.reread.__defaults__", (2,))
    async with world(tmp_path, lines=LINES) as w:
        for status in (200, 200, 409):
            await w.grant()
            assert (await call(w, FORWARD)).status == status


async def test_sessions_of_one_answer_count_each(tmp_path):
    async with world(tmp_path, lines=LINES, settings=GatewaySettings(queries=1)) as w:
        await w.grant()
        assert (await call(w, FORWARD)).status == 200
        await w.grant()
        assert (await call(w, FORWARD)).status == 503


# What a tail and an open body do once a grant is cut.


@pytest.mark.parametrize("cut", [0, 1])
async def test_revoking_one_grant_ends_a_followed_answer(tmp_path, cut):
    async with world(tmp_path) as w:
        grants = [await w.grant('{service="a"}'), await w.grant('{service="b"}')]
        tail = await Tail.open(w, "/logs?follow=true&start=0")
        await tail.head()
        w.reader.add(line(T0, "one", service="a"), line(T0 + 1, "two", service="b"))
        assert {(await tail.next())["line"], (await tail.next())["line"]} == {"one", "two"}
        await w.revoke(grants[cut])
        w.reader.add(line(T0 + 2, "late", service="a"), line(T0 + 3, "late", service="b"))
        answer = await tail.rest()
        assert b"late" not in answer.body
        assert answer.end == "revoked"
        assert await served(w) == {grant.id: (1, "revoked") for grant in grants}
        assert (await w.stored_grant(grants[1 - cut])).state is GrantState.ACTIVE


@pytest.mark.parametrize("cut", [0, 1])
async def test_revoking_one_grant_cuts_an_open_body(tmp_path, cut):
    lines = [line(T0 + n, "x" * 2_000, service="ab"[n % 2]) for n in range(4_000)]
    async with world(tmp_path, lines=lines) as w:
        grants = [await w.grant('{service="a"}'), await w.grant('{service="b"}')]
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=4_096)
        writer.write(f"GET {FORWARD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        await reader.readexactly(4_096)
        await w.revoke(grants[cut])
        await eventually(lambda: w.gateway.open_sessions == 0)
        writer.close()
        lines_of = await served(w)
        assert {why for _, why in lines_of.values()} == {"revoked"}
        assert sum(count for count, _ in lines_of.values()) < 4_000


async def test_a_tail_gives_the_newest_lines_of_all_grants_then_live_ones_and_closes_with_the_cut(tmp_path):
    async with world(tmp_path) as w:
        now = w.clock.now() * 1_000
        w.reader.lines = [line(now - (100 - n) * SECOND, f"old {n}", service="ab"[n % 2]) for n in range(9)]
        w.more_readers["two"] = ListReader([line(now - 95 * SECOND - 1, "elsewhere", service="c")])
        first = await w.grant('{service="a"}')
        await w.grant('{service=~"a|b"}')
        await w.grant('{service="c"}', source="two")
        url = f"ws://127.0.0.1:{w.port}/loki/api/v1/tail?{urlencode({'query': '{}', 'start': 0, 'limit': 6})}"
        client = await connect(url, additional_headers=[("Authorization", f"Bearer {TOKEN}")], compression=None)

        async def text() -> str:
            return json.loads(await asyncio.wait_for(client.recv(), 10))["streams"][0]["values"][0][1]

        assert [await text() for _ in range(6)] == ["old 4", "elsewhere", "old 5", "old 6", "old 7", "old 8"]
        w.reader.add(line(now + 10 * SECOND, "live a", service="a"), line(now + 11 * SECOND, "live b", service="b"))
        w.more_readers["two"].add(line(now + 12 * SECOND, "live c", service="c"))
        assert sorted([await text() for _ in range(3)]) == ["live a", "live b", "live c"]
        await w.revoke(first)
        with pytest.raises(ConnectionClosed) as closed:
            await text()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "grant revoked")
        assert sorted(count for count, _ in (await served(w)).values()) == [2, 3, 4]


# Numbers and names.


async def test_a_metric_counts_each_line_once_and_is_on_the_record_of_each_grant(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        await w.grant('{service="a", pod="1"}', profile="raw@1")
        await w.grant('{service="a"}', profile="pii-default@1")
        at = (T0 + 15 * SECOND) // SECOND
        for query, number in (
            ("sum(count_over_time({} [1m]))", "10"),
            ('sum(count_over_time({} | regexp "line (?P<n>[0-9]+)" | n > 3 [1m]))', "6"),
            ('max(last_over_time({} | regexp "line (?P<n>[0-9]+)" | unwrap n [1m]) by (service))', "9"),
            ('count_over_time({} |= "bob@example.com" [1m])', "5"),
        ):
            found = await asked(w, "query", query=query, time=at)
            assert [one["value"][1] for one in found["data"]["result"]] == [number], query
        entries = await w.entries("session.closed")
        assert [one["data"]["total"]["lines"] for one in entries] == [1] * 8
        found = await asked(w, "index/volume", query="{}")
        plain = len(LINES[0].text)
        assert int(found["data"]["result"][0]["value"][1]) > 5 * plain
        answer = await call(w, f"/logs?{SPAN}&query={'sum(count_over_time({}[1m]))'}")
        assert json.loads(answer.body)["data"]["result"][0]["value"][1] == "10"


async def test_names_are_those_of_all_grants_each_once(tmp_path):
    lines = [*LINES, line(T0, "x", service="b", zone="z")]
    async with world(tmp_path, lines=lines) as w:
        one = await w.grant('{service="a", pod="1"}')
        two = await w.grant('{service="a"}')
        three = await w.grant('{service="b"}')
        assert (await asked(w, "labels"))["data"] == ["pod", "service", "zone"]
        totals = {grant: count for grant, (count, _) in (await served(w)).items()}
        assert totals == {one.id: 2, two.id: 0, three.id: 1}
        assert (await asked(w, "label/service/values"))["data"] == ["a", "b"]
        assert (await asked(w, "series", match='{service="a"}'))["data"] == [
            {"pod": "0", "service": "a"},
            {"pod": "1", "service": "a"},
        ]
        detected = (await asked(w, "detected_labels"))["detectedLabels"]
        assert {one["label"]: one["cardinality"] for one in detected} == {"pod": 2, "service": 2, "zone": 1}
        assert (await asked(w, "index/stats"))["entries"] == 0


async def test_fields_are_those_of_the_newest_lines_of_all_grants(tmp_path):
    lines = [line(T0 + n, json.dumps({f"key{n}": "v"}), service="ab"[n % 2]) for n in range(6)]
    async with world(tmp_path, lines=lines) as w:
        await w.grant('{service="a"}')
        await w.grant('{service="b"}')
        found = await asked(w, "detected_fields", query="{}", line_limit=3)
        assert [one["label"] for one in found["fields"] if one["label"] != "detected_level"] == ["key3", "key4", "key5"]


HIDDEN = [
    line(T0 - SECOND, "before the windows", service="a", pod="2"),
    *(line(T0 + n * SECOND, f"hidden {MAIL}", service="z", pod="0", secret=str(n)) for n in range(0, 10, 2)),
    *(line(T0 + n * SECOND, "hidden level=debug", service="c", pod="9") for n in range(4)),
]
ROUTES = (
    FORWARD,
    f"/logs?{SPAN}&limit=3",
    loki("query_range", query="{}"),
    loki("query_range", query="sum by (pod) (count_over_time({}[3s]))"),
    loki("query", query='max_over_time({} | regexp "line (?P<n>.)" | unwrap n [1m])', time=T0 // SECOND + 20),
    loki("labels"),
    loki("label/pod/values"),
    loki("series"),
    loki("index/volume", query="{}"),
    loki("detected_labels"),
    loki("detected_fields"),
)


@pytest.mark.attack("GW-12")
@pytest.mark.parametrize("route", ROUTES, ids=[f"route{number}" for number in range(len(ROUTES))])
async def test_what_no_grant_covers_changes_no_byte(tmp_path, route):
    async with world(tmp_path, loose=True, page_lines=3) as w:
        await w.grant('{service="a", pod="1"}', start_ns=T0, profile="raw@1")
        await w.grant('{service=~"a|b"}', start_ns=T0, profile="pii-default@1")
        await w.grant('{service="c"}', start_ns=T0, level=Level.INFO, profile="raw@1")
        answers = []
        for lines in (LINES, sorted([*HIDDEN, *LINES], key=lambda one: one.ts)):
            w.reader.lines = lines
            answers.append((await call(w, route)).raw)
            await w.entries("session.closed")
        assert answers[0] == answers[1]
        assert b"200 OK" in answers[0]


# Going on where an answer stopped.


@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_pages_of_an_answer_under_several_grants_lose_and_repeat_nothing(tmp_path, direction):
    lines = [line(T0 + n // 4, f"line {n}", service="ab"[n % 2]) for n in range(23)]
    async with world(tmp_path, lines=lines) as w:
        await w.grant('{service="a"}')
        await w.grant('{service=~"a|b"}')
        path = f"/logs?{SPAN}&direction={direction}"
        whole = (await call(w, path)).lines
        got: list[str] = []
        resume: list[str] = []
        while len(got) < len(whole):
            part = await call(w, f"{path}&limit=4", TOKEN, *resume)
            got += part.lines
            resume = [f"Last-Event-ID: {part.records[-1]['resume']}"]
        assert got == whole
        assert Counter(got) == Counter(f"line {n}" for n in range(23))


async def test_events_carry_where_the_whole_answer_goes_on(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="ab"[n % 2]) for n in range(8)]
    async with world(tmp_path, lines=lines) as w:
        await w.grant('{service="a"}')
        await w.grant('{service="b"}')
        sse = "Accept: text/event-stream"
        whole = (await call(w, FORWARD, TOKEN, sse)).body.decode()
        events = [one for one in whole.split("\n\n") if "event: line" in one]
        ids = [one.split("\n")[0].removeprefix("id: ") for one in events]
        assert len(set(ids)) == 8
        for number in (0, 3, 6):
            rest = (await call(w, FORWARD, TOKEN, sse, f"Last-Event-ID: {ids[number]}")).body.decode()
            assert [one for one in rest.split("\n\n") if "event: line" in one] == events[number + 1 :]


async def test_a_followed_answer_goes_on_where_it_stopped(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="ab"[n % 2]) for n in range(6)]
    async with world(tmp_path, lines=lines) as w:
        await w.grant('{service="a"}')
        await w.grant('{service="b"}')
        path = "/logs?follow=true&start=0"
        answer = await call(w, f"{path}&limit=4")
        assert len(answer.lines) == 4
        rest = await call(w, f"{path}&limit=2", TOKEN, f"Last-Event-ID: {answer.records[-1]['resume']}")
        assert sorted(answer.lines + rest.lines) == [f"line {n}" for n in range(6)]


async def test_a_resume_value_of_other_grants_is_refused_and_opens_nothing(tmp_path):
    async with world(tmp_path, lines=LINES) as w:
        first = await w.grant()
        resume = (await call(w, f"{FORWARD}&limit=2")).records[-1]["resume"]
        assert (await call(w, FORWARD, TOKEN, f"Last-Event-ID: {resume}")).status == 200
        second = await w.grant('{service="a", pod="1"}')
        opened = len(await w.entries("session.opened"))
        refused = await call(w, FORWARD, TOKEN, f"Last-Event-ID: {resume}")
        assert (refused.status, refused.body.startswith(b"invalid_cursor")) == (400, True)
        assert b"other grants" in refused.body
        assert len(await w.entries("session.opened")) == opened
        both = (await call(w, f"{FORWARD}&limit=2")).records[-1]["resume"]
        header = f"Last-Event-ID: {both}"
        assert len((await call(w, FORWARD, TOKEN, header)).lines) == 8
        for named in (first, second):
            assert (await call(w, f"/g/{named.id}{FORWARD}", TOKEN, header)).status == 400
        await w.revoke(second)
        assert (await call(w, FORWARD, TOKEN, header)).status == 400
