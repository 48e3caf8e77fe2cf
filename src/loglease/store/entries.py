"""The audit log as rows: how it is read, how a group of entries is appended, and how its head moves.

What an entry is and when it may be appended is the business of `audit`; here are only bytes, indices and the columns by
which entries are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from loglease.model.ids import GrantId, RequestId, SessionId
from loglease.model.instant import Instant
from loglease.store.audit_schema import entries, entry_index, private, seq_head, served
from loglease.store.entries_interface import StoredEntry, StoredHead, StoredPrivate
from loglease.store.served_index import index_served
from loglease.store.statements import cursor_of, insert_rows, statement

_LOWEST: Final = select(seq_head.c.min_index).scalar_subquery()
_ROWS: Final = select(entries.c.idx, entries.c.bytes, entries.c.leaf)
_SELECT: Final = _ROWS.where(entries.c.idx >= _LOWEST)
"""Of what was pruned nothing is served, whether its rows are still there or not."""
_INDEXED: Final = _SELECT.join(entry_index, entry_index.c.idx == entries.c.idx)
_FIND: Final = _SELECT.where(entries.c.id == bindparam("key"))
_NEWEST: Final = _ROWS.order_by(entries.c.idx.desc()).limit(bindparam("most"))
_EXTENT: Final = select(func.count(), func.min(entries.c.idx), func.max(entries.c.idx)).select_from(entries)
_STORED: Final = (
    select(entries.c.idx, entries.c.id, entries.c.bytes, entries.c.leaf)
    .where(entries.c.idx >= bindparam("first"))
    .order_by(entries.c.idx)
)
_PRIVATE: Final = (
    select(private.c.field, private.c.subject, private.c.nonce, private.c.ciphertext)
    .where(private.c.entry_id == bindparam("key"))
    .order_by(private.c.field)
)
_SERVED: Final = select(served.c.bytes).where(served.c.entry_id == bindparam("key"))
_SALTED: Final = select(served.c.salt, served.c.bytes).where(served.c.entry_id == bindparam("key"))
_HEAD: Final = select(seq_head.c.next, seq_head.c.last_at, seq_head.c.epoch, seq_head.c.min_index)
_ADVANCE: Final = update(seq_head).values(next=bindparam("after"), last_at=bindparam("at"))

_REFERENCES: Final = ("request", "grant", "session", "elevation")
"""The kinds of objects by which entries are found, in the order of their columns."""


class SealedLike(Protocol):
    """The text behind one commitment, sealed."""

    @property
    def path(self) -> str:
        """Where the commitment is in the entry's data."""

    @property
    def subject(self) -> str:
        """Under whose key it is."""

    @property
    def nonce(self) -> bytes:
        """The nonce."""

    @property
    def ciphertext(self) -> bytes:
        """The sealed bytes."""


class DraftLike(Protocol):
    """What an entry says, as far as rows need it."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def actor(self) -> str:
        """The subject who did it."""

    @property
    def ref(self) -> Mapping[str, str]:
        """The objects concerned, by kind."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The facts."""

    @property
    def served(self) -> tuple[bytes, bytes] | None:
        """Bytes and salt of a served list."""


