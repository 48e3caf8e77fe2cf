"""What the requester's latest call said of itself counts where they do not call: from where, how long signed in."""

from __future__ import annotations

import pytest
from tests.access.facts import AWAY, Desk, informed, policy_with, read_with
from tests.access.journey import active_grant, reviewed, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.errors import PolicyDenied
from loglease.access.note_call import AGES_COUNT_AFTER_S, note_look, request_of
from loglease.access.rules import present_in
from loglease.audit.interface import AuditUnavailable
from loglease.model.access_request import RequestState
from loglease.model.ids import GrantId, RequestId
from loglease.model.instant import MICROSECONDS
from loglease.policy.conditions.values import Value


async def kept(world: World, request: RequestId) -> dict[str, Value]:
    found = await world.store.read(lambda tx: tx.requests.find(request))
    assert found is not None
    return {key[0]: one.value for key, one in present_in(found).items()}


async def looked(world: World, request: RequestId, by: str = "alice") -> None:
    who = caller(principal(by), world.clock.now())
    await note_look(
        lambda _tx: request,
        caller=who,
        store=world.store,
        log=world.log,
        rules=world.rules,
        now=world.clock.now(),
    )


def at_home(world: World, policy: bytes) -> Desk:
    desk = informed(world, policy)
    desk.net = "corp"
    return desk


async def test_the_last_approval_goes_by_the_call_before_it(world: World) -> None:
    desk = at_home(world, policy_with(when='ctx.net == "corp"'))
    request = await submitted(world)
    desk.net = "other"
    await looked(world, request.id)
    assert await kept(world, request.id) == {"ctx.mfa_age": 60 * MICROSECONDS, "ctx.net": "other"}
    desk.net = "corp"
    denied = await reviewed(world, request)
    assert (denied.grant, denied.request.state) == (None, RequestState.DENIED)


async def test_only_the_requesters_own_calls_count(world: World) -> None:
    desk = at_home(world, policy_with(when='ctx.net == "corp"'))
    request = await submitted(world)
    desk.net = "other"
    await looked(world, request.id, by="bob")
    assert (await reviewed(world, request)).grant is not None


async def test_whoever_waits_and_looks_does_not_grow_too_old_for_an_approval(world: World) -> None:
    desk = at_home(world, policy_with(when='ctx.mfa_age <= duration("5m")'))
    request = await submitted(world)
    for _ in range(10):
        world.clock.advance(60)
        assert desk.sign_in_s is not None
        desk.sign_in_s += 60
        await looked(world, request.id)
    assert (await kept(world, request.id))["ctx.mfa_age"] == 60 * MICROSECONDS
    assert (await reviewed(world, request)).grant is not None


@pytest.mark.answers_lost(
    "knowing.commit_knowing",
    "note_call._commit_note",
    "submit_request.Submission.commit",
    "submit_request.submit_request",
)
async def test_another_sign_in_counts_at_once(world: World) -> None:
    desk = at_home(world, policy_with(when='ctx.mfa_age <= duration("5m")'))
    desk.sign_in_s = 240
    request = await submitted(world)
    world.clock.advance(60)
    desk.sign_in_s = 10
    await looked(world, request.id)
    assert (await kept(world, request.id))["ctx.mfa_age"] == 10 * MICROSECONDS


@pytest.mark.parametrize("grown_s", [AGES_COUNT_AFTER_S - 1, AGES_COUNT_AFTER_S])
async def test_using_a_grant_counts_the_age_that_the_sign_in_has_by_then(world: World, grown_s: int) -> None:
    desk = at_home(world, policy_with())
    grant = await active_grant(world)
    world.clock.advance(grown_s)
    desk.sign_in_s = 60 + grown_s
    await read_with(world, grant)
    expected_s = 60 if grown_s < AGES_COUNT_AFTER_S else 60 + grown_s
    assert (await kept(world, grant.request))["ctx.mfa_age"] == expected_s * MICROSECONDS


async def test_a_call_that_cannot_tell_takes_the_place_of_nothing(world: World) -> None:
    desk = at_home(world, policy_with())
    request = await submitted(world)
    desk.sign_in_s, desk.net = None, "other"
    await looked(world, request.id)
    assert await kept(world, request.id) == {"ctx.mfa_age": 60 * MICROSECONDS, "ctx.net": "other"}


async def test_a_call_that_is_refused_counts_too(world: World) -> None:
    desk = at_home(world, policy_with(keep=AWAY))
    grant = await active_grant(world)
    await read_with(world, grant)
    desk.net = "other"
    with pytest.raises(PolicyDenied):
        await read_with(world, grant)
    assert (await kept(world, grant.request))["ctx.net"] == "other"


async def test_nothing_is_written_where_nothing_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_home(world, policy_with(keep=AWAY))
    grant = await active_grant(world)
    await looked(world, grant.request)

    async def refused(*_: object, **__: object) -> None:
        raise AuditUnavailable("nothing can be written")

    monkeypatch.setattr(world.log, "commit", refused)
    before = await kept(world, grant.request)
    await looked(world, grant.request)
    desk.net = "other"
    await looked(world, grant.request)
    assert await kept(world, grant.request) == before, "a look is refused to nobody because it cannot be kept"
    monkeypatch.undo()
    await looked(world, grant.request)
    assert (await kept(world, grant.request))["ctx.net"] == "other"


async def test_the_request_of_a_grant_is_found_and_that_of_none_is_not(world: World) -> None:
    at_home(world, policy_with())
    grant = await active_grant(world)
    assert await world.store.read(request_of(grant.id)) == grant.request
    assert await world.store.read(request_of(GrantId("grt_none"))) is None
