"""The policy in force: its documents, how it came about, and what it would say to a person or about a scope."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.policy_changes import require_may_look
from loglease.model.errors import LogLeaseError
from loglease.model.instant import parse_instant
from loglease.policy import explanation_text
from loglease.policy.difference.words import entry_text, guardrail_text, routes_text
from loglease.policy.documents import AccessPolicy
from loglease.policy.who_can import Answer, who_can
from loglease.server.asking import explained
from loglease.server.pages.request_form import Typed, typed_of, wish_of
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.problems import kind_of
from loglease.store.interface import Transaction

_LOADED: Final = frozenset({"policy.loaded", "policy.refused"})
_HISTORY: Final = 30


async def policies_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the policy in force, with what was refused since, to whoever may see all of it."""
    return await _show(site, request, caller)


async def explain(site: Site, request: Request, caller: Caller) -> Response:
    """Say what policy would answer somebody, and why; looking at somebody else is on the record."""
    require_may_look(caller)
    fields = await site.form(request)
    typed, about = typed_of(fields), text_of(fields, "about").strip()
    try:
        draft = wish_of(typed, site.services.sources)
        told = await explained(site.services, caller, draft, about=about or None)
    except LogLeaseError as error:
        return await _show(site, request, caller, typed=typed, about=about, error=error)
    return await _show(site, request, caller, typed=typed, about=about, answer=explanation_text.text_of(told.data))


async def list_who_can(site: Site, request: Request, caller: Caller) -> Response:
    """Say policy by policy to whom a scope would be offered."""
    require_may_look(caller)
    typed = typed_of(await site.form(request))
    services = site.services
    now, rules = services.clock.now(), services.rules.current
    try:
        wish = wish_of(typed, services.sources).at(now)
    except LogLeaseError as error:
        return await _show(site, request, caller, typed=typed, error=error)
    answers = await asyncio.to_thread(who_can, rules.bundle, wish, now=now, profiles=rules.profiles)
    return await _show(site, request, caller, typed=typed, answers=answers)


async def _show(
    site: Site,
    request: Request,
    caller: Caller,
    *,
    typed: Typed | None = None,
    about: str = "",
    answer: str | None = None,
    answers: tuple[Answer, ...] | None = None,
    error: LogLeaseError | None = None,
) -> Response:
    require_may_look(caller)
    standing, bundle = site.services.standing, site.services.rules.current.bundle
    values = {
        "bundle": bundle,
        "trust": site.services.settings.policy.trust,
        "signers": standing.signers,
        "fault": standing.policy_fault,
        "problems": standing.policy_problems,
        "policies": [_row(one) for one in bundle.policies],
        "emergencies": [_row(one.policy) for one in bundle.emergencies],
        "guardrails": [(one, guardrail_text(one)) for one in bundle.guardrails],
        "tests": sum(len(one.cases) for one in bundle.tests),
        "documents": [(path, content.decode()) for path, content in sorted(standing.documents.items())],
        "history": await site.services.store.read(_history),
        "sources": sorted(site.services.sources),
        "typed": typed or Typed(),
        "about": about,
        "answer": answer,
        "answers": answers,
        "error": None if error is None else shown_error(error),
    }
    return site.page(request, "policies.html", values, status=200 if error is None else kind_of(error).status)


def _row(policy: AccessPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "title": policy.title,
        "who": ", ".join(policy.who.any_of),
        "scopes": [entry_text(one) for one in policy.scopes],
        "longest_s": policy.grant.max_s,
        "redaction": policy.grant.redaction,
        "approval": routes_text(policy.routes),
        "at": str(policy.at),
    }


def _history(tx: Transaction) -> list[dict[str, Any]]:
    """Return what was loaded and refused, newest first, with who agreed to it and what it meant."""
    found = []
    for stored in tx.entries.page(types=_LOADED, limit=_HISTORY):
        entry = orjson.loads(stored.content)
        data = entry["data"]
        bundle = tx.proposals.bundle(data["revision"]) if "bundle_sha256" in data else None
        proposal = None if bundle is None or bundle.proposal is None else tx.proposals.find(bundle.proposal)
        author = None if proposal is None else tx.principals.find(proposal.author)
        found.append(
            {
                "at": parse_instant(entry["at"]),
                "index": stored.index,
                "refused": data.get("error"),
                "revision": data.get("revision"),
                "sha256": data.get("bundle_sha256", ""),
                "signers": data.get("signers", []),
                "proposal": proposal,
                "author": author,
            }
        )
    return found
