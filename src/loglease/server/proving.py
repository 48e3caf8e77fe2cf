"""Proofs from the log directory, as soon as a signed head covers what is asked for."""

from __future__ import annotations

import asyncio
from typing import Final

from loglease.audit.checkpoint import Checkpoint
from loglease.audit.interface import AuditUnavailable
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import prove, tile_content
from loglease.audit.merkle import consistency_proof
from loglease.audit.tiles import hashes_from
from loglease.server.publishing import Publishing

WITHIN_S: Final = 2.0
"""How long an entry may wait for its signature; usually it has one after a quarter of a second."""


async def entry_proof(publishing: Publishing, index: int, *, extra: bool) -> bytes:
    """Return the proof file of one entry that was recorded; `extra` puts the entry's bytes into it.

    Raises:
        AuditUnavailable: no signed head covers the entry, and none came in time.
        LogIncomplete: the entry was pruned.
        LogTampered, LogUnreadable: the log directory is damaged or cannot be read.
    """
    await _published(publishing, index + 1)
    log = FileLog(publishing.files.root)
    proof, _ = await asyncio.to_thread(prove, log, index, extra=extra)
    return proof.encode()


async def consistency(publishing: Publishing, old: int, new: int) -> list[bytes]:
    """Return the hashes that show that the log of size `new` begins with the log of size `old`.

    Raises:
        ProofInvalid: `old` is 0 or larger than `new`.
        AuditUnavailable, LogIncomplete, LogTampered, LogUnreadable: as for `entry_proof`.
    """
    head = await _published(publishing, new)
    log = FileLog(publishing.files.root)
    hashes = hashes_from(lambda tile: tile_content(log, tile), head.size)
    return await asyncio.to_thread(consistency_proof, old, new, hashes)


async def _published(publishing: Publishing, size: int) -> Checkpoint:
    """Return the head in the directory, once it covers so many entries."""
    head = publishing.publisher.head
    if head is None or head.checkpoint.size < size:
        try:
            async with asyncio.timeout(WITHIN_S):
                await publishing.integrator.covered(size)
                await publishing.publisher.publish()
        except TimeoutError:
            head = None
        else:
            head = publishing.publisher.head
    if head is None or head.checkpoint.size < size:
        raise AuditUnavailable("No signed head covers this yet.", next_step="Try again in a moment.")
    return head.checkpoint
