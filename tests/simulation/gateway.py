"""A simulated server: the product's own watch, sessions, pump and use cases, over a link, clocks and clients that are made up."""

from __future__ import annotations

import asyncio
import contextlib
import random
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.fakes.gateway import services
from tests.simulation.database import SimDatabase
from tests.simulation.judge import Judge
from tests.simulation.link import Link, SimLog, SimStore
from tests.simulation.loop import MachineClock, VirtualLoop

from loglease.access import replicas
from loglease.access.caller import Caller
from loglease.access.clock_doubts import ClockRecorder
from loglease.access.recover_sessions import recover_sessions
from loglease.access.steady_clock import steady
from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable, Draft, Recorded
from loglease.gateway import GatewaySettings
from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.open_sessions import OpenSession
from loglease.gateway.served import Item
from loglease.gateway.sessions import Sessions
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantMove, GrantState, move
from loglease.model.ids import ENTRY, EntryId, GrantId, id_of
from loglease.model.instant import Instant, Interval
from loglease.model.principal import Principal
from loglease.model.replica import Run
from loglease.model.session import CloseWhy, Front, SessionKind
from loglease.store.database_clock import DatabaseClock
from loglease.store.interface import StoreUnavailable

SETTINGS: Final = GatewaySettings(skip_after_s=1.0, slow_after_s=4.0)
LABELS: Final = (("service", "a"),)


# Sets of sessions are walked in the order of their hashes, which has to be the same in every run.
def _hashed(session: OpenSession) -> int:
    return zlib.crc32(session.id.encode())


OpenSession.__hash__ = _hashed  # type: ignore[method-assign]


