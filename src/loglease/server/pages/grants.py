"""Grants: the list, one grant with both its clocks and budgets, using it, giving it back, taking it away."""

from __future__ import annotations

import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.activate_grant import activate_grant
from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted, ReasonRequired
from loglease.access.note_call import request_of
from loglease.access.permissions import require_may_revoke
from loglease.access.queries import GrantView, grant_view, grants_page, timeline
from loglease.access.return_grant import return_grant
from loglease.access.revoke import revoke
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GRANT, GrantId, checked_id
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.principal import Directory
from loglease.model.selector_text import selector_text
from loglease.model.session import SessionState
from loglease.model.words import plain, window_in_words
from loglease.server.api.extensions import ExtensionShown, extension_shown
from loglease.server.asking import looked
from loglease.server.pages.history import steps_of
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.pages.text import terms_in_words
from loglease.server.problems import kind_of
from loglease.store.interface import Transaction

_SHOWN_SESSIONS = 20


async def grants_list(site: Site, request: Request, caller: Caller) -> Response:
    """Show the grants that the visitor may see; the filter lives in the address."""
    mine = request.query_params.get("mine") == "1"
    live = request.query_params.get("live") == "1"
    before = request.query_params.get("before", "")
    last = GrantId(checked_id(GRANT, before)) if before else None
    now = site.services.clock.now()
    found = await site.services.store.read(
        lambda tx: grants_page(tx, caller, now, mine=mine, live=live, before=last, limit=51)
    )
    more = found[49].grant.id if len(found) > 50 else None  # noqa: PLR2004 - a page
    return site.page(request, "grants.html", {"views": found[:50], "more": more, "mine": mine, "live": live})


