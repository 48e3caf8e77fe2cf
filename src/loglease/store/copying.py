"""All rows of one database in another that is empty, proved to be the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from loglease.store import audit_schema, schema, served_schema
from loglease.store.columns import metadata
from loglease.store.errors import StoreDamaged
from loglease.store.postgres import PostgresStore
from loglease.store.sqlite import SqliteStore

TABLES: Final = tuple(metadata.sorted_tables)
"""What is copied, each after those that its rows name."""

_DESCRIBED: Final = (audit_schema, schema, served_schema)
"""These say which tables there are; importing them is what fills `metadata`."""
_AT_ONCE: Final = 5_000
_NUMBERED: Final = """
SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) FROM {table}
"""


def copy_all(source: SqliteStore, target: PostgresStore) -> Mapping[str, int]:
    """Copy everything, in one transaction of the target, and return how many rows each table has.

    Blocks. Nobody else may use either database meanwhile.

    Raises:
        StoreInUse: a server uses the target, or there is something in it already.
        StoreDamaged: what was written is not what is read back; nothing of it was kept.
        StoreUnavailable: one of the two failed; nothing was kept.
    """
    return source.look(lambda read: target.fill(lambda write: _copied(read, write)))


def _copied(read: Connection, write: Connection) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for table in TABLES:
        _empty(table, write)
        counts[table.name] = _copy(table, read, write)
        there, here = _digest(table, read), _digest(table, write)
        if there != here:
            raise StoreDamaged(
                f"The copy of {table.name} is not what was read.", next_step="Nothing was kept: try it again."
            )
    return counts


def _empty(table: Table, write: Connection) -> None:
    """Remove the rows that a new database begins with."""
    write.execute(table.delete())


def _copy(table: Table, read: Connection, write: Connection) -> int:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    driver: Any = write.connection.dbapi_connection
    count = 0
    with driver.cursor().copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in _rows(table, read):
            copy.write_row(row)
            count += 1
    column = table.autoincrement_column
    if column is not None:
        write.exec_driver_sql(_NUMBERED.format(table=table.name, column=column.name))
    return count


def _digest(table: Table, connection: Connection) -> bytes:
    """Return the SHA-256 of all rows in the order of their keys."""
    found = hashlib.sha256()
    for row in _rows(table, connection):
        found.update(repr(row).encode())
    return found.digest()


def _rows(table: Table, connection: Connection) -> Iterator[tuple[object, ...]]:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_AT_ONCE)
    for row in connection.execute(query):
        yield tuple(row)
