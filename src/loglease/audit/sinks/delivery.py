"""Each signed head to each sink, at least once and in order; one loop a sink, so that none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from loglease.audit.checkpoint import Checkpoint, open_checkpoint
from loglease.audit.note import NoteInvalid, VerifierKey
from loglease.audit.sinks.interface import Sink, SinkFailed, checkpoint_of
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant

Result = TypeVar("Result")

AT_ONCE: Final = 200
LOOK_EVERY_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
MAX_LAG_S: Final = 900
NOTHING: Final = -1
"""The size of a sink that has kept no head."""

_SECOND_NS: Final = 1_000_000_000
_MICRO_NS: Final = 1_000


@dataclass(frozen=True, slots=True)
class SinkState:
    """How far a sink is.

    Attributes:
        size: of the last head that it has kept; -1 if it has kept none.
        since: since when a later head waits for it; None if none does.
    """

    size: int
    since: Instant | None = None


class Heads(Protocol):
    """The signed heads of the log, and what is remembered of sinks."""

    async def after(self, size: int, limit: int) -> Sequence[bytes]:
        """Return signed heads above a size, in order.

        Raises:
            StoreUnavailable: the database cannot be read.
        """

    async def state(self, sink: str) -> SinkState | None:
        """Return what is remembered of a sink; None for one that is new.

        Raises:
            StoreUnavailable: the database cannot be read.
        """

    async def newest_size(self) -> int:
        """Return the size of the newest signed head; 0 before the first.

        Raises:
            StoreUnavailable: the database cannot be read.
        """

    async def keep(self, sink: str, state: SinkState) -> None:
        """Remember how far a sink is.

        Raises:
            AuditUnavailable: it cannot be written.
        """


class Delivery:
    """The way of heads to one sink. Used from one event loop; the sink works in a thread of its own.

    Args:
        name: what the configuration calls it; another name is another sink.
        keys: of the log.
        max_lag_s: how long a head may wait before `late` says so.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        heads: Heads,
        keys: Iterable[VerifierKey],
        clock: Clock,
        max_lag_s: int = MAX_LAG_S,
        required: bool = False,
    ) -> None:
        self.name = name
        self.sink = sink
        self.required = required
        self._heads = heads
        self._keys = list(keys)
        self._clock = clock
        self._max_lag_ns = max_lag_s * _SECOND_NS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"audit-sink-{name}")
        self._since_ns: int | None = None
        self._noted_ns: int | None = None
        self._kept = NOTHING
        self._after: int | None = None
        self._proven = False
        self.fault: str | None = None
        """Why it took no heads when it was last tried; None if it did."""

    @property
    def size(self) -> int:
        """Size of the last head that it has kept; -1 if that is none, or not known yet."""
        return self._kept

    @property
    def lag_s(self) -> float:
        """Since how many seconds a head waits."""
        return 0.0 if self._since_ns is None else max(0, self._clock.boot_ns() - self._since_ns) / _SECOND_NS

    @property
    def late(self) -> bool:
        """Whether a head waits longer than it may."""
        return self._since_ns is not None and self._clock.boot_ns() - self._since_ns > self._max_lag_ns

    async def run(self) -> None:
        """Hand over heads until cancelled.

        Raises:
            StoreUnavailable, AuditUnavailable: the database failed; running it again goes on.
        """
        failures = 0
        while True:
            try:
                await self.step()
            except SinkFailed:
                await asyncio.sleep(min(LONGEST_PAUSE_S, LOOK_EVERY_S * 2.0 ** min(failures, 30)))
                failures += 1
            else:
                failures = 0
                await asyncio.sleep(LOOK_EVERY_S)

    async def step(self) -> bool:
        """Hand over once what waits; say whether that was anything.

        Raises:
            SinkFailed: it was not kept; also where the sink has lost what it had.
            StoreUnavailable, AuditUnavailable: the database failed.
        """
        after = await self._begun() if self._after is None else self._after
        notes = await self._heads.after(after, AT_ONCE)
        if not notes:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = self._clock.boot_ns()
        try:
            await self._in_thread(lambda: self._handed_over(notes))
        except SinkFailed as error:
            await self._failed(error)
            raise
        if notes:
            self._kept = self._after = checkpoint_of(notes[-1]).size
            self._since_ns = self._noted_ns = None
            await self._heads.keep(self.name, SinkState(self._kept))
        self.fault = None
        return bool(notes)

    async def newest(self) -> Checkpoint | None:
        """Return the newest head of this log that the sink has, after its signature was checked.

        None if it has none, or cannot be read back.

        Raises:
            SinkFailed: it cannot be read, or somebody wrote something else there.
        """
        return await self._in_thread(self._newest) if self.sink.readable else None

    async def finish(self, within_s: float) -> None:
        """Hand over what waits, if that can be done in time."""
        try:
            async with asyncio.timeout(within_s):
                while await self.step():
                    pass
        except (LogLeaseError, TimeoutError):
            return  # it is handed over after the next start

    async def aclose(self) -> None:
        """Let go of the sink, after what it is doing."""
        await asyncio.to_thread(self._thread.shutdown)
        await asyncio.to_thread(self.sink.close)

    async def _begun(self) -> int:
        """Find out how far the sink is, and since when a head waits for it; a new one begins with the newest head."""
        state = await self._heads.state(self.name) or SinkState(NOTHING)
        if state.since is not None:
            waited_ns = max(0, self._clock.now() - state.since) * _MICRO_NS
            self._since_ns = self._noted_ns = self._clock.boot_ns() - waited_ns
        self._kept = state.size
        self._after = state.size if state.size > NOTHING else await self._heads.newest_size() - 1
        return self._after

    def _handed_over(self, notes: Sequence[bytes]) -> None:
        """Write, the first time after a look whether the sink still has what it had."""
        if not self._proven:
            if self.sink.readable and self._kept > NOTHING:
                self._require_kept()
            self._proven = True
        if notes:
            self.sink.write(notes, self._clock.now())

    def _require_kept(self) -> None:
        found = self._newest()
        size = NOTHING if found is None else found.size
        if size < self._kept:
            there = "none" if found is None else f"one of size {size}"
            raise SinkFailed(
                f"The sink {self.name} has lost heads: it had one of size {self._kept}, and its newest is {there}.",
                next_step="Find out who took them away. Put them back, or give the sink another name to begin anew.",
            )

    def _newest(self) -> Checkpoint | None:
        note = self.sink.newest()
        if note is None or checkpoint_of(note).origin not in {key.name for key in self._keys}:
            return None
        try:
            return open_checkpoint(note, self._keys)
        except NoteInvalid as error:
            raise SinkFailed(
                f"The newest head in the sink {self.name} was not signed by this log's key.",
                next_step="Somebody else wrote it. Compare it with the log's public key.",
            ) from error

    async def _failed(self, error: SinkFailed) -> None:
        self.fault = error.message
        if self._noted_ns != self._since_ns:
            waited_us = 0 if self._since_ns is None else (self._clock.boot_ns() - self._since_ns) // _MICRO_NS
            since = None if self._since_ns is None else Instant(self._clock.now() - waited_us)
            await self._heads.keep(self.name, SinkState(self._kept, since))
            self._noted_ns = self._since_ns

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
