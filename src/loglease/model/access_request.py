"""An access request: one principal's wish and its verdict. A request never changes; only its verdict is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.errors import RequestNotPending
from loglease.model.extension import Extends
from loglease.model.ids import PersonId, PrincipalId, RequestId, SubjectId
from loglease.model.instant import Instant
from loglease.model.limits import Limits
from loglease.model.offer import ON_CALL, Offer, Terms
from loglease.model.reveal import Reveal
from loglease.model.scope import Scope


class RequestState(StrEnum):
    """Where a request stands. `expired`: nobody decided in time."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class RequestMove(StrEnum):
    """What somebody, or the clock, may do to a pending request."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    EXPIRE = "expire"


class CancelWhy(StrEnum):
    """Why a request was cancelled."""

    REQUESTER = "requester"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    DELETED = "deleted"
    LOCKED = "locked"
    RESTORE = "restore"
    ENDED = "ended"


# Every legal move, from the state that the clock gives; what is absent is illegal. Expired is nobody's move: the clock
# decides it, and `access.expire_due` only writes down what is already true. All stored states but pending are terminal.
NEXT: Final[Mapping[tuple[RequestState, RequestMove], RequestState]] = MappingProxyType(
    {
        (RequestState.PENDING, RequestMove.APPROVE): RequestState.APPROVED,
        (RequestState.PENDING, RequestMove.DENY): RequestState.DENIED,
        (RequestState.PENDING, RequestMove.CANCEL): RequestState.CANCELLED,
        (RequestState.EXPIRED, RequestMove.EXPIRE): RequestState.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked, in the requester's words.

    Attributes:
        duration_s: None asks for what the offer's policy gives by default.
        inputs: what a policy asks for in fields of its own, by name, as text; claims that nobody has checked.
        reveal: the one value that is asked for; its line is all that the scope holds. None asks for lines.
        break_glass: asks for access in an emergency, which nobody approves and somebody looks at afterwards.
        extends: the grant that it goes on from, with no more than that grant's scope; None asks for a grant of its own.
    """

    scopes: tuple[Scope, ...]
    reason: str
    ticket: str | None = None
    duration_s: int | None = None
    limits: Limits = Limits()
    reveal: Reveal | None = None
    break_glass: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)
    extends: Extends | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """A wish, the offer it took, and what became of it.

    Attributes:
        persons: who counts as the requester: the person, those suspected to be the same, an agent's owner.
        eligible: principals who could review when the request was submitted; nobody joins later.
        terms_bytes: the canonical bytes that `digest` names; what reviews are bound to.
        facts: what was known of facts at submit, as a JSON list; those of the requester's own call count until the
            next one.
        present: what the requester's calls under the request or its grant have said of themselves since, as a JSON
            list; None before the first that said something else than the submit.
        private: salt (hex) and clear text behind each commitment in `terms_bytes`, by field.
        network: from where it was submitted, in the form of `model.network`; None where that is not known.
        cause: why it left pending, from a closed list; None while pending.
    """

    id: RequestId
    requester: PrincipalId
    subject: SubjectId
    persons: frozenset[PersonId]
    wish: Wish
    offer: Offer
    eligible: frozenset[PrincipalId]
    terms_bytes: bytes
    digest: str
    private: Mapping[str, tuple[str, str]]
    submitted_at: Instant
    expires_at: Instant
    facts: str = "[]"
    present: str | None = None
    network: str | None = None
    state: RequestState = RequestState.PENDING
    decided_at: Instant | None = None
    decided_by: PrincipalId | None = None
    cause: str | None = None
    version: int = 1

    def state_at(self, now: Instant) -> RequestState:
        """Answer from the clock, so that it does not matter whether a sweeper has run."""
        lapsed = self.state is RequestState.PENDING and now >= self.expires_at
        return RequestState.EXPIRED if lapsed else self.state

    @property
    def rotas(self) -> frozenset[str]:
        """The rotas of whose people the offer's plans want reviews: whoever is on call then."""
        blocks = (block for plan in self.offer.plans for stage in plan.stages for block in stage.blocks)
        names = (name.partition(":") for block in blocks for name in block.approvers)
        return frozenset(rota for prefix, _, rota in names if prefix == ON_CALL)

    @property
    def terms(self) -> Terms:
        """What the taken offer would grant before anybody narrows it."""
        return self.offer.terms


def move(
    request: AccessRequest, how: RequestMove, *, by: PrincipalId | None, now: Instant, cause: str | None = None
) -> AccessRequest:
    """Return the request after a legal move; there is no other way to a new state.

    Raises:
        RequestNotPending: it has its verdict; the error says which, and when.
    """
    state = NEXT.get((request.state_at(now), how))
    if state is None or request.state is not RequestState.PENDING:
        raise RequestNotPending(
            f"{request.id} is already {request.state_at(now)}.", next_step=f"loglease requests {request.id}"
        )
    return replace(request, state=state, decided_at=now, decided_by=by, cause=cause, version=request.version + 1)
