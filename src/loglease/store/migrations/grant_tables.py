"""The tables of grants and their budgets, as the first revision makes them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def make_grant_tables() -> None:
    """Make the tables of grants and of the data subjects that they have taken."""
    op.create_table(
        "grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=True),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("idle_at", sa.BigInteger(), nullable=True),
        sa.Column("lapses_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("lines_limit", sa.BigInteger(), nullable=True),
        sa.Column("bytes_limit", sa.BigInteger(), nullable=True),
        sa.Column("queries_limit", sa.BigInteger(), nullable=True),
        sa.Column("subjects_limit", sa.BigInteger(), nullable=True),
        sa.Column("lines_used", sa.BigInteger(), nullable=False),
        sa.Column("bytes_used", sa.BigInteger(), nullable=False),
        sa.Column("queries_used", sa.BigInteger(), nullable=False),
        sa.Column("subjects_used", sa.BigInteger(), nullable=False),
        sa.Column("extends", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("(state IN ('ended', 'revoked')) = (ended_at IS NOT NULL)", name=op.f("ck_grants_ended")),
        sa.CheckConstraint(
            "ended_why IS NULL OR ended_why IN ('expired', 'used', 'idle', 'returned')",
            name=op.f("ck_grants_ended_why"),
        ),
        sa.CheckConstraint(
            "state <> 'active' OR (valid_from IS NOT NULL AND valid_until > valid_from)", name=op.f("ck_grants_active")
        ),
        sa.CheckConstraint("state IN ('scheduled', 'active', 'ended', 'revoked')", name=op.f("ck_grants_state")),
        sa.CheckConstraint(
            "lines_used >= 0 AND bytes_used >= 0 AND queries_used >= 0 AND subjects_used >= 0",
            name=op.f("ck_grants_used"),
        ),
        sa.CheckConstraint("starts_at IS NULL OR extends IS NOT NULL", name=op.f("ck_grants_extends")),
        sa.CheckConstraint(
            "starts_at IS NULL OR valid_from IS NULL OR valid_from = starts_at", name=op.f("ck_grants_starts")
        ),
        sa.ForeignKeyConstraint(["extends"], ["grants.id"], name=op.f("fk_grants_extends")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_grants_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("request_id", name=op.f("uq_grants_request_id")),
    )
    op.create_table(
        "grant_subjects",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_grant_subjects_grant_id")),
        sa.PrimaryKeyConstraint("grant_id", "pseudonym", name=op.f("pk_grant_subjects")),
    )
    op.create_index(op.f("ix_grants_holder_id"), "grants", ["holder", "id"], unique=False)
    live = "state IN ('scheduled', 'active')"
    for name, column, unique, where in (
        ("ix_grants_extending", "extends", True, f"{live} AND extends IS NOT NULL"),
        ("ix_grants_live", "lapses_at", False, live),
        ("ix_grants_starting", "starts_at", False, "state = 'scheduled' AND starts_at IS NOT NULL"),
    ):
        op.create_index(
            name, "grants", [column], unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
