"""Operations on sign-ins, the caller, tokens and people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Request, Response

from loglease.access.add_lock import add_lock
from loglease.access.caller import REVIEW_SIGN_IN_S, STEP_UP_S, Caller
from loglease.access.errors import NotFound, PreconditionRequired
from loglease.access.name_manager import name_manager
from loglease.audit.interface import AuditUnavailable
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, PersonId, PrincipalId, TokenId
from loglease.model.instant import after, instant_text
from loglease.model.principal import Kind, Principal, Role
from loglease.model.rights import Right
from loglease.server.api import resources as r
from loglease.server.api.bodies import (
    PasswordBody,
    PersonPatch,
    PrincipalBody,
    PrincipalPatch,
    RefreshBody,
    SignInBody,
    TokenBody,
)
from loglease.server.api.calls import CallerOf, IfMatch, KnownCaller, OnceOf, ServicesOf
from loglease.server.api.fields import id_pattern
from loglease.server.api.operations import Routes
from loglease.server.api.views import KINDS_OF_TOKENS, at, principal_shown, token_shown, who_is
from loglease.server.edge import address_of
from loglease.server.identity.accounts import Change, NewAccount, etag_of
from loglease.server.identity.sign_in import SignedIn
from loglease.server.identity.tokens import NewToken
from loglease.server.services import Services
from loglease.store.interface import StoreUnavailable, Transaction

open_routes = Routes("sign-in")
routes = Routes("identity")

PrincipalPath = Annotated[str, Path(pattern=id_pattern("prn"))]
PersonPath = Annotated[str, Path(pattern=id_pattern("per"))]
TokenPath = Annotated[str, Path(pattern=id_pattern("tok"))]


def _signed_in(done: SignedIn) -> r.SignedIn:
    return r.SignedIn(
        access_token=done.access.text(),
        access_expires_at=instant_text(done.access_expires_at),
        refresh_token=done.refresh.text(),
        refresh_expires_at=instant_text(done.refresh_expires_at),
        principal=principal_shown(done.principal),
        must_change_password=done.must_change,
    )


@open_routes.post("/sign-in", answers=r.SignedIn)
async def sign_in(body: SignInBody, request: Request, services: ServicesOf) -> r.SignedIn:
    """Sign in with a local account; a wrong account and a wrong password are one answer."""
    address = address_of(request.scope)
    services.rates.take_address(address)
    return _signed_in(await services.sign_ins.sign_in(body.account, body.password, address=address))


@open_routes.post("/refresh", answers=r.SignedIn)
async def refresh_sign_in(body: RefreshBody, request: Request, services: ServicesOf) -> r.SignedIn:
    """Spend a refresh token for the next pair; a spent one ends the whole sign-in."""
    services.rates.take_address(address_of(request.scope))
    return _signed_in(await services.sign_ins.refresh(body.refresh_token))


@routes.post("/sign-out", answers=None, status=204)
async def sign_out(caller: CallerOf, services: ServicesOf) -> Response:
    """End the sign-in of the calling token; a long-lived token stays."""
    await services.sign_ins.sign_out(caller)
    return Response(status_code=204)


@routes.get("/me", answers=r.Me)
async def show_me(known: KnownCaller) -> r.Me:
    """Show who the caller is and what the credential may do."""
    caller = known.caller
    signed_in = caller.signed_in_at
    human = caller.principal.kind is Kind.HUMAN
    return r.Me(
        principal=principal_shown(caller.principal),
        channel=caller.channel,
        interactive=caller.rights is None,
        rights=sorted(Right) if caller.rights is None else sorted(caller.rights),
        signed_in_at=at(signed_in),
        grant=caller.only_grant,
        may_review_until=None if signed_in is None or not human else instant_text(after(signed_in, REVIEW_SIGN_IN_S)),
        step_up_until=None if signed_in is None else instant_text(after(signed_in, STEP_UP_S)),
        must_change_password=known.must_change,
    )


@routes.post("/me/password", answers=None, status=204)
async def change_password(body: PasswordBody, caller: CallerOf, services: ServicesOf, request: Request) -> Response:
    """Set a new password; all sign-ins and tokens of the account end, this one too."""
    await services.sign_ins.change_password(caller, body.password, body.new_password, address=address_of(request.scope))
    return Response(status_code=204)


@routes.get("/tokens", answers=r.Page[r.TokenShown])
async def list_tokens(caller: CallerOf, services: ServicesOf) -> r.Page[r.TokenShown]:
    """List the caller's own tokens."""
    return r.Page(items=[token_shown(token) for token in await services.tokens.mine(caller)])


