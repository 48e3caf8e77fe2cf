"""After-reviews: what clients send, what they see of one, and exactly what was read under its grant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loglease.access.exposure import Exposure
from loglease.access.queries import RequestView
from loglease.model.after_review import AfterState, AfterVerdict
from loglease.model.instant import Instant, instant_text
from loglease.model.offer import Outcome
from loglease.server.api.fields import At, Body, Count, EventNs, GrantIdText, Reason, RequestIdText, Resource
from loglease.store.interface import Transaction

VerdictWanted = Annotated[AfterVerdict, Field(strict=False, description="What you think of it.")]


class AfterReviewBody(Body):
    """A verdict on what was read; anything but `justified` needs a comment."""

    verdict: VerdictWanted
    comment: Reason = ""


class AfterOpinionShown(Resource):
    """One person's verdict."""

    by: Annotated[str, Field(description="Account of who gave it.")]
    verdict: AfterVerdict
    comment: str
    given_at: At


class AfterReviewShown(Resource):
    """Where the after-review of a grant stands."""

    request: RequestIdText
    grant: GrantIdText
    basis: Outcome
    state: AfterState
    late: Annotated[bool, Field(description="Nobody has finished it in time.")]
    escalated: Annotated[bool, Field(description="It is late, and more people may do it.")]
    opened_at: At
    due_at: At
    closes: Annotated[bool, Field(description="It closes break-glass and automatic routes to whom it is about.")]
    may_review: Annotated[bool, Field(description="Whether it waits for the caller.")]
    opinions: list[AfterOpinionShown]


class AskedQueryShown(Resource):
    """One query as it was typed."""

    at: At
    text: str
    from_ns: EventNs | None = None
    to_ns: EventNs | None = None
    live: bool


class ReadStreamShown(Resource):
    """One stream of which lines were served."""

    labels: dict[str, str]
    first_ns: EventNs
    last_ns: EventNs
    lines: Count


class ExposureShown(Resource):
    """Exactly what was read under a grant, from the audit log; no line is among it."""

    request: RequestIdText
    grant: GrantIdText
    sessions: Count
    lines: Count
    bytes: Count
    uncertain_lines: Annotated[Count, Field(description="Recorded and perhaps not sent, since a process died.")]
    first_ns: EventNs | None = None
    last_ns: EventNs | None = None
    masked: Annotated[dict[str, Count], Field(description="How often each rule masked something in what was served.")]
    queries: list[AskedQueryShown]
    streams: list[ReadStreamShown]
    complete: Annotated[bool, Field(description="False where more was read than is shown.")]


def after_review_shown(tx: Transaction, view: RequestView, now: Instant) -> AfterReviewShown | None:
    """Return the after-review of a request, or None."""
    review = view.after_review
    if review is None:
        return None
    late = review.is_late(now)
    accounts = {one.id: one.account for one in tx.principals.directory().principals.values()}
    return AfterReviewShown(
        request=review.request,
        grant=review.grant,
        basis=review.basis,
        state=review.state,
        late=late,
        escalated=late and bool(review.plan.escalate_to),
        opened_at=instant_text(review.opened_at),
        due_at=instant_text(review.due_at),
        closes=review.closes(now) is not None,
        may_review=view.may_review_afterwards,
        opinions=[
            AfterOpinionShown(
                by=accounts.get(one.reviewer, "unknown"),
                verdict=one.verdict,
                comment=one.comment,
                given_at=instant_text(one.given_at),
            )
            for one in review.opinions
        ],
    )


def exposure_shown(request: str, grant: str, found: Exposure) -> ExposureShown:
    """Return what was read."""
    return ExposureShown(
        request=request,
        grant=grant,
        sessions=found.sessions,
        lines=found.lines,
        bytes=found.size,
        uncertain_lines=found.uncertain_lines,
        first_ns=_text(found.first_ns),
        last_ns=_text(found.last_ns),
        masked=dict(found.masked),
        queries=[
            AskedQueryShown(
                at=one.at, text=one.text, from_ns=_text(one.start_ns), to_ns=_text(one.end_ns), live=one.live
            )
            for one in found.queries
        ],
        streams=[
            ReadStreamShown(
                labels=dict(one.labels), first_ns=str(one.first_ns), last_ns=str(one.last_ns), lines=one.lines
            )
            for one in found.streams
        ],
        complete=found.complete,
    )


def _text(event_ns: int | None) -> str | None:
    return None if event_ns is None else str(event_ns)
