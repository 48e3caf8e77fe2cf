"""Asking for more time: who may, what for, when it begins, how often, and what ends it before it has begun."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from tests.access.glass import CAROL, DAVE, EMERGENCY, broken, fresh
from tests.access.journey import active_grant, reviewed, revoke_grant
from tests.fakes.world import POLICY, World, bundle_of, caller, principal, rules_of, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.add_lock import add_lock
from loglease.access.errors import ExtensionExists, ExtensionNotAllowed, NotFound, PolicyDenied, ReasonRequired
from loglease.access.expire_due import expire_due
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.journal import Journal
from loglease.access.permissions import is_held
from loglease.access.resume_grant import resume_grant
from loglease.access.return_grant import return_grant
from loglease.access.review_request import Narrowing
from loglease.access.start_extensions import Starter
from loglease.access.submit_request import submit_request
from loglease.access.suspend_grant import suspend_grant
from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.errors import GrantEnded, GrantNotActive, NarrowingNotSubset
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId
from loglease.model.instant import MICROSECONDS, NANOSECONDS, Instant
from loglease.model.limits import Limits
from loglease.model.principal import Role
from loglease.model.review import Verdict
from loglease.model.wish import WindowDraft
from loglease.store.interface import Transaction

EXTENDING = POLICY.replace(
    b"redaction: pii-default\napprove", b"redaction: pii-default\n  extend: {times: 2, by: 5m}\napprove"
)
AUTO = EXTENDING.replace(
    b"  - otherwise: true\n    stages: [{from: [group:approvers], need: 1}]", b"  - {otherwise: true, auto: true}"
)
MINUTE = 60


@pytest.fixture(autouse=True)
def _extends(world: World) -> None:
    world.rules = rules_of(EXTENDING)


def draft(grant: Grant, **changes: Any) -> ExtensionDraft:
    return ExtensionDraft(**({"grant": grant.id, "reason": "it is not found yet"} | changes))


async def asked(world: World, grant: Grant, *, by: str = "alice", **changes: Any) -> AccessRequest:
    who = caller(principal(by), world.clock.now())
    return await submit_request(draft(grant, **changes), caller=who, offer=None, **world.ports)


async def extended(world: World, grant: Grant, **changes: Any) -> Grant:
    done = await reviewed(world, await asked(world, grant, **changes))
    assert done.grant is not None
    return done.grant


async def found(world: World, grant: Grant) -> Grant:
    stored = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert stored is not None
    return stored


async def request_of(world: World, request: AccessRequest) -> AccessRequest:
    stored = await world.store.read(lambda tx: tx.requests.find(request.id))
    assert stored is not None
    return stored


async def state(world: World, grant: Grant) -> GrantState:
    now = world.clock.now()

    def query(tx: Transaction) -> GrantState:
        stored = tx.grants.find(grant.id)
        assert stored is not None
        return stored.state_at(now, held=is_held(tx, stored, now))

    return await world.store.read(query)


def until(world: World, instant: Instant | None, offset_s: float = 0) -> None:
    """Move the clock to an instant, and by so much further."""
    assert instant is not None
    world.clock.advance((instant - world.clock.now()) / MICROSECONDS + offset_s)


async def used(world: World, grant: Grant) -> Grant:
    return await activate_grant(
        grant.id,
        caller=caller(principal("alice"), world.clock.now()),
        log=world.log,
        watch=Watch(world.store, world.clock, world.random),
        rules=world.rules,
        new_id=world.new_id,
    )


def starter(world: World) -> Starter:
    watch = Watch(world.store, world.clock, world.random)
    return Starter(log=world.log, store=world.store, watch=watch, clock=world.clock, new_id=world.new_id)


async def entries(world: World, *kinds: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(kinds)))
    return [json.loads(row.content) for row in rows]


async def test_an_extension_is_a_request_of_its_own_that_says_what_it_extends(world: World) -> None:
    grant = await active_grant(world)
    world.clock.advance(MINUTE)
    request = await asked(world, grant)
    assert request.state is RequestState.PENDING
    assert (request.digest, request.id) != (grant.digest, grant.request)
    assert json.loads(request.terms_bytes)["wish"]["extends"] == grant.id
    assert [one["data"].get("extends") for one in await entries(world, "request.submitted")] == [None, grant.id]
    assert request.terms.duration_s == 5 * MINUTE
    assert [one.selector for one in request.terms.scopes] == [one.selector for one in grant.terms.scopes]
    extension = (await reviewed(world, request)).grant
    assert extension is not None
    assert (extension.extends, extension.starts_at) == ((grant.id,), grant.valid_until)
    assert extension.usage == type(extension.usage)()
    assert extension.key_salt != grant.key_salt
    scheduled = (await entries(world, "grant.scheduled"))[-1]["data"]
    assert scheduled["not_before_at"] == (await entries(world, "grant.activated"))[0]["data"]["until_at"]


@pytest.mark.answers_lost("start_extensions.Starter._begin")
async def test_it_begins_by_itself_exactly_where_the_other_ends(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until, -0.000_001)
    assert await starter(world).step(world.rules) == 0
    assert (await state(world, grant), await state(world, extension)) == (GrantState.ACTIVE, GrantState.SCHEDULED)
    with pytest.raises(GrantNotActive, match="begins at"):
        await used(world, extension)
    until(world, grant.valid_until, 0.4)
    assert await starter(world).step(world.rules) == 1
    begun = await found(world, extension)
    assert begun.valid_from == grant.valid_until
    assert begun.valid_until == (grant.valid_until or 0) + 5 * MINUTE * MICROSECONDS
    assert (await state(world, grant), await state(world, begun)) == (GrantState.ENDED, GrantState.ACTIVE)
    last = await entries(world, "grant.ended", "grant.activated")
    assert [(one["type"], one["ref"]["grant"]) for one in last[-2:]] == [
        ("grant.ended", grant.id),
        ("grant.activated", extension.id),
    ]
    assert last[-1]["actor"] == "system"
    assert await starter(world).step(world.rules) == 0


async def test_its_clock_has_the_same_start_when_nobody_wrote_it_down(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until, 2 * MINUTE)
    begun = await used(world, extension)
    assert begun.valid_from == grant.valid_until
    until(world, begun.valid_until)
    assert await state(world, begun) is GrantState.ENDED


async def test_one_that_nobody_began_is_over_when_its_time_is(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until, 5 * MINUTE)
    with pytest.raises(GrantEnded):
        await used(world, extension)
    await expire_due(log=world.log, new_id=world.new_id)
    ended = await found(world, extension)
    assert (ended.state, ended.ended_why, ended.valid_from) == (GrantState.ENDED, EndWhy.EXPIRED, None)


async def test_an_approval_that_comes_late_begins_with_the_first_use(world: World) -> None:
    grant = await active_grant(world)
    request = await asked(world, grant)
    until(world, grant.valid_until, 3 * MINUTE)
    await expire_due(log=world.log, new_id=world.new_id)
    done = await reviewed(world, request)
    assert done.grant is not None
    assert done.grant.starts_at is None
    assert await starter(world).step(world.rules) == 0
    world.clock.advance(MINUTE)
    begun = await used(world, done.grant)
    assert (begun.valid_from, begun.valid_until) == (world.clock.now(), world.clock.now() + 5 * MINUTE * MICROSECONDS)


@pytest.mark.parametrize("offset_s", [-1, 0, 1])
async def test_the_old_end_holds_around_it(world: World, offset_s: int) -> None:
    world.rules = rules_of(AUTO)
    request = await submit_request(
        wish(), caller=caller(principal("alice"), world.clock.now()), offer=None, **world.ports
    )
    grant = await world.store.read(lambda tx: tx.grants.of_request(request.id))
    assert grant is not None
    grant = await used(world, grant)
    until(world, grant.valid_until, offset_s)
    if offset_s < 0:
        again = await asked(world, grant)
        assert again.state is RequestState.APPROVED
    else:
        with pytest.raises(GrantEnded):
            await asked(world, grant)
    assert (await found(world, grant)).valid_until == grant.valid_until
    until(world, grant.valid_until)
    assert await state(world, grant) is GrantState.ENDED


async def test_a_chain_is_as_long_as_the_policy_says(world: World) -> None:
    grant = await active_grant(world)
    first = grant
    for number in (1, 2):
        extension = await extended(world, grant, duration_s=3_600)
        assert extension.terms.duration_s == 5 * MINUTE
        assert len(extension.extends) == number
        until(world, grant.valid_until)
        await starter(world).step(world.rules)
        grant = await found(world, extension)
    assert grant.valid_until == (first.valid_until or 0) + 10 * MINUTE * MICROSECONDS
    with pytest.raises(ExtensionNotAllowed, match="2 times"):
        await asked(world, grant)


async def test_two_that_ask_at_once_do_not_both_get_it(world: World) -> None:
    world.rules = rules_of(AUTO)
    grant = await active_grant_of(world)

    async def attempt() -> AccessRequest | ExtensionExists:
        try:
            return await asked(world, grant)
        except ExtensionExists as refusal:
            return refusal

    results = await asyncio.gather(*(attempt() for _ in range(5)))
    assert sum(isinstance(one, AccessRequest) for one in results) == 1
    live = await world.store.read(lambda tx: [one for one in tx.grants.live() if one.extends])
    assert len(live) == 1


async def active_grant_of(world: World) -> Grant:
    who = caller(principal("alice"), world.clock.now())
    request = await submit_request(wish(), caller=who, offer=None, **world.ports)
    grant = await world.store.read(lambda tx: tx.grants.of_request(request.id))
    assert grant is not None
    return await used(world, grant)


async def test_a_pending_request_has_the_place_until_it_is_decided(world: World) -> None:
    grant = await active_grant(world)
    request = await asked(world, grant)
    with pytest.raises(ExtensionExists, match=request.id):
        await asked(world, grant)
    await reviewed(world, request, verdict=Verdict.DENY, comment="no")
    again = await asked(world, grant)
    assert again.state is RequestState.PENDING


async def test_a_request_that_nobody_decided_makes_room_without_a_sweeper(world: World) -> None:
    world.rules = rules_of(EXTENDING.replace(b"pending_max: 2h", b"pending_max: 2m"))
    grant = await active_grant(world)
    request = await asked(world, grant)
    world.clock.advance(3 * MINUTE)
    again = await asked(world, grant)
    assert (await request_of(world, request)).state is RequestState.EXPIRED
    assert again.state is RequestState.PENDING
    assert [one["ref"]["request"] for one in await entries(world, "request.expired")] == [request.id]


async def test_only_the_holder_may_ask(world: World) -> None:
    grant = await active_grant(world)
    for other in ("bob", "erin"):
        with pytest.raises(NotFound):
            await asked(world, grant, by=other)
    who = caller(principal("alice"), world.clock.now())
    nobodys = ExtensionDraft(grant=GrantId("grt_00000000000000000000000000"), reason="longer")
    with pytest.raises(NotFound):
        await submit_request(nobodys, caller=who, offer=None, **world.ports)


async def test_what_is_not_active_is_not_extended(world: World) -> None:
    done = await reviewed(world, await submit_request(
        wish(), caller=caller(principal("alice"), world.clock.now()), offer=None, **world.ports
    ))  # fmt: skip
    assert done.grant is not None
    with pytest.raises(GrantNotActive):
        await asked(world, done.grant)
    grant = await used(world, done.grant)
    await suspended(world, grant)
    with pytest.raises(GrantNotActive, match="suspended"):
        await asked(world, grant)
    await revoke_grant(world, grant.id)
    with pytest.raises(GrantEnded):
        await asked(world, grant)


async def test_a_policy_that_says_nothing_of_it_extends_nothing(world: World) -> None:
    world.rules = rules_of(POLICY)
    grant = await active_grant(world)
    with pytest.raises(ExtensionNotAllowed, match="does not extend") as refused:
        await asked(world, grant)
    assert refused.value.next_step is not None
    assert refused.value.rule == "one-approval"


async def test_another_policy_extends_nothing_even_if_it_covers_it(world: World) -> None:
    grant = await active_grant(world)
    other = EXTENDING.replace(b"id: one-approval", b"id: another")
    world.rules = rules_of(other)
    with pytest.raises(PolicyDenied):
        await asked(world, grant)


async def test_an_emergency_is_not_extended(world: World) -> None:
    world.rules = rules_of(EXTENDING + EMERGENCY)
    await world.add(DAVE)
    await world.change(CAROL)
    request = await broken(world, DAVE)
    grant = await world.store.read(lambda tx: tx.grants.of_request(request.id))
    assert grant is not None
    with pytest.raises(ExtensionNotAllowed, match="emergency"):
        await submit_request(draft(grant), caller=fresh(world, DAVE), offer=None, **world.ports)


async def test_a_reason_is_asked_for_anew(world: World) -> None:
    grant = await active_grant(world)
    with pytest.raises(ReasonRequired):
        await asked(world, grant, reason="")


async def test_what_a_reviewer_took_away_stays_away(world: World) -> None:
    asking = await submit_request(
        wish(), caller=caller(principal("alice"), world.clock.now()), offer=None, **world.ports
    )
    narrowing = Narrowing(contains=("timeout",), limits=Limits(lines=50))
    done = await reviewed(world, asking, narrowing=narrowing)
    assert done.grant is not None
    grant = await used(world, done.grant)
    request = await asked(world, grant, limits=Limits(lines=900))
    assert request.terms.scopes[0].contains == ("timeout",)
    assert request.terms.limits.lines == 50


async def test_less_may_be_asked_for_and_no_more(world: World) -> None:
    grant = await active_grant(world)
    less = wish("web", window=WindowDraft(lookback_s=600, live=True), contains=("timeout",))
    request = await asked(world, grant, narrower=less)
    assert request.terms.scopes[0].contains == ("timeout",)
    await reviewed(world, request, verdict=Verdict.DENY, comment="no")
    for more in (
        wish("web-2"),
        wish("web", window=WindowDraft(lookback_s=7_200, live=True)),
        wish("web", profile="raw"),
        wish("web", source="other"),
    ):
        with pytest.raises(NarrowingNotSubset):
            await asked(world, grant, narrower=more)


async def test_lookback_counts_from_when_the_extension_is_asked_for(world: World) -> None:
    asking = await submit_request(
        wish(window=WindowDraft(lookback_s=86_400, live=True)),
        caller=caller(principal("alice"), world.clock.now()),
        offer=None,
        **world.ports,
    )
    done = await reviewed(world, asking)
    assert done.grant is not None
    grant = await used(world, done.grant)
    world.clock.advance(5 * MINUTE)
    window = (await asked(world, grant)).terms.scopes[0].window
    assert window.start_ns == world.clock.now() * 1_000 - 86_400 * NANOSECONDS
    assert window.start_ns == grant.terms.scopes[0].window.start_ns + 5 * MINUTE * NANOSECONDS
    assert window.live


async def test_a_guardrail_bounds_an_extension_as_any_grant(world: World) -> None:
    grant = await active_grant(world)
    rail = b"\n---\napi: loglease/v1\nkind: Guardrail\nid: short\napplies: {all_streams: true}\ncaps: {duration: 2m}\n"
    world.rules = rules_of(EXTENDING + rail)
    assert (await asked(world, grant)).terms.duration_s == 2 * MINUTE


async def revoked(world: World, grant: Grant) -> None:
    await revoke_grant(world, grant.id)


async def returned(world: World, grant: Grant) -> None:
    who = caller(principal("alice"), world.clock.now())
    await return_grant(grant.id, caller=who, log=world.log, new_id=world.new_id)


async def locked(world: World, on: LockOn, *, revoke: bool = False) -> None:
    journal = Journal.open(Path(world.directory) / "locks.journal")
    try:
        await add_lock(
            on,
            reason="leak",
            revoke=revoke,
            caller=caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now()),
            log=world.log,
            store=world.store,
            watch=Watch(world.store, world.clock, world.random),
            journal=journal,
            clock=world.clock,
            new_id=world.new_id,
            random=world.random,
        )
    finally:
        journal.close()


async def suspended(world: World, grant: Grant) -> None:
    journal = Journal.open(Path(world.directory) / "suspensions.journal")
    try:
        await suspend_grant(
            grant.id,
            reason="look first",
            caller=caller(principal("bob", groups=("engineering", "approvers")), world.clock.now()),
            log=world.log,
            store=world.store,
            watch=Watch(world.store, world.clock, world.random),
            journal=journal,
            clock=world.clock,
            new_id=world.new_id,
            random=world.random,
        )
    finally:
        journal.close()


@pytest.mark.parametrize(("act", "over"), [(revoked, GrantState.REVOKED), (returned, GrantState.ENDED)])
async def test_with_a_grant_that_ends_early_its_extension_ends(world: World, act: Any, over: GrantState) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    ending: Awaitable[None] = act(world, grant)
    await ending
    before, after = await found(world, grant), await found(world, extension)
    assert (before.state, after.state) == (over, over)
    assert (after.ended_why, after.ended_by, after.reason) == (before.ended_why, before.ended_by, before.reason)
    until(world, grant.valid_until, 1)
    assert await starter(world).step(world.rules) == 0
    with pytest.raises(GrantEnded):
        await used(world, extension)


@pytest.mark.parametrize(("act", "cause"), [(revoked, "revoked"), (returned, "ended")])
async def test_with_a_grant_that_ends_early_the_request_is_cancelled(world: World, act: Any, cause: str) -> None:
    grant = await active_grant(world)
    request = await asked(world, grant)
    ending: Awaitable[None] = act(world, grant)
    await ending
    cancelled = await request_of(world, request)
    assert (cancelled.state, cancelled.cause) == (RequestState.CANCELLED, cause)
    assert [one["data"]["why"] for one in await entries(world, "request.cancelled")] == [cause]


async def test_an_extension_of_an_idle_grant_does_not_begin(world: World) -> None:
    world.rules = rules_of(EXTENDING.replace(b"activate_within: 1h", b"activate_within: 1h\n  idle_timeout: 2m"))
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until, 1)
    with pytest.raises(GrantEnded, match="idle"):  # although nobody has written it down
        await used(world, extension)
    assert await starter(world).step(world.rules) == 0
    await expire_due(log=world.log, new_id=world.new_id)
    ended = await found(world, extension)
    assert (ended.state, ended.ended_why) == (GrantState.ENDED, EndWhy.IDLE)


async def test_a_late_approval_after_an_early_end_gives_nothing(world: World) -> None:
    world.rules = rules_of(EXTENDING.replace(b"activate_within: 1h", b"activate_within: 1h\n  idle_timeout: 2m"))
    grant = await active_grant(world)
    request = await asked(world, grant)
    world.clock.advance(3 * MINUTE)
    with pytest.raises(GrantEnded, match="idle"):
        await reviewed(world, request)
    await expire_due(log=world.log, new_id=world.new_id)
    assert (await request_of(world, request)).cause == "ended"


async def test_revoking_any_grant_of_a_chain_ends_what_goes_on(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until)
    await starter(world).step(world.rules)
    further = await extended(world, await found(world, extension))
    await expire_due(log=world.log, new_id=world.new_id)
    assert (await found(world, grant)).state is GrantState.ENDED
    act = await revoke_grant(world, grant.id)
    assert set(act.grants) == {extension.id, further.id}
    assert {(await found(world, one)).state for one in (extension, further)} == {GrantState.REVOKED}
    with pytest.raises(GrantEnded):
        await revoke_grant(world, grant.id)


async def test_revoking_by_the_source_ends_what_was_to_go_on(world: World) -> None:
    grant = await active_grant(world)
    request = await asked(world, grant)
    await locked(world, LockOn(LockKind.SOURCE, "files"), revoke=True)
    assert (await found(world, grant)).state is GrantState.REVOKED
    assert (await request_of(world, request)).state is RequestState.CANCELLED


async def test_a_lock_on_the_first_grant_holds_the_whole_chain(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until)
    await starter(world).step(world.rules)
    further = await extended(world, await found(world, extension))
    await locked(world, LockOn(LockKind.GRANT, grant.id))
    assert {await state(world, one) for one in (extension, further)} == {GrantState.SUSPENDED}
    until(world, (await found(world, extension)).valid_until)
    assert await starter(world).step(world.rules) == 0


async def test_revoking_a_request_ends_what_goes_on_from_its_grant(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    until(world, grant.valid_until)
    await starter(world).step(world.rules)
    await locked(world, LockOn(LockKind.REQUEST, grant.request), revoke=True)
    assert (await found(world, extension)).state is GrantState.REVOKED


@pytest.mark.answers_lost("suspend_grant.suspend_grant")
async def test_a_suspension_is_not_slipped_out_of_by_an_extension(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    await suspended(world, grant)
    assert await state(world, extension) is GrantState.SUSPENDED
    until(world, grant.valid_until)
    assert await starter(world).step(world.rules) == 0
    with pytest.raises(GrantNotActive, match="suspended"):
        await used(world, extension)


async def test_a_suspension_that_is_lifted_in_time_leaves_the_extension(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    await suspended(world, grant)
    bob = caller(principal("bob", groups=("engineering", "approvers")), world.clock.now())
    await resume_grant(grant.id, reason="fine", caller=bob, log=world.log, new_id=world.new_id, random=world.random)
    until(world, grant.valid_until)
    assert await starter(world).step(world.rules) == 1
    assert await state(world, extension) is GrantState.ACTIVE


async def test_a_policy_that_stopped_extending_begins_nothing(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    world.rules = rules_of(POLICY)
    until(world, grant.valid_until)
    begins = starter(world)
    assert await begins.step(world.rules) == 0
    with pytest.raises(PolicyDenied):
        await used(world, extension)
    world.rules = rules_of(EXTENDING)
    assert await begins.step(world.rules) == 0  # not each second
    world.clock.advance(10)
    assert await begins.step(world.rules) == 1


async def test_a_reviewer_who_lost_the_right_does_not_count_at_the_beginning(world: World) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    await world.change(principal("bob"))
    until(world, grant.valid_until)
    assert await starter(world).step(world.rules) == 0
    assert await state(world, extension) is GrantState.SCHEDULED


@pytest.mark.parametrize(
    "earlier",
    [
        "UPDATE grants SET state = 'revoked', ended_at = 1 WHERE id = '{before}'",
        "UPDATE grants SET state = 'ended', ended_why = 'returned', ended_at = 1 WHERE id = '{before}'",
        "UPDATE grants SET version = version WHERE id = '{before}'",
    ],
)
async def test_the_database_refuses_two_grants_of_a_chain_at_once(world: World, earlier: str) -> None:
    grant = await active_grant(world)
    extension = await extended(world, grant)
    at = (grant.valid_until or 0) - (1 if "version" in earlier else 0)

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        connection = tx.grants._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql(earlier.format(before=grant.id))
        connection.exec_driver_sql(
            f"UPDATE grants SET state = 'active', valid_from = {at}, valid_until = {at + 60} WHERE id = '{extension.id}'"  # noqa: S608 - a test's own
        )
        return Recorded(None)

    with pytest.raises(Exception, match="begins where the grant before it has run out"):
        await world.log.commit(work)


def test_what_extends_is_part_of_the_bundle() -> None:
    assert bundle_of(EXTENDING).hash != bundle_of(POLICY).hash
