"""The way from a gateway to the database: it takes time, and it can lose, hold back and cut off what goes over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tests.simulation.database import SimDatabase

from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable, EntryRow, Recorded
from loglease.audit.sequencer import LIMIT_S
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.store.database_clock import DatabaseClock
from loglease.store.errors import ReplicaGone, StoreMoved
from loglease.store.interface import StoreUnavailable

T = TypeVar("T")
GIVEN_UP_S: Final = 3.0


@dataclass
class Link:
    """What goes wrong between one gateway and the database.

    Attributes:
        is_cut: nothing gets through in either direction, and nobody is told.
        lost: the share of calls whose request or answer is lost.
        slow_s: how long a call takes at most, one way.
    """

    chance: random.Random
    database: SimDatabase
    is_cut: bool = False
    lost: float = 0.0
    slow_s: float = 0.002
    term: int = 0

    def __post_init__(self) -> None:
        self.term = self.database.term

    async def call(self, act: Callable[[], T]) -> T:
        """Have the database do something, and return what it answers.

        Raises:
            StoreUnavailable: it is down, or says that the connection is no more.
            StoreMoved: another instance has taken its place.
        """
        await self._way()
        if not self.database.is_up:
            raise StoreUnavailable("The database does not answer.")
        if self.term != self.database.term:
            raise StoreMoved("The database is another one.")
        done = act()
        await self._way()
        return done

    async def _way(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.0001, self.slow_s))
        if self.is_cut or self.chance.random() < self.lost:
            await asyncio.sleep(GIVEN_UP_S)  # nobody is told, until the connection is given up
            raise StoreUnavailable("The database does not answer.")


class SimStore:
    """A gateway's store.

    Args:
        own: the connection of the lease.
    """

    is_shared = True

    def __init__(self, link: Link, own: Link, clock: DatabaseClock, renewed: Callable[[], None]) -> None:
        self._link = link
        self._own = own
        self._clock = clock
        self._renewed = renewed

    def on_foreign(self, types: frozenset[str], wake: Callable[[], None]) -> None:
        """Tell of nothing: polling has to find the same."""

    async def read(self, query: Callable[[Any], T], *, urgent: bool = False) -> T:
        """Run a query; what is urgent has a connection of its own."""
        link = self._own if urgent else self._link
        return await link.call(lambda: link.database.read(query))

    async def touch(self, run: Run | None) -> Instant:
        """Renew a lease.

        Raises:
            ReplicaGone: the run counts as running no more.
        """

        def act() -> tuple[Instant, bool]:
            self._renewed()
            return self._own.database.touch(run)

        asked_ns = self._clock.boot_ns()
        now, alive = await self._own.call(act)
        self._clock.told(now, asked_ns=asked_ns)
        if not alive:
            raise ReplicaGone("It is not what the database knows to be running.")
        return now


class SimLog:
    """A gateway's entrance to the log: one work after another, and an answer within two seconds or none."""

    def __init__(self, link: Link, clock: DatabaseClock) -> None:
        self._link = link
        self._clock = clock
        self._turn = asyncio.Lock()
        self.watch: Watch | None = None

    async def commit(self, work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
        """Commit a work.

        Raises:
            AuditUnavailable: nobody knows whether it came about.
        """
        del urgent
        try:
            async with asyncio.timeout(limit_s or LIMIT_S), self._turn:
                return await self._committed(work)
        except TimeoutError as error:
            raise AuditUnavailable("It was not on the record in time.") from error

    async def _committed(self, work: Callable[[Any, Instant], Recorded[T]]) -> T:
        failure: Exception | None = None
        now = Instant(0)

        def act() -> tuple[T, list[EntryRow]] | None:
            nonlocal failure, now
            now = self._link.database.now()
            try:
                return self._link.database.change(work)
            except Exception as error:  # noqa: BLE001 - a refusal travels back like an answer
                failure = error
                return None

        asked_ns = self._clock.boot_ns()
        found = await self._link.call(act)
        self._clock.told(now, asked_ns=asked_ns)
        if failure is not None:
            raise failure
        assert found is not None
        result, rows = found
        if self.watch is not None:
            self.watch.committed(rows)
        return result
