"""Proposals with their reviews, and the revisions of the policy that came into force, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, insert, select, update

from loglease.model.ids import ProposalId
from loglease.model.proposal import Proposal, ProposalReview, ProposalState, StoredBundle
from loglease.store.columns import written_out
from loglease.store.document import Codec
from loglease.store.interface import LostRace
from loglease.store.schema import policy_bundles, proposal_reviews, proposals

_COLUMNS: Final = (
    "id",
    "author",
    "base_revision",
    "proposed_at",
    "state",
    "decided_at",
    "decided_by",
    "revision",
    "version",
)
_VERDICT: Final = ("state", "decided_at", "decided_by", "revision", "version")
_CODEC: Final = Codec(Proposal, columns=frozenset(_COLUMNS))
_REVIEW: Final = Codec(ProposalReview)
_BUNDLE: Final = Codec(StoredBundle)

_INSERT: Final = insert(proposals)
_SELECT: Final = select(*(proposals.c[name] for name in _COLUMNS), proposals.c.document)
_FIND: Final = _SELECT.where(proposals.c.id == bindparam("key"))
_UPDATE: Final = (
    update(proposals)
    .where(proposals.c.id == bindparam("key"), proposals.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in _VERDICT})
)
_PENDING: Final = _SELECT.where(proposals.c.state == written_out(ProposalState.PENDING)).order_by(proposals.c.id)
_KNOWN: Final = select(
    exists().where(
        proposal_reviews.c.proposal_id == bindparam("proposal"),
        proposal_reviews.c.person == bindparam("person"),
        proposal_reviews.c.verdict == bindparam("verdict"),
    )
)
_OF_PROPOSAL: Final = (
    select(proposal_reviews.c.document)
    .where(proposal_reviews.c.proposal_id == bindparam("proposal"))
    .order_by(proposal_reviews.c.position)
)
_NEWEST: Final = select(policy_bundles.c.document).where(
    policy_bundles.c.revision == select(func.max(policy_bundles.c.revision)).scalar_subquery()
)
_AT: Final = select(policy_bundles.c.document).where(policy_bundles.c.revision == bindparam("key"))


class SqlProposals:
    """`Proposals` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, proposal: Proposal) -> None:
        """Store a new proposal."""
        row = {name: getattr(proposal, name) for name in _COLUMNS}
        self._connection.execute(_INSERT, row | {"digest": proposal.digest, "document": _CODEC.pack(proposal)})

    def find(self, proposal_id: ProposalId) -> Proposal | None:
        """Return a proposal, or None."""
        row = self._connection.execute(_FIND, {"key": proposal_id}).mappings().one_or_none()
        return None if row is None else _proposal(row)

    def update(self, after: Proposal) -> None:
        """Store a verdict.

        Raises:
            LostRace: the stored version is not the one before.
        """
        row = {name: getattr(after, name) for name in _VERDICT}
        done = self._connection.execute(_UPDATE, row | {"key": after.id, "before": after.version - 1})
        if done.rowcount != 1:
            raise LostRace(f"{after.id} was changed meanwhile.", next_step=f"loglease proposals show {after.id}")

    def pending(self) -> Sequence[Proposal]:
        """Return all that are stored as pending, oldest first."""
        return [_proposal(row) for row in self._connection.execute(_PENDING).mappings()]

    def page(self, *, before: ProposalId | None = None, limit: int = 50) -> Sequence[Proposal]:
        """Return proposals, newest first, older than `before`."""
        query = _SELECT.order_by(proposals.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(proposals.c.id < before)
        return [_proposal(row) for row in self._connection.execute(query).mappings()]

    def insert_review(self, review: ProposalReview) -> None:
        """Store a review.

        Raises:
            LostRace: this person's review of this proposal with this verdict is there already.
        """
        key = {"proposal": review.proposal, "person": review.person, "verdict": review.verdict}
        if self._connection.execute(_KNOWN, key).scalar_one():
            raise LostRace(f"{review.proposal} has this person's review already.")
        row = {"id": review.id, "proposal_id": review.proposal, "person": review.person, "verdict": review.verdict}
        self._connection.execute(insert(proposal_reviews), row | {"document": _REVIEW.pack(review)})

    def reviews(self, proposal_id: ProposalId) -> Sequence[ProposalReview]:
        """Return the reviews of a proposal in the order they were given."""
        found = self._connection.execute(_OF_PROPOSAL, {"proposal": proposal_id}).scalars()
        return [_REVIEW.unpack(document) for document in found]

    def insert_bundle(self, bundle: StoredBundle) -> None:
        """Store the documents of a revision that comes into force."""
        row = {
            "revision": bundle.revision,
            "bundle_sha256": bundle.bundle_sha256,
            "loaded_at": bundle.loaded_at,
            "proposal_id": bundle.proposal,
            "document": _BUNDLE.pack(bundle),
        }
        self._connection.execute(insert(policy_bundles), row)

    def bundle(self, revision: int | None = None) -> StoredBundle | None:
        """Return the documents of a revision, the newest where None is named."""
        if revision is None:
            document = self._connection.execute(_NEWEST).scalar_one_or_none()
        else:
            document = self._connection.execute(_AT, {"key": revision}).scalar_one_or_none()
        return None if document is None else _BUNDLE.unpack(document)

    def bundles(self, *, before: int | None = None, limit: int = 50) -> Sequence[StoredBundle]:
        """Return revisions, newest first, older than `before`."""
        query = select(policy_bundles.c.document).order_by(policy_bundles.c.revision.desc()).limit(limit)
        if before is not None:
            query = query.where(policy_bundles.c.revision < before)
        return [_BUNDLE.unpack(document) for document in self._connection.execute(query).scalars()]


def _proposal(row: RowMapping) -> Proposal:
    columns = dict(row)
    columns["state"] = ProposalState(columns["state"])
    return _CODEC.unpack(columns.pop("document"), **columns)