class EntryLike(Protocol):
    """A sequenced entry; `audit.interface.EntryRow` has this shape."""

    @property
    def index(self) -> int:
        """Its place in the log."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def at(self) -> Instant:
        """Its time."""

    @property
    def draft(self) -> DraftLike:
        """What it says."""

    @property
    def content(self) -> bytes:
        """Its exact bytes."""

    @property
    def leaf(self) -> bytes:
        """Its hash."""

    @property
    def sealed(self) -> Sequence[SealedLike]:
        """Private texts that are kept beside it."""


class SqlEntries:
    """`Entries` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def since(self, index: int, *, types: frozenset[str] | None = None, limit: int = 1_000) -> Sequence[StoredEntry]:
        """Return entries from `index` on, in order."""
        query = (_SELECT if types is None else _INDEXED).where(entries.c.idx >= index)
        if types is not None:
            query = query.where(entry_index.c.type.in_(sorted(types)))
        return self._entries(query.order_by(entries.c.idx).limit(limit))

    def stored(self, first: int, limit: int) -> Sequence[tuple[int, str, bytes, bytes]]:
        """Return index, id, bytes and leaf of entries from an index on, exactly as the rows have them."""
        found = self._connection.execute(_STORED.limit(limit), {"first": first})
        return [(row.idx, row.id, row.bytes, row.leaf) for row in found]

    def page(
        self,
        *,
        types: frozenset[str] | None = None,
        actor: str | None = None,
        request: RequestId | None = None,
        grant: GrantId | None = None,
        session: SessionId | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[StoredEntry]:
        """Return entries, newest first, below index `before`."""
        named = {"actor": actor, "request_id": request, "grant_id": grant, "session_id": session}
        wanted = [entry_index.c[column] == value for column, value in named.items() if value is not None]
        if types is not None:
            wanted.append(entry_index.c.type.in_(sorted(types)))
        if before is not None:
            wanted.append(entry_index.c.idx < before)
        return self._entries(_INDEXED.where(*wanted).order_by(entry_index.c.idx.desc()).limit(limit))

    def find(self, entry_id: str) -> StoredEntry | None:
        """Return one entry by its id."""
        row = self._connection.execute(_FIND, {"key": entry_id}).one_or_none()
        return None if row is None else _entry(row)

    def size(self) -> int:
        """Return the number of entries, pruned ones included."""
        return self.head().next

    def min_index(self) -> int:
        """Return the lowest index that was not pruned."""
        return self.head().min_index

    def private(self, entry_id: str) -> Sequence[StoredPrivate]:
        """Return what the entry commits to, sealed, as far as it was not erased."""
        return [StoredPrivate(*row) for row in self._connection.execute(_PRIVATE, {"key": entry_id})]

    def served(self, entry_id: str) -> bytes | None:
        """Return the served list that an entry commits to; None if it has none."""
        return self._connection.execute(_SERVED, {"key": entry_id}).scalar_one_or_none()

    def salted_served(self, entry_id: str) -> bytes | None:
        """Return the salt and the served list behind it, joined: what an entry's commitment is the SHA-256 of."""
        found = self._connection.execute(_SALTED, {"key": entry_id}).one_or_none()
        return None if found is None else found.salt + found.bytes

    def head(self) -> StoredHead:
        """Return the end of the log."""
        found = cursor_of(self._connection).execute(statement(_HEAD, self._connection.dialect))
        following, last_at, epoch, min_index = found.fetchone()
        return StoredHead(next=following, last_at=Instant(last_at), epoch=epoch, min_index=min_index)

    def newest(self, most: int) -> Sequence[StoredEntry]:
        """Return the last entries, in order."""
        found = self._connection.execute(_NEWEST, {"most": most})
        return [_entry(row) for row in found][::-1]

    def raise_epoch(self, epoch: int) -> None:
        """Begin a new history generation."""
        self._connection.execute(update(seq_head).values(epoch=epoch))

    def extent(self) -> tuple[int, int | None, int | None]:
        """Return how many rows there are, and the first and last index."""
        count, first, last = self._connection.execute(_EXTENT).one()
        return count, first, last

    def _entries(self, query: Select[Any, Any, Any]) -> Sequence[StoredEntry]:
        return [_entry(row) for row in self._connection.execute(query)]


def append(connection: Connection, rows: Sequence[EntryLike], *, last_at: Instant) -> None:
    """Insert entries with what is kept beside them, and advance the head: a few statements for any number."""
    if not rows:
        return
    insert_rows(connection, entries, [(row.index, row.id, row.content, row.leaf) for row in rows])
    insert_rows(connection, entry_index, [_index_row(row) for row in rows])
    texts = [(row.id, text.path, text.subject, text.nonce, text.ciphertext) for row in rows for text in row.sealed]
    if texts:
        insert_rows(connection, private, texts)
    lists = [(row.id, salt, content) for row in rows if row.draft.served for content, salt in (row.draft.served,)]
    if lists:
        insert_rows(connection, served, lists)
    index_served(connection, rows)
    cursor_of(connection).execute(statement(_ADVANCE, connection.dialect), (rows[-1].index + 1, last_at))


def _index_row(row: EntryLike) -> tuple[object, ...]:
    draft = row.draft
    return (row.index, row.at, draft.type, draft.actor, *map(draft.ref.get, _REFERENCES))


def _entry(row: Row[Any, Any, Any]) -> StoredEntry:
    return StoredEntry(index=row.idx, content=row.bytes, leaf=row.leaf)
