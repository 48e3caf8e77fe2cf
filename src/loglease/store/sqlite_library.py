"""Which SQLite runs here, and how many connections it may be trusted with.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write or checkpoint at the same instant. What
counts is the library that is loaded, not the package that brought it; Python's own module often links an affected one.
"""

from __future__ import annotations

import importlib
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Final

Version = tuple[int, int, int]

_WAL_APPEARED: Final[Version] = (3, 7, 0)
_FIXED: Final[Version] = (3, 51, 3)
_WITHDRAWN: Final = (3, 52)
_BACKPORTS: Final[tuple[Version, ...]] = ((3, 50, 7), (3, 44, 6))
_PARTS: Final = 3


class Mode(StrEnum):
    """How connections are used: readers beside one writer, or one connection for everything."""

    WAL = "wal"
    SINGLE_CONNECTION = "single-connection"


@dataclass(frozen=True, slots=True)
class SqliteLibrary:
    """The SQLite that is loaded.

    Attributes:
        module: the DB-API module, `pysqlite3.dbapi2` or `sqlite3`.
        version: of the running library.
    """

    module: ModuleType
    version: str
    mode: Mode

    def __str__(self) -> str:
        return f"SQLite {self.version} from {self.module.__name__.partition('.')[0]}, {self.mode}"


def mode_of(version: str) -> Mode:
    """Return what a version can be trusted with; one that cannot be read is not trusted.

    Source: https://sqlite.org/wal.html#walresetbug
    """
    try:
        numbers = tuple(int(part) for part in version.split(".")[:_PARTS])
    except ValueError:
        return Mode.SINGLE_CONNECTION
    major, minor, patch = (*numbers, 0, 0, 0)[:_PARTS]
    parsed = (major, minor, patch)
    if parsed[:2] == _WITHDRAWN or parsed < _WAL_APPEARED:
        return Mode.SINGLE_CONNECTION
    backported = any(parsed[:2] == fix[:2] and parsed >= fix for fix in _BACKPORTS)
    return Mode.WAL if parsed >= _FIXED or backported else Mode.SINGLE_CONNECTION


def running_library() -> SqliteLibrary:
    """Load pysqlite3 where it is installed, else Python's own module, and ask it for its version."""
    try:
        module = importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        module = sqlite3
    # The driver looks for a way to store bytes and NULL at each value anew, for microseconds, unless it was told one.
    module.register_adapter(bytes, bytes)
    module.register_adapter(type(None), _as_it_is)
    connection = module.connect(":memory:")
    try:
        version = str(connection.execute("SELECT sqlite_version()").fetchone()[0])
    finally:
        connection.close()
    return SqliteLibrary(module=module, version=version, mode=mode_of(version))


def _as_it_is(value: None) -> None:
    return value
