"""What the rest of the product knows of stored looks at grants whose policies want something to stay true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loglease.model.ids import GrantId
from loglease.model.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLook:
    """When a grant has to be looked at next.

    Attributes:
        good: the last answers of providers that were no faults, as a JSON list.
    """

    grant: GrantId
    due_at: Instant
    good: str = "[]"


class Keeps(Protocol):
    """One row for each grant that has to be looked at while it is active."""

    def begin(self, grant_id: GrantId, due_at: Instant) -> None:
        """Have a grant looked at then, or earlier where that was so before; what is known of it stays."""

    def find(self, grant_id: GrantId) -> NextLook | None:
        """Return when a grant is looked at next; None where nobody looks."""

    def due(self, now: Instant, limit: int) -> Sequence[NextLook]:
        """Return the looks whose time has come, earliest first."""

    def update(self, look: NextLook) -> None:
        """Store when a grant is looked at next, and what is known of it."""

    def end(self, grant_id: GrantId) -> None:
        """Look at a grant no more."""
