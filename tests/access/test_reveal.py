"""Asking for one masked value: what is taken, what is bound, who decides, and what ends it again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant
from tests.fakes.world import POLICY, World, caller, principal, rules_of

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import (
    DigestMismatch,
    NoEligibleApprover,
    NotFound,
    PolicyDenied,
    ReasonRequired,
    ReviewerNotEligible,
    SelfReview,
    StepUpRequired,
)
from loglease.access.reveal import reveal, revealable
from loglease.access.reveal_draft import RevealDraft
from loglease.access.review_request import Narrowing
from loglease.access.submit_request import submit_request
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.digest import commitment, sha256_hex
from loglease.model.errors import GrantEnded, InvalidField, NarrowingEmpty
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import GrantId
from loglease.model.instant import MICROSECONDS
from loglease.model.labels import labels_of
from loglease.model.review import Verdict

TOKEN = "⟦email:abcdefghij⟧"
LINE = f"login of {TOKEN} with ⟦password⟧, again {TOKEN}"
WITH_REVEAL = POLICY.replace(
    b"redaction: pii-default\napprove",
    b"redaction: pii-default\n  reveal: {classes: [pii], stages: [{from: [group:approvers], need: 1}]}\napprove",
)


@pytest.fixture(autouse=True)
def _reveals(world: World) -> None:
    world.rules = rules_of(WITH_REVEAL)


def draft(world: World, grant: Grant, **changes: Any) -> RevealDraft:
    fields: dict[str, Any] = {
        "grant": grant.id,
        "token": TOKEN,
        "cls": "pii.email",
        "labels": labels_of({"app": "web"}),
        "event_ns": (world.clock.now() - 60 * MICROSECONDS) * 1_000,
        "text": LINE,
        "span": 1,
        "reason": "whose login is it",
    }
    return RevealDraft(**(fields | changes))


async def asked(world: World, grant: Grant, *, by: str = "alice", **changes: Any) -> AccessRequest:
    who = caller(principal(by), world.clock.now())
    return await submit_request(draft(world, grant, **changes), caller=who, offer=None, **world.ports)


async def granted(world: World, parent: Grant) -> Grant:
    done = await reviewed(world, await asked(world, parent))
    assert done.grant is not None
    return done.grant


async def entries(world: World, kind: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset({kind})))
    return [json.loads(row.content) for row in rows]


async def test_what_is_asked_is_bound_in_the_digest_and_recorded_without_the_line(world: World) -> None:
    parent = await active_grant(world)
    request = await asked(world, parent)
    wish = request.wish.reveal
    assert wish is not None
    assert (wish.span, wish.line_sha256) == (1, sha256_hex(LINE.encode()))
    bound = json.loads(request.terms_bytes)
    recorded = {"grant": parent.id, "class": "pii.email", "pseudonym": TOKEN}
    salt, clear = request.private["line_c"]
    assert clear == wish.reference
    line_c = commitment(bytes.fromhex(salt), clear.encode())
    for part in (bound["wish"], bound["offer"]):
        assert part["reveal"] == recorded | {"line_c": line_c}
    assert request.digest == sha256_hex(request.terms_bytes)
    assert LINE not in request.terms_bytes.decode()
    done = await reviewed(world, request)
    assert done.grant is not None
    assert done.grant.parent == parent.id
    last = [one["data"].get("reveal") for one in await entries(world, "grant.scheduled")][-1]
    assert last == recorded | {"line_c": line_c}


async def test_two_reveals_that_differ_in_one_thing_have_two_digests(world: World) -> None:
    parent = await active_grant(world)
    digests = {
        (await asked(world, parent, **changes)).digest
        for changes in ({}, {"span": 3}, {"text": LINE + "."}, {"labels": labels_of({"app": "web", "pod": "x"})})
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"span": 2}, "/reveal/token"),
        ({"span": 4}, "/reveal/token"),
        ({"span": None}, "/reveal/span"),
        ({"token": "⟦email:zzzzzzzzzz⟧"}, "/reveal/token"),
        ({"token": "email"}, "/reveal/token"),
        ({"text": TOKEN}, "/reveal/line"),
        ({"text": f" {TOKEN} "}, "/reveal/line"),
        ({"text": LINE + "x" * 65_536}, "/reveal/line"),
        ({"event_ns": 5}, "/reveal/line"),
    ],
)
async def test_what_could_not_have_been_served_is_refused(world: World, changes: dict[str, Any], pointer: str) -> None:
    parent = await active_grant(world)
    with pytest.raises(InvalidField) as refused:
        await asked(world, parent, **changes)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


async def test_a_token_may_be_written_without_its_brackets(world: World) -> None:
    parent = await active_grant(world)
    request = await asked(world, parent, token=TOKEN.strip("⟦⟧"))
    assert request.wish.reveal is not None
    assert request.wish.reveal.token == TOKEN


async def test_only_the_holder_asks_and_only_while_the_grant_is_active(world: World) -> None:
    parent = await active_grant(world)
    with pytest.raises(NotFound):
        await asked(world, parent, by="bob")
    with pytest.raises(NotFound):
        await asked(world, replace(parent, id=GrantId("grt_none")))
    await revoke_grant(world, parent.id)
    with pytest.raises(GrantEnded):
        await asked(world, parent)


async def test_a_reveal_of_a_reveal_is_none(world: World) -> None:
    grant = await granted(world, await active_grant(world))
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    who = caller(principal("alice"), world.clock.now())
    watch = Watch(world.store, world.clock, world.random)
    active = await activate_grant(grant.id, caller=who, watch=watch, **ports)
    assert active.state is GrantState.ACTIVE
    with pytest.raises(InvalidField, match="itself"):
        await asked(world, active)


async def test_policy_refuses_classes_that_it_does_not_name_and_short_reasons(world: World) -> None:
    parent = await active_grant(world)
    with pytest.raises(PolicyDenied, match="none of credential"):
        await asked(world, parent, token="⟦password⟧", span=2, cls="credential.password")
    with pytest.raises(ReasonRequired):
        await asked(world, parent, reason="x")
    world.rules = rules_of(POLICY)
    with pytest.raises(PolicyDenied, match="no single values"):
        await asked(world, parent)


async def test_the_requester_never_approves_nor_does_their_agent_or_anybody_without_the_right(world: World) -> None:
    parent = await active_grant(world)
    request = await asked(world, parent)
    with pytest.raises(SelfReview):
        await reviewed(world, request, caller=caller(principal("alice"), world.clock.now()))
    with pytest.raises((ReviewerNotEligible, NotFound)):
        await reviewed(world, request, caller=caller(principal("erin"), world.clock.now()))
    await world.add(principal("dora", groups=("engineering", "approvers")))
    lone = WITH_REVEAL.replace(
        b"stages: [{from: [group:approvers], need: 1}]}\n", b"stages: [{from: ['user:alice'], need: 1}]}\n"
    )
    world.rules = rules_of(lone)
    with pytest.raises(NoEligibleApprover):
        await asked(world, parent)


async def test_a_review_is_bound_to_the_digest_needs_a_fresh_sign_in_and_narrows_nothing(world: World) -> None:
    parent = await active_grant(world)
    request = await asked(world, parent)
    with pytest.raises(DigestMismatch):
        await reviewed(world, request, digest="0" * 64)
    bob = caller(principal("bob", groups=("engineering", "approvers")), world.clock.now())
    old = replace(bob, signed_in_at=world.clock.now() - 16 * 60 * MICROSECONDS)
    with pytest.raises(StepUpRequired):
        await reviewed(world, request, caller=old)
    with pytest.raises(NarrowingEmpty):
        await reviewed(world, request, narrowing=Narrowing(duration_s=1))
    done = await reviewed(world, request, verdict=Verdict.DENY)
    assert done.request.state is RequestState.DENIED


async def test_neither_request_nor_grant_outlives_the_grant_of_its_line(world: World) -> None:
    parent = await active_grant(world)
    request = await asked(world, parent)
    assert request.expires_at <= parent.due_at
    done = await reviewed(world, request)
    assert done.grant is not None
    assert done.grant.activate_by <= parent.due_at
    world.clock.advance(601)
    now = world.clock.now()
    assert (await world.store.read(lambda tx: tx.grants.find(done.grant.id))).state_at(  # type: ignore[union-attr]
        now, held=False
    ) is GrantState.ENDED


async def test_revoking_the_grant_of_its_line_cancels_the_request_and_revokes_the_reveal(world: World) -> None:
    parent = await active_grant(world)
    waiting = await asked(world, parent)
    grant = await granted(world, parent)
    revoked = await revoke_grant(world, parent.id)
    assert set(revoked.grants) == {parent.id, grant.id}
    found = await world.store.read(lambda tx: tx.requests.find(waiting.id))
    assert found is not None
    assert (found.state, found.cause) == (RequestState.CANCELLED, "revoked")


async def test_revoking_a_reveal_leaves_the_grant_of_its_line_alone(world: World) -> None:
    parent = await active_grant(world)
    grant = await granted(world, parent)
    revoked = await revoke_grant(world, grant.id)
    assert revoked.grants == (grant.id,)


async def used(world: World, grant: Grant, **changes: Any) -> Grant:
    who = changes.pop("who", caller(principal("alice"), world.clock.now()))
    now = world.clock.now()
    found = await world.store.read(lambda tx: revealable(tx, who, grant.id, now, world.rules))
    given = {"rule": "pii-core.email", "classes": {"pii.email"}, "caller": who, "replica": "one"}
    return await reveal(found, **(given | changes), **world.ports)


@pytest.mark.answers_lost("reveal.reveal")
async def test_a_use_writes_what_was_approved_and_a_second_finds_it_used(world: World) -> None:
    grant = await granted(world, await active_grant(world))
    done = await used(world, grant)
    assert (done.state, done.ended_why) == (GrantState.ENDED, "used")
    (served,) = await entries(world, "reveal.served")
    approved = (await entries(world, "grant.scheduled"))[-1]["data"]["reveal"]
    assert served["data"] == {
        "class": approved["class"],
        "pseudonym": approved["pseudonym"],
        "line_c": approved["line_c"],
        "rule": "pii-core.email",
    }
    with pytest.raises(GrantEnded):
        await used(world, grant)


async def test_policy_is_asked_once_more_at_the_use(world: World) -> None:
    grant = await granted(world, await active_grant(world))
    world.rules = rules_of(POLICY)
    with pytest.raises(PolicyDenied):
        await used(world, grant)
    assert await entries(world, "reveal.served") == []


async def test_an_approver_who_lost_the_right_makes_it_void(world: World) -> None:
    grant = await granted(world, await active_grant(world))
    await world.change(principal("bob"))
    with pytest.raises(PolicyDenied):
        await used(world, grant)
