"""A session: one use of one grant by one client. Why it closed is one of a closed list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.errors import IllegalTransition
from loglease.model.ids import GrantId, PrincipalId, SessionId
from loglease.model.instant import Instant


class SessionKind(StrEnum):
    """What the session does."""

    QUERY = "query"
    TAIL = "tail"
    EXPORT = "export"
    NAMES = "names"
    REVEAL = "reveal"


class Front(StrEnum):
    """The front end that carries it."""

    LOKI = "loki"
    PLAIN = "plain"
    KUBECTL = "kubectl"
    WEB = "web"
    CLI = "cli"
    FORWARD_AUTH = "forward_auth"


class CloseWhy(StrEnum):
    """Why a session closed."""

    COMPLETE = "complete"
    CLIENT = "client"
    LIMIT = "limit"
    TIME = "time"
    IDLE = "idle"
    EXPIRED = "expired"
    ENDED = "ended"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    LOCKED = "locked"
    SLOW = "slow"
    SOURCE = "source"
    REDACTION = "redaction"
    AUDIT = "audit"
    DATABASE = "database"
    CLOCK = "clock"
    DRAIN = "drain"
    ERROR = "error"
    CRASH = "crash"


class SessionState(StrEnum):
    """Where a session stands: the record of its opening is durable before it is open."""

    OPENING = "opening"
    OPEN = "open"
    ENDING = "ending"
    CLOSED = "closed"


class SessionMove(StrEnum):
    """What may happen to a session."""

    OPEN = "open"
    END = "end"
    SETTLE = "settle"
    RECOVER = "recover"


NEXT: Final[Mapping[tuple[SessionState, SessionMove], SessionState]] = MappingProxyType(
    {
        (SessionState.OPENING, SessionMove.OPEN): SessionState.OPEN,
        (SessionState.OPENING, SessionMove.END): SessionState.ENDING,
        (SessionState.OPEN, SessionMove.END): SessionState.ENDING,
        (SessionState.ENDING, SessionMove.SETTLE): SessionState.CLOSED,
        (SessionState.OPENING, SessionMove.RECOVER): SessionState.CLOSED,
        (SessionState.OPEN, SessionMove.RECOVER): SessionState.CLOSED,
        (SessionState.ENDING, SessionMove.RECOVER): SessionState.CLOSED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a session has been allowed to hand over and what it handed over.

    Attributes:
        ceiling_lines: lines below the newest durable reservation, `settled` included; bytes likewise.
        seq: number of the last batch record, from 1; 0 before the first.
    """

    ceiling_lines: int = 0
    ceiling_bytes: int = 0
    settled_lines: int = 0
    settled_bytes: int = 0
    seq: int = 0

    @property
    def uncertain_lines(self) -> int:
        """Lines that a crash now would leave unknown: recorded, perhaps not handed over."""
        return self.ceiling_lines - self.settled_lines

    @property
    def uncertain_bytes(self) -> int:
        """As `uncertain_lines`, in bytes."""
        return self.ceiling_bytes - self.settled_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One use of one grant.

    Attributes:
        replica: the process that owns it; only the owner reserves and closes, recovery aside.
        epoch: history generation in which it opened.
    """

    id: SessionId
    grant: GrantId
    principal: PrincipalId
    kind: SessionKind
    front: Front
    replica: str
    opened_at: Instant
    epoch: int
    state: SessionState = SessionState.OPENING
    closed_at: Instant | None = None
    why: CloseWhy | None = None
    account: Account = Account()


def move(session: Session, how: SessionMove, *, now: Instant, why: CloseWhy | None = None) -> Session:
    """Return the session after a legal move. The first cause of its end stays; later ones are not applied.

    Raises:
        IllegalTransition: the move is not possible from its state.
    """
    state = NEXT.get((session.state, how))
    if state is None:
        raise IllegalTransition(f"{session.id} is {session.state} and cannot {how}.")
    if how is SessionMove.RECOVER:
        return replace(session, state=state, closed_at=now, why=CloseWhy.CRASH)
    if how is SessionMove.END:
        return replace(session, state=state, why=why)
    if how is SessionMove.SETTLE:
        return replace(session, state=state, closed_at=now)
    return replace(session, state=state)
