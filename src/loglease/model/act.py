"""An act that one administrator proposes and another one approves: to erase what somebody wrote, to prune the log.

Nothing happens before the second one agrees, and what happens then is exactly what was proposed: the approval is bound
to its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.digest import Canonical, canonical_bytes, sha256_hex
from loglease.model.errors import ProposalNotPending
from loglease.model.ids import PersonId, PrincipalId, ProposalId, SubjectId
from loglease.model.instant import Instant, after
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict

OPEN_S: Final = 7 * 86_400
"""How long a proposed act can be approved: what nobody wanted for a week is proposed anew, and looked at anew."""


class ActKind(StrEnum):
    """What can be proposed besides a policy."""

    ERASE = "erase"
    PRUNE = "prune"


# Every legal move of a pending act; all other states are terminal.
NEXT: Final[Mapping[Verdict | None, ProposalState]] = MappingProxyType(
    {
        Verdict.APPROVE: ProposalState.ACCEPTED,
        Verdict.DENY: ProposalState.DENIED,
        None: ProposalState.WITHDRAWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act that was proposed, and what became of it.

    Attributes:
        persons: who counts as the author: the person, and those suspected to be the same.
        terms: exactly what is to be done, by the names of its kind: ``subject``, or ``entry`` and ``field``, to erase;
            ``before`` and ``min_index`` to prune.
        answer: what the other administrator wrote.
    """

    id: ProposalId
    kind: ActKind
    author: PrincipalId
    subject: SubjectId
    persons: frozenset[PersonId]
    terms: Mapping[str, str]
    comment: str
    proposed_at: Instant
    state: ProposalState = ProposalState.PENDING
    decided_at: Instant | None = None
    decided_by: PrincipalId | None = None
    answer: str = ""
    version: int = 1

    def state_at(self, now: Instant) -> ProposalState:
        """Answer from the clock: what nobody approved within a week is superseded."""
        late = self.state is ProposalState.PENDING and now >= after(self.proposed_at, OPEN_S)
        return ProposalState.SUPERSEDED if late else self.state

    @property
    def digest(self) -> str:
        """What the approval is bound to: this act, these terms, by this author."""
        content: dict[str, Canonical] = {
            "proposal": self.id,
            "subject": self.subject,
            "kind": str(self.kind),
            "terms": dict(self.terms),
        }
        return sha256_hex(canonical_bytes(content))


def decided(act: Act, verdict: Verdict | None, *, by: PrincipalId, now: Instant, answer: str = "") -> Act:
    """Return an act after its verdict, or after its author withdrew it (None); there is no other way to a new state.

    Raises:
        ProposalNotPending: it has its verdict, or nobody gave one in time.
    """
    present = act.state_at(now)
    if present is not ProposalState.PENDING:
        raise ProposalNotPending(f"{act.id} is already {present}.", next_step=f"loglease proposals show {act.id}")
    return replace(act, state=NEXT[verdict], decided_at=now, decided_by=by, answer=answer, version=act.version + 1)
