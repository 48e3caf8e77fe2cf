"""The tables of the audit log as SQLAlchemy Core knows them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from loglease.model.act import ActKind
from loglease.model.proposal import ProposalState
from loglease.store.columns import NUMBER, metadata, one_of, partial

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

acts: Final = Table(
    "acts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    Column("answer", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    one_of("kind", ActKind),
    one_of("state", (state for state in ProposalState if state is not ProposalState.SUPERSEDED)),
    CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided"),
    CheckConstraint("state <> 'accepted' OR decided_by <> author", name="another"),
)

legal_holds: Final = Table(
    "legal_holds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("from_at", BigInteger, nullable=False),
    Column("to_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("released_at", BigInteger),
    Column("released_by", Text),
    CheckConstraint("to_at >= from_at", name="span"),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released"),
)

# Empty in every committed state: its row lets a transaction take texts out of documents that never change otherwise.
erasing: Final = Table(
    "erasing",
    metadata,
    Column("id", Integer, primary_key=True),
    CheckConstraint("id = 1", name="one_row"),
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
