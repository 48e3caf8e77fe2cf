"""Operations on grants and sessions, and taking them away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final

from fastapi import Path, Query, Response

from loglease.access.activate_grant import activate_grant
from loglease.access.caller import Caller
from loglease.access.errors import NotFound
from loglease.access.note_call import request_of
from loglease.access.permissions import readable_grant
from loglease.access.queries import grant_view, grants_page
from loglease.access.resume_grant import resume_grant
from loglease.access.return_grant import return_grant
from loglease.access.revoke import Revoked, revoke, would_revoke
from loglease.access.suspend_grant import suspend_grant
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, RevocationId, SessionId
from loglease.model.instant import Instant, instant_text
from loglease.model.principal import Role
from loglease.model.rights import Right
from loglease.model.session import Session, SessionState
from loglease.server.api import resources as r
from loglease.server.api.bodies import ReasonBody, RevocationBody
from loglease.server.api.calls import CallerOf, OnceOf, PageOf, ServicesOf, is_replay, next_cursor, seeing
from loglease.server.api.conversions import lock_on_of
from loglease.server.api.fields import OnText, id_pattern
from loglease.server.api.operations import Routes
from loglease.server.api.views import grant_shown, maybe_who, session_shown, spent_of
from loglease.server.asking import looked
from loglease.server.services import Services
from loglease.store.interface import RevocationRow, StoreUnavailable, Transaction

routes = Routes("grants")

ANSWER_WITHIN_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.02
_SECOND_NS: Final = 1_000_000_000

JOURNALLED: Final = {202: "In force and journalled here; the database does not answer."}

GrantPath = Annotated[str, Path(pattern=id_pattern("grt"))]
SessionPath = Annotated[str, Path(pattern=id_pattern("ses"))]
RevocationPath = Annotated[str, Path(pattern="^(rvk|grt)_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
MOVE_PROBLEMS: Final = ("not_found", "grant_ended", "grant_not_active")


async def shown(services: Services, caller: Caller, grant_id: GrantId) -> r.GrantShown:
    """Return a grant as the caller sees it now."""
    now = services.clock.now()
    await looked(services, request_of(grant_id), caller)
    return await services.store.read(lambda tx: grant_shown(tx, grant_view(tx, caller, grant_id, now), now))


@routes.get("/grants", answers=r.Page[r.GrantShown], problems=("invalid_cursor",))
async def list_grants(
    caller: CallerOf,
    services: ServicesOf,
    page: PageOf,
    state: GrantState | None = None,
    mine: Annotated[bool, Query(description="Only the caller's own.")] = False,  # noqa: FBT002 - a query parameter
    live: Annotated[bool, Query(description="Only those that have not ended.")] = False,  # noqa: FBT002 - the same
) -> r.Page[r.GrantShown]:
    """List the grants that the caller may see, newest first."""
    now = services.clock.now()

    def query(tx: Transaction) -> r.Page[r.GrantShown]:
        views = grants_page(
            tx,
            caller,
            now,
            mine=mine,
            live=live,
            state=state,
            before=None if page.before is None else GrantId(page.before),
            limit=page.limit,
        )
        last = views[-1].grant.id if views else None
        return r.Page(
            items=[grant_shown(tx, view, now) for view in views], next=next_cursor(services, caller, page, views, last)
        )

    return await services.store.read(query)


@routes.get("/grants/{grant_id}", answers=r.GrantShown, problems=("not_found",))
async def find_grant(grant_id: GrantPath, caller: CallerOf, services: ServicesOf) -> r.GrantShown:
    """Show one grant: both clocks, budgets, holds."""
    return await shown(services, caller, GrantId(grant_id))


@routes.get("/grants/{grant_id}/usage", answers=r.Usage, problems=("not_found",))
async def find_grant_usage(grant_id: GrantPath, caller: CallerOf, services: ServicesOf) -> r.Usage:
    """Show what was read under a grant, by session, newest first."""
    now = services.clock.now()

    def query(tx: Transaction) -> r.Usage:
        view = grant_view(tx, caller, GrantId(grant_id), now)
        return r.Usage(
            grant=view.grant.id, spent=spent_of(view), sessions=[session_shown(tx, one) for one in view.sessions]
        )

    return await services.store.read(query)


@routes.post(
    "/grants/{grant_id}/activate",
    answers=r.GrantShown,
    problems=(
        *MOVE_PROBLEMS,
        "policy_denied",
        "policy_undecided",
        "guardrail_denied",
        "step_up_required",
        "clock_suspect",
    ),
)
async def activate_scheduled_grant(grant_id: GrantPath, caller: CallerOf, services: ServicesOf) -> r.GrantShown:
    """Start the clock of a grant; an active one stays as it is."""
    done = await activate_grant(
        GrantId(grant_id),
        caller=caller,
        log=services.log,
        watch=services.watch,
        rules=services.rules.current,
        new_id=services.new_id,
    )
    return await shown(services, seeing(caller), done.id)


@routes.post("/grants/{grant_id}/return", answers=r.GrantShown, problems=MOVE_PROBLEMS)
async def return_live_grant(grant_id: GrantPath, caller: CallerOf, services: ServicesOf) -> r.GrantShown:
    """Give a grant back before its end."""
    done = await return_grant(GrantId(grant_id), caller=caller, log=services.log, new_id=services.new_id)
    return await shown(services, seeing(caller), done.id)


@routes.post("/grants/{grant_id}/suspend", answers=r.GrantShown, problems=MOVE_PROBLEMS, also=JOURNALLED)
async def suspend_live_grant(
    grant_id: GrantPath, body: ReasonBody, caller: CallerOf, services: ServicesOf, response: Response
) -> r.GrantShown:
    """Stop a grant for now; its sessions are cut and its clock runs on."""
    done = await suspend_grant(
        GrantId(grant_id),
        reason=body.reason,
        caller=caller,
        log=services.log,
        store=services.store,
        watch=services.watch,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
    )
    found = await shown(services, seeing(caller), done.grant.id)
    if done.durable:
        return found
    response.status_code = 202
    return found.model_copy(update={"state": GrantState.SUSPENDED})


@routes.post("/grants/{grant_id}/resume", answers=r.GrantShown, problems=MOVE_PROBLEMS)
async def resume_suspended_grant(
    grant_id: GrantPath, body: ReasonBody, caller: CallerOf, services: ServicesOf
) -> r.GrantShown:
    """Lift the suspension of a grant; clients open new sessions themselves."""
    done = await resume_grant(
        GrantId(grant_id),
        reason=body.reason,
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
    )
    return await shown(services, seeing(caller), done.id)


def _sessions_of(tx: Transaction, grants: Sequence[GrantId], since: Instant) -> tuple[list[str], list[str]]:
    """Return the sessions of these grants that have ended since, and those that have not."""
    sessions = [session for grant in grants for session in tx.sessions.of_grant(grant, 200)]
    ended: list[str] = [one.id for one in sessions if one.closed_at is not None and one.closed_at >= since]
    return ended, [one.id for one in sessions if one.state is not SessionState.CLOSED]


async def ended_sessions(
    services: Services, affected: Callable[[Transaction], Sequence[GrantId]], since: Instant
) -> tuple[list[str], list[str]]:
    """Wait up to a second for the sessions of the affected grants to end; return those ended and still ending."""
    deadline_ns = services.clock.boot_ns() + round(ANSWER_WITHIN_S * _SECOND_NS)
    while True:
        try:
            ended, ending = await services.store.read(lambda tx: _sessions_of(tx, affected(tx), since))
        except StoreUnavailable:
            return [], []
        if not ending or services.clock.boot_ns() >= deadline_ns:
            return ended, ending
        await asyncio.sleep(_LOOK_EVERY_S)


async def _revocation_shown(services: Services, caller: Caller, revoked: Revoked, reason: str) -> r.RevocationShown:
    ended, ending = await ended_sessions(services, lambda _: revoked.grants, revoked.at)
    by = r.Who(
        id=caller.principal.id,
        account=caller.principal.account,
        name=caller.principal.name,
        kind=caller.principal.kind,
    )
    return r.RevocationShown(
        id=revoked.id,
        on=str(revoked.on),
        reason=reason,
        by=by,
        at=instant_text(revoked.at),
        durable=revoked.durable,
        grants=list(revoked.grants),
        sessions_ended=ended,
        sessions_ending=ending,
    )


@routes.post(
    "/grants/{grant_id}/revoke", answers=r.RevocationShown, problems=("not_found", "grant_ended"), also=JOURNALLED
)
async def revoke_grant(
    grant_id: GrantPath, body: ReasonBody, caller: CallerOf, services: ServicesOf, response: Response
) -> r.RevocationShown:
    """Take a grant away; the answer says which sessions have ended and which are still ending."""
    on = LockOn(LockKind.GRANT, grant_id)
    done = await revoke(
        on,
        reason=body.reason,
        caller=caller,
        log=services.log,
        store=services.store,
        watch=services.watch,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
    )
    response.status_code = 200 if done.durable else 202
    return await _revocation_shown(services, caller, done, body.reason)


@routes.post("/revocations", answers=r.RevocationShown, status=201, creates=True, problems=("not_found", "grant_ended"))
async def create_revocation(
    body: RevocationBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> r.RevocationShown:
    """Take away everything that depends on a thing, in one act."""
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    done = await revoke(
        lock_on_of(body.on),
        reason=body.reason,
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
    response.status_code = 201 if done.durable else 202
    response.headers["Location"] = f"/api/v1/revocations/{done.id}"
    return await _revocation_shown(services, caller, done, body.reason)


@routes.get("/revocations/preview", answers=r.RevocationPreview, problems=("not_found",))
async def preview_revocation(
    caller: CallerOf,
    services: ServicesOf,
    on: Annotated[OnText, Query()],
) -> r.RevocationPreview:
    """Show what a revocation would end; refused as the revocation itself would be."""
    wanted = lock_on_of(on)
    now = services.clock.now()

    def query(tx: Transaction) -> r.RevocationPreview:
        exact, grants, requests = would_revoke(tx, wanted, caller=caller, now=now)
        return r.RevocationPreview(
            on=str(exact),
            grants=[grant_shown(tx, grant_view(tx, caller, one.id, now), now) for one in grants],
            requests=[one.id for one in requests],
        )

    return await services.store.read(query)


@routes.get("/revocations/{revocation_id}", answers=r.RevocationShown, problems=("not_found",))
async def find_revocation(revocation_id: RevocationPath, caller: CallerOf, services: ServicesOf) -> r.RevocationShown:
    """Show an act of revocation and what is still ending."""

    def query(tx: Transaction) -> r.RevocationShown:
        row = _visible(tx, caller, revocation_id)
        ended, ending = _sessions_of(tx, row.grants, row.at)
        return r.RevocationShown(
            id=row.id,
            on=str(row.on),
            reason=row.reason,
            by=maybe_who(tx, row.by),
            at=instant_text(row.at),
            durable=True,
            grants=list(row.grants),
            sessions_ended=ended,
            sessions_ending=ending,
        )

    return await services.store.read(query)


def _visible(tx: Transaction, caller: Caller, revocation_id: str) -> RevocationRow:
    if not caller.has(Right.REQUESTS_WRITE):  # whoever may revoke may see how far it got
        caller.require(Right.REQUESTS_READ)
    row = tx.revocations.find(RevocationId(revocation_id))
    if row is None and revocation_id.startswith("grt_"):
        grant, _ = readable_grant(tx, caller, GrantId(revocation_id))
        if grant.state is GrantState.REVOKED and grant.ended_at is not None:
            return RevocationRow(
                id=RevocationId(grant.id),
                on=LockOn(LockKind.GRANT, grant.id),
                grants=(grant.id,),
                by=grant.ended_by,
                at=grant.ended_at,
                reason=grant.reason or "",
            )
    overseer = bool(caller.principal.roles & {Role.ADMIN, Role.AUDITOR})
    if row is None or not (overseer or row.by == caller.principal.id):
        raise NotFound(f"There is no revocation {revocation_id} for you.", next_step="loglease grants")
    return row


@routes.get("/sessions", answers=r.Page[r.SessionShown], problems=("not_found",))
async def list_sessions(
    caller: CallerOf, services: ServicesOf, grant: Annotated[str, Query(pattern=id_pattern("grt"))]
) -> r.Page[r.SessionShown]:
    """List the newest sessions of one grant."""

    def query(tx: Transaction) -> r.Page[r.SessionShown]:
        found, _ = readable_grant(tx, caller, GrantId(grant))
        return r.Page(items=[session_shown(tx, one) for one in tx.sessions.of_grant(found.id, 200)])

    return await services.store.read(query)


@routes.get("/sessions/{session_id}", answers=r.SessionShown, problems=("not_found",))
async def find_session(session_id: SessionPath, caller: CallerOf, services: ServicesOf) -> r.SessionShown:
    """Show one session."""

    def query(tx: Transaction) -> r.SessionShown:
        return session_shown(tx, _session(tx, caller, session_id))

    return await services.store.read(query)


def _session(tx: Transaction, caller: Caller, session_id: str) -> Session:
    session = tx.sessions.find(SessionId(session_id))
    if session is not None:
        try:
            readable_grant(tx, caller, session.grant)
        except NotFound:
            session = None
    if session is None:
        raise NotFound(f"There is no session {session_id} for you.", next_step="loglease grants")
    return session
