"""How served lists get into the tables by which they are found: with the entry, in its transaction, or all anew.

The tables narrow a search down to entries; what counts is the list itself. So they may find one entry too many, such
as one whose pseudonym has the same mark as another, and never one too few.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import Connection, bindparam, delete, func, select

from loglease.model.errors import InvalidField
from loglease.model.labels import Labels
from loglease.model.served_list import is_masked, served_list_of
from loglease.store.audit_schema import entries, entry_index, served
from loglease.store.served_index_interface import LONGEST_NS, Unlisted
from loglease.store.served_schema import (
    TABLES,
    served_grant,
    served_label,
    served_labels,
    served_pseudonym,
    served_scopes,
    served_stream,
    served_under,
    served_unlisted,
)
from loglease.store.statements import cursor_of, insert_rows, statement

QUERY: Final = "query.recorded"
SETTLING: Final = frozenset({"batch.served", "session.closed"})
_BITS: Final = 4
_CHUNK: Final = 2_000
_HALF: Final = 1 << 31

_GRANT: Final = select(served_grant.c.number).where(served_grant.c.grant_id == bindparam("key"))
_LABELS: Final = select(served_labels.c.number).where(served_labels.c.digest == bindparam("key"))
_SCOPES: Final = select(served_scopes.c.number).where(served_scopes.c.digest == bindparam("key"))
_UNDER: Final = select(served_under.c.scopes).where(
    served_under.c.grant_number == bindparam("grant"),
    served_under.c.profile == bindparam("profile"),
    served_under.c.scopes == bindparam("number"),
)
_LAST: Final = {table: select(func.max(table.c.number)) for table in (served_grant, served_labels, served_scopes)}
_QUERIES: Final = (
    select(entries.c.bytes)
    .join(entry_index, entry_index.c.idx == entries.c.idx)
    .where(entry_index.c.session_id == bindparam("session"), entry_index.c.type == QUERY)
)
_LISTS: Final = (
    select(entries.c.idx, entries.c.bytes, served.c.bytes.label("list"))
    .join(entry_index, entry_index.c.idx == entries.c.idx)
    .join(served, served.c.entry_id == entries.c.id, isouter=True)
    .where(entries.c.idx >= bindparam("first"), entry_index.c.type.in_([QUERY, *sorted(SETTLING)]))
    .order_by(entries.c.idx)
    .limit(_CHUNK)
)


class DraftLike(Protocol):
    """What an entry says, as far as it is found by what was served."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def ref(self) -> Mapping[str, str]:
        """The objects concerned, by kind."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The facts."""

    @property
    def served(self) -> tuple[bytes, bytes] | None:
        """Bytes and salt of a served list."""


class RowLike(Protocol):
    """A sequenced entry."""

    @property
    def index(self) -> int:
        """Its place in the log."""

    @property
    def draft(self) -> DraftLike:
        """What it says."""


def mark_of(pseudonym: str) -> int:
    """Return the number by which a pseudonym is found under its grant: 32 bits, signed."""
    return zlib.crc32(pseudonym.encode()) - _HALF


def reach_of(span_ns: int) -> int:
    """Return which class a span of event times is of: the smallest number whose power of 16 is greater."""
    return (span_ns.bit_length() + _BITS - 1) // _BITS


def longest_of(reach: int) -> int:
    """Return what no span of a class is longer than, or equal to."""
    return 1 << _BITS * reach


def index_served(connection: Connection, rows: Sequence[RowLike]) -> None:
    """Put what was served by some entries into the tables. The entries have to be stored already."""
    indexer = Indexer(connection)
    for row in rows:
        draft = row.draft
        if draft.type in SETTLING or draft.type == QUERY:
            indexer.add(row.index, draft.type, draft.ref, draft.data, draft.served[0] if draft.served else None)
    indexer.flush()


def rebuild_served_index(connection: Connection) -> int:
    """Make the tables anew from the log and the served lists; return how many entries were looked at."""
    for table in TABLES:
        connection.execute(delete(table))
    indexer = Indexer(connection)
    first = looked_at = 0
    while found := connection.execute(_LISTS, {"first": first}).all():
        for row in found:
            entry = orjson.loads(row.bytes)
            indexer.add(row.idx, entry["type"], entry["ref"], entry["data"], row.list)
        indexer.flush()
        looked_at += len(found)
        first = found[-1].idx + 1
    return looked_at


