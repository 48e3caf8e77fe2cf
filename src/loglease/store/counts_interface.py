"""How much there is of what operators watch."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from loglease.model.instant import Instant


class Counts(NamedTuple):
    """Requests that wait, grants that are stored as active, locks in force, after-reviews that are late."""

    requests: int
    grants: int
    locks: int
    after_reviews: int


class Counting(Protocol):
    """What is counted in one look."""

    def now(self, now: Instant) -> Counts:
        """Return how much there is."""
