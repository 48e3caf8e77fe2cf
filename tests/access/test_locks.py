"""A lock on everything stops reading and asking; it never stops taking away, and reviews go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.access.journey import active_grant, reviewed, revoke_grant, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.activate_grant import activate_grant
from loglease.access.add_lock import add_lock
from loglease.access.cancel_request import cancel_request
from loglease.access.errors import Locked
from loglease.access.journal import Journal
from loglease.access.return_grant import return_grant
from loglease.access.watch import Watch
from loglease.model.access_request import RequestState
from loglease.model.errors import GrantNotActive
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.principal import Role
from loglease.model.review import Verdict


async def lock(world: World, on: LockOn, directory: Path, **changes: Any) -> None:
    journal = Journal.open(directory / "revocations.journal")
    given: dict[str, Any] = {
        "reason": "incident 12",
        "caller": caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now()),
        "log": world.log,
        "store": world.store,
        "watch": Watch(world.store, world.clock, world.random),
        "journal": journal,
        "clock": world.clock,
        "new_id": world.new_id,
        "random": world.random,
    }
    await add_lock(on, **(given | changes))
    journal.close()


@pytest.mark.answers_lost("return_grant.return_grant")
async def test_reviews_and_taking_away_go_on_while_everything_is_locked(world: World, tmp_path: Path) -> None:
    given_back, taken = await active_grant(world), await active_grant(world)
    denied, approved, cancelled = [await submitted(world) for _ in range(3)]
    await lock(world, LockOn(LockKind.EVERYTHING), tmp_path)
    alice = caller(principal("alice"), world.clock.now())

    assert (await reviewed(world, denied, verdict=Verdict.DENY)).request.state is RequestState.DENIED
    done = await reviewed(world, approved)
    assert done.request.state is RequestState.APPROVED
    withdrawn = await cancel_request(cancelled.id, caller=alice, log=world.log, new_id=world.new_id)
    assert withdrawn.state is RequestState.CANCELLED
    returned = await return_grant(given_back.id, caller=alice, log=world.log, new_id=world.new_id)
    assert returned.state is GrantState.ENDED
    assert (await revoke_grant(world, taken.id)).grants == (taken.id,)

    with pytest.raises(Locked):
        await submitted(world)
    assert done.grant is not None
    with pytest.raises((Locked, GrantNotActive)):
        await activate_grant(
            done.grant.id,
            caller=alice,
            log=world.log,
            watch=Watch(world.store, world.clock, world.random),
            rules=world.rules,
            new_id=world.new_id,
        )


@pytest.mark.parametrize("on", ["person:per_bob", "principal:prn_bob", "group:approvers"])
async def test_somebody_at_whom_a_lock_is_aimed_reviews_nothing(world: World, tmp_path: Path, on: str) -> None:
    request = await submitted(world)
    kind, _, name = on.partition(":")
    await lock(world, LockOn(LockKind(kind), name), tmp_path)
    with pytest.raises(Locked):
        await reviewed(world, request)
