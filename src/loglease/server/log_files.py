"""The log directory as others may read it: its files by their path, and the served lists that entries commit to."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loglease.access.errors import NotFound
from loglease.audit.interface import AuditUnavailable
from loglease.audit.log_directory import FileLog, LogUnreadable
from loglease.audit.tiles import CHECKPOINT, WIDTH, Tile, TileInvalid, tile_of
from loglease.store.store_interface import Store

_SERVED: Final = re.compile(r"served/(ent_[0-9A-HJKMNP-TV-Z]{26})")


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the log; one that never changes may be kept for ever."""

    content: bytes
    is_final: bool = False
    is_text: bool = False


async def log_file(path: str, *, folder: Path, store: Store) -> LogFile:
    """Return a file by its path below the log's prefix.

    Raises:
        NotFound: a log has no such file, this one has not got it, or its entries were pruned.
        AuditUnavailable: it cannot be read.
    """
    if path == CHECKPOINT:
        return LogFile(await checkpoint_note(folder), is_text=True)
    if (match := _SERVED.fullmatch(path)) is not None:
        entry = match[1]
        found = await store.read(lambda tx: tx.entries.salted_served(entry))
        if found is None:
            raise _nothing(path)
        return LogFile(found)
    try:
        tile = tile_of(path)
    except TileInvalid as error:
        raise _nothing(path) from error
    if await store.read(lambda tx: _is_pruned(tile, tx.entries.min_index())):
        raise _nothing(path)
    return LogFile(await _read(folder, path), is_final=tile.is_full)


async def checkpoint_note(folder: Path) -> bytes:
    """Return the newest signed head.

    Raises:
        NotFound: there is none yet.
        AuditUnavailable: it cannot be read.
    """
    return await _read(folder, CHECKPOINT)


def _is_pruned(tile: Tile, min_index: int) -> bool:
    """Say whether all that a bundle, or a tile of leaves, stands for was pruned; higher tiles stay."""
    return tile.level <= 0 and (tile.number + 1) * WIDTH <= min_index


async def _read(folder: Path, path: str) -> bytes:
    def read() -> bytes | None:
        return FileLog(folder)(path) if folder.is_dir() else None

    try:
        content = await asyncio.to_thread(read)
    except LogUnreadable as error:
        raise AuditUnavailable("The log directory cannot be read.", next_step="Tell an operator.") from error
    if content is None:
        raise _nothing(path)
    return content


def _nothing(path: str) -> NotFound:
    return NotFound(f"The log has no file {path[:80]!r}.", next_step="Read checkpoint: it says how large the log is.")
