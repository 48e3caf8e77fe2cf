"""What the rest of the product knows of stored after-reviews."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from loglease.model.after_review import AfterReview
from loglease.model.ids import PersonId, RequestId
from loglease.model.instant import Instant


class AfterReviews(Protocol):
    """After-reviews, one a grant that has one."""

    def insert(self, review: AfterReview) -> None:
        """Store a new after-review."""

    def find(self, request_id: RequestId) -> AfterReview | None:
        """Return the after-review of a request, if there is one."""

    def update(self, after: AfterReview) -> None:
        """Store a new version; what was done is not undone.

        Raises:
            LostRace: the stored version is not the one before.
        """

    def unjustified_of(self, persons: Collection[PersonId]) -> Sequence[AfterReview]:
        """Return those about some persons that nobody called justified, oldest first."""

    def broken_by(self, persons: Collection[PersonId], policy: str, since: Instant) -> int:
        """Return how often some persons broke the glass under a document, later than that."""

    def broken(self, policy: str, since: Instant) -> int:
        """Return how often anybody broke the glass under a document, later than that."""

    def late(self, now: Instant) -> int:
        """Return how many are late."""

    def page(self, *, undone: bool = False, before: RequestId | None = None, limit: int = 50) -> Sequence[AfterReview]:
        """Return after-reviews, newest first, of requests older than `before`; with `undone` those that are open."""
