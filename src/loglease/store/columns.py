"""What the tables are made of: the one collection of them, names of constraints, and shapes that recur."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Text,
    literal_column,
    text,
)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata: Final = MetaData(naming_convention=NAMING)

# SQLite gives only INTEGER keys a row number of its own; PostgreSQL needs 64 bits.
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, values: Iterable[str], *, optional: bool = False) -> CheckConstraint:
    """Return the constraint that a column holds one of these values."""
    listed = ", ".join(f"'{value}'" for value in values)
    condition = f"{column} IN ({listed})"
    return CheckConstraint(f"{column} IS NULL OR {condition}" if optional else condition, name=column)


def written_out(value: str) -> ColumnElement[str]:
    """Return a constant as text of a statement: given a parameter, SQLite does not see that a partial index fits."""
    return literal_column(f"'{value}'", Text)


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index over the rows for which `where` holds."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
