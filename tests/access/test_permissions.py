"""Who sees a request and a grant, and what takes a grant out of use: each reason by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.access.journey import active_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.caller import Caller
from loglease.access.errors import NotFound
from loglease.access.permissions import is_held, locks_on_grant, matches, visible_grant, visible_request
from loglease.model.grant import Grant
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, RequestId
from loglease.model.principal import Role
from loglease.store.interface import Transaction


async def sees(world: World, who: str, request: str) -> bool:
    def query(tx: Transaction) -> bool:
        try:
            return visible_request(tx, stored(tx, who, world), RequestId(request)).id == request
        except NotFound:
            return False

    return await world.store.read(query)


def stored(tx: Transaction, who: str, world: World) -> Caller:
    """Return somebody as the database knows them, who has just signed in."""
    found = tx.principals.find(principal(who).id)
    assert found is not None
    return caller(found, world.clock.now())


async def test_a_request_is_seen_by_its_person_its_reviewers_and_overseers_alone(world: World) -> None:
    await world.add(
        principal("alice-again", person="per_alice"),
        principal("mallory"),
        principal("sam", roles=(Role.AUDITOR,)),
        principal("pam", roles=(Role.POLICY_ADMIN,)),
    )
    request = await submitted(world)
    seen = {
        who: await sees(world, who, request.id)
        for who in ("alice", "alice-again", "bob", "carol", "mallory", "sam", "erin", "pam")
    }
    assert {who for who, found in seen.items() if found} == {"alice", "alice-again", "bob", "carol", "sam", "erin"}
    assert not await sees(world, "alice", "req_" + "0" * 26)


async def test_a_grant_is_seen_with_its_request_and_by_a_token_of_it_alone(world: World) -> None:
    grant = await active_grant(world)
    await world.add(principal("mallory"))

    async def seen(who: str, only: str | None = None) -> bool:
        def query(tx: Transaction) -> bool:
            asking = replace(stored(tx, who, world), only_grant=None if only is None else GrantId(only))
            try:
                return visible_grant(tx, asking, grant.id)[0].id == grant.id
            except NotFound:
                return False

        return await world.store.read(query)

    assert await seen("alice")
    assert await seen("bob")
    assert not await seen("mallory")
    assert await seen("alice", only=grant.id)
    assert not await seen("alice", only="grt_" + "0" * 26)


LOCKS = {
    LockKind.EVERYTHING: "",
    LockKind.PRINCIPAL: "prn_alice",
    LockKind.PERSON: "per_alice",
    LockKind.GROUP: "engineering",
    LockKind.SOURCE: "files",
}


async def test_a_lock_is_aimed_at_what_it_names_and_at_nothing_else(world: World) -> None:
    grant = await active_grant(world)
    alice = principal("alice")
    names = {
        **LOCKS,
        LockKind.GRANT: grant.id,
        LockKind.REQUEST: grant.request,
        LockKind.POLICY: grant.policy,
    }
    for kind, name in names.items():
        assert matches(LockOn(kind, name), principal=alice, grant=grant), kind
        if kind is not LockKind.EVERYTHING:
            assert not matches(LockOn(kind, name + "x"), principal=alice, grant=grant), kind
            assert not matches(LockOn(kind, name), principal=None), kind
    assert matches(LockOn(LockKind.SOURCE, "files"), principal=None, source="files")
    assert not matches(LockOn(LockKind.TOKEN, "tok_x"), principal=alice, grant=grant)
    extension = replace(grant, id=GrantId("grt_next"), extends=(grant.id,))
    assert matches(LockOn(LockKind.GRANT, grant.id), principal=alice, grant=extension)


@pytest.mark.parametrize("out", ["epoch", "disabled", "nobody"])
async def test_a_grant_of_another_history_or_of_nobody_is_held(world: World, out: str) -> None:
    grant = await active_grant(world)
    now = world.clock.now()
    assert not await world.store.read(lambda tx: is_held(tx, grant, now))
    assert await world.store.read(lambda tx: locks_on_grant(tx, grant, now)) == []
    changed: Grant = replace(grant, epoch=grant.epoch + 1) if out == "epoch" else grant
    if out == "nobody":
        changed = replace(grant, holder=principal("stranger").id)
    if out == "disabled":
        await world.add(principal("gone", enabled=False))
        changed = replace(grant, holder=principal("gone").id)
    assert await world.store.read(lambda tx: is_held(tx, changed, now))
