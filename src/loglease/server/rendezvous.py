"""Which server puts entries back that a failover lost: the one that has published most of the log.

Each has a published log of its own, and they are not equally far. If one that has less began first, the log would go
on in another way than it was published. So each says how much it has, and those with less wait for the others.
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from loglease.audit.interface import EntryLog, Recorded
from loglease.audit.lost import LogBehind
from loglease.model.clock import Clock
from loglease.model.instant import MICROSECONDS, Instant
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

_VALUE: Final = "published_by"
_FRESH_S: Final = 60
_WAITS_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.2
_SECOND_NS: Final = 1_000_000_000


async def meet(replica: str, size: int, *, store: Store, log: EntryLog[Transaction], clock: Clock) -> None:
    """Say how much of the log a server has published, and wait a moment for the others to say it, too.

    Raises:
        AuditUnavailable, StoreUnavailable: the database failed.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        said = {name: one for name, one in _said(tx).items() if _is_fresh(one, now)}
        tx.values.put(_VALUE, orjson.dumps({**said, replica: [size, now]}).decode())
        return Recorded(None)

    await log.commit(work, urgent=True)
    until_ns = clock.boot_ns() + round(_WAITS_S * _SECOND_NS)
    while clock.boot_ns() < until_ns:
        if await store.read(lambda tx: _all_said(tx, clock.now()), urgent=True):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def require_most(tx: Transaction, size: int, now: Instant) -> None:
    """Refuse to begin while another server has published more than both this one and the database have.

    Raises:
        LogBehind: one has, and puts it back when it begins.
    """
    last = tx.checkpoints.last()
    here = max(size, 0 if last is None else last.size)
    for name, one in _said(tx).items():
        if one[0] > here and _is_fresh(one, now):
            raise LogBehind(
                f"{name} has published {one[0]} entries of the audit log, more than the database has.",
                next_step=f"{name} puts them back when it begins; this server waits for it.",
            )


def _said(tx: Transaction) -> dict[str, list[int]]:
    found: dict[str, list[int]] = orjson.loads(tx.values.find(_VALUE) or "{}")
    return found


def _is_fresh(one: list[int], now: Instant) -> bool:
    return now - one[1] <= _FRESH_S * MICROSECONDS


def _all_said(tx: Transaction, now: Instant) -> bool:
    said = {name for name, one in _said(tx).items() if _is_fresh(one, now)}
    return said >= {one.run.replica for one in tx.replicas.running()}
