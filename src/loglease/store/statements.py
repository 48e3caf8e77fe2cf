"""Statements of the hottest path as the driver takes them, without the query builder's work for each value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Select, Table, Update, insert


def cursor_of(connection: Connection) -> Any:
    """Return a cursor of the driver itself: a short statement takes a tenth of what it takes through Core."""
    return connection.connection.cursor()


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert whole rows, with a value for each column in the table's order."""
    cursor_of(connection).executemany(_insertion(table, connection.dialect), rows)


def tuples_of(connection: Connection, query: Select[Any], values: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Return the rows of a query; its parameters are given by name.

    Values come and go as the driver has them, so columns of kinds that the query builder converts have no place in it.
    """
    ready = _ready(query, connection.dialect)
    rows: list[tuple[Any, ...]] = cursor_of(connection).execute(ready.text, ready.given(values)).fetchall()
    return rows


def rows_of(connection: Connection, query: Select[Any], values: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return what `tuples_of` does, by the names of the columns."""
    columns = _ready(query, connection.dialect).columns
    return [dict(zip(columns, row, strict=True)) for row in tuples_of(connection, query, values)]


def changed(connection: Connection, query: Update, values: Mapping[str, object]) -> int:
    """Run a change and return how many rows it changed; its parameters are given by name."""
    ready = _ready(query, connection.dialect)
    return int(cursor_of(connection).execute(ready.text, ready.given(values)).rowcount)


class _Ready(NamedTuple):
    """A query in the driver's words: its text, its parameters in their order, those of constants, its columns."""

    text: str
    parameters: Sequence[str]
    constants: Mapping[str, object]
    columns: Sequence[str]

    def given(self, values: Mapping[str, object]) -> list[object]:
        known = {**self.constants, **values} if self.constants else values
        return [known[name] for name in self.parameters]


@cache
def _ready(query: Select[Any] | Update, dialect: Dialect) -> _Ready:
    compiled: Any = query.compile(dialect=dialect)
    if compiled.post_compile_params:
        raise ValueError(f"{query} is another statement for other values")
    constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
    columns = [column.name for column in query.selected_columns] if isinstance(query, Select) else []
    return _Ready(str(compiled), compiled.positiontup, constants, columns)


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