@routes.post(
    "/tokens",
    answers=r.TokenIssued,
    status=201,
    creates=True,
    problems=("not_found", "step_up_required", "grant_ended", "grant_not_active"),
)
async def create_token(
    body: TokenBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> r.TokenIssued:
    """Issue a token; its secret is shown this once."""
    wanted = NewToken(
        kind=KINDS_OF_TOKENS[body.kind],
        label=body.label,
        rights=frozenset(body.rights),
        expires_in_s=body.expires_in_s,
        grant=None if body.grant is None else GrantId(body.grant),
        principal=body.principal,
    )
    issued = await services.tokens.issue(wanted, caller=caller, once=once)
    if issued.secret is None:
        response.headers["Idempotent-Replayed"] = "true"
    return r.TokenIssued(
        token=token_shown(issued.token), secret=None if issued.secret is None else issued.secret.text()
    )


@routes.delete("/tokens/{token_id}", problems=("not_found",))
async def delete_token(token_id: TokenPath, caller: CallerOf, services: ServicesOf) -> Response:
    """Take a token away; it stops working with this answer."""
    await services.tokens.delete(TokenId(token_id), caller=caller)
    return Response(status_code=204)


@routes.get("/principals", answers=r.Page[r.PrincipalShown])
async def list_principals(caller: CallerOf, services: ServicesOf) -> r.Page[r.PrincipalShown]:
    """List all logins."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    directory = await services.store.read(lambda tx: tx.principals.directory())
    found = sorted(directory.principals.values(), key=lambda one: one.account)
    return r.Page(items=[principal_shown(one) for one in found])


@routes.post("/principals", answers=r.PrincipalAdded, status=201, creates=True, problems=("step_up_required",))
async def create_principal(
    body: PrincipalBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> r.PrincipalAdded:
    """Add a local account; a generated password is shown this once."""
    wanted = NewAccount(
        account=body.account,
        name=body.name,
        email=body.email,
        kind=body.kind,
        owner=None if body.owner is None else PrincipalId(body.owner),
        groups=frozenset(body.groups),
        roles=frozenset(body.roles),
        password=body.password,
    )
    added = await services.accounts.add(wanted, caller=caller, once=once)
    if added.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/api/v1/principals/{added.principal.id}"
    response.headers["ETag"] = f'"{etag_of(added.principal)}"'
    return r.PrincipalAdded(principal=principal_shown(added.principal), password=added.password)


@routes.get("/principals/{principal_id}", answers=r.PrincipalShown, problems=("not_found",))
async def find_principal(
    principal_id: PrincipalPath, caller: CallerOf, services: ServicesOf, response: Response
) -> r.PrincipalShown:
    """Show one login; administrators and auditors see all, everybody their own."""
    if caller.principal.id != principal_id:
        caller.require_role(Role.ADMIN, Role.AUDITOR)
    found = await services.store.read(lambda tx: tx.principals.find(PrincipalId(principal_id)))
    if found is None:
        raise NotFound(f"There is no principal {principal_id}.", next_step="loglease admin user list")
    response.headers["ETag"] = f'"{etag_of(found)}"'
    return principal_shown(found)


@routes.patch("/principals/{principal_id}", answers=r.PrincipalShown, problems=("not_found", "step_up_required"))
async def change_principal(
    principal_id: PrincipalPath,
    body: PrincipalPatch,
    caller: CallerOf,
    services: ServicesOf,
    etag: IfMatch,
    response: Response,
) -> r.PrincipalShown:
    """Change name, groups, roles or standing of a login; a disabled one can do nothing from this answer on."""
    if etag is None:
        raise PreconditionRequired("The change does not say what it is based on.", next_step="Send If-Match.")
    change = Change(
        name=body.name,
        groups=None if body.groups is None else frozenset(body.groups),
        roles=None if body.roles is None else frozenset(body.roles),
        enabled=body.enabled,
    )
    try:
        done = await services.accounts.change(PrincipalId(principal_id), change, etag=etag, caller=caller)
    except (AuditUnavailable, StoreUnavailable) as error:
        if change.enabled is not False or principal_id == caller.principal.id:
            raise
        raise await _locked_instead(principal_id, caller, services) from error
    response.headers["ETag"] = f'"{etag_of(done)}"'
    return principal_shown(done)


async def _locked_instead(principal_id: str, caller: Caller, services: Services) -> AuditUnavailable:
    """Lock an account that cannot be disabled now and revoke what it has; return the refusal that says so."""
    locked = await add_lock(
        LockOn(LockKind.PRINCIPAL, principal_id),
        reason="the account was to be disabled",
        revoke=True,
        caller=caller,
        log=services.log,
        store=services.store,
        watch=services.watch,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
    )
    return AuditUnavailable(
        f"The database did not take it. The account is locked instead and its grants are revoked ({locked.lock.id}).",
        next_step="Disable it again when the database is back.",
    )


@routes.post(
    "/principals/{principal_id}/password", answers=r.PasswordIssued, problems=("not_found", "step_up_required")
)
async def reset_password(principal_id: PrincipalPath, caller: CallerOf, services: ServicesOf) -> r.PasswordIssued:
    """Give a login a generated password, shown this once; its sign-ins and tokens end."""
    done = await services.accounts.reset_password(PrincipalId(principal_id), caller=caller)
    return r.PasswordIssued(principal=principal_shown(done.principal), password=done.password or "")


@routes.get("/persons", answers=r.Page[r.PersonShown])
async def list_persons(caller: CallerOf, services: ServicesOf) -> r.Page[r.PersonShown]:
    """List human beings with their logins."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    directory = await services.store.read(lambda tx: tx.principals.directory())
    people: dict[str, list[Principal]] = {}
    for one in sorted(directory.principals.values(), key=lambda one: one.account):
        if one.kind is Kind.HUMAN:
            people.setdefault(one.person, []).append(one)
    return r.Page(items=[_person(logins) for logins in people.values()])


def _person(logins: Sequence[Principal]) -> r.PersonShown:
    return r.PersonShown(id=logins[0].person, principals=[who_is(one) for one in logins], manager=logins[0].manager)


@routes.patch("/persons/{person_id}", answers=r.PersonShown, problems=("not_found", "step_up_required"))
async def change_person(
    person_id: PersonPath, body: PersonPatch, caller: CallerOf, services: ServicesOf
) -> r.PersonShown:
    """Name the manager of a person, or that they have none."""
    person = PersonId(person_id)
    manager = None if body.manager is None else PersonId(body.manager)
    await name_manager(person, manager, caller=caller, log=services.log, new_id=services.new_id)
    logins = await services.store.read(lambda tx: tx.principals.of_person(person))
    return _person([one for one in logins if one.kind is Kind.HUMAN])


@routes.get("/groups", answers=r.Page[r.GroupShown])
async def list_groups(caller: CallerOf, services: ServicesOf) -> r.Page[r.GroupShown]:
    """List groups with their enabled members."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    return await services.store.read(_groups)


def _groups(tx: Transaction) -> r.Page[r.GroupShown]:
    directory = tx.principals.directory()
    names = sorted({group for one in directory.principals.values() for group in one.groups})
    return r.Page(
        items=[r.GroupShown(name=name, members=[who_is(one) for one in directory.members(name)]) for name in names]
    )
