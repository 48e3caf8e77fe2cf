"""Whatever can go wrong with recording, at the log's entrance, in its database or where it is signed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Any

from sqlalchemy import Engine, event

from loglease.audit.interface import AuditBusy, AuditUnavailable
from loglease.audit.note import Signer, VerifierKey
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite import SqliteStore
from loglease.store.sqlite_library import running_library


class Fault(StrEnum):
    """What happens instead of, or to, a commit.

    The first ones happen at the log's entrance, the next ones to a transaction of the database, the last one to a
    signature. Late ones happen once the record is durable, so that only the answer is lost.
    """

    UNAVAILABLE = "unavailable"
    UNAVAILABLE_LATE = "unavailable, late"
    BUSY = "busy"
    NO_STORE = "no store"
    NO_STORE_LATE = "no store, late"
    NOT_COMMITTED = "not committed"
    ANSWER_LOST = "answer lost"
    SLOW = "slow"
    SLOW_ANSWER = "slow answer"
    STUCK = "stuck"
    FULL = "disk full"
    UNSIGNED = "unsigned"


AT_ENTRANCE = frozenset({Fault.UNAVAILABLE, Fault.BUSY, Fault.NO_STORE})
LATE = frozenset({Fault.UNAVAILABLE_LATE, Fault.NO_STORE_LATE})
REFUSING = frozenset(Fault) - {Fault.SLOW, Fault.SLOW_ANSWER, Fault.FULL}
"""Those while which every single call is refused."""
SLOW_S = 0.3
"""Longer than a reservation lasts."""


class Faults:
    """The log's entrance and database of one process, with the fault that is on; also the `Rows` of the log.

    Attributes:
        hits: how often the fault that is on has happened.
    """

    def __init__(self, store: SqliteStore, random: Random) -> None:
        self._store = store
        self._random = random
        self._statements_left = 0
        self._free = asyncio.Event()
        self.on: Fault | None = None
        self.hits = 0
        self.on_hit: Callable[[], None] = lambda: None

    def begin(self, fault: Fault) -> None:
        """Let commits meet a fault until `end`."""
        self.on, self.hits = fault, 0
        self._free.clear()
        self._statements_left = self._random.randrange(1, 12)

    def end(self) -> None:
        """Let everything go well again, and what is stuck go on."""
        self.on = None
        self._free.set()

    def hit(self) -> None:
        """Take note that it happened."""
        self.hits += 1
        self.on_hit()

    # At the log's entrance.

    def entrance(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        """Return the log's `commit` with the faults that happen there."""

        async def faulty(work: Any, **options: Any) -> Any:
            fault = self.on
            if fault in AT_ENTRANCE:
                self.hit()
                raise _error(fault)
            answer = await commit(work, **options)
            if fault in LATE:
                self.hit()
                raise _error(fault)
            return answer

        return faulty

    # In its database.

    async def group(self, body: Any) -> Any:
        """Run a transaction of the log's, unless it fails."""
        fault = self.on
        match fault:
            case Fault.NOT_COMMITTED:
                self.hit()
                raise StoreUnavailable("The database failed: disk I/O error.")
            case Fault.STUCK:
                self.hit()
                await self._free.wait()
            case Fault.SLOW:
                self.hit()
                await asyncio.sleep(SLOW_S)
        done = await self._store.group(body)
        if fault is Fault.ANSWER_LOST:
            self.hit()
            raise StoreUnavailable("The database failed: its answer was lost.")
        if fault is Fault.SLOW_ANSWER:
            self.hit()
            await asyncio.sleep(SLOW_S)
        return done

    def listen(self) -> None:
        """Let statements of writers find the disk full."""
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._statement)

    def leave(self) -> None:
        """Leave statements alone."""
        event.remove(Engine, "before_cursor_execute", self._statement)
        event.remove(Engine, "commit", self._statement)

    def _statement(self, *_: Any) -> None:
        if self.on is not Fault.FULL or not threading.current_thread().name.startswith("store-writer"):
            return
        self._statements_left -= 1
        if self._statements_left <= 0:
            self.hit()
            raise running_library().module.OperationalError("database or disk is full")


class FaultySigner:
    """A key in a device that answers no more while ``UNSIGNED`` is on."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.faults: Faults | None = None

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return self._signer.verifier

    def sign(self, message: bytes) -> bytes:
        """Sign, unless the device is away."""
        if self.faults is not None and self.faults.on is Fault.UNSIGNED:
            self.faults.hit()
            time.sleep(0.005)  # so that whoever waits does not ask in a busy loop
            raise OSError("The device that signs is not there.")
        return self._signer.sign(message)


def _error(fault: Fault | None) -> Exception:
    match fault:
        case Fault.BUSY:
            return AuditBusy("Too much waits to be recorded.", next_step="Try again in a second.")
        case Fault.NO_STORE | Fault.NO_STORE_LATE:
            return StoreUnavailable("The database failed: disk I/O error.", next_step="Look at its disk.")
        case _:
            return AuditUnavailable("It could not be recorded, so it did not happen.", next_step="Try again.")
