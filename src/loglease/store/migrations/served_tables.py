"""The tables by which served lists are found, as the first revision makes them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def make_served_tables() -> None:
    """Make the tables that follow from the log."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "served_grant",
        sa.Column("number", number, autoincrement=False, nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_served_grant")),
        sa.UniqueConstraint("grant_id", name=op.f("uq_served_grant_grant_id")),
    )
    op.create_table(
        "served_labels",
        sa.Column("number", number, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("labels", sa.LargeBinary(), nullable=False),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_served_labels")),
        sa.UniqueConstraint("digest", name=op.f("uq_served_labels_digest")),
    )
    op.create_index(
        "ix_served_labels_masked",
        "served_labels",
        ["number"],
        unique=False,
        sqlite_where=sa.text("masked"),
        postgresql_where=sa.text("masked"),
    )
    op.create_table(
        "served_label",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("labels", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "labels", name=op.f("pk_served_label")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "served_stream",
        sa.Column("labels", number, autoincrement=False, nullable=False),
        sa.Column("reach", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("first_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", number, autoincrement=False, nullable=False),
        sa.Column("span_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("labels", "reach", "first_ns", "idx", name=op.f("pk_served_stream")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "served_pseudonym",
        sa.Column("grant_number", number, autoincrement=False, nullable=False),
        sa.Column("mark", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("grant_number", "mark", "idx", name=op.f("pk_served_pseudonym")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "served_scopes",
        sa.Column("number", number, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_served_scopes")),
        sa.UniqueConstraint("digest", name=op.f("uq_served_scopes_digest")),
    )
    op.create_table(
        "served_under",
        sa.Column("grant_number", number, autoincrement=False, nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("scopes", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("grant_number", "profile", "scopes", name=op.f("pk_served_under")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "served_unlisted",
        sa.Column("idx", number, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("grant_number", number, nullable=False),
        sa.Column("scopes", number, nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("to_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("idx", "kind", name=op.f("pk_served_unlisted")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_served_unlisted_grant_number_idx"), "served_unlisted", ["grant_number", "idx"], unique=False
    )
