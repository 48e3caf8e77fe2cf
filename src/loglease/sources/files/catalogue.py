"""The catalogue of a file source: which streams, segments, blocks and file positions there are.

It is an index. Everything in it can be read back from the segments, so it is written without waiting for the disk, and
`storage` repairs it at start. One connection serves all threads, under one lock.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from loglease.model.labels import Labels
from loglease.sources.files.sqlite_library import sqlite

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE streams (id INTEGER PRIMARY KEY, labels TEXT NOT NULL UNIQUE);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, length INTEGER NOT NULL, first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL, written_us INTEGER NOT NULL, sealed INTEGER NOT NULL);
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    lines INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, streams BLOB NOT NULL);
CREATE INDEX blocks_first ON blocks (first_ns, id, last_ns);
CREATE INDEX blocks_last ON blocks (last_ns, id, first_ns);
CREATE INDEX blocks_segment ON blocks (segment);
CREATE TABLE files (id INTEGER PRIMARY KEY, position TEXT NOT NULL);
"""
_BLOCK_COLUMNS: Final = "id, segment, start, length, lines, first_ns, last_ns, streams"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file: its path below the source's folder, committed length, and span of event times."""

    id: int
    path: str
    length: int = 0
    first_ns: int = 0
    last_ns: int = 0
    written_us: int = 0
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of frames in one segment, with the span of its event times and the numbers of its streams."""

    id: int
    segment: int
    start: int
    length: int
    lines: int
    first_ns: int
    last_ns: int
    streams: frozenset[int]


@dataclass(frozen=True, slots=True)
class FilePosition:
    """Up to where one file is stored, and what makes it that file.

    Attributes:
        head: digest of the first `head_size` bytes, at most 1 KiB.
        offset: bytes of the file (unpacked, if it is compressed) whose entries are stored.
        format: name of its time format; `settled` if that is final.
        finished: nothing more will come: it is gone, was replaced or is a compressed file read to its end.
        packed_size: bytes of the compressed file when it was read to its end.
    """

    id: int
    watch: str
    path: str
    device: int
    inode: int
    head_size: int
    head: str
    offset: int = 0
    format: str | None = None
    settled: bool = False
    last_ns: int | None = None
    finished: bool = False
    packed_size: int | None = None


@dataclass(slots=True)
class Change:
    """What one group commit adds to the catalogue."""

    streams: dict[int, Labels]
    segments: dict[int, Segment]
    blocks: dict[int, Block]
    files: dict[int, FilePosition]
    used: set[int] = field(default_factory=set)
    """Streams that have new lines."""


class Catalogue:
    """The index, on disk; the caller sees whole values only.

    Raises:
        sqlite.DatabaseError: at construction, if the file is no catalogue of this version; it can be deleted then.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
            elif version != VERSION:
                raise sqlite.DatabaseError(f"version {version}")  # noqa: TRY301 - one clean-up for all
            self._connection.execute("SELECT count(*) FROM files").fetchone()
        except sqlite.DatabaseError:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, parameters: Iterable[object] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, tuple(parameters)).fetchall()  # type: ignore[no-any-return]

    def apply(self, change: Change) -> None:
        """Write one group commit."""
        with self._transaction() as tx:
            tx.executemany(
                "INSERT OR IGNORE INTO streams VALUES (?, ?)",
                [(number, orjson.dumps(labels).decode()) for number, labels in change.streams.items()],
            )
            tx.executemany(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(s.id, s.path, s.length, s.first_ns, s.last_ns, s.written_us, s.sealed)
                 for s in change.segments.values()],
            )  # fmt: skip
            tx.executemany(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(b.id, b.segment, b.start, b.length, b.lines, b.first_ns, b.last_ns,
                  array("I", sorted(b.streams)).tobytes()) for b in change.blocks.values()],
            )  # fmt: skip
            tx.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?)",
                [(file.id, orjson.dumps(asdict(file)).decode()) for file in change.files.values()],
            )
            last = {"last_segment": list(change.segments), "last_block": list(change.blocks)}
            rows = [(key, max(numbers)) for key, numbers in last.items() if numbers]
            tx.executemany(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
                rows,
            )

    def remove_segments(self, segments: Iterable[int]) -> None:
        """Forget segments and all their blocks in one transaction."""
        with self._transaction() as tx:
            rows = [(segment,) for segment in segments]
            tx.executemany("DELETE FROM blocks WHERE segment = ?", rows)
            tx.executemany("DELETE FROM segments WHERE id = ?", rows)

    def cut_segment(self, segment: int) -> None:
        """Forget the blocks of a segment, to read them anew."""
        with self._transaction() as tx:
            tx.execute("DELETE FROM blocks WHERE segment = ?", (segment,))

    def forget_files(self, files: Iterable[int]) -> None:
        """Forget positions."""
        with self._transaction() as tx:
            tx.executemany("DELETE FROM files WHERE id = ?", [(file,) for file in files])

    def last_segment(self) -> int:
        """Return the highest number that a segment ever had, 0 if none."""
        return self._last("last_segment")

    def last_block(self) -> int:
        """Return the highest number that a block ever had, 0 if none."""
        return self._last("last_block")

    def _last(self, key: str) -> int:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else 0

    def streams(self) -> dict[int, Labels]:
        """Return all streams by number."""
        return {
            number: tuple((name, value) for name, value in orjson.loads(labels))
            for number, labels in self._rows("SELECT id, labels FROM streams")
        }

    def segments(self) -> list[Segment]:
        """Return all segments in the order they were written."""
        rows = self._rows("SELECT id, path, length, first_ns, last_ns, written_us, sealed FROM segments ORDER BY id")
        return [Segment(*row) for row in rows]

    def files(self) -> dict[int, FilePosition]:
        """Return all file positions by number."""
        rows = self._rows("SELECT id, position FROM files")
        return {number: file_position_of(orjson.loads(position)) for number, position in rows}

    def blocks_forward(
        self, start_ns: int, end_ns: int, after: tuple[int, int], *, below: int, limit: int
    ) -> list[Block]:
        """Return blocks that intersect ``[start_ns, end_ns)`` ordered by first time, after a first time and number."""
        return self._blocks(
            "WHERE last_ns >= ? AND first_ns < ? AND (first_ns, id) > (?, ?) AND id < ? ORDER BY first_ns, id LIMIT ?",
            (start_ns, end_ns, *after, below, limit),
        )

    def blocks_backward(
        self, start_ns: int, end_ns: int, before: tuple[int, int], *, below: int, limit: int
    ) -> list[Block]:
        """Return blocks that intersect ``[start_ns, end_ns)``, latest last time first, before a time and number."""
        return self._blocks(
            "WHERE last_ns >= ? AND first_ns < ? AND (last_ns, id) < (?, ?) AND id < ? "
            "ORDER BY last_ns DESC, id DESC LIMIT ?",
            (start_ns, end_ns, *before, below, limit),
        )

    def blocks_stored(self, from_block: int, start_ns: int, end_ns: int, *, limit: int) -> list[Block]:
        """Return blocks that intersect ``[start_ns, end_ns)`` in the order of storing, from a number on."""
        return self._blocks(
            "WHERE id >= ? AND last_ns >= ? AND first_ns < ? ORDER BY id LIMIT ?",
            (from_block, start_ns, end_ns, limit),
        )

    def block(self, number: int) -> Block | None:
        """Return one block."""
        found = self._blocks("WHERE id = ?", (number,))
        return found[0] if found else None

    def blocks_of(self, segment: int) -> list[Block]:
        """Return the blocks of a segment in order."""
        return self._blocks("WHERE segment = ? ORDER BY id", (segment,))

    def _blocks(self, where: str, parameters: tuple[object, ...]) -> list[Block]:
        rows = self._rows(f"SELECT {_BLOCK_COLUMNS} FROM blocks {where}", parameters)  # noqa: S608 - our own text
        return [_block_of(*row) for row in rows]


def file_position_of(raw: Mapping[str, Any]) -> FilePosition:
    """Return a position from what a header or the catalogue holds."""
    return FilePosition(**raw)


def _block_of(
    number: int, segment: int, start: int, length: int, lines: int, first: int, last: int, streams: bytes
) -> Block:
    return Block(number, segment, start, length, lines, first, last, frozenset(array("I", streams)))