class Indexer:
    """Gathers rows of one transaction. Numbers that it has learned hold in that transaction alone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._grants: dict[str, int] = {}
        self._labels: dict[Labels, int] = {}
        self._scopes: dict[bytes, int] = {}
        self._under: set[tuple[int, str, int]] = set()
        self._streams: list[tuple[object, ...]] = []
        self._pseudonyms: list[tuple[object, ...]] = []
        self._unlisted: list[tuple[object, ...]] = []

    def add(
        self, index: int, kind: str, ref: Mapping[str, str], data: Mapping[str, Any], content: bytes | None
    ) -> None:
        """Take one entry.

        Args:
            content: its served list; None where it has none, or where that is not kept any more.
        """
        if kind == QUERY:
            self._add_query(ref["grant"], data)
            return
        uncertain = data.get("uncertain")
        if uncertain is not None and uncertain["lines"]:
            self._add_unlisted(index, Unlisted.CRASH, ref, data)
        settled = data.get("settled")
        if settled is None:
            return
        if settled["unit"] != "line":
            self._add_unlisted(index, Unlisted.DERIVED, ref, data)
        elif not self._add_list(index, self._grant(ref["grant"]), content):
            self._add_unlisted(index, Unlisted.LOST, ref, data)
        elif settled["overflow"]:
            self._add_unlisted(index, Unlisted.OVERFLOW, ref, data)

    def flush(self) -> None:
        """Write what was taken."""
        for table, rows in (
            (served_stream, self._streams),
            (served_pseudonym, self._pseudonyms),
            (served_unlisted, self._unlisted),
        ):
            if rows:
                insert_rows(self._connection, table, rows)
        self._streams, self._pseudonyms, self._unlisted = [], [], []

    def _add_query(self, grant_id: str, data: Mapping[str, Any]) -> None:
        grant, scopes = self._grant(grant_id), self._scopes_of([data])
        # The first one is in force; the rest are those that it is stricter than.
        for profile in {scope["profiles"][0]["name"] for scope in data["scopes"] if scope["profiles"]}:
            row = (grant, profile, scopes)
            if row not in self._under and self._find(_UNDER, row) is None:
                insert_rows(self._connection, served_under, [row])
            self._under.add(row)

    def _add_list(self, index: int, grant: int, content: bytes | None) -> bool:
        """Take a served list; say whether there is one that can be read. Recording goes on without."""
        try:
            found = served_list_of(content or b"")
        except InvalidField:
            return False
        for stream in found.streams:
            span = stream.last_ns - stream.first_ns
            self._streams.append((self._labels_of(stream.labels), reach_of(span), stream.first_ns, index, span))
        # In the order of the key, so that neighbours are written together.
        self._pseudonyms += [(grant, mark, index) for mark in sorted(set(map(mark_of, found.pseudonyms)))]
        return True

    def _add_unlisted(self, index: int, kind: Unlisted, ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        queries = [one for one in self._queries(ref["session"]) if "query" not in data or one["query"] == data["query"]]
        if queries and not any(one["scopes"] for one in queries):
            return  # the time that was asked for has no event that may be seen
        starts = [int(one["start_ns"]) if "start_ns" in one else -LONGEST_NS for one in queries]
        ends = [int(one["end_ns"]) if "end_ns" in one else LONGEST_NS for one in queries]
        row = (index, kind, self._grant(ref["grant"]), self._scopes_of(queries or None))
        self._unlisted.append((*row, min(starts, default=-LONGEST_NS), max(ends, default=LONGEST_NS)))

    def _queries(self, session: str) -> list[Mapping[str, Any]]:
        rows = cursor_of(self._connection).execute(statement(_QUERIES, self._connection.dialect), (session, QUERY))
        return [orjson.loads(content)["data"] for (content,) in rows]

    def _grant(self, grant_id: str) -> int:
        number = self._grants.get(grant_id)
        if number is None:
            number = self._find(_GRANT, (grant_id,))
            if number is None:
                number = self._insert(served_grant, grant_id)
            self._grants[grant_id] = number
        return number

    def _labels_of(self, labels: Labels) -> int:
        number = self._labels.get(labels)
        if number is None:
            content = orjson.dumps(labels)
            digest = hashlib.sha256(content).digest()
            number = self._find(_LABELS, (digest,))
            if number is None:
                number = self._insert(served_labels, digest, content, is_masked(labels))
                if labels:
                    insert_rows(self._connection, served_label, [(*pair, number) for pair in labels])
            self._labels[labels] = number
        return number

    def _scopes_of(self, queries: Iterable[Mapping[str, Any]] | None) -> int:
        """Return the number of what queries were about, but for times, rules and profiles; None where nobody knows."""
        known = None if queries is None else list(_selectors(queries))
        content = orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
        number = self._scopes.get(content)
        if number is None:
            digest = hashlib.sha256(content).digest()
            number = self._find(_SCOPES, (digest,))
            if number is None:
                number = self._insert(served_scopes, digest, content)
            self._scopes[content] = number
        return number

    def _find(self, query: Any, values: tuple[object, ...]) -> int | None:
        row = cursor_of(self._connection).execute(statement(query, self._connection.dialect), values).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def _insert(self, table: Any, *values: object) -> int:
        number = (self._find(_LAST[table], ()) or 0) + 1
        insert_rows(self._connection, table, [(number, *values)])
        return number


def _selectors(queries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for query in queries:
        for scope in query["scopes"]:
            yield {"source": scope["source"], "selector": scope["selector"]}
