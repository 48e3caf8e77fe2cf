"""A report as a signed folder: its evidence from the database, with proofs from the log directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from loglease.audit.checking import LogDamaged
from loglease.audit.files import LogFiles
from loglease.audit.interface import AuditUnavailable
from loglease.audit.merkle import Hashes, ProofInvalid, inclusion_proof
from loglease.audit.proof import InclusionProof
from loglease.audit.report.asking import SignedHead
from loglease.audit.report.folder import MAX_ENTRIES, archive_of, folder_of
from loglease.audit.report.tables import ReportTooLarge
from loglease.audit.tiles import Tile, hashes_from
from loglease.server.publishing import Publishing
from loglease.server.reporting import Made
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

_ATTEMPTS: Final = 3
_RUN: Final = 1_000


class NotPublished(AuditUnavailable):
    """The log directory does not hold what the report is about, so nothing about it can be proven now."""

    def __init__(self) -> None:
        super().__init__(
            "The log directory is behind the log, so nothing can be proven now.",
            next_step="Try again in a moment; if that stays, look at the server's health.",
        )


async def archived(done: Made, *, store: Store, publishing: Publishing) -> bytes:
    """Return a report as an archive of its signed folder.

    Raises:
        ReportTooLarge: it has more than 10,000 entries of evidence.
        NotPublished: its entries are not signed, or not in the log directory yet.
        LogDamaged: an entry is not the one that was signed.
    """
    report = done.report
    evidence, head = report.result.evidence, report.beside.head
    if len(evidence) > MAX_ENTRIES:
        raise ReportTooLarge(
            f"The report rests on {len(evidence):,} entries; a folder holds at most {MAX_ENTRIES:,}.",
            next_step="Draw a sample with --sample 25, or ask for less time with --from and --to.",
        )
    if head is None or head.size < report.beside.size:
        raise NotPublished
    entries = await store.read(lambda tx: _contents(tx, evidence))
    proofs = await _proofs(publishing, head, entries)

    signers = publishing.signers

    def packed() -> bytes:
        files = folder_of(report, done.content, entries=entries, proofs=proofs, checkpoint=head.note, signers=signers)
        return archive_of(files)

    return await asyncio.to_thread(packed)


def _contents(tx: Transaction, indices: Sequence[int]) -> dict[int, bytes]:
    """Return the exact bytes of entries; neighbours are read together."""
    found: dict[int, bytes] = {}
    for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        wanted = [index for _, index in run]
        for start in range(0, len(wanted), _RUN):
            part = wanted[start : start + _RUN]
            found |= {row.index: row.content for row in tx.entries.since(part[0], limit=len(part))}
    return found


async def _proofs(publishing: Publishing, head: SignedHead, entries: Mapping[int, bytes]) -> dict[int, bytes]:
    """Prove that entries are in the log of a signed head, and check each proof before it is handed out."""

    def proofs(hashes: Hashes) -> dict[int, bytes]:
        made = {
            index: InclusionProof(index, tuple(inclusion_proof(index, head.size, hashes)), head.note)
            for index in entries
        }
        for index, proof in made.items():
            try:
                proof.check(entries[index], publishing.verifiers)
            except ProofInvalid as error:
                raise LogDamaged(
                    f"Audit entry {index} is not the one that was signed.", next_step="loglease audit report integrity"
                ) from error
        return {index: proof.encode() for index, proof in made.items()}

    await publishing.publisher.publish()
    for _ in range(_ATTEMPTS):
        published = await publishing.published_head()
        if published is None or published.checkpoint.size < head.size:
            break
        try:
            return await asyncio.to_thread(proofs, hashes_from(_tiles(publishing.files), published.checkpoint.size))
        except NotPublished:
            continue  # a partial tile went away when a fuller one came: the directory has grown meanwhile
    raise NotPublished


def _tiles(files: LogFiles) -> Callable[[Tile], bytes]:
    def read(tile: Tile) -> bytes:
        content = files.read(tile.path)
        if content is None:
            raise NotPublished
        return content

    return read
