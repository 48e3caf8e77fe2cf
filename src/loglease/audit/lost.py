"""Entries that a database has lost and the log directory still has: an older database was put back from a backup.

The directory's head was signed by the log's own key, so nothing may ever be signed that does not go on from it. What it
covers is put back into the database, byte for byte, before anything else is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from loglease.audit.checking import LogDamaged
from loglease.audit.checkpoint import Checkpoint, sign_checkpoint
from loglease.audit.entry import entry_of
from loglease.audit.files import LogFiles
from loglease.audit.integrator import SignedHead
from loglease.audit.interface import EntryInvalid, EntryRow
from loglease.audit.ledger import Ledger, LedgerGroup, LedgerTx, StoredRow
from loglease.audit.merkle import EMPTY_ROOT, Edge, leaf_hash
from loglease.audit.note import Signer
from loglease.audit.tiles import ENTRIES, WIDTH, Tile, TileInvalid, entries_of
from loglease.audit.walk import edge_at

_NEXT: Final = (
    "Put back a newer backup of the database, or the log directory as it was last published. Nothing may be recorded"
    " on this database before it has all entries that were signed."
)


class LogBehind(LogDamaged):
    """The database lacks entries that were signed, and nothing here has them, or it has others in their place."""


async def put_back_lost(
    ledger: Ledger, files: LogFiles, signer: Signer | None, published: SignedHead, *, begins: Callable[[], None]
) -> int:
    """Put entries back that the directory's head covers and the database lacks; return how many that were.

    Doing it again after an interruption goes on where that ended.

    Args:
        signer: the log's key; only a database that has no signed head yet needs it.
        begins: called in a thread before the database is changed, when it is certain that all of them are there.

    Raises:
        LogBehind: the directory does not have them, or the database has others in their place.
        LogUnwritable: the directory cannot be read.
        StoreUnavailable: the database failed.
    """
    head = published.checkpoint

    def state(tx: LedgerTx) -> tuple[int, bool, bool, Sequence[StoredRow]]:
        there = min(tx.entries.head().next, head.size)
        signed = tx.checkpoints.since(head.size, limit=1)
        first = there // WIDTH * WIDTH
        return there, bool(signed), tx.checkpoints.last() is None, tx.entries.stored(first, there - first)

    there, is_signed, is_first, rows = await ledger.read(state)
    if is_signed:
        # Perhaps by a later head, of another server: then this one is none of the database's, and a part of it.
        await asyncio.to_thread(_require_one_history, files, head, there, rows)
        return 0
    if is_first and signer is None:
        raise LogBehind("The database has no signed head yet, and the log's key is missing.", next_step=_NEXT)
    await asyncio.to_thread(_require_one_history, files, head, there, rows)
    if there < head.size:
        await asyncio.to_thread(begins)
    for tile in _bundles(there, head.size):
        lost = await asyncio.to_thread(_rows, files, tile, there)
        await _append(ledger, lost)
    await ledger.group(lambda group: _keep(group, signer, published))
    return head.size - there


def _require_one_history(files: LogFiles, head: Checkpoint, there: int, rows: Sequence[StoredRow]) -> None:
    """Check that the database's last rows and the directory's entries behind them make the tree that was signed."""
    edge = Edge(there - len(rows), edge_at(files, there - len(rows), head.size))
    edge.extend(leaf for _, _, _, leaf in rows)
    for tile in _bundles(there, head.size):
        edge.extend(map(leaf_hash, _entries(files, tile)[edge.size - tile.number * WIDTH :]))
    if edge.root() != head.root:
        raise LogBehind(
            f"The database has other entries than the {head.size} that were signed for {head.origin}.", next_step=_NEXT
        )


def _bundles(there: int, size: int) -> Iterator[Tile]:
    """Return the bundles that hold the entries from `there` to `size`."""
    for number in range(there // WIDTH, (size + WIDTH - 1) // WIDTH):
        if size > there:
            yield Tile(ENTRIES, number, min(WIDTH, size - number * WIDTH))


def _entries(files: LogFiles, tile: Tile) -> list[bytes]:
    content = files.read(tile.path)
    if content is None:
        raise LogBehind(f"The database lacks entries that were signed, and {tile.path} is missing.", next_step=_NEXT)
    try:
        return entries_of(content, tile.width)
    except TileInvalid as error:
        raise LogBehind(
            f"The database lacks entries that were signed, and {tile.path} is broken: {error}", next_step=_NEXT
        ) from error


def _rows(files: LogFiles, tile: Tile, there: int) -> list[EntryRow]:
    first = tile.number * WIDTH
    rows = []
    for index, content in enumerate(_entries(files, tile), first):
        if index < there:
            continue
        try:
            entry = entry_of(content)
        except EntryInvalid as error:
            raise LogBehind(f"Entry {index} of the log directory is broken: {error}", next_step=_NEXT) from error
        rows.append(EntryRow(index, entry.draft.id, entry.at, entry.draft, content, leaf_hash(content)))
    return rows


async def _append(ledger: Ledger, rows: Sequence[EntryRow]) -> None:
    await ledger.group(lambda group: group.append(rows, last_at=rows[-1].at))


def _keep(group: LedgerGroup, signer: Signer | None, published: SignedHead) -> None:
    """Store the directory's head as the newest one, behind those that the database has."""
    checkpoints, head = group.transaction.checkpoints, published.checkpoint
    last = checkpoints.last()
    prev = None if last is None else last.size
    if prev is None and head.size > 0 and signer is not None:
        note = sign_checkpoint(Checkpoint(head.origin, 0, EMPTY_ROOT), [signer])
        checkpoints.insert(size=0, prev_size=None, root=EMPTY_ROOT, note=note)
        prev = 0
    checkpoints.insert(size=head.size, prev_size=prev, root=head.root, note=published.note)
