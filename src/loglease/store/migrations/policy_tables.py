"""The tables around policy, as the first revision makes them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def make_policy_tables() -> None:
    """Make the tables of kept decisions, of proposals, their reviews and the revisions of a managed policy."""
    op.create_table(
        "decisions",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_at"), "decisions", ["at"], unique=False)
    op.create_table(
        "proposals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base_revision", sa.BigInteger(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (revision IS NOT NULL)", name=op.f("ck_proposals_accepted")),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_proposals_decided")),
        sa.CheckConstraint(
            "state IN ('pending', 'accepted', 'denied', 'withdrawn', 'superseded')", name=op.f("ck_proposals_state")
        ),
        sa.CheckConstraint("revision IS NULL OR revision = base_revision + 1", name=op.f("ck_proposals_next")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
        sa.UniqueConstraint("revision", name=op.f("uq_proposals_revision")),
    )
    op.create_index(
        "ix_proposals_pending",
        "proposals",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "policy_bundles",
        sa.Column(
            "revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("bundle_sha256", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.Column("proposal_id", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_policy_bundles_proposal_id")),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_policy_bundles")),
        sa.UniqueConstraint("proposal_id", name=op.f("uq_policy_bundles_proposal_id")),
    )
    op.create_table(
        "bundle_documents",
        sa.Column("bundle_sha256", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bundle_sha256", name=op.f("pk_bundle_documents")),
    )
    op.create_table(
        "proposal_reviews",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("proposal_id", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("verdict IN ('approve', 'deny')", name=op.f("ck_proposal_reviews_verdict")),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_proposal_reviews_proposal_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_proposal_reviews")),
        sa.UniqueConstraint("id", name=op.f("uq_proposal_reviews_id")),
        sa.UniqueConstraint(
            "proposal_id", "person", "verdict", name=op.f("uq_proposal_reviews_proposal_id_person_verdict")
        ),
    )
