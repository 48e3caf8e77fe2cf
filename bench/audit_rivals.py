"""What the audit log is measured beside: the same bytes in one plain table, one commit a row, chained or not.

The database is the same library or server with the same settings as ours. A row takes one transaction and one flush;
the chain reads the hash of the row before under a lock. On SQLite there is one lock for all; on PostgreSQL each caller
has a connection of its own, and commits of plain rows share flushes there. Rivals run without an event loop, on
threads, which is the less that their callers can cost.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg

from loglease.store.sqlite_connection import settings_of
from loglease.store.sqlite_library import running_library

Span = tuple[float, float]
"""When a caller began to wait and when it was answered, in seconds."""

FLUSHES = 200
_PAGE = 4_096


@dataclass(frozen=True)
class Waits:
    """How fast something went, and how long each caller waited.

    Attributes:
        per_s: how many were recorded in a second.
        p50_ms: half waited no longer.
        p99_ms: one in a hundred waited longer.
        cpu_us: processor time of this process for each, in microseconds.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float

    @classmethod
    def of(cls, spans: Sequence[Span], *, computed: float) -> Waits:
        """Summarise when callers began to wait and when they were answered."""
        ordered = sorted(ended - began for began, ended in spans)
        p50, p99 = (ordered[len(ordered) * part // 100] * 1_000 for part in (50, 99))
        seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
        return cls(len(spans) / seconds, p50, p99, computed / len(spans) * 1e6)


class Rival(ABC):
    """One plain table, and who inserts into it."""

    @abstractmethod
    def insert(self, content: bytes) -> Span:
        """Record one row durably, and return when that began and ended."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    def lone(self, contents: Sequence[bytes]) -> Waits:
        """Let one caller record these."""
        self.enter()
        return _timed(lambda: list(map(self.insert, contents)))

    def many(self, contents: Sequence[bytes], callers: int) -> Waits:
        """Let many callers record these, each the next one once its last is durable."""
        shares = [contents[first::callers] for first in range(callers)]
        together = threading.Barrier(callers + 1)

        def record(share: Sequence[bytes]) -> list[Span]:
            self.enter()
            together.wait()
            return list(map(self.insert, share))

        with ThreadPoolExecutor(callers) as threads:
            found = [threads.submit(record, share) for share in shares]
            together.wait()
            return _timed(lambda: list(chain.from_iterable(one.result() for one in found)))

    @abstractmethod
    def enter(self) -> None:
        """Make ready for the calls of one thread."""


class SqliteRival(Rival):
    """One connection and one lock, whichever thread it is."""

    def enter(self) -> None:
        """Return at once."""

    def __init__(self, path: Path, *, chained: bool) -> None:
        library = running_library()
        self._chained = chained
        self._lock = threading.Lock()
        self._next = 0
        self._connection = library.module.connect(path, isolation_level=None, check_same_thread=False)
        for setting in settings_of(library.mode, writes=True):
            self._connection.execute(setting).fetchall()
        self._connection.execute("CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB, hash BLOB)")

    def insert(self, content: bytes) -> Span:
        """Record one row durably, and return when that began and ended."""
        execute = self._connection.execute
        began = time.perf_counter()
        with self._lock:
            execute("BEGIN IMMEDIATE")
            before = b""
            if self._chained and self._next:
                before = execute("SELECT hash FROM entries ORDER BY idx DESC LIMIT 1").fetchone()[0]
            digest = hashlib.sha256(before + content).digest()
            execute("INSERT INTO entries VALUES (?, ?, ?)", (self._next, content, digest))
            execute("COMMIT")
            self._next += 1
        return began, time.perf_counter()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


_PLAIN = (
    "CREATE TABLE plain (idx bigint PRIMARY KEY, bytes bytea, hash bytea)",
    "CREATE SEQUENCE plain_numbers",
)
_CHAIN = (
    "CREATE TABLE chain (idx bigint PRIMARY KEY, bytes bytea, hash bytea)",
    "CREATE TABLE chain_head (next bigint, hash bytea)",
    "INSERT INTO chain_head VALUES (0, '')",
)


class PostgresRival(Rival):
    """A connection for each caller. One that chains locks the row of its head first, as ours does."""

    def __init__(self, url: str, *, chained: bool) -> None:
        self._url = url
        self._insert = self._chained if chained else self._plain
        self._connections: list[Any] = []
        self._mine = threading.local()
        self.enter()
        for statement in _CHAIN if chained else _PLAIN:
            self._mine.connection.execute(statement)

    def enter(self) -> None:
        """Connect; what comes first on a connection is not measured."""
        self._mine.connection = psycopg.connect(self._url, autocommit=True)
        self._mine.connection.execute("SELECT 1")
        self._connections.append(self._mine.connection)

    def insert(self, content: bytes) -> Span:
        """Record one row durably, and return when that began and ended."""
        began = time.perf_counter()
        self._insert(self._mine.connection.execute, content)
        return began, time.perf_counter()

    def many(self, contents: Sequence[bytes], callers: int) -> Waits:
        """Let many callers record these, and close their connections."""
        found = super().many(contents, callers)
        for one in self._connections[1:]:
            one.close()
        del self._connections[1:]
        return found

    def _plain(self, execute: Callable[..., Any], content: bytes) -> None:
        row = (content, hashlib.sha256(content).digest())
        execute("INSERT INTO plain VALUES (nextval('plain_numbers'), %s, %s)", row, prepare=True)

    def _chained(self, execute: Callable[..., Any], content: bytes) -> None:
        execute("BEGIN")
        index, before = execute("SELECT next, hash FROM chain_head FOR UPDATE", prepare=True).fetchone()
        digest = hashlib.sha256(before + content).digest()
        execute("INSERT INTO chain VALUES (%s, %s, %s)", (index, content, digest), prepare=True)
        execute("UPDATE chain_head SET next = next + 1, hash = %s", (digest,), prepare=True)
        execute("COMMIT")

    def close(self) -> None:
        """Close all connections."""
        for one in self._connections:
            one.close()


def flush_ms(directory: Path) -> float:
    """Return how long it takes this disk to keep one more page: the price of every commit."""
    waits = []
    descriptor = os.open(directory / "flushed", os.O_RDWR | os.O_CREAT)
    try:
        for number in range(FLUSHES):
            os.pwrite(descriptor, b"\1" * _PAGE, number * _PAGE)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            waits.append((time.perf_counter() - began) * 1_000)
    finally:
        os.close(descriptor)
    return statistics.median(waits)


def _timed(work: Callable[[], list[Span]]) -> Waits:
    computed = time.process_time()
    spans = work()
    return Waits.of(spans, computed=time.process_time() - computed)
