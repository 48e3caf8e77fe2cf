"""A proposal: a set of policy documents that somebody wants in force, and the verdict of others on it.

A proposal never changes; only its verdict is added. It is about one revision of the policy: as soon as another bundle
comes into force it is superseded, because nobody has looked at the difference to that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.digest import Canonical, canonical_bytes, sha256_hex
from loglease.model.errors import ProposalNotPending
from loglease.model.ids import PersonId, PrincipalId, ProposalId, ReviewId, SubjectId
from loglease.model.instant import Instant
from loglease.model.review import Channel, Verdict


class ProposalState(StrEnum):
    """Where a proposal stands. `superseded`: another bundle came into force first."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class ProposalMove(StrEnum):
    """What people, or a bundle that came first, may do to a proposal."""

    ACCEPT = "accept"
    DENY = "deny"
    WITHDRAW = "withdraw"
    SUPERSEDE = "supersede"


# Every legal move, from the state that the revision in force gives; what is absent is illegal. Superseded is nobody's
# move: it is true as soon as another bundle is in force, and whoever brings that about writes it down.
NEXT: Final[Mapping[tuple[ProposalState, ProposalMove], ProposalState]] = MappingProxyType(
    {
        (ProposalState.PENDING, ProposalMove.ACCEPT): ProposalState.ACCEPTED,
        (ProposalState.PENDING, ProposalMove.DENY): ProposalState.DENIED,
        (ProposalState.PENDING, ProposalMove.WITHDRAW): ProposalState.WITHDRAWN,
        (ProposalState.SUPERSEDED, ProposalMove.SUPERSEDE): ProposalState.SUPERSEDED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedChange:
    """One difference between what is in force and what is proposed, as reviewers see it.

    Attributes:
        verdict: WIDENS, CHEAPER, UNDECIDED or NARROWS.
        document: id of the document.
        text: the change in one line.
        at: ``file:line:column`` of the new document; None for what several documents declare together.
    """

    verdict: str
    kind: str
    document: str
    text: str
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A set of documents for a server's policy, and what became of it.

    Attributes:
        persons: who counts as the author: the person, those suspected to be the same, a service's owner.
        files: text by path.
        bundle_sha256: hash of what the documents mean.
        base_revision: the revision that was in force when it was made, and `base_sha256` its hash.
        changes: the difference to that revision.
        verdict: the gravest of the changes' verdicts; SAME without any.
        needed: how many people beside the author have to approve.
        revision: under which it came into force; None unless accepted.
    """

    id: ProposalId
    author: PrincipalId
    subject: SubjectId
    persons: frozenset[PersonId]
    comment: str
    files: Mapping[str, str]
    bundle_sha256: str
    base_revision: int
    base_sha256: str
    changes: tuple[ProposedChange, ...]
    verdict: str
    needed: int
    proposed_at: Instant
    state: ProposalState = ProposalState.PENDING
    decided_at: Instant | None = None
    decided_by: PrincipalId | None = None
    revision: int | None = None
    version: int = 1

    def state_at(self, revision: int) -> ProposalState:
        """Answer from the revision in force, so that it does not matter whether anybody wrote it down."""
        late = self.state is ProposalState.PENDING and self.base_revision != revision
        return ProposalState.SUPERSEDED if late else self.state

    @property
    def files_sha256(self) -> str:
        """The digest of the documents, byte for byte."""
        return files_sha256(self.files)

    @property
    def diff_sha256(self) -> str:
        """The digest of the difference that reviewers see."""
        listed: list[Canonical] = [
            {
                "verdict": one.verdict,
                "kind": one.kind,
                "document": one.document,
                "text": one.text,
                **({} if one.at is None else {"at": one.at}),
            }
            for one in self.changes
        ]
        return sha256_hex(canonical_bytes(listed))

    @property
    def digest(self) -> str:
        """What reviews are bound to: these documents, this difference, to this revision, by this author."""
        content: dict[str, Canonical] = {
            "proposal": self.id,
            "subject": self.subject,
            "files_sha256": self.files_sha256,
            "bundle_sha256": self.bundle_sha256,
            "base_revision": self.base_revision,
            "base_sha256": self.base_sha256,
            "diff_sha256": self.diff_sha256,
            "needed": self.needed,
        }
        return sha256_hex(canonical_bytes(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalReview:
    """One person's decision on one proposal."""

    id: ReviewId
    proposal: ProposalId
    reviewer: PrincipalId
    subject: SubjectId
    person: PersonId
    verdict: Verdict
    digest: str
    given_at: Instant
    channel: Channel
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBundle:
    """The documents of one revision that came into force.

    Attributes:
        proposal: what brought it about; None for the first one, which nobody proposed.
    """

    revision: int
    bundle_sha256: str
    files: Mapping[str, str]
    loaded_at: Instant
    proposal: ProposalId | None = None


def files_sha256(files: Mapping[str, str]) -> str:
    """Return the digest of documents by path and exact text."""
    listed: list[Canonical] = [{"path": path, "sha256": sha256_hex(files[path].encode())} for path in sorted(files)]
    return sha256_hex(canonical_bytes(listed))


def move(
    proposal: Proposal,
    how: ProposalMove,
    *,
    by: PrincipalId | None,
    now: Instant,
    in_force: int,
    revision: int | None = None,
) -> Proposal:
    """Return the proposal after a legal move; there is no other way to a new state.

    Args:
        in_force: the revision in force before the move.
        revision: the one that the proposal comes into force under, for `ACCEPT`.

    Raises:
        ProposalNotPending: it has its verdict; the error says which.
    """
    present = proposal.state_at(in_force)
    state = NEXT.get((present, how))
    if state is None or proposal.state is not ProposalState.PENDING:
        raise ProposalNotPending(
            f"{proposal.id} is already {present}.", next_step=f"loglease proposals show {proposal.id}"
        )
    return replace(
        proposal, state=state, decided_at=now, decided_by=by, revision=revision, version=proposal.version + 1
    )
