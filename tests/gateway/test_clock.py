"""Sessions while the wall clock cannot be trusted: those that are open go on to the end they had, none begins."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.world import T0, Tail, World, call, eventually, line, world

STEPS = pytest.mark.parametrize("seconds", [-3_600, 3_600])


async def steps(made: World, seconds: int) -> None:
    made.clock.stepped_us = seconds * 1_000_000
    await eventually(lambda: made.watch.clock_suspect)


async def renewed(made: World) -> None:
    """Wait for a poll, which renews the lease."""
    before_ns = made.watch.lease_until_ns
    await eventually(lambda: made.watch.lease_until_ns > before_ns)


@STEPS
async def test_an_open_tail_goes_on_and_nothing_opens(tmp_path, seconds):
    async with world(tmp_path) as made:
        grant = await made.grant()
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        made.reader.add(line(T0, "before", service="a"))
        assert (await tail.next())["line"] == "before"
        await steps(made, seconds)
        refused = await call(made, f"/g/{grant.id}/logs?start=0")
        assert (refused.status, refused.body.startswith(b"clock_suspect: ")) == (503, True)
        for number in range(3):
            made.reader.add(line(T0 + 1 + number, f"line {number}", service="a"))
            assert (await tail.next())["line"] == f"line {number}"
            await asyncio.sleep(0.3)  # each needs a reservation of its own
        await made.revoke(grant)
        assert (await tail.rest()).end == "revoked"


@STEPS
async def test_a_session_that_reaches_its_deadline_ends_by_the_boot_clock_and_says_why(tmp_path, seconds):
    async with world(tmp_path) as made:
        grant = await made.grant(duration_s=60)
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        made.reader.add(line(T0, "before", service="a"))
        await tail.next()
        await steps(made, seconds)
        while made.clock.ahead_us < 60_000_000 and made.gateway.open_sessions:
            made.clock.ahead_us += 1_500_000  # less than a lease
            await renewed(made)
        assert (await tail.rest()).end == "clock"
        (closed,) = await made.entries("session.closed")
        assert closed["data"]["why"] == "clock"
