"""What the rest of the product knows of stored sessions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from loglease.model.grant import Grant
from loglease.model.ids import GrantId, PrincipalId, SessionId
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.model.session import Account, Session


class InUse(NamedTuple):
    """A session with what decides whether its grant may be used on.

    Attributes:
        holder: None if the grant's holder was never seen.
        epoch: the current history generation.
        may_be_held: a lock on whatever is in force, or the grant is suspended, or the one before it. If not, none of
            that holds it.
    """

    session: Session
    grant: Grant
    holder: Principal | None
    epoch: int
    may_be_held: bool


class Sessions(Protocol):
    """Sessions of the gateway."""

    def insert(self, session: Session) -> None:
        """Store a session that opens."""

    def update(self, session: Session) -> None:
        """Store a session's state and account."""

    def find(self, session_id: SessionId) -> Session | None:
        """Return a session."""

    def in_use(self, session_id: SessionId, now: Instant) -> InUse | None:
        """Return a session with its grant, the holder, and what else decides whether the grant may be used on."""

    def update_account(self, session_id: SessionId, account: Account) -> None:
        """Store what a session was allowed to hand over and handed over."""

    def unclosed(self, limit: int, *, but_of: Collection[str] = ()) -> Sequence[Session]:
        """Return so many of the sessions that are not closed, the oldest first, without those of some replicas."""

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
