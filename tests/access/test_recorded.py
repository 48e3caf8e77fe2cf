"""What entries carry so that whoever has nothing else can tell that rights were kept: rules, profiles, actors, ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.access.glass import ALICE, BOB, CAROL, GLASS, broken, looked_at
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.access.test_locks import lock
from tests.access.test_open_session import opened
from tests.fakes.world import PROFILES, World, caller, principal, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import PolicyDenied
from loglease.access.journal import Journal
from loglease.access.lift_lock import lift_lock
from loglease.access.reassert import reassert
from loglease.access.review_request import Narrowing
from loglease.access.serving import Settled, Unit
from loglease.access.submit_request import submit_request
from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable
from loglease.model.after_review import AfterVerdict
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.instant import EventWindow, after, instant_text
from loglease.model.labels import Selector
from loglease.model.principal import Role
from loglease.model.scope import Level, Scope
from loglease.model.session import SessionKind
from loglease.policy.entry_shapes import line_rules, profiles_of


async def entries(world: World, *types: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    return [orjson.loads(row.content) for row in rows]


def rules_in(data: dict[str, Any]) -> set[str]:
    (scope,) = data["scopes"]
    return set(scope["rules_c"])


async def test_line_rules_have_one_commitment_from_the_wish_to_the_query(world: World) -> None:
    asking = await submit_request(
        wish(contains=("pay",), level_from=Level.INFO),
        caller=caller(principal("alice"), world.clock.now()),
        offer=None,
        **world.ports,
    )
    narrowing = Narrowing(contains=("timeout",), level_from=Level.ERROR)
    done = await reviewed(world, asking, narrowing=narrowing)
    assert done.grant is not None
    await opened(world, done.grant, SessionKind.QUERY)
    (wished,) = await entries(world, "request.submitted")
    (made,) = await entries(world, "offer.made")
    (given,) = await entries(world, "review.given")
    (granted,) = await entries(world, "grant.scheduled")
    (query,) = await entries(world, "query.recorded")
    assert len(rules_in(wished["data"])) == 3  # pay, and the levels debug and info
    assert rules_in(wished["data"]) == rules_in(made["data"])
    assert rules_in(made["data"]) < rules_in(given["data"]["narrowed"])
    assert rules_in(given["data"]["narrowed"]) == rules_in(granted["data"]) == rules_in(query["data"])
    assert len(rules_in(granted["data"])) == 6  # and timeout, warn, error


async def test_requests_share_no_commitment(world: World) -> None:
    for _ in range(2):
        asking = await submitted(world)
        await reviewed(world, asking, narrowing=Narrowing(contains=("timeout",)))
    one, other = await entries(world, "grant.scheduled")
    assert rules_in(one["data"]).isdisjoint(rules_in(other["data"]))


@pytest.mark.parametrize("level", list(Level))
def test_a_higher_level_has_the_rules_of_all_lower_ones(level: Level) -> None:
    def ruled(one: Level) -> set[str]:
        return set(line_rules(Scope(source="s", selector=Selector(), window=EventWindow(0, 1), level_from=one)))

    for other in Level:
        assert (ruled(other) <= ruled(level)) is (other.rank <= level.rank)


def test_a_profile_comes_with_those_that_it_is_stricter_than() -> None:
    found = profiles_of(PROFILES, {"pii-default@1": "aa" * 32, "secrets@1": "bb" * 32})
    assert found("pii-default@1") == [
        {"name": "pii-default@1", "sha256": "aa" * 32},
        {"name": "secrets@1", "sha256": "bb" * 32},
    ]
    assert [one["name"] for one in found("raw@1")] == ["raw@1"]


@pytest.mark.answers_lost("add_lock.add_lock")
async def test_the_entry_of_a_locked_person_says_until_when(world: World, tmp_path: Path) -> None:
    until = after(world.clock.now(), 60)
    await lock(world, LockOn(LockKind.PERSON, "per_bob"), tmp_path, until=until)
    (locked,) = await entries(world, "principal.locked")
    assert locked["data"]["until_at"] == instant_text(until)


async def test_every_offer_of_these_tests_is_made_again_at_their_end(world: World) -> None:
    await active_grant(world)
    await submitted(world, app="pay")
    await world.keeps_the_rules()
    assert world.recomputed == 2


async def test_a_late_record_names_who_acted(world: World, tmp_path: Path) -> None:
    class Broken:
        async def commit(self, *_: object, **__: object) -> object:
            raise AuditUnavailable("not now")

    grant = await active_grant(world)
    watch = Watch(world.store, world.clock, world.random)
    await revoke_grant(world, grant.id, log=Broken(), watch=watch)
    journal = Journal.open(tmp_path / "revocations.journal")
    await reassert(journal, log=world.log, watch=watch, new_id=world.new_id, random=world.random)
    journal.close()
    (revoked,) = await entries(world, "grant.revoked")
    assert (revoked["actor"], revoked["data"]["late"]) == ("sub_bob", True)


async def test_an_after_review_says_where_it_stands(tmp_path: Path) -> None:
    world = await World(tmp_path, policy=GLASS).start()
    await world.add(ALICE, BOB, CAROL)
    request = await broken(world)
    await looked_at(world, request.id, verdict=AfterVerdict.FOLLOW_UP)
    await looked_at(world, request.id, verdict=AfterVerdict.JUSTIFIED)
    assert [one["data"]["state"] for one in await entries(world, "breakglass.reviewed")] == ["follow_up", "justified"]
    await world.stop()


@pytest.mark.answers_lost("lift_lock.lift_lock")
async def test_what_somebody_approved_who_is_locked_now_does_not_count(world: World, tmp_path: Path) -> None:
    done = await reviewed(world, await submitted(world))
    assert done.grant is not None
    await lock(world, LockOn(LockKind.PERSON, "per_bob"), tmp_path)
    alice = caller(principal("alice"), world.clock.now())
    ports = {"log": world.log, "rules": world.rules, "new_id": world.new_id}
    ports |= {"watch": Watch(world.store, world.clock, world.random)}
    with pytest.raises(PolicyDenied):
        await activate_grant(done.grant.id, caller=alice, **ports)
    locks = await world.store.read(lambda tx: tx.holds.locks(now=world.clock.now()))
    erin = replace(caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now()))
    await lift_lock(locks[0].id, caller=erin, log=world.log, new_id=world.new_id, random=world.random)
    active = await activate_grant(done.grant.id, caller=alice, **ports)
    assert active.state is GrantState.ACTIVE


async def test_the_last_approval_does_not_complete_what_a_locked_person_began(world: World, tmp_path: Path) -> None:
    request = await submitted(world, app="pay")
    await reviewed(world, request, by="bob")
    await lock(world, LockOn(LockKind.PERSON, "per_bob"), tmp_path)
    assert (await reviewed(world, request, by="carol")).grant is None


@pytest.mark.parametrize("unit", list(Unit))
def test_what_was_handed_over_says_what_it_is(unit: Unit) -> None:
    assert Settled(lines=1, unit=unit).data(bytes(16))["unit"] == str(unit)
