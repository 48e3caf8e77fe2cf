"""What becomes of a pending request when another policy is in force by the time of its last approval."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant, reviewed, submitted
from tests.fakes.world import POLICY, World, caller, principal, rules_of

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import PolicyDenied, ReviewerNotEligible
from loglease.access.watch import Watch
from loglease.model.access_request import RequestState
from loglease.model.grant import GrantState
from loglease.model.principal import Role

TWO = POLICY.replace(b"need: 1", b"need: 2")
GUARDED = (
    POLICY
    + b"""---
api: loglease/v1
kind: Guardrail
id: privacy-too
applies: {all_streams: true}
require: {stage: {from: [group:approvers], need: 2}}
"""
)
WITHOUT = POLICY.replace(b"id: one-approval", b"id: renamed")
BANNED = (
    POLICY
    + b"""---
api: loglease/v1
kind: Guardrail
id: nothing-now
applies: {all_streams: true}
deny: true
help: Nothing is served now.
"""
)


async def entries(world: World, *types: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    return [orjson.loads(row.content) for row in rows]


@pytest.mark.parametrize("policy", [TWO, GUARDED], ids=["more of the same", "a guardrail's stage"])
async def test_a_request_waits_for_the_approvals_that_the_policy_asks_for_by_now(world: World, policy: bytes) -> None:
    request = await submitted(world)
    world.rules = rules_of(policy)
    first = await reviewed(world, request, by="bob")
    assert (first.request.state, first.grant) == (RequestState.PENDING, None)
    second = await reviewed(world, request, by="carol")
    assert second.request.state is RequestState.APPROVED
    assert second.grant is not None
    assert second.grant.reviews == (first.review.id, second.review.id)


async def test_what_the_pinned_policy_asked_for_is_not_forgotten(world: World) -> None:
    world.rules = rules_of(TWO)
    request = await submitted(world)
    world.rules = rules_of(POLICY)
    assert (await reviewed(world, request, by="bob")).request.state is RequestState.PENDING
    assert (await reviewed(world, request, by="carol")).request.state is RequestState.APPROVED


async def test_nobody_joins_the_reviewers_of_a_request_that_was_submitted(world: World) -> None:
    request = await submitted(world)
    world.rules = rules_of(TWO)
    await reviewed(world, request, by="bob")
    dora = principal("dora", groups=("engineering", "approvers"), roles=(Role.AUDITOR,))
    await world.add(dora)
    with pytest.raises(ReviewerNotEligible):
        await reviewed(world, request, caller=caller(dora, world.clock.now()))


@pytest.mark.parametrize(("policy", "rule"), [(WITHOUT, "one-approval"), (BANNED, "nothing-now")])
async def test_a_request_that_the_policy_no_longer_allows_is_denied_with_its_last_approval(
    world: World, policy: bytes, rule: str
) -> None:
    request = await submitted(world)
    world.rules = rules_of(policy)
    done = await reviewed(world, request)
    assert (done.request.state, done.request.cause, done.grant) == (RequestState.DENIED, "policy", None)
    assert [one["data"] for one in await entries(world, "request.denied")] == [{"by": "policy", "rule": rule}]
    assert len(await entries(world, "review.given")) == 1
    stored = await world.store.read(lambda tx: tx.requests.find(request.id))
    assert stored.state is RequestState.DENIED


async def test_a_grant_that_was_approved_with_less_does_not_start(world: World) -> None:
    done = await reviewed(world, await submitted(world))
    assert done.grant is not None
    world.rules = rules_of(TWO)
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    with pytest.raises(PolicyDenied):
        await activate_grant(
            done.grant.id,
            caller=caller(principal("alice"), world.clock.now()),
            watch=Watch(world.store, world.clock, world.random),
            **ports,
        )
    world.rules = rules_of(POLICY)
    assert (await active_grant(world)).state is GrantState.ACTIVE
