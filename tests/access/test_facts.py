"""Facts on the way of a request: asked outside of transactions, decided with, kept while a grant is used."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from tests.access.facts import informed, policy_with
from tests.access.journey import reviewed, submitted
from tests.fakes.world import World, caller, principal, rules_of, wish

from loglease.access.errors import PolicyDenied, PolicyUndecided
from loglease.access.facts import gather
from loglease.access.knowing import decide_knowing
from loglease.model.access_request import RequestState
from loglease.model.instant import MICROSECONDS
from loglease.policy.conditions import Fault
from loglease.policy.observed import Observed, Question


async def test_providers_are_asked_for_what_the_policy_reads(world: World) -> None:
    desk = informed(world, policy_with(when='ctx.calm && ctx.mfa_age <= duration("5m")'))
    request = await submitted(world)
    assert desk.asked == [("ctx.calm", "alice", ("app", "web"))]
    assert [(one["fact"], one["value"]) for one in orjson.loads(request.facts)] == [
        ("ctx.calm", True), ("ctx.mfa_age", 60 * MICROSECONDS),
    ]  # fmt: skip
    done = await reviewed(world, request)
    assert done.grant is not None


async def test_nobody_is_asked_where_nothing_is_read(world: World) -> None:
    desk = informed(world, policy_with())
    await reviewed(world, await submitted(world))
    assert desk.asked == []


async def test_a_rule_that_says_no_denies_and_an_outage_only_waits(world: World) -> None:
    desk = informed(world, policy_with(when="ctx.calm"))
    request = await submitted(world)
    desk.answers["ctx.calm"] = Fault("down")
    with pytest.raises(PolicyUndecided):
        await reviewed(world, request)
    desk.answers["ctx.calm"] = False
    denied = await reviewed(world, request)
    assert (denied.grant, denied.request.state) == (None, RequestState.DENIED)
    with pytest.raises(PolicyDenied, match="does not hold"):
        await submitted(world)


async def test_what_the_requesters_own_call_said_counts_when_somebody_else_calls(world: World) -> None:
    desk = informed(world, policy_with(when='ctx.mfa_age <= duration("5m")'))
    request = await submitted(world)
    desk.sign_in_s = 3_000
    assert (await reviewed(world, request)).grant is not None
    with pytest.raises(PolicyDenied):
        await submitted(world)


async def test_what_is_demanded_of_an_approver_is_asked_about_the_approver(world: World) -> None:
    demand = "'approver.trained && approver.mfa_age <= duration(\"5m\")'"
    desk = informed(world, policy_with(approver_when=demand))
    request = await submitted(world)
    desk.answers["approver.trained"] = False
    with pytest.raises(PolicyDenied, match=r"approver\.trained"):
        await reviewed(world, request)
    desk.answers["approver.trained"], desk.sign_in_s = True, 600
    with pytest.raises(PolicyDenied, match=r"approver\.mfa_age"):
        await reviewed(world, request)
    desk.sign_in_s = 60
    assert (await reviewed(world, request)).grant is not None
    assert {account for _, account, _ in desk.asked} == {"bob"}


async def test_a_draft_is_decided_with_facts_too(world: World) -> None:
    desk = informed(world, policy_with(when="ctx.calm"))
    now = world.clock.now()
    alice = principal("alice")
    directory = await world.store.read(lambda tx: tx.principals.directory())
    asked = wish().at(now)
    found = await decide_knowing(
        asked, caller=caller(alice, now), rules=world.rules, directory=directory, now=now, closed=None
    )
    assert [one.policy for one in found.offers]
    desk.answers["ctx.calm"] = False
    found = await decide_knowing(
        asked, caller=caller(alice, now), rules=world.rules, directory=directory, now=now, closed=None
    )
    assert not found.offers


async def test_a_provider_that_fails_or_hangs_is_a_fault_and_nothing_else(world: World) -> None:
    class Broken:
        name = "desk"

        async def answer(self, question: Question) -> Observed:
            raise RuntimeError(question)

    rule = rules_of(policy_with()).bundle.facts["ctx.calm"]
    question = Question(rule, "local", "alice", principal("alice").kind, ("app", "web"))
    broken: dict[str, Any] = {"desk": Broken()}
    (answer,) = (await gather([question], broken, world.clock)).values()
    assert answer.value == Fault("desk failed")
    (answer,) = (await gather([question], {}, world.clock)).values()
    assert answer.value == Fault("the server has no provider desk")


async def test_a_provider_has_two_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        name = "desk"

        async def answer(self, question: Question) -> Observed:
            await asyncio.Event().wait()
            raise AssertionError(question)

    monkeypatch.setattr("loglease.access.facts.ANSWER_WITHIN_S", 0.01)
    rule = rules_of(policy_with()).bundle.facts["ctx.calm"]
    slow: dict[str, Any] = {"desk": Slow()}
    question = Question(rule, "local", "alice", principal("alice").kind, ("app", "web"))
    (answer,) = (await gather([question], slow, world.clock)).values()
    assert answer.value == Fault("desk did not answer in time")
