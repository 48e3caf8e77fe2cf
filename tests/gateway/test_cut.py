"""Cuts over real sockets: revocation, expiry, lost lease, drain, slow and stalled readers."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tests.gateway.world import T0, TOKEN, Tail, call, eventually, line, page_of, stalled_client, world

from loglease.access.open_session import Places
from loglease.access.watch import LeaseLost, LockCut, SubjectCut
from loglease.gateway import GatewaySettings
from loglease.model.hold import LockKind, LockOn
from loglease.sources.interface import Gap

LONG = "x" * 900


async def test_a_tail_gives_lines_as_they_arrive(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        assert (await tail.next())["line"] == "old"
        w.reader.add(line(T0 + 1, "other", service="b"), line(T0 + 2, "new", service="a"))
        assert (await tail.next())["line"] == "new"
        tail.close()
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "client"
        assert closed[0]["data"]["total"]["lines"] == 2


async def test_a_revocation_ends_a_running_tail_with_its_reason(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        await w.revoke(grant)
        w.reader.add(line(T0 + 1, "after the end", service="a"))
        answer = await tail.rest()
        assert answer.lines == ["old"]
        assert answer.end == "revoked"
        assert answer.whole
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "revoked"
        assert closed[0]["data"]["cut_ms"] < 1_000
        again = await call(w, f"/g/{grant.id}/logs?start=0")
        assert again.status == 403
        assert again.body.startswith(b"grant_ended: ")


async def test_one_revocation_ends_only_the_sessions_of_its_grant(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        one, other = await w.grant(), await w.grant()
        ended = await Tail.open(w, f"/g/{one.id}/logs?follow=true&start=0")
        kept = await Tail.open(w, f"/g/{other.id}/logs?follow=true&start=0")
        await ended.next()
        await kept.next()
        await w.revoke(one)
        assert (await ended.rest()).end == "revoked"
        w.reader.add(line(T0 + 1, "goes on", service="a"))
        assert (await kept.next())["line"] == "goes on"
        kept.close()


async def test_a_stalled_reader_is_reset_and_gets_little_afterwards(tmp_path):
    lines = [line(T0 + n, LONG, service="a") for n in range(3_000)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant()
        client = stalled_client(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        await eventually(lambda: w.gateway.open_sessions == 1)
        await asyncio.sleep(0.3)  # until every buffer on the way is full
        await w.revoke(grant)
        await eventually(lambda: w.gateway.open_sessions == 0)
        got, was_reset = await _rest_of(client)
        client.close()
        assert was_reset
        assert got <= 32 * 1024
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "revoked"


async def test_nothing_is_handed_over_at_the_deadline_or_after(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant(duration_s=600)
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        w.clock.ahead_us = 600 * 1_000_000
        await w.watch.poll()
        w.reader.add(line(T0 + 1, "too late", service="a"))
        answer = await tail.rest()
        assert answer.lines == ["old"]
        assert answer.end == "expired"
        assert (await call(w, f"/g/{grant.id}/logs")).status == 403


async def test_a_grant_ends_by_its_own_timer(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant(duration_s=1)
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        answer = await tail.rest()
        assert answer.end == "expired"


@pytest.mark.parametrize(
    ("on", "why"),
    [
        (lambda w, g: LockCut(on=LockOn(LockKind.EVERYTHING), text="locked"), "locked"),
        (lambda w, g: LockCut(on=LockOn(LockKind.SOURCE, "src"), text="locked"), "locked"),
        (lambda w, g: LockCut(on=LockOn(LockKind.PERSON, w.alice.person), text="locked"), "locked"),
        (lambda w, g: LockCut(on=LockOn(LockKind.PRINCIPAL, w.alice.id), text="locked"), "locked"),
        (lambda w, g: LockCut(on=LockOn(LockKind.POLICY, "test"), text="locked"), "locked"),
        (lambda w, g: LockCut(on=LockOn(LockKind.REQUEST, g.request), text="locked"), "locked"),
        (lambda w, g: SubjectCut(subject=w.alice.subject), "locked"),
        (lambda w, g: LeaseLost(), "database"),
    ],
)
async def test_every_kind_of_cut_reaches_the_session(tmp_path, on, why):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        w.watch.apply(LockCut(on=LockOn(LockKind.SOURCE, "another"), text="locked"))
        w.watch.apply(LockCut(on=LockOn(LockKind.PERSON, w.bob.person), text="locked"))
        w.reader.add(line(T0 + 1, "not concerned", service="a"))
        assert (await tail.next())["line"] == "not concerned"
        w.watch.apply(on(w, grant))
        assert (await tail.rest()).end == why


async def test_a_principal_has_so_many_places_and_is_told_so(tmp_path):
    settings = GatewaySettings(places=Places(sessions=2, tails=1))
    async with world(tmp_path, settings=settings, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        w.clock.stop()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()  # by then it has its place
        other = await w.grant()
        refused = await call(w, f"/g/{other.id}/logs?follow=true&start=0")
        assert refused.status == 429
        assert refused.body.startswith(b"rate_limited: You have 1 tails open")
        assert (await call(w, f"/g/{other.id}/logs?start=0")).status == 200
        tail.close()


async def test_without_a_lease_nothing_opens_and_nothing_goes_on(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        w.store.touch = _never  # type: ignore[method-assign]
        answer = await tail.rest()
        assert answer.end == "database"
        refused = await call(w, f"/g/{grant.id}/logs")
        assert refused.status == 503
        del w.store.touch


async def _rest_of(client):
    """Return how many bytes still come, and whether a reset ends them."""
    got = 0
    while True:
        try:
            chunk = client.recv(65536)
        except BlockingIOError:
            await asyncio.sleep(0.01)
        except ConnectionResetError:
            return got, True
        else:
            if not chunk:
                return got, False
            got += len(chunk)


async def _never(_run):
    await asyncio.sleep(60)


async def test_a_drain_ends_tails_and_lets_nothing_begin(tmp_path):
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        await w.gateway.drain()
        answer = await tail.rest()
        assert answer.end == "drain"
        assert answer.records[-1]["resume"]
        assert (await call(w, f"/g/{grant.id}/logs")).status == 503


async def test_a_slow_tail_skips_lines_and_says_how_many(tmp_path):
    settings = GatewaySettings(skip_after_s=0.2, slow_after_s=60)
    async with world(tmp_path, settings=settings) as w:
        grant = await w.grant()
        client = stalled_client(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await eventually(lambda: w.gateway.open_sessions == 1)
        for n in range(100):
            w.reader.add(*(line(T0 + n * 10 + m, LONG, service="a") for m in range(10)))
            await asyncio.sleep(0.01)
        raw = b""
        until = asyncio.get_running_loop().time() + 10
        while b'"type":"gap"' not in raw and asyncio.get_running_loop().time() < until:
            with contextlib.suppress(BlockingIOError):
                raw += client.recv(65536)
            await asyncio.sleep(0.001)
        client.close()
        assert b'"type":"gap"' in raw
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["total"]["lines"] < 1_000


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("application/x-ndjson", b'{"type":"gap"}\n'),
        ("text/event-stream", b'event: gap\ndata: {"type":"gap"}\n\n'),
        ("text/plain", b"-- gap: the source lost lines\n"),
    ],
)
async def test_a_gap_of_the_source_is_told_where_it_is_and_without_its_times(tmp_path, accept, told):
    async with world(tmp_path) as w:
        grant = await w.grant()

        async def follow(plan):
            yield page_of([line(T0 + n, f"before {n}", service="a") for n in range(3)])
            yield Gap(T0 + 777, T0 + 888)
            yield page_of([line(T0 + 999, "after", service="a")])

        w.reader.follow = follow
        answer = await call(w, f"/g/{grant.id}/logs?follow=true&start=0", TOKEN, f"Accept: {accept}")
        before, separator, after = answer.body.partition(told)
        assert separator
        assert (before.count(b"before"), after.count(b"after")) == (3, 1)
        assert b"777" not in answer.body
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["total"]["lines"] == 4


@pytest.mark.parametrize("query", ["start=0&direction=forward", "start=0&follow=true"])
async def test_a_reader_that_never_reads_loses_its_session(tmp_path, query):
    settings = GatewaySettings(skip_after_s=0.1, slow_after_s=0.4)
    lines = [line(T0 + n, LONG, service="a") for n in range(500)]
    async with world(tmp_path, settings=settings, lines=lines) as w:
        grant = await w.grant()
        client = stalled_client(w, f"/g/{grant.id}/logs?{query}")
        closed = []
        await eventually(lambda: w.gateway.open_sessions == 1)
        closed = await w.entries("session.closed")
        client.close()
        assert closed[0]["data"]["why"] == "slow"


async def test_a_source_that_fails_in_the_middle_resets_nothing_but_says_so(tmp_path):
    from loglease.sources.interface import SourceUnavailable

    async with world(tmp_path, lines=[line(T0 + n, f"line {n}", service="a") for n in range(300)]) as w:
        grant = await w.grant()
        w.reader.failure, w.reader.fail_after = SourceUnavailable("gone"), 0
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 502
        closed = await w.entries("session.closed")
        assert closed[0]["data"]["why"] == "source"


async def test_a_caller_is_known_by_the_token(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        w.callers.pop(TOKEN)
        assert (await call(w, f"/g/{grant.id}/logs")).status == 401
