"""Pruning: what is old enough goes, in whole bundles, and nothing that is held, unfinished or younger."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.access.erasure import ERIN, FRANK, decided, fresh, ports
from tests.access.journey import reviewed, submitted
from tests.fakes.world import World, principal
from tests.store.fixtures import raw

from loglease.access.cancel_request import cancel_request
from loglease.access.errors import StillNeeded, UnderHold
from loglease.access.expire_due import expire_due
from loglease.access.legal_holds import release_hold, set_hold
from loglease.access.private_texts import texts_of
from loglease.access.pruning import BUNDLE, DELETED_AFTER_S, Retention, delete_pruned, propose_pruning
from loglease.audit.checking import check_log
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.model.act import Act
from loglease.model.errors import InvalidField
from loglease.model.hold import Lock, LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId, LockId
from loglease.model.instant import Instant, after
from loglease.model.proposal import ProposalState
from loglease.store.interface import Transaction

YEAR_S = 366 * 86_400
YEAR = Retention(YEAR_S)
RECORDING = ("log", "new_id")


async def filled(world: World, count: int) -> None:
    """Record so many entries that nobody needs, in one transaction."""

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, tuple(_entry(world, number) for number in range(count)))

    await world.log.commit(work)


def _entry(world: World, number: int) -> Draft:
    data = {"target": f"target-{number}"}
    return Draft(id=EntryId(world.new_id(ENTRY)), type="target.frozen", actor=SYSTEM, data=data)


async def pruning(world: World, before: Instant, retention: Retention = YEAR, **changes: Any) -> Act:
    given = {"comment": "older than a year", "caller": fresh(world, ERIN), "retention": retention}
    return await propose_pruning(before, **(ports(world) | given | changes))


def recording(world: World) -> dict[str, Any]:
    return {name: one for name, one in ports(world).items() if name in RECORDING}


@pytest.fixture
async def old(world: World) -> World:
    """A world with 700 entries that are two years old."""
    await world.add(FRANK)
    await filled(world, 700)
    world.clock.advance(2 * YEAR_S)
    return world


async def test_whole_bundles_go_with_a_second_administrator(old: World) -> None:
    act = await pruning(old, after(old.clock.now(), -YEAR_S))
    assert act.terms["min_index"] == "512"
    assert await old.store.read(lambda tx: len(tx.entries.since(0, limit=2_000))) == 701
    done = await decided(old, act, retention=YEAR)
    assert done.state is ProposalState.ACCEPTED
    rows = await old.store.read(lambda tx: tx.entries.since(0, limit=2_000))
    assert rows[0].index == 512
    (pruned,) = [one for one in map(orjson.loads, (row.content for row in rows)) if one["type"] == "log.pruned"]
    assert pruned["actor"] == ERIN.subject
    assert pruned["data"] == {
        "min_index": 512,
        "before_at": act.terms["before"],
        "approved_by": FRANK.subject,
    }
    assert await check_log(old.store) == rows[-1].index + 1
    with pytest.raises(InvalidField, match="nothing to prune"):
        await pruning(old, after(old.clock.now(), -YEAR_S))


@pytest.mark.answers_lost("pruning.delete_pruned")
async def test_what_is_pruned_is_served_by_no_query_and_deleted_a_month_later(world: World) -> None:
    await world.add(FRANK)
    request = await submitted(world, reason="canary-reason of alice")
    cancelled = await cancel_request(request.id, caller=fresh(world, principal("alice")), **recording(world))
    assert cancelled.id == request.id
    first = (await world.store.read(lambda tx: tx.entries.since(0, limit=1)))[0]
    entry_id = orjson.loads(first.content)["id"]
    await filled(world, 300)
    world.clock.advance(2 * YEAR_S)
    await decided(world, await pruning(world, after(world.clock.now(), -YEAR_S)), retention=YEAR)

    def seen(tx: Transaction) -> list[Any]:
        return [
            tx.entries.find(entry_id),
            list(tx.entries.page(request=request.id)),
            list(tx.entries.since(0, types=frozenset({"request.submitted"}))),
        ]

    assert await world.store.read(seen) == [None, [], []]
    assert await delete_pruned(log=world.log) == 0
    assert await world.store.read(lambda tx: tx.prunings.first_stored()) == 0
    assert await world.store.read(lambda tx: dict(texts_of(tx, entry_id, world.vault)))
    world.clock.advance(DELETED_AFTER_S + 1)
    assert await delete_pruned(log=world.log) == BUNDLE
    assert await world.store.read(lambda tx: tx.prunings.first_stored()) == BUNDLE
    assert not await world.store.read(lambda tx: dict(texts_of(tx, entry_id, world.vault)))
    await check_log(world.store)
    await filled(world, 3)
    await check_log(world.store)


@pytest.mark.parametrize("retention", [Retention(None), Retention(3 * YEAR_S)], ids=["for ever", "three years"])
async def test_what_has_to_be_kept_is_not_pruned(old: World, retention: Retention) -> None:
    with pytest.raises(InvalidField):
        await pruning(old, after(old.clock.now(), -YEAR_S), retention)
    act = await pruning(old, after(old.clock.now(), -YEAR_S))
    with pytest.raises(InvalidField):
        await decided(old, act, retention=retention)


@pytest.mark.answers_lost(
    "legal_holds.release_hold",
    "legal_holds.set_hold",
    "pruning.propose_pruning",
    "review_act.review_act",
)
async def test_a_hold_stops_it_and_its_release_lets_it_go_on(old: World) -> None:
    act = await pruning(old, after(old.clock.now(), -YEAR_S))
    hold = await set_hold(
        from_at=Instant(0), to_at=old.clock.now(), reason="case 7", caller=fresh(old, ERIN), **recording(old)
    )
    with pytest.raises(UnderHold):
        await decided(old, act, retention=YEAR)
    with pytest.raises(InvalidField, match="nothing to prune"):
        await pruning(old, after(old.clock.now(), -YEAR_S))
    await release_hold(hold.id, caller=fresh(old, FRANK), **recording(old))
    await decided(old, act, retention=YEAR)


async def test_nothing_of_a_live_grant_or_a_lock_in_force_goes(world: World) -> None:
    await world.add(FRANK)
    await filled(world, 300)
    grant = (await reviewed(world, await submitted(world))).grant
    assert grant is not None
    await filled(world, 300)
    world.clock.advance(2 * YEAR_S)
    # Its time is over by the clock, and nobody wrote that down.
    act = await pruning(world, after(world.clock.now(), -YEAR_S))
    assert act.terms["min_index"] == "256", "the grant begins at 300"
    assert await expire_due(**recording(world))
    act = await pruning(world, after(world.clock.now(), -YEAR_S))
    assert act.terms["min_index"] == "512"

    def lock(tx: Transaction, now: Instant) -> Recorded[None]:
        on = LockOn(LockKind.SOURCE, "files")
        long_ago = after(now, -2 * YEAR_S)
        tx.holds.insert_lock(
            Lock(id=LockId(world.new_id("lck")), on=on, reason="x", added_by=ERIN.id, added_at=long_ago)
        )
        return Recorded(None)

    await world.log.commit(lock)
    with pytest.raises(StillNeeded):
        await decided(world, act, retention=YEAR)


@pytest.mark.sqlite
async def test_triggers_keep_what_was_not_pruned(old: World) -> None:
    await decided(old, await pruning(old, after(old.clock.now(), -YEAR_S)), retention=YEAR)
    for statement, why in (
        ("DELETE FROM entries WHERE idx = 512", "audit entries are kept"),
        ("UPDATE seq_head SET min_index = 256", "the head of the log only moves forward"),
    ):
        with pytest.raises(old.store.library.module.IntegrityError, match=why):
            raw(old.store, statement)
