"""What policies want to stay true while grants are used: looks that are due, suspensions and revocations like all others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from tests.access.facts import AWAY, found_grant, held, informed, keeping, policy_with, read_with
from tests.access.journey import active_grant, revoke_grant
from tests.fakes.world import World, rules_of

from loglease.access import keep_grants
from loglease.access.errors import PolicyDenied
from loglease.access.journal import JournalDamaged, JournalRecord
from loglease.access.keep_grants import NOT_KEPT
from loglease.access.reassert import reassert
from loglease.access.recheck_grants import recheck_grants
from loglease.access.watch import GrantCut, Watch
from loglease.audit.interface import Recorded
from loglease.model.errors import GrantNotActive
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, RevocationId
from loglease.model.instant import Instant
from loglease.model.offer import Outcome
from loglease.model.session import CloseWhy
from loglease.policy.conditions import Fault

REVOKES = "{when: ctx.calm, every: 10s, otherwise: revoke}"


async def due_at(world: World, grant: GrantId) -> Instant | None:
    look = await world.store.read(lambda tx: tx.keeps.find(grant))
    return None if look is None else look.due_at


async def entries(world: World, *types: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    return [orjson.loads(row.content) for row in rows]


@pytest.mark.answers_lost("keep_grants.Keeper.step")
async def test_a_grant_is_suspended_when_what_is_kept_ends_and_goes_on_when_it_holds_again(world: World) -> None:
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grant = await active_grant(world)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
        assert await held(world, grant.id) == []
        desk.answers["ctx.calm"] = False
        world.clock.advance(29)
        await keeper.step(world.rules)
        assert await held(world, grant.id) == [], "not yet time to look"
        world.clock.advance(1)
        await keeper.step(world.rules)
        assert await held(world, grant.id) == [f"policy: {NOT_KEPT}"]
        desk.answers["ctx.calm"] = True
        world.clock.advance(30)
        await keeper.step(world.rules)
    assert await held(world, grant.id) == []
    found = await entries(world, "grant.suspended", "grant.resumed")
    assert [one["type"] for one in found] == ["grant.suspended", "grant.resumed"]


async def test_a_grant_stops_where_its_holder_reads_from_elsewhere_and_goes_on_when_they_are_back(world: World) -> None:
    desk = informed(world, policy_with(keep=AWAY))
    desk.net = "corp"
    grant = await active_grant(world)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
        assert await held(world, grant.id) == []
        desk.net = "other"
        with pytest.raises(PolicyDenied):
            await read_with(world, grant)
        world.clock.advance(30)
        await keeper.step(world.rules)
        assert await held(world, grant.id) == [f"policy: {NOT_KEPT}"]
        desk.net = "corp"
        with pytest.raises(GrantNotActive):
            await read_with(world, grant)
        world.clock.advance(30)
        await keeper.step(world.rules)
    assert await held(world, grant.id) == []
    await read_with(world, grant)


async def test_in_an_outage_the_last_good_answer_counts_until_it_is_too_old(world: World) -> None:
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s, otherwise: revoke}"))
    grant = await active_grant(world)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
    desk.answers["ctx.calm"] = Fault("down")
    for _ in range(2):
        world.clock.advance(30)
        with keeping(world) as another:  # a process that has just started, or another one, knows the same
            await another.step(world.rules)
        assert await held(world, grant.id) == []
    world.clock.advance(30)
    with keeping(world) as another:
        await another.step(world.rules)
    assert await held(world, grant.id) == [f"policy: {NOT_KEPT}"], "an outage suspends, and revokes nothing"


async def test_a_revocation_by_policy_is_one_like_any_other(world: World) -> None:
    """In the store, the audit log, the feed, the journal and for open sessions."""
    desk = informed(world, policy_with(keep=REVOKES))
    grant, other = await active_grant(world), await active_grant(world)
    await revoke_grant(world, other.id)
    by_person = (await entries(world, "grant.revoked"))[0]
    watch = Watch(world.store, world.clock, world.random)
    await watch.poll()
    cuts: list[Any] = []
    watch.subscribe(cuts.append)
    desk.answers["ctx.calm"] = False
    with keeping(world) as keeper:
        await keeper.step(world.rules)
        (record,) = [one for one in keeper.journal.records() if one.by is None]
    await watch.poll()
    assert cuts == [GrantCut(grant=grant.id, why=CloseWhy.REVOKED, text="grant revoked")]
    by_policy = (await entries(world, "grant.revoked"))[1]
    assert by_policy["data"].keys() == by_person["data"].keys()
    assert by_policy["ref"].keys() == by_person["ref"].keys()
    assert (by_policy["actor"], by_policy["data"]["cause"], by_policy["data"]["object"]) == (
        "system",
        "grant",
        grant.id,
    )
    row = await world.store.read(lambda tx: tx.revocations.find(RevocationId(record.id)))
    assert row is not None
    assert row == record.row()
    assert (row.on, row.grants, row.by) == (LockOn(LockKind.GRANT, grant.id), (grant.id,), None)
    found = await found_grant(world, grant.id)
    assert (found.state, found.ended_by, found.reason) == (GrantState.REVOKED, None, row.reason)
    assert "ctx.calm" in row.reason
    assert await due_at(world, grant.id) is None


async def test_a_revocation_by_policy_that_only_the_journal_has_is_made_again(world: World) -> None:
    informed(world, policy_with())
    grant = await active_grant(world)
    on = f"grant:{grant.id}"
    lost = JournalRecord(
        kind="revoke", id="rvk_lost", on=on, grants=(grant.id,), at=world.clock.now(), reason="not kept", by=None
    )
    with keeping(world) as keeper:
        await keeper.journal.append(lost)
    with keeping(world) as after_a_start:
        watch = Watch(world.store, world.clock, world.random)
        ports = {"log": world.log, "watch": watch, "new_id": world.new_id, "random": world.random}
        assert await reassert(after_a_start.journal, **ports) == 1
        assert await reassert(after_a_start.journal, **ports) == 0
    assert (await found_grant(world, grant.id)).state is GrantState.REVOKED


async def test_a_lock_in_the_journal_has_somebody_who_set_it(world: World) -> None:
    nobody = JournalRecord(
        kind="lock", id="lck_1", on="everything", grants=(), at=world.clock.now(), reason="", by=None
    )
    with pytest.raises(JournalDamaged):
        nobody.lock()


async def test_only_what_is_due_is_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    first = await active_grant(world)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
        world.clock.advance(10)
        second = await active_grant(world)
        desk.asked.clear()
        monkeypatch.setattr("loglease.store.grants.SqlGrants.live", None)
        await keeper.step(world.rules)
        assert len(desk.asked) == 1
        assert await due_at(world, second.id) == world.clock.now() + 30_000_000
        assert await due_at(world, first.id) == world.clock.now() + 20_000_000

        async def refused(*_: object, **__: object) -> None:
            raise AssertionError("nothing is due, so nothing may take the log")

        monkeypatch.setattr(world.log, "commit", refused)
        await keeper.step(world.rules)


async def test_two_processes_do_one_look_once(world: World) -> None:
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grant = await active_grant(world)
    desk.answers["ctx.calm"] = False
    with keeping(world) as one, keeping(world) as two:
        looked = world.rules

        async def ask_late(questions: Any) -> Any:
            answers = await desk.ask(questions)
            if len(desk.asked) == 1:
                await two.step(looked)
            return answers

        await one.step(replace(looked, ask=ask_late))
    assert await held(world, grant.id) == [f"policy: {NOT_KEPT}"]
    assert len(await entries(world, "grant.suspended")) == 1


async def test_more_than_one_batch_is_looked_at_in_a_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grants = [await active_grant(world) for _ in range(5)]
    monkeypatch.setattr(keep_grants, "AT_ONCE", 2)
    desk.answers["ctx.calm"] = False
    with keeping(world) as keeper:
        await keeper.step(world.rules)
    assert [await held(world, one.id) for one in grants] == [[f"policy: {NOT_KEPT}"]] * 5


async def test_what_is_over_is_looked_at_no_more(world: World) -> None:
    informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grant = await active_grant(world)
    await revoke_grant(world, grant.id)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
    assert await due_at(world, grant.id) is None


async def test_a_policy_that_wants_something_from_now_on_gets_it_at_once(world: World) -> None:
    informed(world, policy_with())
    grant = await active_grant(world)
    before = world.rules
    assert await due_at(world, grant.id) is None
    desk = informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    desk.answers["ctx.calm"] = False
    await recheck_grants(before, world.rules, log=world.log, new_id=world.new_id, random=world.random)
    with keeping(world) as keeper:
        await keeper.step(world.rules)
        assert await held(world, grant.id) == [f"policy: {NOT_KEPT}"]
        # A policy that wants nothing any more suspends nothing any more, either.
        after = rules_of(policy_with())
        await recheck_grants(world.rules, after, log=world.log, new_id=world.new_id, random=world.random)
        await keeper.step(after)
    assert await held(world, grant.id) == []
    assert await due_at(world, grant.id) is None


async def test_a_start_takes_up_the_grants_that_nobody_looks_at(world: World) -> None:
    informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grant = await active_grant(world)

    def forget(tx: Any, _now: Instant) -> Any:
        tx.keeps.end(grant.id)
        return Recorded(None)

    await world.log.commit(forget)
    await recheck_grants(None, world.rules, log=world.log, new_id=world.new_id, random=world.random)
    assert await due_at(world, grant.id) == world.clock.now()


async def test_an_emergency_is_under_no_policy_that_has_its_name(world: World) -> None:
    informed(world, policy_with(keep="{when: ctx.calm, every: 30s}"))
    grant = await active_grant(world)
    assert world.rules.keeps(grant) is not None
    assert world.rules.keeps(replace(grant, basis=Outcome.BREAK_GLASS)) is None
