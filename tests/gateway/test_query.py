"""Queries over a real socket: what comes, in which shape and order, and what never does."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateway.world import T0, TOKEN, Tail, call, line, page_of, request_bytes, world

from loglease.access.errors import NotFound
from loglease.audit.interface import AuditUnavailable
from loglease.model.grant import GrantState
from loglease.model.limits import Limits
from loglease.model.scope import Level
from loglease.redaction import Withheld
from loglease.sources.interface import SourceTimeout

SECOND = 10**9


async def test_a_query_gives_the_lines_of_the_grant_and_says_how_it_ended(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a" if n % 2 else "b") for n in range(10)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.status == 200
        assert answer.lines == [f"line {n}" for n in range(1, 10, 2)]
        assert answer.end == "complete"
        assert answer.whole
        record = answer.records[0]
        assert record["ts"] == str(T0 + 1)
        assert record["time"] == "2023-11-14T22:13:20.000000001Z"
        assert record["labels"] == {"service": "a"}
        assert record["metadata"] == {"detected_level": "unknown"}
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("x-accel-buffering") == "no"
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["total"]["lines"] == 5
        assert closed[0]["data"]["total"]["bytes"] == sum(len(one) + 1 for one in answer.body.splitlines()[:-1])


@pytest.mark.attack("IN-03")
async def test_what_a_loose_source_gives_beyond_the_scope_is_dropped_and_counted(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a" if n % 2 else "b") for n in range(10)]
    async with world(tmp_path, lines=lines, loose=True) as w:
        grant = await w.grant(start_ns=T0 + 3, end_ns=T0 + 8)
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.lines == ["line 3", "line 5", "line 7"]
        assert w.gateway.violations.by_source == {"src": 7}


async def test_line_rules_hold_after_redaction(tmp_path):
    lines = [
        line(T0, "level=debug pay", service="a"),
        line(T0 + 1, "level=error pay", service="a"),
        line(T0 + 2, "level=error other", service="a"),
        line(T0 + 3, "level=error for pay@example.com", service="a"),
    ]
    async with world(tmp_path, lines=lines, loose=True) as w:
        grant = await w.grant(level=Level.WARN, contains=("pay",), profile="pii-default@1")
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.lines == ["level=error pay"]


async def test_the_newest_lines_come_first_unless_asked_otherwise(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(250)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        assert answer.lines == [f"line {n}" for n in reversed(range(250))]
        limited = await call(w, f"/g/{grant.id}/logs?start=0&limit=3")
        assert limited.lines == ["line 249", "line 248", "line 247"]
        assert limited.end == "complete"


async def test_filters_see_redacted_text_only(tmp_path):
    lines = [
        line(T0, "mail to ann@example.com failed", service="a"),
        line(T0 + 1, "mail to nobody failed", service="a"),
    ]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(profile="pii-default@1")
        path = f"/g/{grant.id}/logs?start=0&direction=forward"
        every = await call(w, path)
        token = every.lines[0].split()[2]
        assert token.startswith("⟦email")
        assert (await call(w, f"{path}&query=%7C%3D%20%22ann%22")).lines == []
        assert (await call(w, f"{path}&query=%7C%3D%20%22email%22")).lines == []
        encoded = "".join(f"%{byte:02X}" for byte in f'|= "{token}"'.encode())
        assert (await call(w, f"{path}&query={encoded}")).lines == every.lines[:1]
        assert (await call(w, f"{path}&query=%21%3D%20%22nobody%22")).lines == every.lines[:1]


async def test_labels_and_metadata_are_redacted_and_a_source_derives_no_level(tmp_path):
    metadata = (("detected_level", "fatal"), ("user", "ann@example.com"))
    lines = [line(T0, "plain info", metadata, service="a", owner="ann@example.com")]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(profile="pii-default@1")
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        record = answer.records[0]
        assert b"ann@" not in answer.body
        assert record["labels"]["owner"] == record["metadata"]["user"]
        assert record["metadata"]["detected_level"] == "info"
        batches = await w.entries("session.closed")
        assert batches[0]["data"]["settled"]["lines"] == 1


async def test_a_stream_is_selected_by_its_redacted_labels(tmp_path):
    lines = [line(T0, "one", service="a", owner="ann@example.com"), line(T0 + 1, "two", service="a", owner="team")]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(profile="pii-default@1")
        path = f"/g/{grant.id}/logs?start=0&query="
        assert (await call(w, path + "%7Bowner%3D%22ann%40example.com%22%7D")).lines == []
        assert (await call(w, path + "%7Bowner%3D~%22.%2Bexample.%2B%22%7D")).lines == []
        assert (await call(w, path + "%7Bowner%3D%22team%22%7D")).lines == ["two"]
        assert (await call(w, path + "%7Bowner%21%3D%22team%22%7D")).lines == ["one"]


async def test_odd_lines_arrive_as_one_record_each(tmp_path):
    texts = [b"", b"two\nlines", b"\xff\xfe broken", "é – ⟦email⟧".encode(), b"x" * 5_000, b"y" * 150_000]
    lines = [line(T0 + n, text, service="a") for n, text in enumerate(texts)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert len(answer.lines) == len(texts)
        assert answer.lines[0] == ""
        assert answer.lines[1] == "two\nlines"
        assert answer.lines[4] == "x" * 5_000
        assert answer.lines[5] == "y" * 150_000
        assert "⟦email⟧" not in answer.lines[3]
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "complete"


async def test_text_and_events_carry_the_same_lines(tmp_path):
    lines = [line(T0, "one\ntwo", service="a"), line(T0 + 1, "three", service="a")]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/logs?start=0&direction=forward"
        text = await call(w, path, TOKEN, "Accept: text/plain")
        assert text.body == b"one\\ntwo\nthree\n-- end: complete\n"
        events = await call(w, path, TOKEN, "Accept: text/event-stream")
        blocks = events.body.decode().strip().split("\n\n")
        assert [block.split("\n")[1] for block in blocks] == ["event: line", "event: line", "event: end"]
        assert json.loads(blocks[0].split("data: ")[1])["line"] == "one\ntwo"
        assert all(block.startswith("id: ") for block in blocks)


@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_an_answer_goes_on_where_it_stopped(tmp_path, direction):
    lines = [line(T0 + n // 3, f"line {n}", service="a") for n in range(20)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/logs?start=0&direction={direction}"
        whole = (await call(w, path)).lines
        got: list[str] = []
        resume: list[str] = []
        for _ in range(5):
            part = await call(w, f"{path}&limit=4", TOKEN, *resume)
            got += part.lines
            resume = [f"Last-Event-ID: {part.records[-1]['resume']}"]
        assert got == whole


async def test_a_resume_value_is_no_right_and_serves_one_query(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(5)]
    async with world(tmp_path, lines=lines) as w:
        grant, other = await w.grant(), await w.grant()
        path = f"/g/{grant.id}/logs?start=0&limit=2"
        resume = (await call(w, path)).records[-1]["resume"]
        header = f"Last-Event-ID: {resume}"
        assert (await call(w, path, TOKEN, header)).status == 200
        for elsewhere in (f"/g/{other.id}/logs?start=0&limit=2", f"{path}&query=%7C%3D%20%22x%22"):
            refused = await call(w, elsewhere, TOKEN, header)
            assert refused.status == 400
            assert refused.body.startswith(b"invalid_cursor")
        flipped = ("A" if resume[5] != "A" else "B").join([resume[:5], resume[6:]])
        assert (await call(w, path, TOKEN, f"Last-Event-ID: {flipped}")).status == 400
        assert (await call(w, path, "llp_bob", header)).status == 404


async def test_the_plain_address_serves_active_grants_and_activates_nothing(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        assert (await call(w, "/logs?start=0")).status == 403
        scheduled = await w.grant(state=GrantState.SCHEDULED)
        assert (await call(w, "/logs?start=0")).status == 403
        assert (await w.stored_grant(scheduled)).state is GrantState.SCHEDULED
        await w.grant()
        assert (await call(w, "/logs?start=0")).lines == ["one"]
        await w.grant()
        assert (await call(w, "/logs?start=0")).lines == ["one"]
        assert (await w.stored_grant(scheduled)).state is GrantState.SCHEDULED


async def test_naming_a_scheduled_grant_activates_it(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        grant = await w.grant(state=GrantState.SCHEDULED)
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).lines == ["one"]
        assert (await w.stored_grant(grant)).state is GrantState.ACTIVE


async def test_a_foreign_grant_and_none_are_one_answer(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant(holder=w.bob)
        foreign = await call(w, f"/g/{grant.id}/logs")
        unknown_id = grant.id[:-4] + "0000"
        unknown = await call(w, f"/g/{unknown_id}/logs")
        assert foreign.status == unknown.status == 404
        assert foreign.raw.replace(grant.id.encode(), b"") == unknown.raw.replace(unknown_id.encode(), b"")


@pytest.mark.attack("QL-01")
async def test_a_query_outside_the_scope_is_refused_from_query_and_grant_alone(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="b")]) as w:
        grant = await w.grant()
        refused = await call(w, f"/g/{grant.id}/logs?start=0&query=%7Bservice%3D%22b%22%7D")
        assert refused.status == 403
        assert b"the query asks for service=b, the grant covers service=a" in refused.body
        assert not await w.entries("session.opened")
        entry = (await w.entries("access.refused"))[0]
        assert entry["data"]["code"] == "not_permitted"
        assert entry["ref"]["grant"] == grant.id


@pytest.mark.attack("QL-05")
async def test_a_time_outside_the_window_is_refused(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        grant = await w.grant(start_ns=T0, end_ns=T0 + SECOND)
        refused = await call(w, f"/g/{grant.id}/logs?start=1&end=2")
        assert refused.status == 403
        assert b"window" in refused.body
        follow = await call(w, f"/g/{grant.id}/logs?follow=true")
        assert follow.status == 403


async def test_the_line_budget_is_exact_and_ends_the_grant(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(100)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(lines=30))
        first = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward&limit=10")
        assert len(first.lines) == 10
        assert (await w.stored_grant(grant)).usage.lines == 10
        second = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert len(second.lines) == 20
        assert second.end == "ended"
        assert second.whole
        stored = await w.stored_grant(grant)
        assert stored.usage.lines == 30
        assert (stored.state, stored.ended_why) == (GrantState.ENDED, "used")
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 403


async def test_many_calls_at_once_never_exceed_a_budget(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(100)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(lines=250))
        answers = await asyncio.gather(*(call(w, f"/g/{grant.id}/logs?start=0") for _ in range(8)))
        served = sum(len(answer.lines) for answer in answers if answer.status == 200)
        assert served <= 250
        assert (await w.stored_grant(grant)).usage.lines == served


async def test_the_byte_budget_holds(tmp_path):
    lines = [line(T0 + n, "x" * 100, service="a") for n in range(100)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(bytes=2_000))
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.end == "ended"
        served = sum(len(one) + 1 for one in answer.body.splitlines()[:-1])
        assert 1_500 < served <= 2_000
        assert (await w.stored_grant(grant)).usage.bytes == served


async def test_nothing_leaves_when_the_opening_cannot_be_recorded(tmp_path):
    async with world(tmp_path, lines=[line(T0, "secret", service="a")]) as w:
        grant = await w.grant()
        w.log.fail_with = lambda: AuditUnavailable("The log is full.")
        refused = await call(w, f"/g/{grant.id}/logs?start=0")
        assert refused.status == 503
        assert b"secret" not in refused.raw
        w.log.fail_with = None


@pytest.mark.parametrize("follow", ["", "&follow=true"])
async def test_nothing_leaves_when_a_batch_cannot_be_recorded(tmp_path, follow):
    async with world(tmp_path, lines=[line(T0, "secret", service="a")]) as w:
        grant = await w.grant()
        w.log.fail_with, w.log.allowed = (lambda: AuditUnavailable("The log is full.")), 1
        if follow:
            answer = await (await Tail.open(w, f"/g/{grant.id}/logs?start=0{follow}")).rest()
            assert answer.end == "audit"
        else:
            answer = await call(w, f"/g/{grant.id}/logs?start=0")
            assert answer.status == 503
        assert b"secret" not in answer.raw
        w.log.fail_with = None
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "audit"
        assert closed[0]["data"]["total"] == {"lines": 0, "bytes": 0}


@pytest.mark.parametrize("fault", [LookupError("grt_lost"), NotFound("It is not open here.")])
@pytest.mark.parametrize("follow", ["", "&follow=true"])
async def test_a_fault_of_ours_while_recording_ends_the_session_and_settles_it(tmp_path, caplog, follow, fault):
    async with world(tmp_path, lines=[line(T0, "secret", service="a")]) as w:

        def failed():
            w.log.fail_with = None
            return fault

        grant = await w.grant()
        w.log.fail_with, w.log.allowed = failed, 1
        if follow:
            answer = await (await Tail.open(w, f"/g/{grant.id}/logs?start=0{follow}")).rest()
            assert answer.end == "error"
        else:
            answer = await call(w, f"/g/{grant.id}/logs?start=0")
            assert answer.status == 500
        assert b"secret" not in answer.raw
        closed = await w.entries("session.closed")
    assert [(one["data"]["why"], one["data"]["total"]) for one in closed] == [("error", {"lines": 0, "bytes": 0})]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["session_not_recorded"]


async def test_what_fails_behind_a_clients_back_is_logged(tmp_path, caplog, monkeypatch):
    async def broken(*_args, **_more):
        raise LookupError("ses_lost")

    async with world(tmp_path, lines=[line(T0, "shown", service="a")]) as w:
        grant = await w.grant()
        with monkeypatch.context() as patched:
            patched.setattr("loglease.gateway.reserve.close_session", broken)
            assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 200
            await w.stored_grant(grant)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["behind_failed"]


async def test_a_call_that_fails_in_a_way_nobody_thought_of_is_logged(tmp_path, caplog):
    async with world(tmp_path) as w:
        grant = await w.grant()
        w.redactor_failure = LookupError("no such profile")
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 500
    assert [record.message for record in caplog.records if record.levelname == "ERROR"][:1] == ["call_failed"]


async def test_no_byte_of_a_line_precedes_its_record(tmp_path):
    async with world(tmp_path, lines=[line(T0, "precious", service="a")]) as w:
        grant = await w.grant()
        held = asyncio.Event()
        commit = w.log.commit
        calls = 0

        async def slow(work, **options):
            nonlocal calls
            calls += 1
            if calls == 2:  # the opening is the first, the batch the second
                await held.wait()
            return await commit(work, **options)

        w.log.commit = slow
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(request_bytes(f"/g/{grant.id}/logs?start=0"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        held.set()
        assert b"precious" in await asyncio.wait_for(reader.read(65536), 5)
        writer.close()
        w.log.commit = commit


async def test_a_redactor_that_cannot_be_built_or_fails_shows_nothing(tmp_path):
    async with world(tmp_path, lines=[line(T0, "secret", service="a")]) as w:
        grant = await w.grant()
        w.redactor_failure = Withheld("selftest_failed")
        refused = await call(w, f"/g/{grant.id}/logs?start=0")
        assert refused.status == 503
        assert refused.body.startswith(b"redaction_unavailable")
        assert not await w.entries("session.opened")
        w.redactor_failure = None

        class Failing:
            def __init__(self, real):
                self._real = real
                self.block_marks = ()

            def open(self):
                raise Withheld("canary_lost")

            def value(self, key, value):
                return self._real.value(key, value)

        w.redactors[grant.id] = Failing(w.redactor_of(grant))
        refused = await call(w, f"/g/{grant.id}/logs?start=0")
        assert refused.status == 503
        assert b"secret" not in refused.raw
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "redaction"


async def test_a_source_that_fails_has_its_own_status(tmp_path):
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(300)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        w.reader.failure = SourceTimeout("The source did not answer in time.")
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 504
        w.reader.lines[:] = []


async def test_lines_out_of_order_are_a_fault_of_the_source(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()

        async def read(plan):
            yield page_of([line(T0 + 5, "later", service="a"), line(T0, "earlier", service="a")])

        w.reader.read = read
        assert (await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")).status == 502


async def test_equal_times_are_ordered_by_what_is_visible(tmp_path):
    lines = [line(T0, f"{name} {n}", service="a", pod=name) for n in range(2) for name in ("z", "m", "b")]
    async with world(tmp_path, lines=lines, page_lines=2) as w:
        grant = await w.grant()
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert answer.lines == ["b 0", "b 1", "m 0", "m 1", "z 0", "z 1"]


async def test_a_served_list_names_streams_pseudonyms_and_content(tmp_path):
    lines = [line(T0 + n, "for ann@example.com", service="a") for n in range(3)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(profile="pii-default@1")
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        closed = (await w.entries("session.closed"))[0]["data"]["settled"]
        assert closed["lines"] == 3
        assert (closed["first_ns"], closed["last_ns"]) == (str(T0), str(T0 + 2))
        assert sum(one["count"] for one in closed["masked"]) == 3
        assert answer.lines[0].startswith("for ⟦email")


async def test_a_connection_that_served_a_session_is_not_used_again(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        grant = await w.grant()
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(request_bytes("/nothing"))
        assert b" 404 " in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b"not_found: There is nothing here.\n"))
        writer.write(request_bytes(f"/g/{grant.id}/logs?start=0") * 2)
        raw = await asyncio.wait_for(reader.read(-1), 5)
        assert raw.count(b"HTTP/1.1 ") == 1
        writer.close()
