"""What the rest of the product knows of stored sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.ids import GrantId, PrincipalId, SessionId
from loglease.model.instant import Instant
from loglease.model.session import Session


class Sessions(Protocol):
    """Sessions of the gateway."""

    def insert(self, session: Session) -> None:
        """Store a session that opens."""

    def update(self, session: Session) -> None:
        """Store a session's state and account."""

    def find(self, session_id: SessionId) -> Session | None:
        """Return a session."""

    def unclosed(self, limit: int) -> Sequence[Session]:
        """Return so many of the sessions that are not closed."""

    def has_unclosed(self, grant_id: GrantId) -> bool:
        """Say whether a session of a grant is not closed."""

    def of_grant(self, grant_id: GrantId, limit: int = 50) -> Sequence[Session]:
        """Return the sessions of a grant, newest first."""

    def opened_after(self, grant_id: GrantId, instant: Instant) -> int:
        """Return how many sessions of a grant opened later than that."""

    def open_tails(self, grant_id: GrantId) -> int:
        """Return how many tails of a grant are not closed."""

    def open_of(self, principal: PrincipalId) -> tuple[int, int]:
        """Return how many sessions of a principal are not closed, and how many of these are tails."""