class Ids:
    """Identifiers in ascending order over a whole simulation."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, prefix: str) -> str:
        self._count += 1
        return id_of(prefix, unix_ms=1_700_000_000_000, randomness=self._count.to_bytes(10, "big"))


class Inline:
    """Takes the place of the threads: there is one."""

    def turn(self) -> Any:
        """Return what runs a function at once."""

        async def run(function: Callable[..., Any], *args: Any) -> Any:
            return function(*args)

        return run

    def close(self) -> None:
        """Do nothing."""


class Client:
    """A client's connection, as the pump sees it: it takes bytes at its own pace, stops for a while, or goes away."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance
        self._listener: Callable[[], None] = lambda: None
        self._rate = chance.choice((20_000, 200_000, 5_000_000))
        self.is_lost = False
        self.queued_bytes = 0
        self._stalled = False

    @property
    def is_writable(self) -> bool:
        """Whether its buffers have room."""
        return self.queued_bytes < 16_384 and not self.is_lost

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when something changes."""
        self._listener = listener

    def take(self, size: int) -> None:
        """Take bytes that were handed over."""
        self.queued_bytes += size
        if not self._stalled:
            self._loop.call_later(size / self._rate, self._drain, size)

    def stall(self, seconds: float) -> None:
        """Read nothing for a while."""
        self._stalled = True
        self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._stalled = False
        self._drain(self.queued_bytes)

    def _drain(self, size: int) -> None:
        if not self._stalled:
            self.queued_bytes = max(0, self.queued_bytes - size)
            self._listener()

    def vanish(self) -> None:
        """Go away without a word."""
        self.is_lost = True
        self._listener()

    reset = vanish
    close = vanish


class Channel:
    """Where lines leave: each slice is judged at the instant at which it is handed over."""

    def __init__(self, client: Client, judge: Judge, gateway: SimGateway) -> None:
        self.connection: Any = client
        self._judge = judge
        self._gateway = gateway
        self.session = ""
        self.grant = GrantId("")
        self.first_ns: int | None = None

    @property
    def is_writable(self) -> bool:
        """Whether the client takes bytes now."""
        return bool(self.connection.is_writable)

    ending = None

    def beat(self, boot_ns: int, *, between_records: bool) -> int:
        """Need nothing."""
        del between_records
        return boot_ns + 1_000_000_000

    async def begin(self) -> None:
        """Write a head, which holds no line."""

    async def write(self, content: bytes) -> None:
        """Hand bytes over."""
        self.connection.take(len(content))
        if content.startswith(b"gap"):
            return
        if self.first_ns is None:
            self.first_ns = self._judge.loop.now_ns
        self._judge.handed(self.session, self.grant, content, self._gateway.name)

    async def end(self, content: bytes, why: CloseWhy, text: str) -> None:
        """Write an end, which holds no line."""


class Encoder:
    """Writes what stands around lines."""

    ends_early = True

    def gap(self, lines: int | None) -> bytes:
        """Write a gap."""
        return b"gap %d\n" % (lines or 0)

    def end(self, reason: str, lines: int, places: object) -> bytes:
        """Write an end."""
        del lines, places
        return reason.encode()


class Source:
    """Lines that come: one by one, in bursts, some of them longer than a slice; without end where it is followed."""

    is_exhausted = False

    def __init__(self, chance: random.Random, *, follow: bool) -> None:
        self.follow = follow
        self._chance = chance

    async def batches(self, _in_pool: object) -> AsyncGenerator[Sequence[Item], None]:
        """Yield lines."""
        chance, left = self._chance, self._chance.randrange(1, 40)
        while self.follow or left > 0:
            left -= 1
            await asyncio.sleep(chance.choice((0.001, 0.02, 0.1, 0.4)))
            count = chance.choice((1, 1, 3, 20, 300))
            yield [self._item() for _ in range(count)]

    def _item(self) -> Item:
        size = 9_000 if self._chance.random() < 0.004 else self._chance.randrange(40, 220)
        return Item(b"L" + b"x" * (size - 2) + b"\n", 1, LABELS, b"", ())


class SimGateway:
    """One server, which may crash and start again; its name, its journal and its machine's clocks stay."""

    def __init__(
        self, name: str, *, database: SimDatabase, judge: Judge, ids: Ids, seed: str, loop: VirtualLoop
    ) -> None:
        self.name = name
        self.loop = loop
        self.chance = random.Random(f"{seed}/{name}")  # noqa: S311 - the same in every run
        self.database = database
        self.judge = judge
        self.clock = MachineClock(loop, booted_ns=self.chance.randrange(10**12))
        self.link = Link(self.chance, database)
        self.lease_link = Link(self.chance, database)
        self.ids = ids
        self.journal: set[GrantId] = set()
        self.starts = 0
        self.is_ready = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.clients: list[Client] = []
        self._life: asyncio.Task[None] | None = None

    # Its life.

    def start(self) -> None:
        """Begin a run, unless one goes on; it goes on until the server crashes."""
        if self._life is None:
            self._life = self.loop.create_task(self._run())

    def crash(self) -> None:
        """Stop without a word."""
        if self._life is not None:
            self._life.cancel()
            self._life = None
        self._let_go()

    async def _run(self) -> None:
        while True:
            self.starts += 1
            self.link.term = self.lease_link.term = self.database.term
            told = DatabaseClock(self.clock)
            self.steady = steady(told)
            self.store = SimStore(self.link, self.lease_link, told, lambda: self.judge.renewed(self.name))
            self.log = SimLog(self.link, told)
            self.watch = self.make_watch()
            self.log.watch = self.watch
            self.sessions = self._sessions()
            with contextlib.suppress(AuditUnavailable, StoreUnavailable, TimeoutError):
                async with asyncio.timeout(10):
                    await self._begin()
                self.is_ready = True
                await self._serve()
            self._let_go()
            await asyncio.sleep(0.2)

    def _let_go(self) -> None:
        """Leave what a run had under way, as a process that ends does; what is on its way to the database goes on."""
        self.is_ready = False
        if hasattr(self, "sessions"):
            self.sessions.later = _never  # type: ignore[method-assign]
            self.tasks |= self.sessions._behind
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()
        for client in self.clients:
            client.is_lost = True
        self.clients.clear()
        self.judge.crashed(self.name)

    def make_watch(self) -> Watch:
        """Return the watch of a run; planted faults change it."""
        return Watch(self.store, self.steady, self.chance.randbytes)

    def _sessions(self) -> Sessions:
        async def nobody(_token: str, _address: str) -> Caller:
            raise AssertionError

        made = services(
            log=self.log,
            store=self.store,
            watch=self.watch,
            clock=self.steady,
            authenticate=nobody,
            reader_of=lambda _: Any,
            redactor_of=lambda _: Any,
        )
        made = replace(made, new_id=self.ids, random=self.chance.randbytes, replica=self.name)
        sessions = Sessions(made, SETTINGS, _NoIndex())
        sessions._turns = Inline()
        return sessions

    async def _begin(self) -> None:
        """Do what a start does before anything is served."""
        await replicas.wait_for_place(self.name, store=self.store, clock=self.steady)
        run = Run(self.name, str(self.starts))
        await self._record_start(run)
        self.watch.run_of = run
        await recover_sessions(log=self.log, new_id=self.ids, own=self.name)
        await self.watch.poll()

    async def _record_start(self, run: Run) -> None:
        """Record that a run begins; in another database than the log went on in with a new epoch and the journal."""
        term = self.database.term

        def work(tx: Any, now: Instant) -> Recorded[None]:
            if tx.values.find("term") not in (None, str(term)):
                tx.state.epoch += 1
            tx.values.put("term", str(term))
            entries: list[Draft] = []
            for name in sorted(self.journal):
                grant = tx.grants.find(name)
                if grant is not None and grant.is_live(now):
                    entries += revoked(tx, grant, now, self.ids)
            replicas.begun(tx, run, now)
            return Recorded(None, tuple(entries))

        await self.log.commit(work)

    async def _serve(self) -> None:
        doubts = ClockRecorder(log=self.log, watch=self.watch, replica=self.name, new_id=self.ids)
        loops = [asyncio.create_task(self.watch.run()), asyncio.create_task(self._sweep(doubts))]
        try:
            await self.watch.gone.wait()
        finally:
            for task in loops:
                task.cancel()

    async def _sweep(self, doubts: ClockRecorder) -> None:
        """Write down what is already true, now and then: doubts, and servers that are gone with their sessions."""
        while True:
            await asyncio.sleep(0.5)
            with contextlib.suppress(AuditUnavailable, StoreUnavailable):
                await doubts.step()
                await replicas.give_up_silent(log=self.log, store=self.store, watch=self.watch, new_id=self.ids)
                await recover_sessions(log=self.log, new_id=self.ids)

    # What it is asked for.

    def open(self, who: Principal, grant: GrantId, *, follow: bool, stalls: float = 0.0) -> Channel:
        """Have a client ask for lines."""
        chance = random.Random(self.chance.random())  # noqa: S311
        client = Client(self.loop, chance)
        if stalls:
            client.stall(stalls)
        channel = Channel(client, self.judge, self)
        channel.grant = grant
        self.clients.append(client)
        self.run(self._served(who, grant, channel, chance, follow=follow))
        return channel

    def run(self, work: Any) -> None:
        """Do something until the server crashes."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.judge.failed(error)

    async def _served(
        self, who: Principal, name: GrantId, channel: Channel, chance: random.Random, *, follow: bool
    ) -> None:
        caller = Caller(principal=who, channel=None, signed_in_at=None)  # type: ignore[arg-type]

        def prepare(means: Sequence[Means]) -> Prepared:
            channel.session = means[0].opened.session.id
            return Prepared(Source(chance, follow=follow), Encoder())

        asked = Asked(
            kind=SessionKind.TAIL if follow else SessionKind.QUERY,
            front=Front.PLAIN,
            query="{}",
            interval=Interval(0, None),
            limit=None,
            check=lambda _: None,
            prepare=prepare,
        )
        sessions = self.sessions
        try:
            async with asyncio.timeout(5):
                grant: Grant | None = await self.store.read(lambda tx: tx.grants.find(name))
            if grant is not None and grant.state in (GrantState.SCHEDULED, GrantState.ACTIVE):
                await sessions.serve([grant], asked, caller=caller, channel=channel)
        except (LogLeaseError, TimeoutError) as error:
            self.judge.refused(type(error).__name__)


def _never(work: Any) -> None:
    work.close()


def revoked(tx: Any, grant: Grant, now: Instant, ids: Ids) -> tuple[Draft, ...]:
    """Revoke a grant."""
    tx.grants.update(move(grant, GrantMove.REVOKE, by=grant.holder, now=now, reason="over"))
    return (Draft(id=EntryId(ids(ENTRY)), type="grant.revoked", actor="somebody", ref={"grant": grant.id}),)


class _NoIndex:
    """Remembers nothing of grants."""

    def kept(self, _principal: object) -> None:
        return None
