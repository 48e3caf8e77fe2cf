"""What a start puts on the record before anything is served: that it starts, and that the database was restored."""

from __future__ import annotations

from typing import Final

import structlog

from loglease.access.restore import KnownHead, suspend_restored
from loglease.model.replica import Run
from loglease.redaction import Library
from loglease.server.bundles import Proved
from loglease.server.lifecycle import ORIGIN, record_start
from loglease.server.services import Services

_log: Final = structlog.get_logger("loglease.beginning")


async def record_beginning(
    services: Services,
    run: Run,
    policy: Proved,
    library: Library,
    known: KnownHead | None,
    *,
    put_back: int,
    is_first: bool,
) -> None:
    """Record that a run begins, and what follows from a restore.

    Args:
        known: what was kept beside the database, of this generation of the log.
        put_back: how many entries the database had lost.
        is_first: whether the next generation of the log begins; each log begins with a start.

    Raises:
        BundleRefused: a newer bundle was accepted meanwhile.
    """

    async def started() -> None:
        await record_start(
            log=services.log,
            settings=services.settings,
            policy=policy,
            library=library,
            run=run,
            is_shared=services.store.is_shared,
            keys=services.publishing.keys,
            new_id=services.new_id,
        )

    store = services.store
    is_new = store.is_shared and await store.read(lambda tx: tx.replicas.find(run.replica)) is None
    is_copy = await store.is_copy()
    if is_first:
        await started()
    suspended = await suspend_restored(
        known,
        put_back=put_back,
        origin=ORIGIN,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
        is_new=is_new,
        is_copy=is_copy,
    )
    if suspended is not None:
        _log.warning("database_restored", grants_suspended=suspended, next="loglease grants; loglease resume")
    if not is_first:
        await started()
