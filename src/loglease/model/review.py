"""A review: one person's decision on one request, bound to the digest of exactly what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from loglease.model.access_request import AccessRequest
from loglease.model.errors import NarrowingEmpty, NarrowingNotSubset
from loglease.model.ids import PersonId, PrincipalId, RequestId, ReviewId
from loglease.model.instant import Instant
from loglease.model.offer import Terms


class Verdict(StrEnum):
    """What a reviewer says. Deny beats approve."""

    APPROVE = "approve"
    DENY = "deny"


class Channel(StrEnum):
    """The door through which an act came."""

    WEB = "web"
    CLI = "cli"
    API = "api"
    CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One counted review.

    Attributes:
        person: the human being; persons, not logins, are counted.
        stands_for: in whose place the reviewer gave it; None for their own.
        narrowed: what the reviewer allows instead, a proven subset; None allows all that was offered.
        on_call: the rotas in which the reviewer was on call when giving it; that a shift ends takes no review back.
    """

    id: ReviewId
    request: RequestId
    reviewer: PrincipalId
    person: PersonId
    verdict: Verdict
    digest: str
    given_at: Instant
    channel: Channel
    comment: str = ""
    narrowed: Terms | None = None
    on_call: frozenset[str] = frozenset()
    stands_for: PrincipalId | None = None


def checked_narrowing(request: AccessRequest, wanted: Terms) -> Terms:
    """Return the narrowing, proven to be inside what was offered.

    Raises:
        NarrowingNotSubset: some part asks for more, or cannot be shown not to.
        NarrowingEmpty: nothing would be left to read.
    """
    if request.terms.intersect(wanted) is None:
        raise NarrowingEmpty("The narrowing leaves nothing to read.", next_step="Deny the request instead.")
    if not request.terms.contains(wanted):
        raise NarrowingNotSubset(
            "The narrowing allows more than was asked.", next_step="Narrow every part, or ask for a new request."
        )
    return wanted


def granted_terms(request: AccessRequest, reviews: Iterable[Review]) -> Terms:
    """Return what the grant covers: the offer's terms, cut by every counted approval.

    Raises:
        NarrowingEmpty: the approvals together leave nothing.
    """
    terms = request.terms
    for review in reviews:
        if review.narrowed is not None:
            both = terms.intersect(review.narrowed)
            if both is None:
                raise NarrowingEmpty(
                    "The approvals together leave nothing to read.", next_step="Deny the request instead."
                )
            terms = both
    return terms
