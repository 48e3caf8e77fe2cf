"""What the stores on both databases have in common: one writer on a thread of its own, and readers beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection

from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.model.replica import Run
from loglease.store import generations
from loglease.store.connection import StoreConnection
from loglease.store.errors import ReplicaGone
from loglease.store.group import SqlGroup
from loglease.store.interface import Transaction
from loglease.store.readers import Readers, on
from loglease.store.rosters import Rosters
from loglease.store.transaction import SqlTransaction

Result = TypeVar("Result")


class SqlStore(ABC):
    """`Store` and the log's `Rows`, but for what is a database's own.

    Attributes:
        is_shared: whether other servers may use the database at the same time.
        rosters: who is on call, for the snapshots of the directory; nobody until somebody says so.
    """

    is_shared = False
    _writer: StoreConnection
    _readers: Readers
    _urgent_readers: Readers

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rosters = Rosters()
        self._listeners: list[Callable[[str], None]] = []
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")

    def on_failure(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the database's name of each failure, on whatever thread it happens."""
        self._listeners.append(listener)

    def _failed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def on_foreign(self, types: frozenset[str], wake: Callable[[], None]) -> None:
        """Call `wake` soon after another process has committed an entry of one of these types.

        Called from a thread of the store's, at most a few times a second. It only makes what polling finds be found
        sooner: such a call may be lost. On a file there is no other process.
        """
        del types, wake

    async def read(self, query: Callable[[Transaction], Result], *, urgent: bool = False) -> Result:
        """Run a query in a transaction that cannot write, and return what it returns.

        Args:
            urgent: a short one that may not wait behind long ones: who calls, what was revoked.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        readers = self._urgent_readers if urgent else self._readers
        return await on(readers.threads, lambda: readers.run(query))

    async def group(self, body: Callable[[SqlGroup], Result]) -> Result:
        """Run `body` in one transaction of the one writer, with the log's head locked first, and commit.

        Raises:
            StoreUnavailable: the transaction did not become durable, unless it was the commit that failed: then its
                answer may be what was lost.
        """

        def change(connection: Connection, transaction: SqlTransaction) -> Result:
            return body(self._group(connection, transaction))

        return await on(self._writer_thread, lambda: self._writer.run(change))

    @abstractmethod
    def _group(self, connection: Connection, transaction: SqlTransaction) -> SqlGroup:
        """Return what a body works with, once the head is locked."""

    @asynccontextmanager
    async def beginning(self) -> AsyncIterator[None]:
        """Let one server at a time do what is inside: look at what is there, and put on the record that it begins."""
        yield

    async def is_copy(self) -> bool:
        """Say whether it is another database than the one in which the log went on last; a file does not tell."""
        return False

    async def keep_term(self) -> None:
        """Store that the log goes on in this database; what follows from its being another one is on the record."""
        return

    async def begin_generation(self, change: Callable[[Transaction], None], *, epoch: int) -> None:
        """Take the audit log out of the database, for its next generation, and write `change` in the same transaction.

        Raises:
            StoreUnavailable: it did not become durable; the log is as it was.
        """

        def work(connection: Connection, transaction: SqlTransaction) -> None:
            generations.begin(connection, epoch=epoch)
            change(transaction)

        await on(self._writer_thread, lambda: self._writer.run(work))

    async def wipe(self) -> bool:
        """Rewrite what erasing changes, so that nothing of it is left in the database's files; False leaves that.

        While it is rewritten nothing is recorded, so what is large is left to the next start: streams would end.

        Raises:
            StoreUnavailable: the database failed; the next start does it.
        """
        return await on(self._writer_thread, lambda: self._wipe(only_small=True))

    @abstractmethod
    def _wipe(self, *, only_small: bool) -> bool:
        """Do what `wipe` promises."""


def renew(transaction: SqlTransaction, run: Run | None, now: Instant) -> None:
    """Note that a run lives; for a process that is not on the record as started there is nothing to note.

    Raises:
        ReplicaGone: it counts as running no more.
    """
    if run is not None and not transaction.replicas.renew(run, now):
        raise ReplicaGone(f"{run.replica} is not what the database knows to be running.")
