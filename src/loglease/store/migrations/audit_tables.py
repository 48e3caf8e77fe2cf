"""The tables of the audit log, as the first revision makes them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def make_audit_tables() -> None:
    """Make the tables of the log and of what is kept beside it."""
    op.create_table(
        "entries",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("idx >= 0 AND length(leaf) = 32 AND length(bytes) <= 16384", name=op.f("ck_entries_form")),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_entries")),
        sa.UniqueConstraint("id", name=op.f("uq_entries_id")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("prev_size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "length(root) = 32 AND ((size = 0 AND prev_size IS NULL) OR (size > 0 AND prev_size IS NOT NULL"
            " AND prev_size < size))",
            name=op.f("ck_checkpoints_chain"),
        ),
        sa.ForeignKeyConstraint(["prev_size"], ["checkpoints.size"], name=op.f("fk_checkpoints_prev_size")),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoints")),
        sa.UniqueConstraint("prev_size", name=op.f("uq_checkpoints_prev_size")),
    )
    op.create_table(
        "sink_state",
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sink", name=op.f("pk_sink_state")),
    )
    op.create_table(
        "entry_index",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("elevation_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("idx", name=op.f("pk_entry_index")),
    )
    op.create_index(op.f("ix_entry_index_actor_idx"), "entry_index", ["actor", "idx"], unique=False)
    op.create_index(
        "ix_entry_index_elevation_id",
        "entry_index",
        ["elevation_id", "idx"],
        unique=False,
        sqlite_where=sa.text("elevation_id IS NOT NULL"),
        postgresql_where=sa.text("elevation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_entry_index_grant_id",
        "entry_index",
        ["grant_id", "idx"],
        unique=False,
        sqlite_where=sa.text("grant_id IS NOT NULL"),
        postgresql_where=sa.text("grant_id IS NOT NULL"),
    )
    op.create_index(
        "ix_entry_index_request_id",
        "entry_index",
        ["request_id", "idx"],
        unique=False,
        sqlite_where=sa.text("request_id IS NOT NULL"),
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "ix_entry_index_session_id",
        "entry_index",
        ["session_id", "idx"],
        unique=False,
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_entry_index_type_idx"), "entry_index", ["type", "idx"], unique=False)
    op.create_table(
        "seq_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("min_index", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_seq_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seq_head")),
    )
    op.create_table(
        "private",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(nonce) = 12", name=op.f("ck_private_nonce")),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_private_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", "field", name=op.f("pk_private")),
    )
    op.create_index(op.f("ix_private_subject"), "private", ["subject"], unique=False)
    op.create_table(
        "acts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('erase', 'prune')", name=op.f("ck_acts_kind")),
        sa.CheckConstraint("state IN ('pending', 'accepted', 'denied', 'withdrawn')", name=op.f("ck_acts_state")),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_acts_decided")),
        sa.CheckConstraint("state <> 'accepted' OR decided_by <> author", name=op.f("ck_acts_another")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acts")),
    )
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.CheckConstraint("to_at >= from_at", name=op.f("ck_legal_holds_span")),
        sa.CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name=op.f("ck_legal_holds_released")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_holds")),
    )
    op.create_table(
        "erasing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_erasing_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasing")),
    )
    op.create_table(
        "subject_keys",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subject_keys")),
    )
    op.create_table(
        "served",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_served_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_served")),
    )
    op.execute("INSERT INTO seq_head (id, next, last_at, min_index, generation, epoch) VALUES (1, 0, 0, 0, 1, 1)")
