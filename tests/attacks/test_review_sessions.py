"""Sessions do not outlive their client in the books: neither an outage nor a late opening leaves one open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.world import T0, Tail, call, line, world

from loglease.access.watch import LeaseLost
from loglease.audit.interface import AuditUnavailable
from loglease.gateway import GatewaySettings, reserve
from loglease.model.limits import Limits


async def _unclosed(w: Any) -> int:
    return len(await w.store.read(lambda tx: tx.sessions.unclosed(100)))


@pytest.mark.attack("FT-03")
async def test_an_outage_longer_than_all_patience_leaves_no_session_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "_CLOSE_AGAIN_S", (0.01, 0.01))
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant(limits=Limits(tails=1))
        tail = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        commit = w.log.commit

        async def broken(*_args: Any, **_options: Any) -> Any:
            raise AuditUnavailable("The record cannot be made.")

        w.log.commit = broken  # type: ignore[method-assign]
        w.watch.apply(LeaseLost())
        await tail.rest()
        await asyncio.sleep(0.2)
        w.log.commit = commit  # type: ignore[method-assign]
        await w.gateway.settled()
        assert await _unclosed(w) == 0
        again = await Tail.open(w, f"/g/{grant.id}/logs?follow=true&start=0")
        assert (await again.next())["line"] == "old"
        again.close()


async def test_an_opening_that_was_given_up_on_is_closed_when_it_comes_after_all(tmp_path: Path) -> None:
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        commit = w.log.commit

        async def late(work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
            if urgent:
                return await commit(work, urgent=urgent, limit_s=limit_s)
            w.log.commit = commit
            await commit(work, urgent=urgent, limit_s=limit_s)
            raise AuditUnavailable("It was not on the record in time; it may still come.")

        w.log.commit = late  # type: ignore[method-assign]
        refused = await call(w, f"/g/{grant.id}/logs?start=0")
        assert refused.status == 503
        await w.gateway.settled()
        assert [one["data"]["why"] for one in await w.entries("session.closed")] == ["audit"]
        assert await _unclosed(w) == 0


async def test_places_are_taken_before_the_opening_is_on_record(tmp_path: Path) -> None:
    async with world(tmp_path, settings=GatewaySettings(queries=2), lines=[line(T0, "old", service="a")]) as w:
        grant = await w.grant()
        commit, go_on = w.log.commit, asyncio.Event()

        async def slow(work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
            await go_on.wait()
            return await commit(work, urgent=urgent, limit_s=limit_s)

        w.log.commit = slow  # type: ignore[method-assign]
        calls = [asyncio.create_task(call(w, f"/g/{grant.id}/logs?start=0")) for _ in range(6)]
        done, _ = await asyncio.wait(calls, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 4:
            done, _ = await asyncio.wait(calls, timeout=0.2)
        go_on.set()
        statuses = sorted([(await one).status for one in calls])
        assert statuses == [200, 200, 503, 503, 503, 503]


@pytest.mark.attack("FT-04")
@pytest.mark.parametrize("lost", [2, 3, 4])
async def test_a_record_whose_answer_was_lost_is_not_settled_twice(tmp_path: Path, lost: int) -> None:
    """The opening is the first record; the second reserves, and each later one also settles what was handed over."""
    lines = [line(T0 + number, f"line {number}", service="a") for number in range(600)]
    async with world(tmp_path, lines=lines) as w:
        grant = await w.grant(limits=Limits(lines=5_000))
        commit, calls = w.log.commit, 0

        async def recorded_but_not_answered(work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
            nonlocal calls
            calls += not urgent
            result = await commit(work, urgent=urgent, limit_s=limit_s)
            if not urgent and calls == lost:
                raise AuditUnavailable("It was not on the record in time; it may still come.")
            return result

        w.log.commit = recorded_but_not_answered  # type: ignore[method-assign]
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        received = len(answer.lines) if answer.status == 200 else 0
        size = sum(len(one) + 1 for one in answer.body.splitlines()[:-1]) if received else 0
        assert (received > 0) == (lost > 2)
        closed = (await w.entries("session.closed"))[0]["data"]
        assert closed["why"] == "audit"
        assert closed["total"] == {"lines": received, "bytes": size}
        batches = [one["data"] for one in await w.entries("batch.served")]
        settled = [one["settled"] for one in [*batches, closed] if "settled" in one]
        assert sum(one["lines"] for one in settled) == received
        assert sum(one["bytes"] for one in settled) == size
        usage = (await w.stored_grant(grant)).usage
        assert (usage.lines, usage.bytes) == (received, size)
