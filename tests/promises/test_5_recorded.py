"""Promise 5, recorded: "The record of a batch is durable before its first byte leaves. Failing to record stops access, and
never stops a revocation."
"""

from __future__ import annotations

import asyncio
import json
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.stack import Person, Stack
from tests.gateway.world import T0, Tail, call, eventually, line, request_bytes, world
from tests.promises.shared import LINE, crowd, followed

from loglease.audit.interface import AuditUnavailable


def unavailable() -> AuditUnavailable:
    return AuditUnavailable("The disk is full.")


async def test_no_byte_leaves_before_its_record_is_durable(tmp_path: Path) -> None:
    """Each commit is held back; what the client has by then must be what earlier commits had recorded."""
    lines = [line(T0 + n, f"precious {n} " + "x" * 200, service="a") for n in range(1_000)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        commit = made.log.commit
        gate = asyncio.Semaphore(0)
        waiting = 0

        async def held(work: Any, **options: Any) -> Any:
            nonlocal waiting
            waiting += 1
            await gate.acquire()
            waiting -= 1
            return await commit(work, **options)

        made.log.commit = held  # type: ignore[method-assign]
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(request_bytes(f"/g/{grant.id}/logs?start=0&direction=forward"))
        raw = b""
        batches = 0
        while b"\r\n0\r\n\r\n" not in raw:
            await eventually(lambda: waiting > 0)
            raw += await _all_there(reader)
            ceiling = await made.store.read(
                lambda tx: sum(one.account.ceiling_lines for one in tx.sessions.of_grant(grant.id, 10))
            )
            assert raw.count(b"precious") <= ceiling
            if batches == 0:
                assert raw == b""  # not even a status line before session.opened
            batches += 1
            gate.release()
            if b'"type":"end"' in raw:
                break
        for _ in range(9):
            gate.release()
        writer.close()
        assert batches >= 5
        assert raw.count(b"precious") == 1_000
        made.log.commit = commit  # type: ignore[method-assign]


async def _all_there(reader: asyncio.StreamReader) -> bytes:
    """Take what has arrived, until nothing more does."""
    raw = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65_536), 0.15):
            raw += chunk
    except TimeoutError:
        pass
    return raw


@pytest.mark.attack("AD-01")
@pytest.mark.parametrize("recorded", [0, 1, 2])
@pytest.mark.parametrize("follow", ["", "&follow=true"])
async def test_what_cannot_be_recorded_does_not_leave(tmp_path: Path, follow: str, recorded: int) -> None:
    """The log fails at the opening, at the first batch, or in the middle."""
    lines = [line(T0 + n, f"precious {n} " + "x" * 300, service="a") for n in range(1_000)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        made.log.fail_with, made.log.allowed = unavailable, recorded
        answer = await call(made, f"/g/{grant.id}/logs?start=0&direction=forward{follow}")
        made.log.fail_with = None
        served = answer.raw.count(b"precious")
        closed = await made.entries("session.closed")
        if recorded == 0:
            assert answer.status == 503
            assert not closed
        else:
            assert closed[0]["data"]["why"] == "audit"
            assert closed[0]["data"]["total"]["lines"] == served
        assert served <= 256 * max(0, recorded - 1)


async def test_failing_to_record_never_stops_a_revocation(tmp_path: Path) -> None:
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as made:
        grant = await made.grant()
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()

        async def fails(work: Any, **options: Any) -> Any:
            raise unavailable()

        commit, made.log.commit = made.log.commit, fails  # type: ignore[method-assign]
        await made.revoke(grant)
        answer = await tail.rest()
        assert answer.end == "revoked"
        assert [one.grants for one in made.journal.records()] == [(grant.id,)]
        made.log.commit = commit  # type: ignore[method-assign]


def test_every_act_has_its_entry(server: Stack) -> None:
    people = crowd(server)
    alice, bob, auditor = people["alice"], people["bob"], people["sam"]
    request = alice.ask(reason="for the record")
    bob.decide(request)
    grant = alice.grant_of(request)
    got = list(alice.lines(grant, since="1h"))
    until = time.monotonic() + 30
    while not auditor.call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"]:
        assert time.monotonic() < until, "the session was not closed on the record"
    held = bob.call("POST", f"/grants/{grant}/suspend", {"reason": "a look"})
    assert held["state"] == "suspended"
    bob.call("POST", f"/grants/{grant}/resume", {"reason": "seen"})
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
    other = alice.ask(reason="another")
    alice.call("POST", f"/requests/{other['id']}/cancel")
    denied = alice.ask(reason="a third one")
    bob.decide(denied, "deny", comment="no")
    back = alice.ask(reason="a fourth")
    bob.decide(back)
    alice.call("POST", f"/grants/{alice.grant_of(back)}/activate")
    alice.call("POST", f"/grants/{alice.grant_of(back)}/return")

    def types(name: str) -> list[str]:
        found = [one["type"] for one in reversed(auditor.call("GET", f"/audit/entries?request={name}")["items"])]
        return [kind for kind, _ in groupby(found)]  # a slow disk takes more than one batch

    assert types(request["id"]) == [
        "request.submitted",
        "offer.made",
        "review.given",
        "request.approved",
        "grant.scheduled",
        "grant.activated",
        "session.opened",
        "query.recorded",
        "batch.served",
        "session.closed",
        "grant.suspended",
        "grant.resumed",
        "grant.revoked",
    ]
    assert types(other["id"])[-1] == "request.cancelled"
    assert types(denied["id"])[-2:] == ["review.given", "request.denied"]
    assert types(back["id"])[-2:] == ["grant.activated", "grant.ended"]
    closed = auditor.call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"][0]
    lines = [one for one in got if one["type"] == "line"]
    assert closed["data"]["total"]["lines"] == closed["data"]["settled"]["lines"] == len(lines) > 0
    assert closed["data"]["uncertain"] == {"lines": 0, "bytes": 0}


@pytest.mark.attack("AD-03")
def test_after_kill_9_at_least_what_was_handed_over_is_recorded(killable: Stack) -> None:
    stack = killable
    alice, bob = stack.sign_in("alice"), stack.sign_in("bob")
    request = alice.ask()
    bob.decide(request)
    grant = alice.grant_of(request)
    received = _read_until_killed(stack, alice, grant)
    stack.start()
    auditor = stack.sign_in("admin")
    closed = followed(lambda: auditor.call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"])
    data = closed[0]["data"]
    assert data["why"] == "crash"
    recorded = data["total"]["lines"] + data["uncertain"]["lines"]
    assert received <= recorded <= received + 256 * 2
    usage = stack.sign_in("alice").call("GET", f"/grants/{grant}/usage")
    assert usage["spent"]["lines"] == recorded


def _read_until_killed(stack: Stack, alice: Person, grant: str) -> int:
    """Read a tail that goes on, kill the server in the middle, and return how many lines came."""
    count = 0
    log = stack.logs / "shop.log"
    for record in followed_lines(alice, grant):
        count += record["type"] == "line"
        if count == 150:
            stack.kill()
        elif count % 50 == 0:
            with log.open("a") as file:
                file.write(LINE * 60)
    return count


def followed_lines(alice: Person, grant: str) -> Any:
    import httpx2

    answer = alice.lines(grant, since="1h", follow="true")
    try:
        yield from answer
    except (httpx2.TransportError, json.JSONDecodeError):
        return
