"""Exactly what was read under a grant, from the audit log: queries, streams, times, counts and what was masked.

No line is among it. Counts are those that were recorded before the lines left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loglease.access.private_texts import texts_of
from loglease.audit.privacy import Vault
from loglease.model.grant import Grant
from loglease.store.entries_interface import StoredEntry
from loglease.store.interface import Transaction

_TYPES: Final = frozenset({"query.recorded", "batch.served", "session.closed"})
_CHUNK: Final = 500
MAX_ENTRIES: Final = 20_000
MAX_STREAMS: Final = 1_000
MAX_QUERIES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuery:
    """One query: when, as it was typed (empty where it was erased), and which event times it asked for."""

    at: str
    text: str
    start_ns: int | None
    end_ns: int | None
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStream:
    """One stream of which something was served, with its first and last event time."""

    labels: Mapping[str, str]
    first_ns: int
    last_ns: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What left under a grant so far.

    Attributes:
        lines: lines, samples and names served; `size` their bytes.
        uncertain_lines: what was reserved when a process died: it may have left, or not.
        masked: how often each rule of redaction masked something in what was served.
        complete: False where there is more than is shown: counts are then of what is shown.
    """

    sessions: int
    lines: int
    size: int
    uncertain_lines: int
    first_ns: int | None
    last_ns: int | None
    masked: Mapping[str, int]
    queries: tuple[AskedQuery, ...]
    streams: tuple[ReadStream, ...]
    complete: bool


def exposure(tx: Transaction, grant: Grant, vault: Vault) -> Exposure:
    """Return what was read under a grant; whoever asks has to be allowed to see the grant."""
    sums = _Sums(vault)
    looked_at = 0
    for row in _entries(tx, grant):
        looked_at += 1
        entry = orjson.loads(row.content)
        sums.sessions.add(entry["ref"]["session"])
        if entry["type"] == "query.recorded":
            sums.add_query(entry, tx)
            continue
        settled = entry["data"].get("settled")
        if settled is not None:
            sums.add_settled(settled, tx.entries.served(entry["id"]))
        if entry["type"] == "session.closed":
            sums.uncertain += entry["data"]["uncertain"]["lines"]
    return sums.found(complete=looked_at < MAX_ENTRIES)


def _entries(tx: Transaction, grant: Grant) -> Iterator[StoredEntry]:
    before: int | None = None
    looked_at = 0
    while looked_at < MAX_ENTRIES:
        rows = tx.entries.page(types=_TYPES, grant=grant.id, before=before, limit=_CHUNK)
        yield from rows
        looked_at += len(rows)
        if len(rows) < _CHUNK:
            return
        before = rows[-1].index


class _Sums:
    """Adds up entries, newest first."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.sessions: set[str] = set()
        self.uncertain = 0
        self._lines = 0
        self._size = 0
        self._masked: dict[str, int] = {}
        self._queries: list[AskedQuery] = []
        self._streams: dict[tuple[tuple[str, str], ...], tuple[int, int, int]] = {}
        self._cut = False

    def add_query(self, entry: Mapping[str, Any], tx: Transaction) -> None:
        """Add a query with its text, as far as that was not erased."""
        if len(self._queries) >= MAX_QUERIES:
            self._cut = True
            return
        clear = texts_of(tx, entry["id"], self._vault)
        data = entry["data"]
        self._queries.append(
            AskedQuery(
                at=entry["at"],
                text=clear.get("text_c", ""),
                start_ns=_whole(data.get("start_ns")),
                end_ns=_whole(data.get("end_ns")),
                live=data["live"],
            )
        )

    def add_settled(self, settled: Mapping[str, Any], served: bytes | None) -> None:
        """Add one settlement with its served list."""
        self._lines += settled["lines"]
        self._size += settled["bytes"]
        for one in settled["masked"]:
            self._masked[one["rule"]] = self._masked.get(one["rule"], 0) + one["count"]
        for labels, first_ns, last_ns, lines in orjson.loads(served)["streams"] if served else ():
            key = tuple((name, value) for name, value in labels)
            known = self._streams.get(key)
            if known is None and len(self._streams) >= MAX_STREAMS:
                self._cut = True
                continue
            first, last, count = known or (int(first_ns), int(last_ns), 0)
            self._streams[key] = (min(first, int(first_ns)), max(last, int(last_ns)), count + int(lines))

    def found(self, *, complete: bool) -> Exposure:
        """Return the sums, queries in the order in which they were asked, streams by their labels."""
        streams = tuple(
            ReadStream(labels=dict(key), first_ns=first, last_ns=last, lines=lines)
            for key, (first, last, lines) in sorted(self._streams.items())
        )
        return Exposure(
            sessions=len(self.sessions),
            lines=self._lines,
            size=self._size,
            uncertain_lines=self.uncertain,
            first_ns=min((one.first_ns for one in streams), default=None),
            last_ns=max((one.last_ns for one in streams), default=None),
            masked=dict(sorted(self._masked.items())),
            queries=tuple(reversed(self._queries)),
            streams=streams,
            complete=complete and not self._cut,
        )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
