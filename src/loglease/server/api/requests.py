"""Operations on offers, access requests and reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query, Response

from loglease.access.caller import Caller
from loglease.access.cancel_request import cancel_request
from loglease.access.commitments import opened
from loglease.access.explaining import request_explained
from loglease.access.permissions import visible_request
from loglease.access.queries import RequestView, request_view, requests_page, timeline
from loglease.access.review_request import review_request
from loglease.access.submit_request import AnyDraft
from loglease.model.access_request import RequestState
from loglease.model.errors import FieldFault, ScopeInvalid
from loglease.model.ids import RequestId
from loglease.model.instant import Instant
from loglease.model.rights import Right
from loglease.model.words import reveal_in_words, scope_in_words
from loglease.policy.plan import stages_words
from loglease.server.api import resources as r
from loglease.server.api.bodies import RequestBody, ReviewBody, WishBody
from loglease.server.api.calls import (
    CallerOf,
    IfMatch,
    OnceOf,
    PageOf,
    ServicesOf,
    is_replay,
    next_cursor,
    seeing,
)
from loglease.server.api.conversions import extension_of, narrowing_of, wish_of
from loglease.server.api.explanation_resources import Explanation, ExplanationShown
from loglease.server.api.fields import id_pattern
from loglease.server.api.history import step_shown
from loglease.server.api.operations import Routes
from loglease.server.api.reveals import reveal_draft
from loglease.server.api.views import offer_shown, request_shown, review_shown, terms_words
from loglease.server.asking import decided, looked, submitted
from loglease.server.services import Services
from loglease.store.interface import Transaction

routes = Routes("requests")

SCOPE_PROBLEMS = (
    "scope_invalid",
    "scope_undecidable",
    "label_not_requestable",
    "window_invalid",
    "duration_invalid",
    "profile_unknown",
)
REVEAL_PROBLEMS = ("not_found", "grant_ended", "grant_not_active", "redaction_unavailable")
EXTENSION_PROBLEMS = ("extension_not_allowed", "extension_exists", "narrowing_not_subset")
POLICY_PROBLEMS = (
    "policy_denied",
    "guardrail_denied",
    "no_eligible_approver",
    "reason_required",
    "ticket_required",
    "ticket_invalid",
    "input_required",
    "policy_undecided",
)
REPLAYED = "Idempotent-Replayed"

RequestPath = Annotated[str, Path(pattern=id_pattern("req"))]


async def shown(services: Services, caller: Caller, request_id: RequestId) -> r.RequestShown:
    """Return a request as the caller sees it now."""
    now = services.clock.now()
    await looked(services, lambda _tx: request_id, caller)

    def query(tx: Transaction) -> r.RequestShown:
        return all_shown(tx, services, [request_view(tx, caller, request_id, now)], now)[0]

    return await services.store.read(query)


def all_shown(tx: Transaction, services: Services, views: Sequence[RequestView], now: Instant) -> list[r.RequestShown]:
    """Return requests as they are shown in lists."""
    directory, rules = tx.principals.directory(), services.rules.current
    return [request_shown(tx, view, rules.demanded(view.request, directory, now), now) for view in views]


async def _wish(body: WishBody, caller: Caller, services: Services) -> AnyDraft:
    """Return the wish of a body: for lines, for one value, or for more time.

    Raises:
        LogLeaseError: see `wish_of` and `reveal_draft`.
    """
    if body.reveal is None:
        return wish_of(body, services.sources) if body.extends is None else extension_of(body, services.sources)
    if body.scopes or body.duration_s is not None or body.limits is not None or body.break_glass or body.extends:
        raise ScopeInvalid(
            "A reveal has no scope, duration or limits of its own, is no emergency and extends nothing.",
            next_step="Leave them out: the line is all that it covers.",
            faults=(
                FieldFault("/reveal", "exclusive", "It excludes scopes, duration_s, limits, break_glass and extends."),
            ),
        )
    return await reveal_draft(
        body.reveal, reason=body.reason.strip(), ticket=body.ticket, caller=caller, services=services
    )


@routes.post("/offers", answers=r.Offers, problems=(*SCOPE_PROBLEMS, *REVEAL_PROBLEMS, *EXTENSION_PROBLEMS))
async def make_offers(body: WishBody, caller: CallerOf, services: ServicesOf) -> r.Offers:
    """Ask what policy would offer for a draft; nothing is changed."""
    wish = await _wish(body, caller, services)
    caller.require(Right.REQUESTS_WRITE)
    found = await decided(services, caller, wish)
    explanation = [offer.rule for offer in found.offers]
    if found.refusal is not None:
        explanation = [found.refusal.message]
        explanation += [text for text in (found.refusal.rule, found.refusal.next_step) if text]
    explanation += [f"narrow to: {scope_in_words(scope)}" for wish in found.narrowed for scope in wish.scopes]
    words = "; ".join(scope_in_words(scope, found.wish.limits, found.wish.duration_s) for scope in found.wish.scopes)
    if found.wish.reveal is not None:
        words = reveal_in_words(found.wish.reveal)
    network = services.rules.current.for_call(caller).network
    return r.Offers(
        offers=[offer_shown(offer, found.wish.reveal, network) for offer in found.offers],
        explanation=explanation,
        code=None if found.refusal is None else found.refusal.code,
        words=words,
    )


@routes.get("/requests", answers=r.Page[r.RequestShown], problems=("invalid_cursor",))
async def list_requests(
    caller: CallerOf,
    services: ServicesOf,
    page: PageOf,
    state: RequestState | None = None,
    source: Annotated[str | None, Query(max_length=100)] = None,
    mine: Annotated[bool, Query(description="Only the caller's own.")] = False,  # noqa: FBT002 - a query parameter
    needs: Annotated[str | None, Query(pattern="^my-review$", description="Only what waits for the caller.")] = None,
) -> r.Page[r.RequestShown]:
    """List the access requests that the caller may see, newest first."""
    now = services.clock.now()

    def query(tx: Transaction) -> r.Page[r.RequestShown]:
        views = requests_page(
            tx,
            caller,
            now,
            state=state,
            source=source,
            mine=mine,
            needs_my_review=needs is not None,
            before=None if page.before is None else RequestId(page.before),
            limit=page.limit,
        )
        last = views[-1].request.id if views else None
        return r.Page(items=all_shown(tx, services, views, now), next=next_cursor(services, caller, page, views, last))

    return await services.store.read(query)


@routes.post(
    "/requests",
    answers=r.RequestShown,
    status=201,
    creates=True,
    problems=(
        *SCOPE_PROBLEMS,
        *REVEAL_PROBLEMS,
        *EXTENSION_PROBLEMS,
        *POLICY_PROBLEMS,
        "offer_changed",
        "too_many_pending",
        "step_up_required",
        "clock_suspect",
    ),
)
async def create_request(
    body: RequestBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> r.RequestShown:
    """Submit an access request under one of its offers."""
    wish = await _wish(body, caller, services)
    if await is_replay(services, once):
        response.headers[REPLAYED] = "true"
    else:
        services.rates.take_submission(caller.principal)
    request = await submitted(services, caller, wish, offer=body.offer, once=once)
    response.headers["Location"] = f"/api/v1/requests/{request.id}"
    return await shown(services, seeing(caller), request.id)


@routes.get("/requests/{request_id}", answers=r.RequestShown, problems=("not_found",))
async def find_request(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> r.RequestShown:
    """Show one access request with its reviews."""
    return await shown(services, caller, RequestId(request_id))


@routes.get("/requests/{request_id}/terms", answers=r.Terms, problems=("not_found",))
async def find_request_terms(
    request_id: RequestPath, caller: CallerOf, services: ServicesOf, response: Response
) -> r.Terms:
    """Show the digested terms of a request and what opens their commitments; the ETag is the digest."""
    request = await services.store.read(lambda tx: visible_request(tx, caller, RequestId(request_id)))
    response.headers["ETag"] = f'"{request.digest}"'
    return r.Terms(
        request=request.id,
        digest=request.digest,
        terms=request.terms_bytes.decode(),
        private=opened(request.private),
        words=terms_words(request.terms, request.wish.reveal),
    )


@routes.get("/requests/{request_id}/timeline", answers=r.Timeline, problems=("not_found",))
async def find_request_timeline(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> r.Timeline:
    """Show what happened to a request, its grant and its sessions, oldest first."""

    def query(tx: Transaction) -> r.Timeline:
        directory = tx.principals.directory()
        names: dict[str, str] = {one.subject: one.account for one in directory.principals.values()}
        items = timeline(tx, caller, RequestId(request_id))
        return r.Timeline(items=[step_shown(item, names) for item in items])

    return await services.store.read(query)


@routes.get("/requests/{request_id}/explain", answers=Explanation, problems=("not_found",))
async def explain_request(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> Explanation:
    """Say which policy made the offer of a request, by which rule, which approvals are demanded by now, and why."""
    now, rules = services.clock.now(), services.rules.current
    request, directory, explained = await services.store.read(
        lambda tx: (
            visible_request(tx, caller, RequestId(request_id)),
            tx.principals.directory(),
            request_explained(tx, caller, RequestId(request_id), rules),
        )
    )
    offer = request.offer
    lines = [f"{offer.policy}: {offer.rule}"]
    for plan in rules.demanded(request, directory, now):
        lines += [f"{plan.origin}, stage {number}: {words}" for number, words in enumerate(stages_words(plan), 1)]
    return Explanation(
        request=request.id,
        policy=offer.policy,
        rule=offer.rule,
        bundle_sha256=offer.bundle_sha256,
        revision=offer.revision,
        explanation=lines,
        explained=None if explained is None else ExplanationShown.model_validate(explained.data),
    )


@routes.get("/requests/{request_id}/reviews", answers=r.Page[r.ReviewShown], problems=("not_found",))
async def list_reviews(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> r.Page[r.ReviewShown]:
    """List the reviews of a request in the order they were given."""

    def query(tx: Transaction) -> r.Page[r.ReviewShown]:
        request = visible_request(tx, caller, RequestId(request_id))
        return r.Page(items=[review_shown(tx, review) for review in tx.reviews.of_request(request.id)])

    return await services.store.read(query)


@routes.post(
    "/requests/{request_id}/reviews",
    answers=r.Reviewed,
    status=201,
    creates=True,
    problems=(
        "not_found",
        "self_review",
        "same_person",
        "reviewer_not_eligible",
        "reviewer_not_human",
        "step_up_required",
        "request_not_pending",
        "already_reviewed",
        "stage_not_open",
        "digest_mismatch",
        "precondition_required",
        "grant_ended",
        "reason_required",
        "narrowing_not_subset",
        "narrowing_empty",
        "narrowing_unproven",
        "scope_invalid",
        "scope_undecidable",
        "window_invalid",
        "policy_denied",
        "policy_undecided",
        "guardrail_denied",
    ),
)
async def create_review(
    request_id: RequestPath,
    body: ReviewBody,
    caller: CallerOf,
    services: ServicesOf,
    once: OnceOf,
    digest: IfMatch,
    response: Response,
) -> r.Reviewed:
    """Approve or deny a request; `If-Match` has the digest of what was decided."""
    if await is_replay(services, once):
        response.headers[REPLAYED] = "true"
    done = await review_request(
        RequestId(request_id),
        verdict=body.verdict,
        digest=digest,
        comment=body.comment.strip(),
        narrowing=narrowing_of(body.narrow, services.clock.now()),
        caller=caller,
        log=services.log,
        rules=services.rules.current,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    now = services.clock.now()

    def query(tx: Transaction) -> r.Reviewed:
        view = request_view(tx, seeing(caller), done.request.id, now)
        return r.Reviewed(
            review=review_shown(tx, done.review),
            request=all_shown(tx, services, [view], now)[0],
            grant=None if view.grant is None else view.grant.id,
        )

    return await services.store.read(query)


@routes.post("/requests/{request_id}/cancel", answers=r.RequestShown, problems=("not_found", "request_not_pending"))
async def cancel_pending_request(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> r.RequestShown:
    """Withdraw a pending request; repeating it answers the same."""
    done = await cancel_request(RequestId(request_id), caller=caller, log=services.log, new_id=services.new_id)
    return await shown(services, seeing(caller), done.id)
