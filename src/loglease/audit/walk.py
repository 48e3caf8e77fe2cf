"""A walk over the stored log: rows, signed heads and the files of the log directory have to say the same.

At a start it begins near the end and proves the newest entries, the tree above them, and that no file is missing. The
self-check begins at the first entry and proves everything. What is missing in the directory is written again, since
the rows say what it was; what is there and differs is a finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.audit.checking import NEWEST, Found, LogDamaged, Tampered, require_whole
from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.files import LogFiles
from loglease.audit.frontier import Frontier
from loglease.audit.integrator import Extent, SignedHead, missing, opened
from loglease.audit.ledger import Ledger, LedgerTx, SignedRow, StoredRow
from loglease.audit.merkle import HASH_BYTES, Edge
from loglease.audit.note import NoteInvalid, SignedNote, VerifierKey
from loglease.audit.tiles import (
    CHECKPOINT,
    ENTRIES,
    HEIGHT,
    WIDTH,
    Tile,
    TileInvalid,
    bundle_of,
    entries_of,
    tiles_of,
)
from loglease.model.instant import Instant

STEP: Final = 1_024
PARTIAL: Final = ".p"
"""What the names of directories end with that hold parts of a tile."""

_AWAY: Final = (
    "Move the log directory away and keep it for the inquiry, then start again: it is written anew from the database."
)


class TileMissing(LogDamaged):
    """A file that the log directory should have is not there."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a start found: how far the log is signed, and how far it is published.

    Attributes:
        extent: of the newest signed head.
        head: that head; None for a log that nobody has signed yet.
        frontier: the open tiles of the head in the directory.
        published: that head; None for a directory without one.
        mended: files that were missing and are there again.
    """

    extent: Extent
    head: SignedHead | None
    frontier: Frontier
    published: SignedHead | None
    mended: int


def published_head(files: LogFiles, keys: Sequence[VerifierKey]) -> SignedHead | None:
    """Return the head in the log directory; None if there is none.

    Raises:
        Tampered: none of the keys has signed it.
    """
    note = files.read(CHECKPOINT)
    if note is None:
        return None
    try:
        return SignedHead(open_checkpoint(note, keys), note)
    except NoteInvalid as error:
        raise _differs(CHECKPOINT, f"does not hold: {error}") from error


async def opened_log(ledger: Ledger, files: LogFiles, keys: Sequence[VerifierKey]) -> Opened:
    """Check the signed end of the log and its directory at a start, and put back what the directory lacks.

    The head in the directory is none that the database does not know; who calls has looked after that.

    Raises:
        Tampered: something differs, or a signature does not hold.
        LogUnwritable: the directory cannot be used.
        StoreUnavailable: the database failed.
    """
    published = await asyncio.to_thread(published_head, files, keys)
    last, min_index = await ledger.read(lambda tx: (tx.checkpoints.last(), tx.entries.head().min_index))
    if last is None:
        return Opened(Extent(Edge(), Instant(0)), None, Frontier.empty(), None, 0)
    size = 0 if published is None else published.checkpoint.size
    first = max(min_index, max(0, size - NEWEST) // WIDTH * WIDTH)
    if await asyncio.to_thread(_lacks, files, size, min_index):
        first = min_index
    walk = Walk(ledger, files, keys, published=size)
    await asyncio.to_thread(walk.begin, first)
    await walk.through(size, partial=True)
    frontier = walk.frontier.copy()
    if published is not None and not _is_of(published, walk):
        raise _differs(CHECKPOINT, "is not the head that the database has of this size")
    await asyncio.to_thread(_remove_partial, files)
    await walk.through(last.size)
    return Opened(Extent(walk.edge, walk.last_at), walk.head, frontier, published, walk.mended)


def _is_of(published: SignedHead, walk: Walk) -> bool:
    """Say whether a published head is one of the log up to where a walk is.

    The database may have none of that size: another server on it had published more when it lost something.
    """
    if walk.head is None or walk.head.checkpoint.size != published.checkpoint.size:
        return walk.edge.root() == published.checkpoint.root
    return _is_head(published.note, walk.head.note)


def _is_head(published: bytes, note: bytes) -> bool:
    """Say whether a published head is the one that was signed, perhaps with cosignatures below it."""
    shown, signed = SignedNote.parse(published), SignedNote.parse(note)
    return shown.text == signed.text and shown.signatures[: len(signed.signatures)] == signed.signatures


class Walk:
    """One walk. `frontier` and `edge` are those of the entries behind it.

    Args:
        published: size of the head in the directory; files are looked at up to there.
        pause: awaited after each step, so that a long walk takes no more than a share of the machine.
    """

    def __init__(
        self,
        ledger: Ledger,
        files: LogFiles,
        keys: Sequence[VerifierKey],
        *,
        published: int,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._files = files
        self._keys = keys
        self._published = published
        self._pause = pause
        self.frontier = Frontier.empty()
        self.edge = Edge()
        self.last_at = Instant(0)
        self.head: SignedHead | None = None
        """The newest signed head behind it."""
        self.mended = 0
        self._began = 0

    def begin(self, first: int) -> None:
        """Begin at an entry, a multiple of 256; what lies before it is taken from the tiles above it.

        Raises:
            TileMissing: one of those is not there.
        """
        self.frontier = _frontier_at(self._files, first, self._published)
        self.edge = Edge(first, self.frontier.edge())
        self._began = first

    async def through(self, size: int, *, partial: bool = False) -> None:
        """Walk until so many entries are behind.

        Args:
            partial: look at the open tiles of `size`, too, which only holds while nobody publishes.

        Raises:
            Tampered: see `opened_log`.
        """
        if size == self.edge.size:
            await self._step(size)
        while self.edge.size < size:
            await self._step(size)
            if self._pause is not None:
                await self._pause()
        if partial:
            await asyncio.to_thread(self._compare, self.frontier.partial(0))

    async def _step(self, size: int) -> None:
        first, count = self.edge.size, min(STEP, size - self.edge.size)

        def news(tx: LedgerTx) -> tuple[Sequence[StoredRow], Sequence[SignedRow]]:
            heads = tx.checkpoints.since(first, limit=count + 1)
            return tx.entries.stored(first, count), [one for one in heads if one.size <= first + count]

        rows, heads = await self._ledger.read(news)
        for place in range(count):
            if place == len(rows) or rows[place][0] != first + place:
                raise missing(first + place)
        await asyncio.to_thread(self._look, rows, heads)

    def _look(self, rows: Sequence[StoredRow], heads: Sequence[SignedRow]) -> None:
        first = self.edge.size
        self.last_at = require_whole(rows, first, last_at=self.last_at)
        leaves = [leaf for _, _, _, leaf in rows]
        for row in heads:
            if self.head is not None and row.size == self.head.checkpoint.size:
                continue
            self._require_next(row)
            self.edge.extend(leaves[self.edge.size - first : row.size - first])
            self.head = opened(row, self._keys, self.edge.root())
        self.edge.extend(leaves[self.edge.size - first :])
        for _, _, content, leaf in rows:
            self.frontier.append(content, leaf)
        full = self.frontier.taken()
        reach = self._published
        self._compare({tile: content for tile, content in full.items() if _end(tile) <= reach})

    def _require_next(self, row: SignedRow) -> None:
        """Check that no head was taken out before this one; of a walk that begins later the first is taken as it is."""
        before = None if self.head is None else self.head.checkpoint.size
        if row.prev_size != before and (self.head is not None or self._began == 0):
            raise Tampered(Found.CHAIN, "checkpoints", f"The signed head before that of size {row.size} is missing.")

    def _compare(self, expected: dict[Tile, bytes]) -> None:
        """Compare files with what the rows say, and write those that are missing."""
        absent = {}
        for tile, content in expected.items():
            found = self._files.read(tile.path)
            if found is None:
                absent[tile.path] = content
            elif found != content:
                raise _differs(tile.path, "is not what the entries say")
        if absent:
            self._files.write(absent)
            self.mended += len(absent)


def _remove_partial(files: LogFiles) -> None:
    """Remove the parts of tiles that are full, which an interruption has left."""
    for folder in files.folders(PARTIAL):
        if files.size_of(folder.removesuffix(PARTIAL)) is not None:
            files.remove(folder)


def _lacks(files: LogFiles, size: int, min_index: int) -> bool:
    """Say whether a file of a log of `size` is missing, or a tile has another length than its width demands."""
    for tile in tiles_of(size):
        if tile.level <= 0 and (tile.number + 1) * WIDTH <= min_index:
            continue
        found = files.size_of(tile.path)
        if found is None or (tile.level != ENTRIES and found != tile.width * HASH_BYTES):
            return True
    return False


def edge_at(files: LogFiles, size: int, published: int) -> list[bytes]:
    """Return the right edge of a smaller log, a multiple of 256, from the directory of one of size `published`.

    Raises:
        TileMissing: a tile is not there.
        Tampered: a tile does not have its form.
    """
    return _frontier_at(files, size, published).edge()


def _frontier_at(files: LogFiles, size: int, published: int) -> Frontier:
    try:
        return Frontier.read(size, lambda tile: _cut(files, tile, published))
    except TileInvalid as error:
        raise _differs("tile", f"has a tile of another length: {error}") from error


def _cut(files: LogFiles, tile: Tile, published: int) -> bytes:
    """Return so much of a tile as a smaller log had of it.

    Raises:
        TileMissing: it is not there.
    """
    level = max(tile.level, 0)
    width = min(WIDTH, (published >> HEIGHT * level) - tile.number * WIDTH)
    content = files.read(Tile(tile.level, tile.number, width).path)
    if content is None:
        raise TileMissing(
            f"The log directory has no {tile.path}, and the entries below it are not in the database any more.",
            next_step="Put the log directory back from a copy of it.",
        )
    try:
        if tile.level == ENTRIES:
            return bundle_of(entries_of(content, width)[: tile.width])
    except TileInvalid as error:
        raise _differs(tile.path, str(error)) from error
    return content[: tile.width * HASH_BYTES]


def _end(tile: Tile) -> int:
    """Return the size of the log with which a full tile became full."""
    return (tile.number + 1) * WIDTH << HEIGHT * max(tile.level, 0)


def _differs(path: str, text: str) -> Tampered:
    found = Tampered(Found.TILE, path, f"The file {path} of the log directory {text}.")
    found.next_step = _AWAY
    return found
