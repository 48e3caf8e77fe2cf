"""The audit log as lines that leave: written twice, recorded in between.

What was logged never changes, so the digest of what will leave can be known before it does: lines are written once to
be hashed, then `log.exported` is made durable, then they are written again to be sent. That goes in pieces of a bounded
number of entries, so that the first line comes soon and little more is on record than has left. In memory is one page.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from loglease.access.caller import Caller
from loglease.access.export_log import Exported, record_export
from loglease.audit.checking import LogDamaged
from loglease.audit.export.formats import NEXT_STEP, Format, lines
from loglease.model.ids import GrantId
from loglease.server.lifecycle import ORIGIN
from loglease.server.problems import CursorGone
from loglease.server.services import Services
from loglease.store.interface import Transaction

PAGE_ENTRIES: Final = 500
PIECE_ENTRIES: Final = 65_536
FOLLOW_PAUSE_S: Final = 5.0
"""While following, the time between two pieces: each of them costs an entry."""
KEEP_ALIVE_S: Final = 15.0
"""A quiet stream sends an empty line so often, so that nobody in between takes it for dead."""

_GRANTS_KEPT: Final = 4_096
_OWN: Final = "log.exported"
_SCHEDULED: Final = frozenset({"grant.scheduled"})

StillMay = Callable[[], Awaitable[Caller]]
"""Returns who exports, as long as they may; raises what refuses them else."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        since: index of the first entry; None begins with the first that there is.
        until: index of the last one; None ends with the newest.
        follow: go on with what comes, until whoever reads has enough.
        target: the door that it leaves by, for the record.
    """

    format: Format
    since: int | None
    until: int | None
    follow: bool
    target: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """Entries that were hashed and recorded and may now leave; `last` is among them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def require_reached(first: int, least: int, size: int) -> None:
    """Refuse to begin where the log has no entry any more, or not yet; `size` is where the next one comes.

    Raises:
        CursorGone: it is not there.
    """
    if not least <= first <= size:
        raise CursorGone(
            f"The log holds entries {least:,} to {size - 1:,}; {first:,} is not among them, nor the next to come.",
            next_step=f"Begin with --since {least}, and check that it is the log that you exported before.",
        )


class Export:
    """One export, for one caller. `begin` first, then `stream`."""

    def __init__(self, services: Services, wanted: Wanted, still_may: StillMay) -> None:
        self._services = services
        self._wanted = wanted
        self._still_may = still_may
        self._origin = ""
        self._position = 0
        self._end: int | None = None
        self._ready: _Piece | None = None
        self._grants: dict[str, Mapping[str, Any] | None] = {}

    async def begin(self) -> None:
        """Find out where to begin and record the first piece, so that a refusal can still be an answer of its own.

        Raises:
            CursorGone: the log has no entry with the first number.
            LogDamaged: the log is not whole.
            AuditUnavailable: the export cannot be recorded.
        """
        self._origin, self._position, size = await self._services.store.read(self._found)
        limit = None if self._wanted.until is None else self._wanted.until + 1
        if self._wanted.follow:
            self._end = limit
        else:
            self._end = size if limit is None else min(size, limit)
        self._ready = await self._prepared()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield whole lines, at most a page of entries at once, in the order of the log without a gap.

        Raises:
            LogLeaseError: whoever reads may no more, or the log cannot be read; what was sent is whole lines.
        """
        hub = self._services.hub
        while True:
            waiting = asyncio.ensure_future(hub.wait(KEEP_ALIVE_S))
            try:
                piece = self._ready or await self._prepared()
                self._ready = None
                if piece is not None:
                    async for page in self._pages(piece):
                        yield page
                    if self._wanted.follow and piece.size < PIECE_ENTRIES and not self._is_over:
                        await self._paused()
                    continue
                if self._is_over or hub.closed:
                    return
                if not await waiting:
                    yield b"\n"
            finally:
                waiting.cancel()

    @property
    def _is_over(self) -> bool:
        return not self._wanted.follow or (self._end is not None and self._position >= self._end)

    def _found(self, tx: Transaction) -> tuple[str, int, int]:
        size, least, since = tx.entries.size(), tx.entries.min_index(), self._wanted.since
        first = least if since is None else since
        require_reached(first, least, size)
        return tx.values.find(ORIGIN) or "", first, size

    async def _prepared(self) -> _Piece | None:
        """Hash and record the next piece; None if there is nothing to send now."""
        caller = await self._still_may()
        last = await self._services.store.read(self._last_of_next)
        if last is None:
            return None
        piece = _Piece(self._position, last)
        digest = hashlib.sha256()
        async for page in self._written(piece):
            digest.update(page)
        exported = Exported(
            str(self._wanted.format), piece.first, piece.last, digest.hexdigest(), target=self._wanted.target
        )
        await record_export(exported, caller=caller, log=self._services.log, new_id=self._services.new_id)
        return piece

    def _last_of_next(self, tx: Transaction) -> int | None:
        size = tx.entries.size()
        end = size if self._end is None else min(size, self._end)
        if self._position >= end:
            return None
        if self._wanted.follow and self._holds_exports_only(tx):
            return None
        return min(end, self._position + PIECE_ENTRIES) - 1

    def _holds_exports_only(self, tx: Transaction) -> bool:
        """Say whether all that is new are records of exports: to send these at once would make one more, for ever."""
        rows = tx.entries.since(self._position, limit=PAGE_ENTRIES)
        return len(rows) < PAGE_ENTRIES and all(orjson.loads(row.content)["type"] == _OWN for row in rows)

    async def _pages(self, piece: _Piece) -> AsyncIterator[bytes]:
        async for page in self._written(piece):
            await self._still_may()
            yield page
        self._position = piece.last + 1

    async def _written(self, piece: _Piece) -> AsyncIterator[bytes]:
        first = piece.first
        while first <= piece.last:
            async with self._services.standing.exporting:
                page, first = await self._services.store.read(partial(self._page, first=first, last=piece.last))
            yield page

    def _page(self, tx: Transaction, first: int, last: int) -> tuple[bytes, int]:
        """Return lines from `first` on, and the index behind them."""
        rows = tx.entries.since(first, limit=min(PAGE_ENTRIES, last - first + 1))
        if not rows or rows[0].index != first:
            raise LogDamaged(f"Audit entry {first} is missing.", next_step=NEXT_STEP)

        def scheduled(grant: str) -> Mapping[str, Any] | None:
            return self._scheduled(tx, grant)

        written = lines(rows, self._wanted.format, origin=self._origin, grants=scheduled)
        return b"".join(written), rows[-1].index + 1

    def _scheduled(self, tx: Transaction, grant: str) -> Mapping[str, Any] | None:
        if grant not in self._grants:
            if len(self._grants) >= _GRANTS_KEPT:
                self._grants.clear()
            rows = tx.entries.page(types=_SCHEDULED, grant=GrantId(grant), limit=1)
            self._grants[grant] = orjson.loads(rows[0].content)["data"] if rows else None
        return self._grants[grant]

    async def _paused(self) -> None:
        """Let so much time pass, or less if the process stops."""
        loop = asyncio.get_running_loop()
        until = loop.time() + FOLLOW_PAUSE_S
        while not self._services.hub.closed and (left := until - loop.time()) > 0:
            await self._services.hub.wait(left)
