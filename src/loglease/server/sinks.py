"""The sinks of this server's log: handed each signed head, asked at the start, and watched where one is required."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from loglease.access.resumption import record_resumption
from loglease.access.sink_states import StoredHeads
from loglease.audit.interface import AuditUnavailable, EntryLog
from loglease.audit.lost import LogBehind
from loglease.audit.note import VerifierKey
from loglease.audit.sinks.append_only import AppendOnlyFile
from loglease.audit.sinks.delivery import Delivery
from loglease.audit.sinks.interface import Sink, SinkFailed
from loglease.audit.sinks.repository import Repository
from loglease.audit.sinks.syslog import SyslogReceiver
from loglease.model.clock import Clock
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.server.settings import Settings
from loglease.server.sink_settings import SinkSettings
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

FINISH_S: Final = 3.0

_WATCH_EVERY_S: Final = 0.25
_WITHIN_S: Final = 10.0
_log: Final = structlog.get_logger("loglease.sinks")


class Gate:
    """Closed while a required sink lags too far: then nothing that needs a record may begin or go on."""

    def __init__(self) -> None:
        self.lagging: tuple[str, ...] = ()
        self.refused = 0

    def __call__(self) -> None:
        """Let an ordinary work pass.

        Raises:
            AuditUnavailable: a required sink lags.
        """
        if self.lagging:
            self.refused += 1
            raise AuditUnavailable(
                "Signed heads of the audit log do not reach where they are kept.",
                next_step="Try again later, or tell an operator to look at /readyz.",
            )


class Sinks:
    """All sinks, and what follows from how they stand."""

    def __init__(
        self,
        deliveries: Sequence[Delivery],
        heads: StoredHeads,
        gate: Gate,
        *,
        log: EntryLog[Transaction],
        clock: Clock,
        replica: str,
        new_id: NewId,
    ) -> None:
        self.deliveries = tuple(deliveries)
        self.gate = gate
        self._heads = heads
        self._log = log
        self._clock = clock
        self._replica = replica
        self._new_id = new_id
        self._closed_at: Instant | None = None

    async def require_continued(self) -> None:
        """Find out whether the database has what the sinks have; for a start. If it has not, nothing stays open.

        Raises:
            LogBehind: a sink has a signed head that the database does not have.
            StoreUnavailable: the database cannot be read.
        """
        for one in self.deliveries:
            try:
                newest = await one.newest()
            except SinkFailed as error:
                _log.warning("sink_unreadable", sink=one.name, reason=error.message)
                continue
            if newest is not None and await self._heads.root_at(newest.size) != newest.root:
                await self._let_go()
                raise LogBehind(
                    f"The sink {one.name} has a signed head of {newest.size} entries that the database does not have: "
                    "it is older than that, or another one.",
                    next_step="Put back a newer backup of the database, or the log directory as it was last published.",
                )

    async def watch(self) -> None:
        """Close and open the gate, for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(_WATCH_EVERY_S)

    async def look(self) -> None:
        """Close the gate if a required sink lags too far; open it if none does, and record that."""
        lagging = tuple(one.name for one in self.deliveries if one.required and one.late)
        if lagging and not self.gate.lagging:
            self._closed_at = self._clock.now()
            _log.critical("required_sink_lags", sinks=lagging)
        self.gate.lagging = lagging
        if not lagging and self._closed_at is not None:
            refused, _ = await record_resumption(
                EntryId(self._new_id(ENTRY)),
                commit=partial(self._log.commit, urgent=True, limit_s=_WITHIN_S),
                replica=self._replica,
                since=self._closed_at,
                refused=self.gate.refused,
            )
            self._closed_at = None
            self.gate.refused -= refused

    async def aclose(self) -> None:
        """Hand over what waits, as far as that takes little time, and let go."""
        await asyncio.gather(*(one.finish(FINISH_S) for one in self.deliveries))
        await self._let_go()

    async def _let_go(self) -> None:
        for one in self.deliveries:
            await one.aclose()


def open_sinks(
    settings: Settings,
    gate: Gate,
    *,
    store: Store,
    log: EntryLog[Transaction],
    keys: Sequence[VerifierKey],
    clock: Clock,
    replica: str,
    new_id: NewId,
) -> Sinks:
    """Return the sinks that the settings name; none of them is touched yet."""
    heads = StoredHeads(store, log, replica=replica)
    deliveries = [
        Delivery(
            name,
            _sink_of(one, settings),
            heads=heads,
            keys=keys,
            clock=clock,
            max_lag_s=one.max_lag_s,
            required=one.required,
        )
        for name, one in settings.audit.sinks.items()
    ]
    return Sinks(deliveries, heads, gate, log=log, clock=clock, replica=replica, new_id=new_id)


def _sink_of(one: SinkSettings, settings: Settings) -> Sink:
    base = settings.data_dir
    if one.kind == "file":
        return AppendOnlyFile(base / (one.path or ""))
    if one.kind == "git":
        return Repository(base / (one.path or ""), branch=one.branch, remote=one.remote)
    return SyslogReceiver(
        host=one.host or "",
        port=one.port,
        ca_file=None if one.ca_file is None else base / one.ca_file,
        certificate=None if one.certificate is None else base / one.certificate,
        key=None if one.key is None else base / one.key,
        own_name=socket.gethostname(),
    )
