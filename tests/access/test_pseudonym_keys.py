"""How far pseudonyms reach: one key in a scope, another in every other one, and none where a salt is gone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.access.journey import active_grant, reviewed, submitted
from tests.fakes.world import POLICY, Runner, World, caller, principal, rules_of
from tests.store import values

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import PolicyDenied
from loglease.access.pseudonym_keys import forget_key_salts
from loglease.access.recheck_grants import recheck_grants
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.model.grant import Grant, GrantState
from loglease.model.instant import Instant, parse_instant
from loglease.model.key_scope import KeyScope, day_of, linkable_in_words, narrowest
from loglease.redaction import Keys, Withheld
from loglease.server.reading import keys_of

MASTER = b"m" * 32
DAY_S = 86_400


def policy_with(first: str, second: str = "grant") -> Rules:
    """Return the two policies of the world with pseudonyms that reach so far; the second takes one approval, too."""
    one, two, rest = (POLICY.replace(b"need: 2", b"need: 1")).split(b"kind: AccessPolicy\n")
    parts = (
        text.replace(b"  redaction: pii-default\n", f"  redaction: pii-default\n  pseudonyms: {scope}\n".encode())
        for text, scope in ((two, first), (rest, second))
    )
    return rules_of(b"kind: AccessPolicy\n".join((one, *parts)))


async def granted(world: World, *, app: str = "web") -> Grant:
    done = await reviewed(world, await submitted(world, app=app))
    assert done.grant is not None
    return done.grant


def key(grant: Grant) -> bytes:
    return keys_of(MASTER, grant).pseudonym


async def test_by_default_no_two_grants_have_one_key(world: World) -> None:
    one, two = await granted(world), await granted(world)
    assert (one.shape.pseudonyms, one.shared_salt) == (KeyScope.GRANT, None)
    assert key(one) != key(two)
    assert key(one) == Keys.derived(MASTER, salt=one.key_salt, grant_id=one.id).pseudonym


async def test_a_team_has_one_key_a_day(world: World) -> None:
    world.rules = policy_with("team-day", "team-day")
    one, two, other = await granted(world), await granted(world), await granted(world, app="pay")
    assert key(one) == key(two) != key(other)
    world.clock.advance(DAY_S)
    tomorrow = await granted(world)
    assert len({key(one), key(other), key(tomorrow)}) == 3
    assert day_of(tomorrow.scheduled_at) > day_of(one.scheduled_at)


async def test_a_deployment_has_one_key_for_all_that_reach_so_far(world: World) -> None:
    world.rules = policy_with("deployment", "deployment")
    one, other = await granted(world), await granted(world, app="pay")
    world.clock.advance(DAY_S)
    assert key(one) == key(other) == key(await granted(world))
    world.rules = policy_with("deployment", "team-day")
    assert key(await granted(world, app="pay")) != key(one)


@pytest.mark.answers_lost("pseudonym_keys.forget_key_salts")
async def test_a_grant_keeps_its_key_over_midnight_and_when_the_salts_of_its_day_are_forgotten(world: World) -> None:
    world.rules = policy_with("team-day")
    grant = await granted(world)
    before = key(grant)
    world.clock.advance(DAY_S)
    await forget_key_salts(log=world.log)
    found = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert found is not None
    assert key(found) == before


async def test_a_salt_is_handed_out_on_its_day_alone_and_that_of_the_deployment_for_good(world: World) -> None:
    world.rules = policy_with("team-day", "deployment")
    await granted(world)
    await granted(world, app="pay")
    today = day_of(world.clock.now())
    await forget_key_salts(log=world.log)
    salts = await world.store.read(
        lambda tx: (tx.key_salts.find("team-day/one-approval", today), tx.key_salts.find("deployment", ""))
    )
    assert all(one is not None and len(one) == 32 for one in salts)
    world.clock.advance(DAY_S)
    await forget_key_salts(log=world.log)
    assert await world.store.read(
        lambda tx: (tx.key_salts.find("team-day/one-approval", today), tx.key_salts.find("deployment", "") == salts[1])
    ) == (None, True)


async def test_the_record_says_how_far_they_reach_and_a_grant_of_its_own_goes_without_saying(world: World) -> None:
    async def said() -> list[Any]:
        rows = await world.store.read(
            lambda tx: tx.entries.since(0, types=frozenset({"offer.made", "grant.scheduled"}))
        )
        return [orjson.loads(row.content)["data"].get("pseudonyms") for row in rows]

    await granted(world)
    assert await said() == [None, None]
    world.rules = policy_with("team-day")
    request = await submitted(world)
    assert orjson.loads(request.terms_bytes)["offer"]["pseudonyms"] == "team_day", "so reviews are bound to it"
    await reviewed(world, request)
    assert await said() == [None, None, "team_day", "team_day"]


@pytest.mark.parametrize(
    ("asked", "approved", "used", "given"),
    [
        ("deployment", "team-day", "deployment", KeyScope.TEAM_DAY),
        ("team-day", "deployment", "deployment", KeyScope.TEAM_DAY),
        ("grant", "deployment", "deployment", KeyScope.GRANT),
        ("deployment", "grant", "deployment", KeyScope.GRANT),
        ("deployment", "deployment", "deployment", KeyScope.DEPLOYMENT),
    ],
)
async def test_the_narrowest_of_what_was_asked_under_and_what_is_in_force_counts(
    world: World, asked: str, approved: str, used: str, given: KeyScope
) -> None:
    world.rules = policy_with(asked)
    request = await submitted(world)
    world.rules = policy_with(approved)
    grant = (await reviewed(world, request)).grant
    assert grant is not None
    assert grant.shape.pseudonyms is given
    assert (grant.shared_salt is None) == (given is KeyScope.GRANT)
    rules = policy_with(used)
    assert (await in_use(world, grant, rules)).shape.pseudonyms is given


async def in_use(world: World, grant: Grant, rules: Rules) -> Grant:
    """Return an approved grant as a session under these rules uses it."""
    world.rules = rules
    ports = {name: port for name, port in world.ports.items() if name != "random"}
    ports["watch"] = Watch(world.store, world.clock, world.random)
    active = await activate_grant(grant.id, caller=caller(principal("alice"), world.clock.now()), **ports)

    def query(tx: Any) -> Grant:
        request = tx.requests.find(grant.request)
        return rules.usable(request, active, tx.principals.directory(), world.clock.now())

    return await world.store.read(query)


async def test_a_session_that_opens_under_narrower_rules_has_a_key_that_links_less(world: World) -> None:
    world.rules = policy_with("deployment")
    grant = await granted(world)
    wide = key(await in_use(world, grant, policy_with("deployment")))
    day = key(await in_use(world, grant, policy_with("team-day")))
    own = key(await in_use(world, grant, policy_with("grant")))
    assert len({wide, day, own}) == 3
    assert own == Keys.derived(MASTER, salt=grant.key_salt, grant_id=grant.id).pseudonym


@pytest.mark.answers_lost("recheck_grants.recheck_grants")
async def test_a_guardrail_that_begins_to_bound_them_ends_open_sessions(world: World) -> None:
    world.rules = before = policy_with("deployment")
    grant = await active_grant(world)

    def opens(tx: Any, now: Instant) -> Any:

        tx.sessions.insert(replace(values.session(1), grant=grant.id, opened_at=now))
        return Recorded(None)

    await world.log.commit(opens)
    rail = b"\n---\napi: loglease/v1\nkind: Guardrail\nid: narrow\napplies: {all_streams: true}\nat_least: {pseudonyms: grant}\n"
    bounded = replace(before, bundle=replace(before.bundle, guardrails=rules_of(POLICY + rail).bundle.guardrails))
    await recheck_grants(before, bounded, log=world.log, new_id=world.new_id, random=world.random)
    types = frozenset({"grant.suspended", "grant.resumed"})
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=types))
    assert [orjson.loads(row.content)["data"]["cause"] for row in rows] == ["guardrail", "guardrail"]


@pytest.mark.parametrize("gone", [{"key_salt": b""}, {"shared_salt": None}, {"shared_salt": b"short"}], ids=str)
async def test_a_grant_whose_key_is_gone_neither_starts_nor_gets_another_one(
    world: World, gone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rules = policy_with("team-day")
    grant = replace(await granted(world), **gone)
    monkeypatch.setattr("loglease.access.activate_grant.held_grant", lambda *_: grant)
    ports = {name: port for name, port in world.ports.items() if name != "random"}
    ports["watch"] = Watch(world.store, world.clock, world.random)
    with pytest.raises(PolicyDenied, match="key of the pseudonyms"):
        await activate_grant(grant.id, caller=caller(principal("alice"), world.clock.now()), **ports)
    found = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert found is not None
    assert found.state is GrantState.SCHEDULED
    if "shared_salt" in gone:
        with pytest.raises(Withheld, match="key_missing"):
            keys_of(MASTER, grant)


@dataclass(frozen=True)
class Made:
    """A grant of a run, as the reference model knows it."""

    scope: str
    policy: str
    day: int
    number: int

    @property
    def reach(self) -> tuple[object, ...]:
        return {"grant": (self.number,), "team-day": (self.policy, self.day), "deployment": ("all",)}[self.scope]


STEPS = st.lists(
    st.tuples(st.sampled_from(["grant", "team-day", "deployment"]), st.sampled_from(["web", "pay"]), st.integers(0, 1)),
    min_size=2,
    max_size=6,
)


@given(steps=STEPS)
@settings(max_examples=20, deadline=None)
def test_two_grants_have_one_key_exactly_where_they_are_in_one_scope(
    steps: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Runner()
    world = run(World(tmp_path_factory.mktemp("keys")).start())
    try:
        run(world.add(principal("alice"), principal("bob", groups=("engineering", "approvers"))))
        made: list[tuple[Made, bytes]] = []
        day = 0
        for number, (scope, app, later) in enumerate(steps):
            day += later
            world.clock.advance(later * DAY_S)
            world.rules = policy_with(scope, scope)
            grant = run(granted(world, app=app))
            made.append((Made(scope, app, day, number), key(grant)))
        for one, first in made:
            for two, second in made:
                assert (first == second) == ((one.scope, one.reach) == (two.scope, two.reach))
    finally:
        run(world.stop())
        run.close()


def test_the_narrowest_scope_and_what_the_others_link() -> None:
    assert narrowest(()) is KeyScope.GRANT
    assert narrowest((None, KeyScope.DEPLOYMENT, KeyScope.TEAM_DAY)) is KeyScope.TEAM_DAY
    assert linkable_in_words(KeyScope.GRANT, "payments") is None
    assert "all grants of payments" in (linkable_in_words(KeyScope.TEAM_DAY, "payments") or "")
    assert "for good" in (linkable_in_words(KeyScope.DEPLOYMENT, "payments") or "")
    assert day_of(parse_instant("2026-11-27T23:59:59.999999Z")) == "2026-11-27"
