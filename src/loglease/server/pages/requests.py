"""Asking for access: the lists, the form with its offers, and the page of one request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.cancel_request import cancel_request
from loglease.access.errors import PolicyUndecided
from loglease.access.explaining import reader_of, request_explained
from loglease.access.exposure import Exposure
from loglease.access.once import Once
from loglease.access.permissions import visible_request
from loglease.access.queries import exposure_of, request_view, requests_page, timeline
from loglease.access.rules import refused
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError
from loglease.model.ids import REQUEST, PrincipalId, RequestId, checked_id
from loglease.model.instant import Instant
from loglease.model.principal import Directory
from loglease.model.scope import Level
from loglease.model.selector_text import selector_text
from loglease.policy.documents import InputRule
from loglease.policy.trace import Decision, Fix
from loglease.server.asking import decided, looked, submitted
from loglease.server.pages import request_form
from loglease.server.pages.advice import Advice, advice_of, shown_explanation
from loglease.server.pages.catalogue import source_entries
from loglease.server.pages.drafts import Fields
from loglease.server.pages.history import steps_of
from loglease.server.pages.risks import risk_statements
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.pages.text import terms_in_words
from loglease.server.problems import kind_of
from loglease.store.interface import Transaction

_KEY_BYTES = 16
_ROUTE = "web:/requests/new"
_OF_POLICY = frozenset(
    {
        "policy_denied",
        "guardrail_denied",
        "no_eligible_approver",
        "reason_required",
        "ticket_required",
        "ticket_invalid",
        "input_required",
        "policy_undecided",
    }
)
_DURATIONS = ("15m", "30m", "1h", "2h", "4h")


async def requests_list(site: Site, request: Request, caller: Caller) -> Response:
    """Show the requests that the visitor may see; the filter lives in the address."""
    state = _state(request.query_params.get("state", ""))
    mine = request.query_params.get("mine") == "1"
    before = request.query_params.get("before", "")
    last = RequestId(checked_id(REQUEST, before)) if before else None
    now = site.services.clock.now()
    found = await site.services.store.read(
        lambda tx: requests_page(tx, caller, now, state=state, mine=mine, before=last, limit=51)
    )
    values = {"views": found[:50], "more": found[49].request.id if len(found) > 50 else None}  # noqa: PLR2004 - a page
    return site.page(request, "requests.html", {**values, "state": state, "mine": mine, "states": list(RequestState)})


def _state(text: str) -> RequestState | None:
    return RequestState(text) if text in set(RequestState) else None


async def request_form_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the form, filled in as the link or a draft says, a draft with its offers. Links prefill; people decide."""
    if "draft" in request.query_params:
        return await _draft_page(site, request, caller)
    typed = request_form.typed_of(request.query_params)
    like = request.query_params.get("like", "")
    if like:
        like_id = RequestId(checked_id(REQUEST, like))
        found = await site.services.store.read(lambda tx: visible_request(tx, caller, like_id))
        typed = request_form.typed_like(found)
    return await _form(site, request, caller, typed)


async def _draft_page(site: Site, request: Request, caller: Caller) -> Response:
    fields = site.draft(request, caller)
    if fields is None:
        gone = InvalidField("What you had typed is not kept any more.", next_step="Fill in the form again.")
        return await _form(site, request, caller, request_form.typed_of(Fields()), error=gone)
    typed = request_form.typed_of(fields)
    try:
        decision = await _decide(site, caller, typed)
        if decision.refusal is not None:
            return await _denied(site, request, caller, typed, decision)
        inputs, picked = request_form.inputs_asked(decision), text_of(fields, "offer")
        return await _form(site, request, caller, typed, decision=decision, picked=picked, inputs=inputs)
    except LogLeaseError as error:
        return await _form_again(site, request, caller, typed, error)


async def _denied(
    site: Site, request: Request, caller: Caller, typed: request_form.Typed, decision: Decision
) -> Response:
    """Show the form with why nothing is offered, and what helps as things to click."""
    rules = site.services.rules.current
    directory = await site.services.store.read(lambda tx: tx.principals.directory())
    told = reader_of(caller, caller.principal, rules, directory).told(decision)
    advice = advice_of(decision, typed, here=site.way_back(request))
    inputs = request_form.inputs_asked(decision)
    refusal = None if decision.refusal is None else refused(decision.refusal)
    shown = shown_explanation(told)
    page = await _form(site, request, caller, typed, error=refusal, advice=advice, explained=shown, inputs=inputs)
    return site.remembering(request, page) if any(one.fix is Fix.SIGN_IN for one in advice) else page


