"""What the rest of the product knows of how proposals and revisions of the policy are kept; part of `interface`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.ids import ProposalId
from loglease.model.proposal import Proposal, ProposalReview, StoredBundle


class Proposals(Protocol):
    """Proposals of policy with their reviews, and the revisions of a policy that lives in the database."""

    def insert(self, proposal: Proposal) -> None:
        """Store a new proposal."""

    def find(self, proposal_id: ProposalId) -> Proposal | None:
        """Return a proposal, whoever asks."""

    def update(self, after: Proposal) -> None:
        """Store a verdict; what was proposed never changes.

        Raises:
            LostRace: the stored version is not the one before.
        """

    def pending(self) -> Sequence[Proposal]:
        """Return all that are stored as pending, oldest first."""

    def page(self, *, before: ProposalId | None = None, limit: int = 50) -> Sequence[Proposal]:
        """Return proposals, newest first, older than `before`. States are the stored ones."""

    def insert_review(self, review: ProposalReview) -> None:
        """Store a review.

        Raises:
            LostRace: this person's review of this proposal with this verdict is there already.
        """

    def reviews(self, proposal_id: ProposalId) -> Sequence[ProposalReview]:
        """Return the reviews of a proposal in the order they were given."""

    def insert_bundle(self, bundle: StoredBundle) -> None:
        """Store the documents of a revision that comes into force; revisions only rise."""

    def bundle(self, revision: int | None = None) -> StoredBundle | None:
        """Return the documents of a revision, the newest where None is named."""

    def bundles(self, *, before: int | None = None, limit: int = 50) -> Sequence[StoredBundle]:
        """Return revisions, newest first, older than `before`."""
