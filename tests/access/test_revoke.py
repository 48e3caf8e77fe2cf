from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant, revoke_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.add_lock import add_lock
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.journal import Journal
from loglease.access.permissions import is_held
from loglease.access.reassert import reassert
from loglease.access.resume_grant import resume_grant
from loglease.access.revoke import revoke
from loglease.access.suspend_grant import suspend_grant
from loglease.access.watch import Cut, GrantCut, LockCut, Watch
from loglease.audit.interface import AuditUnavailable
from loglease.model.errors import GrantEnded
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.principal import Role
from loglease.model.session import CloseWhy
from loglease.store.interface import Transaction


class BrokenLog:
    """A log that cannot make anything durable."""

    async def commit(self, work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
        raise AuditUnavailable("The record cannot be made.")


async def test_the_second_revocation_answers_the_first(world: World) -> None:
    grant = await active_grant(world)
    first = await revoke_grant(world, grant.id)
    size = await world.store.read(lambda tx: tx.entries.size())
    world.clock.advance(5)
    second = await revoke_grant(world, grant.id)
    assert (second.grants, second.at) == (first.grants, first.at)
    assert await world.store.read(lambda tx: tx.entries.size()) == size


async def test_a_revocation_works_while_nothing_can_be_recorded(world: World, tmp_path: Path) -> None:
    grant = await active_grant(world)
    watch = Watch(world.store, world.clock, world.random)
    heard: list[Cut] = []
    watch.subscribe(heard.append)
    revoked = await revoke_grant(world, grant.id, log=BrokenLog(), watch=watch)
    assert not revoked.durable
    with pytest.raises(AuditUnavailable):
        watch.require_ready()
    assert heard == [GrantCut(grant=grant.id, why=CloseWhy.REVOKED, text="grant revoked")]

    journal = Journal.open(tmp_path / "revocations.journal")
    assert [record.grants for record in journal.records()] == [(grant.id,)]
    world.clock.advance(60)
    assert await reassert(journal, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 1
    assert await reassert(journal, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 0
    watch.require_ready()
    journal.close()

    def query(tx: Transaction) -> tuple[Any, list[Any]]:
        rows = tx.entries.since(0, types=frozenset({"grant.revoked"}))
        return tx.grants.find(grant.id), [orjson.loads(row.content) for row in rows]

    stored, entries = await world.store.read(query)
    assert stored.state is GrantState.REVOKED
    assert [entry["data"]["late"] for entry in entries] == [True]
    assert entries[0]["data"]["effective_at"] < entries[0]["at"]


@pytest.mark.answers_lost("activate_grant.activate_grant", "review_request.review_request")
async def test_a_stranger_learns_nothing_and_takes_nothing_away(world: World) -> None:
    grant = await active_grant(world)
    await world.add(principal("mallory"))
    arguments = {
        "reason": "",
        "log": world.log,
        "store": world.store,
        "watch": Watch(world.store, world.clock, world.random),
        "journal": None,
        "clock": world.clock,
        "new_id": world.new_id,
        "random": world.random,
    }
    mallory = caller(principal("mallory"), world.clock.now())
    with pytest.raises(NotFound) as real:
        await revoke(LockOn(LockKind.GRANT, grant.id), caller=mallory, **arguments)
    with pytest.raises(NotFound) as made_up:
        await revoke(LockOn(LockKind.GRANT, "grt_x"), caller=mallory, **arguments)
    assert str(real.value).replace(grant.id, "…") == str(made_up.value).replace("grt_x", "…")
    with pytest.raises(NotPermitted):
        await revoke(LockOn(LockKind.SOURCE, "files"), caller=mallory, **arguments)


@pytest.mark.answers_lost("revoke.revoke")
async def test_everything_of_a_person_goes_in_one_act(world: World, tmp_path: Path) -> None:
    grant = await active_grant(world)
    pending = await submitted(world)
    journal = Journal.open(tmp_path / "revocations.journal")
    erin = caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now())
    revoked = await revoke(
        LockOn(LockKind.PERSON, "alice@example.com"),
        reason="left",
        caller=erin,
        log=world.log,
        store=world.store,
        watch=Watch(world.store, world.clock, world.random),
        journal=journal,
        clock=world.clock,
        new_id=world.new_id,
        random=world.random,
    )
    journal.close()
    assert revoked.grants == (grant.id,)
    assert (await world.store.read(lambda tx: tx.requests.find(pending.id))).state == "cancelled"


async def test_an_ended_grant_is_not_revoked(world: World) -> None:
    grant = await active_grant(world)
    world.clock.advance(601)
    with pytest.raises(GrantEnded):
        await revoke_grant(world, grant.id)


@pytest.mark.answers_lost("reassert.reassert")
async def test_a_lock_works_while_nothing_can_be_recorded(world: World, tmp_path: Path) -> None:
    grant = await active_grant(world)
    watch = Watch(world.store, world.clock, world.random)
    heard: list[Cut] = []
    watch.subscribe(heard.append)
    journal = Journal.open(tmp_path / "revocations.journal")
    locked = await add_lock(
        LockOn(LockKind.EVERYTHING),
        reason="leak",
        caller=caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now()),
        log=BrokenLog(),
        store=world.store,
        watch=watch,
        journal=journal,
        clock=world.clock,
        new_id=world.new_id,
        random=world.random,
    )
    assert not locked.durable
    assert heard == [LockCut(on=LockOn(LockKind.EVERYTHING), text="locked")]
    assert await reassert(journal, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 1
    journal.close()
    again = Journal.open(tmp_path / "revocations.journal")
    assert await reassert(again, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 0
    again.close()
    assert await world.store.read(lambda tx: is_held(tx, grant, world.clock.now()))


@pytest.mark.answers_lost("resume_grant.resume_grant")
async def test_a_suspension_works_while_nothing_can_be_recorded(world: World, tmp_path: Path) -> None:
    grant = await active_grant(world)
    watch = Watch(world.store, world.clock, world.random)
    heard: list[Cut] = []
    watch.subscribe(heard.append)
    journal = Journal.open(tmp_path / "revocations.journal")
    who = caller(principal("bob", groups=("engineering", "approvers")), world.clock.now())
    ports: dict[str, Any] = {
        "caller": who,
        "store": world.store,
        "watch": watch,
        "journal": journal,
        "clock": world.clock,
        "new_id": world.new_id,
        "random": world.random,
    }
    done = await suspend_grant(grant.id, reason="odd", log=BrokenLog(), **ports)
    assert not done.durable
    assert heard == [GrantCut(grant=grant.id, why=CloseWhy.SUSPENDED, text="grant suspended")]
    with pytest.raises(AuditUnavailable):
        watch.require_ready()
    assert await reassert(journal, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 1
    watch.require_ready()
    assert await world.store.read(lambda tx: is_held(tx, grant, world.clock.now()))
    assert (await suspend_grant(grant.id, reason="again", log=world.log, **ports)).durable

    await resume_grant(grant.id, reason="fine", caller=who, log=world.log, new_id=world.new_id, random=world.random)
    journal.close()
    again = Journal.open(tmp_path / "revocations.journal")
    assert await reassert(again, log=world.log, watch=watch, new_id=world.new_id, random=world.random) == 0
    again.close()
    assert not await world.store.read(lambda tx: is_held(tx, grant, world.clock.now())), "what was lifted stays so"
