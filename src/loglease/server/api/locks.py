"""Operations on locks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from loglease.access.add_lock import add_lock
from loglease.access.dependents import dependent_grants
from loglease.access.errors import NotFound
from loglease.access.lift_lock import lift_lock
from loglease.model.ids import LockId
from loglease.model.principal import Role
from loglease.server.api import resources as r
from loglease.server.api.bodies import LockBody, ReasonBody
from loglease.server.api.calls import CallerOf, OnceOf, ServicesOf, is_replay
from loglease.server.api.conversions import lock_on_of, until_of
from loglease.server.api.fields import id_pattern
from loglease.server.api.grants import JOURNALLED, ended_sessions
from loglease.server.api.operations import Routes
from loglease.server.api.views import lock_shown
from loglease.store.interface import Transaction

routes = Routes("locks")

LockPath = Annotated[str, Path(pattern=id_pattern("lck"))]


@routes.get("/locks", answers=r.Page[r.LockShown])
async def list_locks(caller: CallerOf, services: ServicesOf) -> r.Page[r.LockShown]:
    """List the locks in force."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    now = services.clock.now()

    def query(tx: Transaction) -> r.Page[r.LockShown]:
        return r.Page(items=[lock_shown(tx, lock, now, (), ()) for lock in tx.holds.locks(now=now)])

    return await services.store.read(query)


@routes.post("/locks", answers=r.LockShown, status=201, creates=True, problems=("not_found",), also=JOURNALLED)
async def create_lock(
    body: LockBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> r.LockShown:
    """Lock a thing; the answer says which sessions have ended and which are still ending."""
    started = services.clock.now()
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    locked = await add_lock(
        lock_on_of(body.on),
        reason=body.reason,
        until=until_of(body.until, started),
        revoke=body.revoke,
        caller=caller,
        log=services.log,
        store=services.store,
        watch=services.watch,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    lock = locked.lock
    if not locked.durable:
        response.status_code = 202
    response.headers["Location"] = f"/api/v1/locks/{lock.id}"
    before = await services.store.read(lambda tx: [one.id for one in dependent_grants(tx, lock.on, started)])
    ended, ending = await ended_sessions(services, lambda _: before, started)
    now = services.clock.now()
    shown = await services.store.read(lambda tx: lock_shown(tx, lock, now, ended, ending))
    return shown.model_copy(update={"durable": locked.durable})


@routes.get("/locks/{lock_id}", answers=r.LockShown, problems=("not_found",))
async def find_lock(lock_id: LockPath, caller: CallerOf, services: ServicesOf) -> r.LockShown:
    """Show one lock, lifted or not."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    now = services.clock.now()

    def query(tx: Transaction) -> r.LockShown:
        lock = tx.holds.find_lock(LockId(lock_id))
        if lock is None:
            raise NotFound(f"There is no lock {lock_id}.", next_step="loglease lock list")
        return lock_shown(tx, lock, now, (), ())

    return await services.store.read(query)


@routes.post("/locks/{lock_id}/lift", answers=r.LockShown, problems=("not_found", "step_up_required"))
async def lift_present_lock(lock_id: LockPath, body: ReasonBody, caller: CallerOf, services: ServicesOf) -> r.LockShown:
    """Lift a lock; nothing that it ended comes back."""
    lock = await lift_lock(
        LockId(lock_id),
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
        reason=body.reason,
    )
    now = services.clock.now()
    return await services.store.read(lambda tx: lock_shown(tx, lock, now, (), ()))
