"""What follows a verdict on an act in this process: files are written anew, so that nothing erased is in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import structlog

from loglease.access.caller import Caller
from loglease.access.erasing import is_erased
from loglease.access.journal import Journal, JournalRecord, JournalRefused
from loglease.access.pruning import Retention
from loglease.access.review_act import review_act
from loglease.model.act import Act, ActKind
from loglease.model.ids import ProposalId
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict
from loglease.server.services import Services
from loglease.server.settings import Settings
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.scrubbing import ERASED
from loglease.store.store_interface import Store

_log: Final = structlog.get_logger("loglease.acting")


def retention_of(settings: Settings) -> Retention:
    """Return how long this server has to keep its audit log."""
    return Retention(settings.audit.retain_s)


async def review(
    services: Services, act_id: ProposalId, *, verdict: Verdict, digest: str | None, comment: str, caller: Caller
) -> Act:
    """Give the verdict on an act; with an approval it is done when this returns.

    Raises:
        LogLeaseError: see `review_act`.
    """
    done = await review_act(
        act_id,
        verdict=verdict,
        digest=digest,
        comment=comment,
        retention=retention_of(services.settings),
        vault=services.vault,
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
    )
    if done.kind is ActKind.ERASE and done.state is ProposalState.ACCEPTED:
        await _wipe(services)
    return done


async def _wipe(services: Services) -> None:
    """Have files forget what was erased. It is erased and recorded already: a failure leaves the files to the start."""
    try:
        await forget_in_journal(services.store, services.journal)
        if not await services.store.wipe():
            _log.warning("wipe_due", next="Restart the server when nobody reads: the database is written anew then.")
    except (JournalRefused, StoreUnavailable) as error:
        _log.warning("wipe_due", error=error.code, next="Restart the server: it is done then.")


async def forget_in_journal(store: Store, journal: Journal) -> int:
    """Take the reasons out of the journal that are erased in the database; return how many.

    Raises:
        JournalRefused: the journal cannot be written.
        StoreUnavailable: the database cannot be read.
    """
    records = journal.records()
    if not records:
        return 0

    def query(tx: Transaction) -> frozenset[str]:
        return frozenset(one.id for one in records if one.reason and one.reason != ERASED and is_erased(tx, one))

    gone = await store.read(query)

    def change(record: JournalRecord) -> JournalRecord:
        return replace(record, reason=ERASED) if record.id in gone else record

    return await journal.rewrite(change) if gone else 0
