"""What the rest of the product knows of how the oldest part of the audit log goes; part of `interface`."""

from __future__ import annotations

from typing import Protocol

from loglease.model.ids import RequestId
from loglease.model.instant import Instant


class Prunings(Protocol):
    """Finds what may go, and lets it go."""

    def index_at(self, at: Instant) -> int:
        """Return the index of the first entry that is not older than an instant; the size of the log if all are."""

    def first_of(self, request: RequestId) -> int | None:
        """Return the first entry about a request, if one is stored."""

    def first_of_unfinished(self) -> int | None:
        """Return the first entry about a request, grant or after-review that is not over; None where all are."""

    def oldest_lock(self) -> Instant | None:
        """Return when the oldest lock that nobody lifted was added; None where there is none."""

    def first_stored(self) -> int:
        """Return the lowest index of which a row is stored; the size of the log if there is none."""

    def raise_min_index(self, index: int) -> None:
        """Have nothing below an index be served any more; it never falls."""

    def delete_below(self, index: int) -> None:
        """Delete the rows of pruned entries with what is kept beside them."""

    def forget_served(self, index: int, part: int) -> bool:
        """Delete one part of what finds served lists below an index; say whether there is a next part."""
