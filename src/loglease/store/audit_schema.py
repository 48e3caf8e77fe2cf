"""The tables of the audit log as SQLAlchemy Core knows them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from loglease.store.columns import NUMBER, metadata, partial

seq_head: Final = Table(
    "seq_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("min_index", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

entries: Final = Table(
    "entries",
    metadata,
    Column("idx", NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("bytes", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    CheckConstraint("idx >= 0 AND length(leaf) = 32 AND length(bytes) <= 16384", name="form"),
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("size", NUMBER, primary_key=True, autoincrement=False),
    # Each has one before it and one after it, so of two who go on from the same one only the first gets its place.
    Column("prev_size", NUMBER, ForeignKey("checkpoints.size"), unique=True),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    CheckConstraint(
        "length(root) = 32 AND ((size = 0 AND prev_size IS NULL) OR (size > 0 AND prev_size IS NOT NULL"
        " AND prev_size < size))",
        name="chain",
    ),
)

sink_state: Final = Table(
    "sink_state",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("since_at", BigInteger),
)

entry_index: Final = Table(
    "entry_index",
    metadata,
    Column("idx", NUMBER, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("grant_id", Text),
    Column("session_id", Text),
    Column("elevation_id", Text),
    Index(None, "type", "idx"),
    Index(None, "actor", "idx"),
    *(
        partial(f"ix_entry_index_{name}", name, "idx", where=f"{name} IS NOT NULL")
        for name in ("request_id", "grant_id", "session_id", "elevation_id")
    ),
)

private: Final = Table(
    "private",
    metadata,
    Column("entry_id", Text, ForeignKey("entries.id"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    CheckConstraint("length(nonce) = 12", name="nonce"),
    Index(None, "subject"),
)

subject_keys: Final = Table(
    "subject_keys",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
)

served: Final = Table(
    "served",
    metadata,
    Column("entry_id", Text, ForeignKey("entries.id"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)