async def _form_again(
    site: Site, request: Request, caller: Caller, typed: request_form.Typed, error: LogLeaseError
) -> Response:
    """Show the form with what is wrong in it; a fault of ours is no mistake in the form."""
    if kind_of(error).status >= 500 and error.code != PolicyUndecided.code:  # noqa: PLR2004 - HTTP's own number
        raise error
    if error.code in _OF_POLICY:
        decision = await _decide(site, caller, typed)
        if decision.refusal is not None:
            return await _denied(site, request, caller, typed, decision)
    return await _form(site, request, caller, typed, error=error)


async def send_request(site: Site, request: Request, caller: Caller) -> Response:
    """Go to the offers for what was typed, or submit it under one of them."""
    fields = await site.form(request)
    typed = request_form.typed_of(fields)
    if text_of(fields, "step") != "send":
        key = site.drafts.keep(fields, caller.principal.id)
        if key is None:
            raise InvalidField("The form is too large.", next_step="Go back and shorten what you typed.")
        return site.go(f"/requests/new?draft={key}")
    try:
        return site.go(f"/requests/{await _submit(site, caller, typed, fields)}")
    except LogLeaseError as error:
        return await _form_again(site, request, caller, typed, error)


async def _submit(site: Site, caller: Caller, typed: request_form.Typed, fields: Fields) -> RequestId:
    number = text_of(fields, "offer")
    if number and not (number.isascii() and number.isdecimal() and len(number) < 4):  # noqa: PLR2004 - digits
        raise InvalidField("That is no offer.", next_step="Choose one of the offers.")
    if typed.break_glass and text_of(fields, "confirm").strip() != typed.source:
        fault = FieldFault("/confirm", "invalid_field", f"Type {typed.source} here to break the glass.")
        raise InvalidField("The glass is not broken yet.", next_step="Type the name of the source.", faults=(fault,))
    body = hashlib.sha256(repr((typed, number)).encode()).digest()
    key = text_of(fields, "key")[:64]
    once = Once(principal=caller.principal.id, route=_ROUTE, key=key, body=body) if key else None
    site.services.rates.take_submission(caller.principal)
    wish = request_form.wish_of(typed, site.services.sources)
    made = await submitted(site.services, caller, wish, offer=int(number) if number else None, once=once)
    return made.id


async def _decide(site: Site, caller: Caller, typed: request_form.Typed) -> Decision:
    return await decided(site.services, caller, request_form.wish_of(typed, site.services.sources))


async def _form(
    site: Site,
    request: Request,
    caller: Caller,
    typed: request_form.Typed,
    *,
    decision: Decision | None = None,
    error: LogLeaseError | None = None,
    advice: Sequence[Advice] = (),
    explained: Mapping[str, Any] | None = None,
    picked: str = "",
    inputs: Sequence[InputRule] = (),
) -> Response:
    directory = await site.services.store.read(lambda tx: tx.principals.directory())
    entries = source_entries(site.services, caller.principal, directory)
    chosen = next((one for one in entries if one.name == typed.source), None)
    if chosen is None and len(entries) == 1 and not typed.source:
        chosen = entries[0]
    typed = request_form.with_labels_apart(typed, chosen.labels if chosen else ())
    offers = None if decision is None else _offers(site, decision, directory, caller)
    values = {
        "typed": typed,
        "entries": entries,
        "chosen": chosen,
        "windows": request_form.WINDOWS,
        "durations": _DURATIONS,
        "levels": [level for level in Level if level is not Level.UNKNOWN],
        "profiles": sorted(site.services.rules.current.profiles),
        "error": None if error is None else shown_error(error),
        "advice": advice,
        "explained": explained,
        "inputs": inputs,
        "picked": picked if picked in {str(one["offer"].number) for one in offers or ()} else None,
        "offers": offers,
        "network": site.services.rules.current.for_call(caller).network,
        "selector": None if decision is None else selector_text(decision.wish.scopes[0].selector),
        "key": site.services.random(_KEY_BYTES).hex(),
    }
    return site.page(request, "request_form.html", values, status=200 if error is None else kind_of(error).status)


