"""A policy demands more of its record than the server's setting: nothing of it is served before that is so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.audit.signing import KEY
from tests.fakes.gateway import OpenRules
from tests.fakes.vault import fake_vault
from tests.gateway.world import T0, TOKEN, ShiftedClock, Tail, World, call, eventually, line, world

from loglease.access.demanding import Demands
from loglease.audit.integrator import EMPTY, Integrator
from loglease.audit.interface import AuditUnavailable
from loglease.audit.sequencer import Sequencer
from loglease.gateway import GatewaySettings
from loglease.model.ack import Ack
from loglease.model.session import CloseWhy
from loglease.store.sqlite import SqliteStore

LINES = [line(T0 + number, f"precious {number}", service="a") for number in range(600)]


@dataclass
class Covering:
    """Somebody who signs, or cosigns, and can be kept from it.

    Attributes:
        covered: how many entries heads of theirs cover.
        waiting: how many works wait for one.
    """

    integrator: Integrator
    free: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    covered: int = 0
    waiting: int = 0

    async def cover(self, size: int) -> None:
        self.waiting += 1
        try:
            await self.free.wait()
            if self.fails:
                raise AuditUnavailable("It is recorded, and not signed yet.")
            await self.integrator.covered(size)
            self.covered = max(self.covered, size)
        finally:
            self.waiting -= 1


@asynccontextmanager
async def served(directory: Path, ack: Ack, **more: Any) -> AsyncIterator[tuple[World, Covering]]:
    made: list[Covering] = []

    def log_of(store: SqliteStore, clock: ShiftedClock) -> Sequencer:
        integrator = Integrator(store, [KEY])
        integrator.begin(EMPTY, None)
        made.append(Covering(integrator))
        return Sequencer(store, clock, fake_vault(), limit_s=60, stronger={ack: made[0].cover}, demanded=Demands())

    async with world(directory, lines=LINES, log_of=log_of, **more) as found:
        yield found, made[0]
        await made[0].integrator.aclose()


async def batches(found: World, grant: str) -> list[int]:
    """Return the numbers of the batches of a grant that the database has."""
    rows = await found.store.read(lambda tx: tx.entries.since(0, limit=10_000))
    entries = [(row.index, json.loads(row.content)) for row in rows]
    return [index for index, one in entries if one["type"] == "batch.served" and one["ref"]["grant"] == grant]


async def ceiling(found: World, index: int) -> int:
    """Return how many lines a batch allows its session altogether."""
    (row,) = await found.store.read(lambda tx: tx.entries.since(index, limit=1))
    data = json.loads(row.content)["data"]
    return int(data["total"]["lines"] + data["reserved"]["lines"])


@pytest.mark.parametrize("ack", [Ack.PUBLISHED, Ack.WITNESSED])
async def test_no_batch_is_served_before_its_head_is_there(tmp_path: Path, ack: Ack) -> None:
    async with served(tmp_path, ack) as (found, covering):
        plain, strong = await found.grant(), await found.grant(ack=ack)
        asking = asyncio.create_task(call(found, f"/g/{strong.id}/logs?start=0&direction=forward&limit=600"))
        await eventually(lambda: covering.waiting > 0, 20)
        answer = await call(found, f"/g/{plain.id}/logs?start=0&limit=600")
        assert (answer.status, answer.body.count(b"precious")) == (200, 600), "others do not wait"
        assert covering.covered == 0
        assert not asking.done()
        assert await batches(found, strong.id) == [], "what the query reads waits for the record of the query"
        covering.free.set()
        answer = await asking
        assert (answer.status, answer.body.count(b"precious")) == (200, 600)
        assert covering.covered > (await batches(found, strong.id))[-1]


async def test_witnesses_have_more_time_than_other_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.gateway.reserve.WITNESSED_WITHIN_S", 60)
    async with served(tmp_path, Ack.WITNESSED, settings=GatewaySettings(record_within_s=0)) as (found, covering):
        covering.free.set()
        plain, strong = await found.grant(), await found.grant(ack=Ack.WITNESSED)
        assert (await call(found, f"/g/{plain.id}/logs?start=0&limit=600")).status == 503
        answer = await call(found, f"/g/{strong.id}/logs?start=0&limit=600")
        assert (answer.status, answer.body.count(b"precious")) == (200, 600)


async def test_a_batch_waits_for_its_own_head(tmp_path: Path) -> None:
    async with served(tmp_path, Ack.PUBLISHED) as (found, covering):
        covering.free.set()
        strong = await found.grant(ack=Ack.PUBLISHED, source="live")
        found.more_readers["live"] = reader = type(found.reader)([line(T0, "precious first", service="a")])
        tail = await Tail.open(found, f"/g/{strong.id}/logs?follow=true&start=0")
        assert (await tail.next())["type"] == "line"
        await eventually(lambda: covering.waiting == 0, 20)
        covering.free.clear()
        for number in range(600):
            reader.add(line(T0 + 10 + number, f"precious {number}", service="a"))
        await eventually(lambda: covering.waiting > 0, 20)
        covering.fails = True
        covering.free.set()
        rest = await tail.rest()
        assert rest.end == CloseWhy.AUDIT
        covered = [one for one in await batches(found, strong.id) if one < covering.covered]
        assert len(covered) < len(await batches(found, strong.id)), "one was durable, and did not count"
        assert tail._raw.count(b"precious") <= await ceiling(found, covered[-1])


@pytest.mark.parametrize("ack", [Ack.PUBLISHED, Ack.WITNESSED])
async def test_where_nobody_signs_it_fails_closed_for_everybody_alike(tmp_path: Path, ack: Ack) -> None:
    async with served(tmp_path, ack) as (found, covering):
        covering.fails = True
        covering.free.set()
        plain = await found.grant()
        bodies = set()
        for holder, token in ((found.alice, TOKEN), (found.bob, "llp_bob")):
            strong = await found.grant(ack=ack, holder=holder)
            for path in ("/logs?start=0", "/loki/api/v1/labels", "/loki/api/v1/query_range?query={}"):
                answer = await call(found, f"/g/{strong.id}{path}", token)
                assert answer.status == 503, answer.raw
                assert answer.body.startswith(b"audit_unavailable:")
                bodies.add(answer.body)
        assert len(bodies) == 1
        assert (await call(found, f"/g/{plain.id}/logs?start=0")).status == 200
        mine = await found.grant(ack=ack)
        await found.revoke(mine)
        assert (await call(found, f"/g/{mine.id}/logs?start=0")).status == 403


async def test_a_session_under_a_stricter_policy_than_its_grants_waits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, Ack.PUBLISHED) as (found, covering):
        covering.free.set()
        grant = await found.grant()
        await call(found, f"/g/{grant.id}/logs?start=0&limit=10")
        assert covering.covered == 0
        usable = OpenRules.usable

        def stricter(*given: object) -> object:
            grant = usable(*given)  # type: ignore[arg-type]
            return replace(grant, shape=replace(grant.shape, ack=Ack.PUBLISHED))

        monkeypatch.setattr(OpenRules, "usable", stricter)
        assert (await call(found, f"/g/{grant.id}/logs?start=0&limit=10")).status == 200
        assert covering.covered > (await batches(found, grant.id))[-1]