async def grant_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show one grant."""
    return site.page(request, "grant.html", await grant_values(site, caller, _id(request)))


async def grant_values(site: Site, caller: Caller, grant_id: GrantId) -> dict[str, Any]:
    """Return what the pages about one grant show."""
    now = site.services.clock.now()
    await looked(site.services, request_of(grant_id), caller)

    def query(tx: Transaction) -> tuple[GrantView, list[Any], Directory, bool, ExtensionShown | None]:
        view = grant_view(tx, caller, grant_id, now)
        history, directory = timeline(tx, caller, view.request.id), tx.principals.directory()
        return view, history, directory, _may_revoke(tx, caller, view), extension_shown(tx, view, now)

    view, history, directory, may_revoke, extension = await site.services.store.read(query)
    grant = view.grant
    origins = site.services.standing.origins
    selector = selector_text(grant.terms.scopes[0].selector)
    return {
        "view": view,
        "grant": grant,
        "request": view.request,
        "scope": grant.terms.scopes[0],
        "selector": selector,
        "quoted_selector": shlex.quote(plain(selector)),
        "window_words": window_in_words(grant.terms.scopes[0].window),
        "words": terms_in_words(grant.terms, view.request.wish.reveal),
        "budgets": _budgets(grant),
        "left_s": _left_s(grant, now),
        "open": [one for one in view.sessions if one.state is not SessionState.CLOSED],
        "sessions": view.sessions[:_SHOWN_SESSIONS],
        "ended_by": None if grant.ended_by is None else directory.principal(grant.ended_by),
        "steps": steps_of(history, directory),
        "mine": grant.holder == caller.principal.id,
        "may_revoke": may_revoke,
        "extension": extension,
        "live": view.state in (GrantState.SCHEDULED, GrantState.ACTIVE, GrantState.SUSPENDED),
        "address": f"{origins[0] if origins else ''}/g/{grant.id}",
        "now": now,
    }


def _budgets(grant: Grant) -> list[dict[str, Any]]:
    """Return one bar per budget; without a limit only what was read."""
    usage, limits = grant.usage, grant.terms.limits
    bars = [
        ("Lines", "lines", usage.lines, limits.lines),
        ("Volume", "bytes", usage.bytes, limits.bytes),
        ("Queries", "queries", usage.queries, limits.queries),
    ]
    if limits.subjects is not None:
        bars.append(("Data subjects", "subjects", usage.subjects, limits.subjects))
    return [
        {"name": name, "unit": unit, "used": used, "limit": limit, "percent": _percent(used, limit)}
        for name, unit, used, limit in bars
    ]


def _percent(used: int, limit: int | None) -> int | None:
    return None if limit is None else min(100, round(100 * used / limit))


def _left_s(grant: Grant, now: Instant) -> int:
    return max(0, grant.due_at - now) // MICROSECONDS


def _may_revoke(tx: Transaction, caller: Caller, view: GrantView) -> bool:
    try:
        require_may_revoke(tx, caller, view.request)
    except NotPermitted:
        return False
    return True


async def activate(site: Site, request: Request, caller: Caller) -> Response:
    """Start the clock of an own grant."""
    await site.form(request)
    grant_id = _id(request)
    services = site.services
    await activate_grant(
        grant_id,
        caller=caller,
        log=services.log,
        watch=services.watch,
        rules=services.rules.current,
        new_id=services.new_id,
    )
    return site.go(f"/grants/{grant_id}")


async def give_back(site: Site, request: Request, caller: Caller) -> Response:
    """End an own grant early."""
    await site.form(request)
    grant_id = _id(request)
    await return_grant(grant_id, caller=caller, log=site.services.log, new_id=site.services.new_id)
    return site.go(f"/grants/{grant_id}")


async def revoke_page(site: Site, request: Request, caller: Caller) -> Response:
    """Ask for the reason before a grant is taken away."""
    values = await grant_values(site, caller, _id(request))
    typed = site.draft(request, caller)
    reason = "" if typed is None else text_of(typed, "reason")
    return site.page(request, "revoke.html", {**values, "reason": reason, "error": None})


async def take_away(site: Site, request: Request, caller: Caller) -> Response:
    """Revoke a grant; open streams are cut."""
    fields = await site.form(request)
    grant_id = _id(request)
    reason = text_of(fields, "reason").strip()
    if not reason:
        error = ReasonRequired("A revocation needs a reason.", next_step="Say why; the holder sees it.")
        values = await grant_values(site, caller, grant_id)
        shown = {**values, "reason": reason, "error": shown_error(error)}
        return site.page(request, "revoke.html", shown, status=kind_of(error).status)
    services = site.services
    await revoke(
        LockOn(LockKind.GRANT, grant_id),
        reason=reason,
        caller=caller,
        log=services.log,
        store=services.store,
        watch=services.watch,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
    )
    return site.go(f"/grants/{grant_id}")


async def grant_state(site: Site, request: Request, caller: Caller) -> Response:
    """Tell our own scripts whether a grant can be used, and why not; lines on a page are blanked by it."""
    now = site.services.clock.now()
    grant_id = _id(request)
    await looked(site.services, request_of(grant_id), caller)
    view, who = await site.services.store.read(lambda tx: _state(tx, caller, grant_id, now))
    grant = view.grant
    left = grant.usage.left(grant.terms.limits)
    return site.json(
        {
            "state": view.state,
            "why": grant.ended_why,
            "reason": grant.reason,
            "by": who,
            "ended_at_us": grant.ended_at,
            "valid_until_us": grant.valid_until,
            "left_s": _left_s(grant, now),
            "lines_left": left[0],
            "bytes_left": left[1],
        }
    )


def _state(tx: Transaction, caller: Caller, grant_id: GrantId, now: Instant) -> tuple[GrantView, str | None]:
    view = grant_view(tx, caller, grant_id, now)
    by = None if view.grant.ended_by is None else tx.principals.find(view.grant.ended_by)
    return view, None if by is None else by.account


async def viewer_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the log viewer of an own grant; lines come later, over a stream that a one-time code opens."""
    values = await grant_values(site, caller, _id(request))
    if not values["mine"]:
        raise NotPermitted("Only its holder reads with a grant.", next_step="Ask for access of your own.")
    return site.page(request, "viewer.html", values)


async def viewer_code(site: Site, request: Request, caller: Caller) -> Response:
    """Give our own viewer a code that opens one stream, once, within half a minute."""
    site.require_own_script(request)
    token = request.state.visitor.token
    secret = await site.services.tokens.viewer_code(_id(request), caller=caller, cookie=token)
    return site.json({"code": secret.text()})


def _id(request: Request) -> GrantId:
    return GrantId(checked_id(GRANT, request.path_params["grant_id"]))
