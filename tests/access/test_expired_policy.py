"""After a bundle has expired nothing new is granted, at no point of a request's life; what is active goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.access.journey import active_grant, reviewed, submitted
from tests.access.test_open_session import opened
from tests.fakes.world import World, caller, principal, rules_of

from loglease.access.activate_grant import activate_grant
from loglease.access.errors import PolicyDenied
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.model.access_request import RequestState
from loglease.model.grant import Grant, GrantState
from loglease.model.instant import Instant, after
from loglease.model.session import SessionKind


def expiring(at: Instant) -> Rules:
    rules = rules_of()
    return replace(rules, bundle=replace(rules.bundle, expires=at))


async def used(world: World, grant: Grant) -> Grant:
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    watch = Watch(world.store, world.clock, world.random)
    return await activate_grant(grant.id, caller=caller(principal("alice"), world.clock.now()), watch=watch, **ports)


async def test_until_the_last_instant_all_goes_on(world: World) -> None:
    world.rules = expiring(after(world.clock.now(), 3_600))
    assert (await active_grant(world)).state is GrantState.ACTIVE


async def test_nothing_new_is_granted(world: World) -> None:
    pending = await submitted(world)
    approved = (await reviewed(world, await submitted(world))).grant
    assert approved is not None
    world.rules = expiring(world.clock.now())
    with pytest.raises(PolicyDenied, match=r"The policy expired at 20.*Nothing new is granted") as refused:
        await submitted(world)
    assert (refused.value.rule, "run LogLease" in str(refused.value.next_step)) == ("bundle", True)
    with pytest.raises(PolicyDenied, match="expired"):
        await used(world, approved)
    done = await reviewed(world, pending)
    assert (done.request.state, done.request.cause, done.grant) == (RequestState.DENIED, "policy", None)
    world.rules = rules_of()
    assert (await used(world, approved)).state is GrantState.ACTIVE


async def test_an_active_grant_is_read_to_its_end(world: World) -> None:
    grant = await active_grant(world)
    world.rules = expiring(world.clock.now())
    assert (await opened(world, grant, SessionKind.QUERY)).grant.id == grant.id
