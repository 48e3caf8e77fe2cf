"""What the rest of the product knows of kept decisions: what `policy simulate` decides again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.instant import Instant


class Decisions(Protocol):
    """Decisions in the order in which they were made, inside one transaction."""

    def insert(self, at: Instant, document: str) -> None:
        """Keep a decision, as JSON."""

    def since(self, at: Instant, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return positions and documents of decisions from an instant on, behind a position, oldest first."""

    def delete_before(self, at: Instant) -> int:
        """Forget decisions that were made before an instant; return how many."""
