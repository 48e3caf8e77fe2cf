"""The tables by which served lists are found. All of them follow from the log, and can be made anew from it.

Texts that recur (grants, label sets, selectors) stand in tables of their own and are named by numbers everywhere else.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text

from loglease.store.columns import NUMBER, metadata, partial

# The key is the whole table: no second copy of it.
_KEYED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}

served_grant: Final = Table(
    "served_grant",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("grant_id", Text, nullable=False, unique=True),
)

served_labels: Final = Table(
    "served_labels",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("labels", LargeBinary, nullable=False),
    Column("masked", Boolean, nullable=False),
    partial("ix_served_labels_masked", "number", where="masked"),
)

served_label: Final = Table(
    "served_label",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("labels", NUMBER, primary_key=True, autoincrement=False),
    **_KEYED,
)

served_stream: Final = Table(
    "served_stream",
    metadata,
    Column("labels", NUMBER, primary_key=True, autoincrement=False),
    Column("reach", SmallInteger, primary_key=True, autoincrement=False),
    Column("first_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", NUMBER, primary_key=True, autoincrement=False),
    Column("span_ns", BigInteger, nullable=False),
    **_KEYED,
)

served_pseudonym: Final = Table(
    "served_pseudonym",
    metadata,
    Column("grant_number", NUMBER, primary_key=True, autoincrement=False),
    Column("mark", Integer, primary_key=True, autoincrement=False),
    Column("idx", NUMBER, primary_key=True, autoincrement=False),
    **_KEYED,
)

served_scopes: Final = Table(
    "served_scopes",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", LargeBinary, nullable=False),
)

served_under: Final = Table(
    "served_under",
    metadata,
    Column("grant_number", NUMBER, primary_key=True, autoincrement=False),
    Column("profile", Text, primary_key=True),
    Column("scopes", NUMBER, primary_key=True, autoincrement=False),
    **_KEYED,
)

served_unlisted: Final = Table(
    "served_unlisted",
    metadata,
    Column("idx", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("grant_number", NUMBER, nullable=False),
    Column("scopes", NUMBER, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Index(None, "grant_number", "idx"),
    **_KEYED,
)

TABLES: Final = (
    served_grant,
    served_labels,
    served_label,
    served_stream,
    served_pseudonym,
    served_scopes,
    served_under,
    served_unlisted,
)
