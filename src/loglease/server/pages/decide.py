"""Deciding on a request: the confirmation page, narrowing with its proof, and the review itself."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.errors import DigestMismatch
from loglease.access.review_request import review_request
from loglease.model.errors import LogLeaseError
from loglease.model.ids import REQUEST, RequestId, checked_id
from loglease.model.review import Verdict
from loglease.server.pages.drafts import Fields
from loglease.server.pages.narrowing import Presets, allowed_terms, comparison, narrowing_of
from loglease.server.pages.requests import request_values
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.pages.text import terms_in_words
from loglease.server.problems import kind_of

_SHOWN_AGAIN = frozenset(
    {
        "reason_required",
        "narrowing_empty",
        "narrowing_not_subset",
        "scope_invalid",
        "scope_undecidable",
        "duration_invalid",
        "window_invalid",
        "invalid_field",
        "request_not_pending",
    }
)


async def decide_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show what would be decided, before anything is."""
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    if (typed := site.draft(request, caller)) is not None:
        comment = text_of(typed, "comment")
        verdict, presets = _verdict(text_of(typed, "verdict")), _presets(typed)
        return await _show(site, request, caller, request_id, verdict=verdict, presets=presets, comment=comment)
    verdict = _verdict(request.query_params.get("verdict", ""))
    narrow = request.query_params.get("narrow") == "1"
    return await _show(site, request, caller, request_id, verdict=verdict, presets=Presets(), narrow=narrow)


async def decide(site: Site, request: Request, caller: Caller) -> Response:
    """Show a narrowing side by side with what was asked, or give the review."""
    fields = await site.form(request)
    request_id = RequestId(checked_id(REQUEST, request.path_params["request_id"]))
    verdict = _verdict(text_of(fields, "verdict"))
    presets = _presets(fields)
    comment = text_of(fields, "comment")
    if text_of(fields, "step") == "compare":
        return await _show(site, request, caller, request_id, verdict=verdict, presets=presets, comment=comment)
    try:
        await _review(site, caller, request_id, verdict, fields)
    except DigestMismatch:
        raise
    except LogLeaseError as error:
        if error.code not in _SHOWN_AGAIN:
            raise
        return await _show(
            site, request, caller, request_id, verdict=verdict, presets=presets, comment=comment, error=error
        )
    return site.go(f"/requests/{request_id}")


async def _review(site: Site, caller: Caller, request_id: RequestId, verdict: Verdict, fields: Fields) -> None:
    narrowing = None
    if verdict is Verdict.APPROVE and (presets := _presets(fields)).any:
        now = site.services.clock.now()
        values = await request_values(site, caller, request_id)
        narrowing = narrowing_of(values["request"], presets, now)
    await review_request(
        request_id,
        verdict=verdict,
        digest=text_of(fields, "digest") or None,
        comment=text_of(fields, "comment").strip(),
        narrowing=narrowing,
        caller=caller,
        log=site.services.log,
        rules=site.services.rules.current,
        new_id=site.services.new_id,
        random=site.services.random,
    )


async def _show(
    site: Site,
    request: Request,
    caller: Caller,
    request_id: RequestId,
    *,
    verdict: Verdict,
    presets: Presets,
    comment: str = "",
    narrow: bool = False,
    error: LogLeaseError | None = None,
) -> Response:
    values = await request_values(site, caller, request_id)
    compared: dict[str, Any] = {"rows": None, "allowed": None}
    if presets.any and verdict is Verdict.APPROVE and error is None:
        try:
            allowed = allowed_terms(
                values["request"], narrowing_of(values["request"], presets, site.services.clock.now())
            )
        except LogLeaseError as refusal:
            error = refusal
        else:
            compared = {"rows": comparison(values["request"].terms, allowed), "allowed": terms_in_words(allowed)}
    values |= compared
    values |= {
        "verdict": verdict,
        "presets": presets,
        "comment": comment,
        "narrow": narrow or presets.any,
        "error": None if error is None else shown_error(error),
    }
    return site.page(request, "decide.html", values, status=200 if error is None else kind_of(error).status)


def _verdict(text: str) -> Verdict:
    return Verdict.DENY if text == "deny" else Verdict.APPROVE


def _presets(fields: Fields) -> Presets:
    return Presets(
        half_time=bool(text_of(fields, "half_time")),
        errors_only=bool(text_of(fields, "errors_only")),
        no_live=bool(text_of(fields, "no_live")),
        last_hour=bool(text_of(fields, "last_hour")),
        duration=text_of(fields, "duration")[:20],
        selector=text_of(fields, "selector")[:8_192],
    )
