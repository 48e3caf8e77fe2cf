"""An after-review: somebody else looks at what was read under a grant that nobody approved, and says what they think.

It opens with the grant. Whether it is late is evaluated from the clock; nothing lapses, and nothing is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.errors import AlreadyReviewed
from loglease.model.ids import GrantId, PersonId, PrincipalId, RequestId, ReviewId
from loglease.model.instant import Instant
from loglease.model.offer import AfterPlan, Outcome
from loglease.model.principal import Principal
from loglease.model.review import Channel


class AfterState(StrEnum):
    """Where an after-review stands."""

    OPEN = "open"
    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"
    FOLLOW_UP = "follow_up"


class AfterVerdict(StrEnum):
    """What somebody says of it; `follow_up` is that more has to be found out."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"
    FOLLOW_UP = "follow_up"


class Closes(StrEnum):
    """Why an after-review closes break-glass and automatic routes to the person whom it is about."""

    OVERDUE = "overdue"
    NOT_JUSTIFIED = "not_justified"


# Every legal move; what is absent is illegal. Only `justified` is the end: what was not justified can turn out to be,
# and a follow-up comes to one of both.
NEXT: Final[Mapping[tuple[AfterState, AfterVerdict], AfterState]] = MappingProxyType(
    {
        (AfterState.OPEN, AfterVerdict.JUSTIFIED): AfterState.JUSTIFIED,
        (AfterState.OPEN, AfterVerdict.NOT_JUSTIFIED): AfterState.NOT_JUSTIFIED,
        (AfterState.OPEN, AfterVerdict.FOLLOW_UP): AfterState.FOLLOW_UP,
        (AfterState.FOLLOW_UP, AfterVerdict.JUSTIFIED): AfterState.JUSTIFIED,
        (AfterState.FOLLOW_UP, AfterVerdict.NOT_JUSTIFIED): AfterState.NOT_JUSTIFIED,
        (AfterState.NOT_JUSTIFIED, AfterVerdict.JUSTIFIED): AfterState.JUSTIFIED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterOpinion:
    """One person's verdict; a stage that asks for several people needs several."""

    id: ReviewId
    reviewer: PrincipalId
    person: PersonId
    verdict: AfterVerdict
    given_at: Instant
    channel: Channel
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterReview:
    """The after-review of one grant.

    Attributes:
        person: the human being whom it is about; for an agent or service its owner.
        persons: who counts as that person, and never does it.
        eligible: principals who could do it when it was opened.
        escalated: those who could do it then once it is late, the eligible ones among them.
        opinions: in the order in which they were given.
        decided_at: when it left `open`, or moved last.
    """

    request: RequestId
    grant: GrantId
    basis: Outcome
    policy: str
    requester: PrincipalId
    person: PersonId
    persons: frozenset[PersonId]
    plan: AfterPlan
    eligible: frozenset[PrincipalId]
    escalated: frozenset[PrincipalId]
    opened_at: Instant
    due_at: Instant
    state: AfterState = AfterState.OPEN
    opinions: tuple[AfterOpinion, ...] = ()
    decided_at: Instant | None = None
    version: int = 1

    def is_late(self, now: Instant) -> bool:
        """Say whether nobody has finished it in time."""
        return self.state is AfterState.OPEN and now >= self.due_at

    def closes(self, now: Instant) -> Closes | None:
        """Return why nothing is given without a review to the person whom it is about; None if it does not close that.

        A late one opens it again only by saying `justified`.
        """
        if self.state is AfterState.NOT_JUSTIFIED:
            return Closes.NOT_JUSTIFIED
        came_late = (
            self.state is AfterState.FOLLOW_UP and self.decided_at is not None and self.decided_at >= self.due_at
        )
        return Closes.OVERDUE if came_late or self.is_late(now) else None

    def may_be_done_by(self, principal: Principal, now: Instant) -> bool:
        """Say whether it waits for somebody, as far as names tell: policy is asked when they say something."""
        among = self.escalated if self.is_late(now) else self.eligible
        return principal.id in among and principal.persons.isdisjoint(self.persons)

    @property
    def counted(self) -> tuple[AfterOpinion, ...]:
        """The opinions that it was justified, since somebody last said otherwise."""
        found: list[AfterOpinion] = []
        for one in self.opinions:
            found = [*found, one] if one.verdict is AfterVerdict.JUSTIFIED else []
        return tuple(found)

    def objectors(self) -> frozenset[PersonId]:
        """Return who said that it was not justified, while that stands."""
        if self.state is not AfterState.NOT_JUSTIFIED:
            return frozenset()
        return frozenset(one.person for one in self.opinions if one.verdict is AfterVerdict.NOT_JUSTIFIED)


def with_opinion(review: AfterReview, opinion: AfterOpinion, *, completes: bool) -> AfterReview:
    """Return the after-review with one more opinion.

    Args:
        review: as it is stored.
        opinion: what somebody says; whether they may is not asked here.
        completes: whether it moves with this opinion. Only `justified` may have to wait for more people.

    Raises:
        AlreadyReviewed: it does not move that way any more.
    """
    state = NEXT.get((review.state, opinion.verdict))
    if state is None:
        raise AlreadyReviewed(
            f"The after-review of {review.request} is already {review.state}.",
            next_step=f"loglease requests {review.request}",
        )
    moves = completes or opinion.verdict is not AfterVerdict.JUSTIFIED
    return replace(
        review,
        opinions=(*review.opinions, opinion),
        state=state if moves else review.state,
        decided_at=opinion.given_at if moves else review.decided_at,
        version=review.version + 1,
    )
