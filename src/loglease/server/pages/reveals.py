"""Asking to see one masked value: the form that a chip of the log viewer fills in, and its offer."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.once import Once
from loglease.access.reveal_draft import RevealDraft
from loglease.access.rules import refused
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError
from loglease.model.offer import Offer
from loglease.model.words import reveal_in_words
from loglease.server.api.reveals import RevealWanted, reveal_draft
from loglease.server.asking import decided, submitted
from loglease.server.pages.drafts import Fields
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.problems import kind_of

_FIELDS: Final = ("grant", "token", "span", "class", "line", "reason", "ticket")
_KEY_BYTES: Final = 16
_ROUTE: Final = "web:/requests/reveal"
_FAULT: Final = 500
"""Statuses from here on are faults of ours, no mistakes in the form."""


async def reveal_form_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show the form: empty, or as a draft says, a draft with its offer."""
    fields = site.draft(request, caller)
    if fields is None:
        return _form(site, request, Fields())
    try:
        draft = await _draft(site, caller, fields)
        words, offer = await _offer(site, caller, draft)
        return _form(site, request, fields, words=words, offer=offer)
    except LogLeaseError as error:
        return _form_again(site, request, fields, error)


async def ask_to_reveal(site: Site, request: Request, caller: Caller) -> Response:
    """Go to the offer for what was chosen, or submit it."""
    fields = await site.form(request)
    if text_of(fields, "step") != "send":
        key = site.drafts.keep(fields, caller.principal.id)
        if key is None:
            raise InvalidField("The line is too long for this form.", next_step="loglease request --reveal")
        return site.go(f"/requests/reveal?draft={key}")
    try:
        draft = await _draft(site, caller, fields)
        key = text_of(fields, "key")[:64]
        body = hashlib.sha256(repr(draft).encode()).digest()
        site.services.rates.take_submission(caller.principal)
        once = Once(principal=caller.principal.id, route=_ROUTE, key=key, body=body) if key else None
        made = await submitted(site.services, caller, draft, offer=None, once=once)
        return site.go(f"/requests/{made.id}")
    except LogLeaseError as error:
        return _form_again(site, request, fields, error)


async def _draft(site: Site, caller: Caller, fields: Fields) -> RevealDraft:
    """Return the wish that the fields mean.

    Raises:
        InvalidField: with a fault for each field that is wrong.
    """
    typed = {name: text_of(fields, name).strip() for name in _FIELDS}
    wanted: dict[str, Any] = {"grant": typed["grant"], "token": typed["token"]}
    try:
        wanted["line"] = orjson.loads(typed["line"])
    except orjson.JSONDecodeError as error:
        fault = FieldFault("/line", "invalid_field", "It is no record of a line.")
        raise InvalidField(fault.detail, next_step="Choose a chip in the log viewer.", faults=(fault,)) from error
    if typed["span"].isascii() and typed["span"].isdecimal():
        wanted["span"] = int(typed["span"])
    if typed["class"]:
        wanted["class"] = typed["class"]
    try:
        asked = RevealWanted.model_validate(wanted)
    except ValidationError as error:
        faults = tuple({FieldFault(f"/{one['loc'][0]}", "invalid_field", one["msg"]): 0 for one in error.errors()})
        raise InvalidField(
            "Not all fields are right.", next_step="Choose a chip in the log viewer.", faults=faults
        ) from error
    return await reveal_draft(
        asked, reason=typed["reason"], ticket=typed["ticket"] or None, caller=caller, services=site.services
    )


async def _offer(site: Site, caller: Caller, draft: RevealDraft) -> tuple[str, Offer | None]:
    """Return which value it is in words, and the offer; none as long as only a reason or ticket is missing.

    Raises:
        LogLeaseError: policy does not offer it.
    """
    found = await decided(site.services, caller, draft)
    wish = found.wish
    words = "" if wish.reveal is None else reveal_in_words(wish.reveal)
    if found.refusal is None:
        return words, found.offers[0]
    if found.refusal.code in ("reason_required", "ticket_required") and not draft.reason:
        return words, None
    raise refused(found.refusal)


def _form_again(site: Site, request: Request, fields: Fields, error: LogLeaseError) -> Response:
    if kind_of(error).status >= _FAULT:
        raise error
    return _form(site, request, fields, error=error)


def _form(
    site: Site,
    request: Request,
    fields: Fields,
    *,
    words: str = "",
    offer: Offer | None = None,
    error: LogLeaseError | None = None,
) -> Response:
    values = {
        "typed": {name: text_of(fields, name) for name in _FIELDS},
        "words": words,
        "offer": offer,
        "error": None if error is None else shown_error(error),
        "key": site.services.random(_KEY_BYTES).hex(),
    }
    return site.page(request, "reveal.html", values, status=200 if error is None else kind_of(error).status)
