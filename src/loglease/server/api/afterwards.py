"""Operations on after-reviews."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from loglease.access.queries import after_reviews_page, exposure_of, request_view
from loglease.access.review_afterwards import review_afterwards
from loglease.model.ids import RequestId
from loglease.server.api import resources as r
from loglease.server.api.after_reviews import (
    AfterReviewBody,
    AfterReviewShown,
    ExposureShown,
    after_review_shown,
    exposure_shown,
)
from loglease.server.api.calls import CallerOf, OnceOf, PageOf, ServicesOf, is_replay, next_cursor, seeing
from loglease.server.api.operations import Routes
from loglease.server.api.requests import REPLAYED, RequestPath, all_shown
from loglease.store.interface import Transaction

routes = Routes("after-reviews")


@routes.get("/after-reviews", answers=r.Page[r.RequestShown], problems=("invalid_cursor",))
async def list_after_reviews(
    caller: CallerOf,
    services: ServicesOf,
    page: PageOf,
    undone: Annotated[bool, Query(description="Only those that nobody has done.")] = False,  # noqa: FBT002 - a query parameter
    needs: Annotated[str | None, Query(pattern="^my-review$", description="Only what waits for the caller.")] = None,
) -> r.Page[r.RequestShown]:
    """List the requests with an after-review that the caller may see, newest first."""
    now = services.clock.now()

    def query(tx: Transaction) -> r.Page[r.RequestShown]:
        views = after_reviews_page(
            tx,
            caller,
            now,
            undone=undone,
            needs_me=needs is not None,
            before=None if page.before is None else RequestId(page.before),
            limit=page.limit,
        )
        last = views[-1].request.id if views else None
        return r.Page(items=all_shown(tx, services, views, now), next=next_cursor(services, caller, page, views, last))

    return await services.store.read(query)


@routes.get("/requests/{request_id}/exposure", answers=ExposureShown, problems=("not_found",))
async def find_exposure(request_id: RequestPath, caller: CallerOf, services: ServicesOf) -> ExposureShown:
    """Show exactly what was read under a grant that has an after-review; no line is among it."""

    def query(tx: Transaction) -> ExposureShown:
        found = exposure_of(tx, caller, RequestId(request_id), services.vault)
        grant = tx.grants.of_request(RequestId(request_id))
        return exposure_shown(request_id, "" if grant is None else grant.id, found)

    return await services.store.read(query)


@routes.post(
    "/requests/{request_id}/after-review",
    answers=AfterReviewShown,
    status=201,
    creates=True,
    problems=(
        "not_found",
        "self_review",
        "same_person",
        "reviewer_not_eligible",
        "reviewer_not_human",
        "step_up_required",
        "already_reviewed",
        "reason_required",
    ),
)
async def create_after_review(
    request_id: RequestPath,
    body: AfterReviewBody,
    caller: CallerOf,
    services: ServicesOf,
    once: OnceOf,
    response: Response,
) -> AfterReviewShown | None:
    """Say whether what was read was justified."""
    if await is_replay(services, once):
        response.headers[REPLAYED] = "true"
    done = await review_afterwards(
        RequestId(request_id),
        verdict=body.verdict,
        comment=body.comment.strip(),
        caller=caller,
        log=services.log,
        rules=services.rules.current,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    now = services.clock.now()
    return await services.store.read(
        lambda tx: after_review_shown(tx, request_view(tx, seeing(caller), done.request, now), now)
    )
