"""Promise 1, covered: "No log line leaves the gateway unless, at that instant, one active grant of that principal covers
it: its labels, its event time, its line rules, the budget left."

The source of these tests lies: it gives all it has, whatever was asked for. So what arrives is what the gateway let through.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.world import Runner
from tests.gateway.world import T0, Line, Tail, World, call, line, world
from tests.promises.shared import running
from tests.volume import volume

from loglease.model.grant import Grant, GrantState
from loglease.model.limits import Limits
from loglease.model.scope import Level

LEVELS = ("debug", "info", "warn", "error")
LIFTED = Limits(queries_per_min=10**9)
SERVICES = ("a", "b", "a-eu", "ab")


def covers(grant: Grant, one: Line) -> bool:
    """Say, without any code of the product, whether a grant of service a covers a line of these tests."""
    scope = grant.terms.scopes[0]
    level = one.text.split(b" ")[0].removeprefix(b"level=").decode()
    return (
        dict(one.labels).get("service") == "a"
        and scope.window.start_ns <= one.ts
        and (scope.window.end_ns is None or one.ts < scope.window.end_ns)
        and (scope.level_from is None or LEVELS.index(level) >= LEVELS.index(str(scope.level_from)))
        and all(literal.encode() in one.text for literal in scope.contains)
    )


lines_anywhere = st.builds(
    lambda at, service, level, word, number: line(
        T0 + at, f"level={level} {word} {number}", **({} if service is None else {"service": service})
    ),
    st.integers(-5, 25),
    st.sampled_from((*SERVICES, "a", "a", "a", None)),
    st.sampled_from(LEVELS),
    st.sampled_from(("pay", "prepaid", "other")),
    st.integers(0, 10**6),
)


@pytest.mark.volume
@pytest.mark.attack("QL-01")
@pytest.mark.parametrize(
    "rules", [{}, {"level": Level.WARN}, {"contains": ("pay",)}], ids=["streams", "level", "literal"]
)
def test_only_covered_lines_leave_whatever_the_source_gives(tmp_path: Path, rules: dict) -> None:
    with running(world(tmp_path, loose=True, page_lines=4)) as (run, made):
        grant = run(made.grant('{service="a"}', start_ns=T0, end_ns=T0 + 20, limits=LIFTED, **rules))
        _only_covered(run, made, grant)


def _only_covered(run: Runner, made: World, grant: Grant) -> None:
    @settings(max_examples=volume(20, 40), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        lines=st.lists(lines_anywhere, max_size=20),
        query=st.sampled_from(("{}", '{service="a"}', '{service=~"a.*"}', '{service!="b"}', '|= "level"')),
        times=st.sampled_from(("start=0", f"start={T0 - 5}&end={T0 + 99}", f"start={T0 + 4}&end={T0 + 12}")),
        direction=st.sampled_from(("forward", "backward")),
    )
    def only_covered(lines: list[Line], query: str, times: str, direction: str) -> None:
        made.reader.lines = lines
        path = f"/g/{grant.id}/logs?{times}&direction={direction}&query={quote(query)}"
        answer = run(call(made, path))
        assert answer.status == 200
        start, end = (T0 + 4, T0 + 12) if "12" in times.rpartition("=")[2] else (0, T0 + 99)
        wanted = [one.text.decode() for one in lines if covers(grant, one) and start <= one.ts < end]
        assert sorted(answer.lines) == sorted(wanted)

    only_covered()


async def test_a_tail_is_checked_line_by_line_too(tmp_path: Path) -> None:
    async with world(tmp_path, loose=True, lines=[line(T0, "error before", service="a")]) as made:
        grant = await made.grant('{service="a"}', start_ns=T0, level=Level.ERROR, contains=("pay",))
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        made.reader.add(
            line(T0 + 1, "level=error pay", service="b"),
            line(T0 - 1, "level=error pay", service="a"),
            line(T0 + 2, "level=info pay", service="a"),
            line(T0 + 3, "level=error other", service="a"),
            line(T0 + 4, "level=error pay", service="a-eu"),
            line(T0 + 5, "level=error pay: covered", service="a"),
        )
        assert (await tail.next())["line"] == "level=error pay: covered"
        tail.close()


async def test_a_tail_sees_nothing_from_behind_the_end_of_its_grant(tmp_path: Path) -> None:
    async with world(tmp_path, loose=True) as made:
        grant = await made.grant('{service="a"}', duration_s=600)
        due_ns = int(grant.due_at) * 1_000
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        made.reader.add(line(due_ns, "of the future", service="a"), line(due_ns - 1, "in time", service="a"))
        assert (await tail.next())["line"] == "in time"
        tail.close()


@pytest.mark.attack("AD-07")
async def test_many_queries_at_once_exceed_no_budget(tmp_path: Path) -> None:
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(60)]
    async with world(tmp_path, lines=lines, loose=True) as made:
        grant = await made.grant('{service="a"}', limits=Limits(lines=100))
        path = f"/g/{grant.id}/logs?start=0"
        answers = await asyncio.gather(*(call(made, path) for _ in range(5)))
        served = sum(len(answer.lines) for answer in answers if answer.status == 200)
        assert 0 < served <= 100
        while (stored := await made.stored_grant(grant)).state is GrantState.ACTIVE:
            served += len((await call(made, path)).lines)
        assert served == stored.usage.lines == 100
        assert stored.state is GrantState.ENDED


@pytest.mark.attack("AD-07")
async def test_many_tails_at_once_exceed_no_budget(tmp_path: Path) -> None:
    async with world(tmp_path, loose=True) as made:
        grant = await made.grant('{service="a"}', limits=Limits(lines=100, tails=5))
        tails = [await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0") for _ in range(5)]
        answers = asyncio.gather(*(tail.rest() for tail in tails))
        at = T0
        while not answers.done():
            at += 1
            made.reader.add(line(at, f"line {at}", service="a"))
            await asyncio.sleep(0.005)
        found = await answers
        assert {answer.end for answer in found} == {"ended"}
        stored = await made.stored_grant(grant)
        assert sum(len(answer.lines) for answer in found) == stored.usage.lines == 100
        assert (stored.state, stored.ended_why) == (GrantState.ENDED, "used")


async def test_the_byte_budget_counts_every_byte_of_every_line(tmp_path: Path) -> None:
    lines = [line(T0 + n, "x" * 400, service="a") for n in range(50)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant('{service="a"}', limits=Limits(bytes=9_000))
        answer = await call(made, f"/g/{grant.id}/logs?start=0")
        body = b"".join(one + b"\n" for one in answer.body.splitlines()[:-1])
        assert 8_000 < len(body) <= 9_000
        assert answer.end == "ended"
        assert (await made.stored_grant(grant)).usage.bytes == len(body)
        assert b"xxx" not in (await call(made, f"/g/{grant.id}/logs?start=0")).raw


async def test_the_grant_has_to_be_active_and_the_callers_own(tmp_path: Path) -> None:
    async with world(tmp_path, lines=[line(T0, "precious", service="a")]) as made:
        mine, theirs = await made.grant(), await made.grant(holder=made.bob)
        assert (await call(made, f"/g/{mine.id}/logs?start=0")).lines == ["precious"]
        assert (await call(made, f"/g/{mine.id}/logs?start=0", "llp_bob")).status == 404
        assert (await call(made, f"/g/{theirs.id}/logs?start=0")).status == 404
        assert (await call(made, f"/g/{mine.id}/logs?start=0", None)).status == 401
        await made.revoke(mine)
        assert (await call(made, f"/g/{mine.id}/logs?start=0")).status == 403
        made.clock.ahead_us = 600 * 1_000_000
        assert b"precious" not in (await call(made, f"/g/{theirs.id}/logs?start=0", "llp_bob")).raw
