from __future__ import annotations

import pytest
from tests.access.journey import active_grant, revoke_grant
from tests.fakes.world import World, caller, principal

from loglease.access.queries import MAX_PAGE, timeline
from loglease.access.refusals import Refusals, record_refusals


@pytest.mark.answers_lost("refusals.record_refusals")
async def test_the_history_of_a_busy_grant_still_shows_who_decided(world: World) -> None:
    grant = await active_grant(world)
    alice = caller(principal("alice"), world.clock.now())
    ref = {"request": grant.request, "grant": grant.id}
    refused = [
        Refusals(world.new_id).note(
            operation="read", code="not_permitted", caller=alice, now=world.clock.now(), ref=ref
        )
        for _ in range(MAX_PAGE + 50)
    ]
    await record_refusals(tuple(one for one in refused if one), log=world.log)
    await revoke_grant(world, grant.id)
    steps = await world.store.read(lambda tx: timeline(tx, alice, grant.request))
    assert len(steps) == MAX_PAGE
    assert [one.index for one in steps] == sorted(one.index for one in steps)
    kinds = [one.type for one in steps]
    assert kinds[:5] == ["request.submitted", "offer.made", "review.given", "request.approved", "grant.scheduled"]
    assert (kinds[-1], kinds.count("access.refused")) == ("grant.revoked", MAX_PAGE - 7)
