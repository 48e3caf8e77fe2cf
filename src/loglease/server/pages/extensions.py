"""Asking for more time: one page with what would go on, until when, and who decides."""

from __future__ import annotations

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.once import Once
from loglease.access.rules import refused
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError
from loglease.model.ids import GRANT, GrantId, checked_id
from loglease.model.instant import duration_text, parse_duration
from loglease.model.words import scope_in_words
from loglease.server.asking import decided, submitted
from loglease.server.pages.drafts import Fields
from loglease.server.pages.grants import grant_values
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.problems import kind_of

_FIELDS: Final = ("reason", "ticket", "duration")
_KEY_BYTES: Final = 16
_ROUTE: Final = "web:/grants/extend"
_FAULT: Final = 500
"""Statuses from here on are faults of ours, no mistakes in the form."""
_TO_FILL_IN: Final = frozenset({"reason_required", "ticket_required"})


async def extend_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show what an extension would be, and ask for its reason."""
    fields = site.draft(request, caller) or Fields()
    return await _form(site, request, caller, fields)


async def extend(site: Site, request: Request, caller: Caller) -> Response:
    """Submit the request."""
    fields = await site.form(request)
    try:
        draft = _draft(request, fields)
        key = text_of(fields, "key")[:64]
        body = hashlib.sha256(repr(draft).encode()).digest()
        site.services.rates.take_submission(caller.principal)
        once = Once(principal=caller.principal.id, route=_ROUTE, key=key, body=body) if key else None
        made = await submitted(site.services, caller, draft, offer=None, once=once)
        return site.go(f"/requests/{made.id}")
    except LogLeaseError as error:
        if kind_of(error).status >= _FAULT:
            raise
        return await _form(site, request, caller, fields, error=error)


def _draft(request: Request, fields: Fields) -> ExtensionDraft:
    typed = {name: text_of(fields, name).strip() for name in _FIELDS}
    return ExtensionDraft(
        grant=_id(request),
        reason=typed["reason"],
        ticket=typed["ticket"] or None,
        duration_s=_duration_s(typed["duration"]),
    )


def _duration_s(text: str) -> int | None:
    try:
        return parse_duration(text) if text else None
    except LogLeaseError as error:
        fault = FieldFault("/duration", "invalid_field", error.message)
        raise InvalidField(error.message, next_step=error.next_step, faults=(fault,)) from error


async def _form(
    site: Site, request: Request, caller: Caller, fields: Fields, *, error: LogLeaseError | None = None
) -> Response:
    """Show the form; what stands in the way is said before anybody types a reason."""
    found, words, offer, is_open = error, "", None, False
    try:
        decision = await decided(site.services, caller, ExtensionDraft(grant=_id(request), reason=""))
        words = "; ".join(scope_in_words(scope) for scope in decision.wish.scopes)
        offer = decision.offers[0] if decision.offers else None
        refusal = decision.refusal
        is_open = refusal is None or refusal.code in _TO_FILL_IN
        if refusal is not None and not is_open:
            found = found or refused(refusal)
    except LogLeaseError as refusal:
        if kind_of(refusal).status >= _FAULT:
            raise
        found = found or refusal
    values = await grant_values(site, caller, _id(request))
    rule = values["grant"].shape.extend
    shown = {
        **values,
        "typed": {name: text_of(fields, name) for name in _FIELDS},
        "what": words,
        "is_open": is_open,
        "offer": offer,
        "usual": "" if rule is None else duration_text(rule.by_s),
        "error": None if found is None else shown_error(found),
        "key": site.services.random(_KEY_BYTES).hex(),
    }
    return site.page(request, "extend.html", shown, status=200 if found is None else kind_of(found).status)


def _id(request: Request) -> GrantId:
    return GrantId(checked_id(GRANT, request.path_params["grant_id"]))
