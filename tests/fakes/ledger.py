"""The rows of a log in memory, for tests that begin anew many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tests.audit.drafts import draft
from tests.fakes.clock import START

from loglease.audit.entry import sequenced
from loglease.audit.ledger import StoredRow
from loglease.model.instant import Instant
from loglease.store.checkpoints_interface import StoredCheckpoint
from loglease.store.entries_interface import StoredHead


class MemoryLedger:
    """A `Ledger` whose transactions are single calls; it is its own transaction and both of its repositories."""

    def __init__(self) -> None:
        self.rows: list[StoredRow] = []
        self.signed: list[StoredCheckpoint] = []

    def add(self, count: int) -> None:
        """Record so many entries."""
        self.rows += [_row(index) for index in range(len(self.rows), len(self.rows) + count)]

    async def read(self, query: Callable[[Any], Any]) -> Any:
        return query(self)

    async def group(self, body: Callable[[Any], Any]) -> Any:
        return body(self)

    @property
    def transaction(self) -> MemoryLedger:
        return self

    @property
    def entries(self) -> MemoryLedger:
        return self

    @property
    def checkpoints(self) -> MemoryLedger:
        return self

    def stored(self, first: int, limit: int) -> Sequence[StoredRow]:
        return [row for row in self.rows if row[0] >= first][:limit]

    def head(self) -> StoredHead:
        return StoredHead(next=len(self.rows), last_at=Instant(START), epoch=1, min_index=0)

    def last(self) -> StoredCheckpoint | None:
        return self.signed[-1] if self.signed else None

    def since(self, size: int, *, limit: int = 1_000) -> Sequence[StoredCheckpoint]:
        return [one for one in self.signed if one.size >= size][:limit]

    def insert(self, *, size: int, prev_size: int | None, root: bytes, note: bytes) -> bool:
        if (self.signed[-1].size if self.signed else None) != prev_size:
            return False
        self.signed.append(StoredCheckpoint(size=size, prev_size=prev_size, root=root, note=note))
        return True


@cache
def _row(index: int) -> StoredRow:
    row = sequenced(draft(index), index=index, at=Instant(START))
    return row.index, row.id, row.content, row.leaf
