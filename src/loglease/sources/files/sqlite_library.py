"""The SQLite that the catalogue runs on: the one that `pysqlite3` carries, else Python's own.

One connection under a lock is all the catalogue uses, so the fault of older SQLite releases with several connections
on one write-ahead log cannot reach it.
"""

from __future__ import annotations

try:
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this platform
    import sqlite3 as sqlite

__all__ = ["sqlite"]