def _offers(site: Site, decision: Decision, directory: Directory, caller: Caller) -> list[dict[str, Any]]:
    shown = []
    for offer in decision.offers:
        who: frozenset[PrincipalId] = frozenset()
        if offer.need:
            who = site.services.rules.current.eligible(
                offer.plans, requester=caller.principal, directory=directory, now=decision.decided_at
            )
        asked_s = decision.wish.duration_s
        shorter = asked_s is not None and offer.terms.duration_s < asked_s
        shown.append({"offer": offer, "words": terms_in_words(offer.terms), "people": len(who), "shorter": shorter})
    return shown


async def request_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show one request: what is asked, what is risky about it, how it stands, what happened."""
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    values = await request_values(site, caller, request_id)
    rules = site.services.rules.current
    told = await site.services.store.read(lambda tx: request_explained(tx, caller, request_id, rules))
    explained = None if told is None else shown_explanation(told)
    return site.page(request, "request.html", {**values, "explained": explained})


def _exposure(site: Site, tx: Transaction, caller: Caller, request_id: RequestId) -> Exposure | None:
    """Return what was read, where that is to be looked at."""
    if tx.after_reviews.find(request_id) is None:
        return None
    return exposure_of(tx, caller, request_id, site.services.vault)


async def request_values(site: Site, caller: Caller, request_id: RequestId) -> dict[str, Any]:
    """Return what the pages about one request show."""
    now = site.services.clock.now()
    await looked(site.services, lambda _tx: request_id, caller)
    view, history, directory, read = await site.services.store.read(
        lambda tx: (
            request_view(tx, caller, request_id, now),
            timeline(tx, caller, request_id),
            tx.principals.directory(),
            _exposure(site, tx, caller, request_id),
        )
    )
    asked = view.request
    others_of = {caller.principal.id} if view.may_review else frozenset()
    return {
        "view": view,
        "request": asked,
        "scope": asked.terms.scopes[0],
        "selector": selector_text(asked.terms.scopes[0].selector),
        "words": terms_in_words(asked.terms, asked.wish.reveal),
        "risks": risk_statements(asked, view.requester),
        "stages": _stages(site, asked, view.reviews, directory, now),
        "reviewers": [
            one for one in (directory.principal(who) for who in sorted(view.reviewers - others_of)) if one is not None
        ],
        "who": {
            one: directory.principal(one)
            for review in view.reviews
            for one in (review.reviewer, review.stands_for)
            if one is not None
        },
        "decided_by": None if asked.decided_by is None else directory.principal(asked.decided_by),
        "narrowed": {review.id: terms_in_words(review.narrowed) for review in view.reviews if review.narrowed},
        "steps": steps_of(history, directory),
        "read": read,
        "accounts": {one.id: one.account for one in directory.principals.values()},
        "mine": asked.requester == caller.principal.id,
        "owner": _owner(asked, directory),
        "now": now,
    }


def _owner(request: AccessRequest, directory: Directory) -> Any:
    """Return the human behind an agent or service that asks; None for a person."""
    asker = directory.principal(request.requester)
    if asker is None or asker.kind == "human":
        return None
    return next((one for one in directory.humans() if one.person == asker.person), None)


def _stages(
    site: Site, request: AccessRequest, reviews: Any, directory: Directory, now: Instant
) -> list[dict[str, Any]]:
    """Return the stages of every plan, those that the policy has added since included, with how far each is."""
    rules = site.services.rules.current
    complete = rules.shown().state(request, reviews, directory, now).complete
    return [
        {
            "origin": plan.origin,
            "done": complete[at] if at < len(complete) else 0,
            "blocks": [[(block.need, list(block.approvers)) for block in stage.blocks] for stage in plan.stages],
            "joints": [stage.joint for stage in plan.stages],
        }
        for at, plan in enumerate(rules.demanded(request, directory, now))
    ]


async def request_state(site: Site, request: Request, caller: Caller) -> Response:
    """Tell our own script how a request stands, so that a page can say when it is out of date."""
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    now = site.services.clock.now()
    await looked(site.services, lambda _tx: request_id, caller)
    found = await site.services.store.read(lambda tx: request_view(tx, caller, request_id, now))
    grant = None if found.grant is None else found.grant.id
    return site.json(
        {"state": found.state, "version": found.request.version, "grant": grant, "reviews": len(found.reviews)}
    )


async def cancel(site: Site, request: Request, caller: Caller) -> Response:
    """Withdraw an own request."""
    await site.form(request)
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    await cancel_request(request_id, caller=caller, log=site.services.log, new_id=site.services.new_id)
    return site.go(f"/requests/{request_id}")
