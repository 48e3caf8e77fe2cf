"""What follows once the audit log takes records again, without a restart: that it does, then late revocations."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from loglease.access.reassert import late_in, reassert
from loglease.access.resumption import record_resumption
from loglease.audit.interface import AuditUnavailable
from loglease.model.ids import ENTRY, EntryId
from loglease.server.services import Services
from loglease.store.interface import StoreUnavailable

_WITHIN_S: Final = 5.0
_log: Final = structlog.get_logger("loglease.recovery")


class Recovery:
    """Looks again and again whether what could not be recorded can be."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._entry: EntryId | None = None

    async def step(self) -> None:
        """Record that recording goes on where it did not, then what only the journal has.

        Raises:
            AuditUnavailable: late revocations cannot be recorded yet.
        """
        services = self._services
        if services.sequencer.outage.since is not None and not await self._resumed():
            return
        if services.watch.unrecorded:
            await reassert(
                services.journal,
                log=services.log,
                watch=services.watch,
                new_id=services.new_id,
                random=services.random,
            )

    async def _resumed(self) -> bool:
        """Put the outage on the record; False if the database takes nothing yet."""
        services, outage = self._services, self._services.sequencer.outage
        try:
            if not await self._covers():
                return True  # entries are recorded and do not count yet, so late revocations may come, and the end not
            # One identifier until it is known to be on the record: an attempt whose answer was lost counts once.
            self._entry = self._entry or EntryId(services.new_id(ENTRY))
            since, refused = outage.since, outage.refused
            if since is None:
                return True
            done = await record_resumption(
                self._entry,
                commit=partial(services.sequencer.try_again, limit_s=_WITHIN_S),
                replica=services.replica,
                since=since,
                refused=refused,
                late=lambda tx: late_in(tx, services.journal),
            )
        except (AuditUnavailable, StoreUnavailable):
            return False
        self._entry = None
        outage.recorded(*done)
        _log.warning("audit_resumed", count=done[0])
        return True

    async def _covers(self) -> bool:
        """Say whether all entries count in the sense of the settings; only then it is over."""
        services = self._services
        size = await services.store.read(lambda tx: tx.entries.head().next, urgent=True)
        try:
            async with asyncio.timeout(_WITHIN_S):
                await services.sequencer.covers(size)
        except (AuditUnavailable, TimeoutError):
            return False
        return True
