"""What is read at the moment somebody asks: states of the database, of sources and of the process."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import generate_latest

from loglease import __version__
from loglease.model.notice import NoticeState
from loglease.server.metrics.families import Families
from loglease.server.services import Services
from loglease.sources.registry import Source
from loglease.store.counts_interface import Counts
from loglease.store.interface import StoreUnavailable, Transaction

LAG_EVERY_S: Final = 0.1
_SOURCE_WITHIN_S: Final = 2.0
_SECOND_NS: Final = 1_000_000_000
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


async def exposition(services: Services) -> bytes:
    """Return all metrics in Prometheus's text format.

    What only the database tells is left out while it cannot be read, so that no old number looks like a new one.
    """
    families = services.metrics
    families.build.labels(__version__).set(1)
    families.policy_revision.set(services.rules.current.bundle.revision)
    families.withheld.set(services.engines.withheld.total())
    families.lease.set(max(0, services.watch.lease_until_ns - services.clock.boot_ns()) / _SECOND_NS)
    families.clock_suspect.set(services.watch.clock_suspect)
    families.tampered.set(services.publishing.integrator.fault is not None)
    await asyncio.gather(
        _of_database(services, families), *(_of_source(source, families) for source in services.sources.values())
    )
    return generate_latest(families.registry)


async def measure_lag(families: Families) -> None:
    """Note how late the event loop comes to a timer, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        families.loop_lag.observe(max(0.0, loop.time() - due))


async def _of_database(services: Services, families: Families) -> None:
    gauges = (
        families.requests_pending,
        families.grants_active,
        families.locks_active,
        families.after_reviews_overdue,
        families.outbox_pending,
        families.outbox_dead,
        families.unsigned,
    )

    def counted(tx: Transaction) -> tuple[Counts, int, int, int]:
        notices = tx.outbox.counts()
        counts = tx.counts.now(services.watch.now)
        return counts, notices[NoticeState.WAITING], notices[NoticeState.DEAD], tx.entries.size()

    try:
        counts, waiting, dead, size = await services.store.read(counted, urgent=True)
    except StoreUnavailable:
        values: tuple[float, ...] = (float("nan"),) * len(gauges)
    else:
        head = services.publishing.head
        unsigned = size - (0 if head is None else head.checkpoint.size)
        values = (counts.requests, counts.grants, counts.locks, counts.after_reviews, waiting, dead, unsigned)
    for gauge, value in zip(gauges, values, strict=True):
        gauge.set(value)


async def _of_source(source: Source, families: Families) -> None:
    try:
        async with asyncio.timeout(_SOURCE_WITHIN_S):
            is_up = (await source.reader.check()).ok
    except TimeoutError:
        is_up = False
    families.source_up.labels(source.name).set(is_up)
