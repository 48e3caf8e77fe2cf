"""What ends access waits for nobody: long reads of others hold up neither the gateway's lease nor a revocation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.api.world import world_in
from tests.fakes.world import World, caller, principal

from loglease.access import queries
from loglease.access.queries import grants_page, requests_page
from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable
from loglease.model.ids import PersonId, PrincipalId
from loglease.model.principal import Role
from loglease.model.review import Channel
from loglease.store.interface import Login

AT_ONCE = 40


class BrokenLog:
    async def commit(self, work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
        raise AuditUnavailable("The record cannot be made.")


@asynccontextmanager
async def long_reads(store: Any) -> AsyncIterator[None]:
    """Keep every ordinary reader busy, and many more reads waiting."""
    release = threading.Event()
    reads = [asyncio.create_task(store.read(lambda _tx: release.wait(30))) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*reads)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(principal("alice"), principal("bob", groups=("engineering", "approvers")))
    yield made
    await made.stop()


async def test_long_reads_do_not_cost_the_lease(world: World) -> None:
    watch = Watch(world.store, world.clock, world.random)
    async with long_reads(world.store):
        await asyncio.wait_for(watch.poll(), 2)


@pytest.mark.attack("DS-03")
async def test_long_reads_do_not_hold_up_a_revocation_without_a_record(world: World) -> None:
    grant = await active_grant(world)
    async with long_reads(world.store):
        revoked = await asyncio.wait_for(revoke_grant(world, grant.id, log=BrokenLog()), 2)
    assert revoked.grants == (grant.id,)


async def test_long_reads_keep_nobody_from_being_recognised(tmp_path: Path) -> None:
    async with world_in(tmp_path) as w:
        bob = await w.add("bob@example.com")
        async with long_reads(w.services.store):
            token = bob["Authorization"].removeprefix("Bearer ")
            known = await asyncio.wait_for(w.services.credentials.bearer(token, Channel.API), 2)
        assert known.caller.principal.account == "bob@example.com"


async def test_a_long_history_of_others_neither_hides_nor_costs_what_is_mine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_CHUNK", 2)
    monkeypatch.setattr(queries, "_MAX_LOOKED_AT", 2)
    await world.add(principal("dave"), principal("mallory"), principal("erin", roles=(Role.ADMIN,)))
    grant = await active_grant(world)
    for _ in range(3):
        await reviewed(world, await submitted(world, by="dave"))
    now = world.clock.now()

    def seen(tx: Any, name: str) -> tuple[list[str], list[str]]:
        who = caller(tx.principals.find(PrincipalId(f"prn_{name}")), now)
        asked = [view.request.id for view in requests_page(tx, who, now)]
        return asked, [view.grant.id for view in grants_page(tx, who, now)]

    def query(tx: Any) -> tuple[Any, ...]:
        stranger = Login(PrincipalId("prn_mallory"), PersonId("per_mallory"))
        sieved = len(tx.requests.page(concerning=stranger)) + len(tx.grants.page(concerning=stranger))
        return (sieved, seen(tx, "alice"), *(len(seen(tx, name)[0]) for name in ("bob", "erin", "mallory")))

    assert await world.store.read(query) == (0, ([grant.request], [grant.id]), 2, 2, 0)
