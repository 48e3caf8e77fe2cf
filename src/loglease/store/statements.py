"""Statements of the hottest path as the driver takes them, without the query builder's work for each value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table, Update, insert


def cursor_of(connection: Connection) -> Any:
    """Return a cursor of the driver itself: a short statement takes a tenth of what it takes through Core."""
    return connection.connection.cursor()


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert whole rows, with a value for each column in the table's order."""
    cursor_of(connection).executemany(_insertion(table, connection.dialect), rows)


@cache
def statement(query: Select[Any] | Update, dialect: Dialect) -> str:
    """Return a query as text; its parameters are taken in the order in which they stand in it."""
    return str(query.compile(dialect=dialect))


@cache
def _insertion(table: Table, dialect: Dialect) -> str:
    compiled = insert(table).compile(dialect=dialect)
    if compiled.positiontup != [column.name for column in table.columns]:
        raise ValueError(f"{dialect.name} does not take the columns of {table.name} in their order")
    return str(compiled)
