"""The ordinary journey in a few calls, for tests that start behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes.world import World, caller, principal, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.journal import Journal
from loglease.access.review_request import Reviewed, review_request
from loglease.access.revoke import Revoked, revoke
from loglease.access.submit_request import submit_request
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId
from loglease.model.review import Verdict


async def submitted(world: World, *, by: str = "alice", app: str = "web", **changes: Any) -> AccessRequest:
    who = caller(principal(by), world.clock.now())
    return await submit_request(wish(app, **changes), caller=who, offer=None, **world.ports)


async def reviewed(
    world: World, request: AccessRequest, *, by: str = "bob", verdict: Verdict = Verdict.APPROVE, **changes: Any
) -> Reviewed:
    who = caller(principal(by, groups=("engineering", "approvers")), world.clock.now())
    given = {"digest": request.digest, "comment": "fine", "caller": who, "verdict": verdict}
    return await review_request(request.id, **(given | changes), **world.ports)


async def active_grant(world: World) -> Grant:
    done = await reviewed(world, await submitted(world))
    if done.grant is None:
        raise AssertionError("one approval should do")
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    ports["watch"] = Watch(world.store, world.clock, world.random)
    return await activate_grant(done.grant.id, caller=caller(principal("alice"), world.clock.now()), **ports)


async def revoke_grant(world: World, grant: GrantId, *, log: Any = None, watch: Watch | None = None) -> Revoked:
    journal = Journal.open(Path(world.directory) / "revocations.journal")
    try:
        return await revoke(
            LockOn(LockKind.GRANT, grant),
            reason="incident over",
            caller=caller(principal("bob", groups=("engineering", "approvers")), world.clock.now()),
            log=log or world.log,
            store=world.store,
            watch=watch or Watch(world.store, world.clock, world.random),
            journal=journal,
            clock=world.clock,
            new_id=world.new_id,
            random=world.random,
        )
    finally:
        journal.close()
