"""A gateway on a real socket, over the real store, log and use cases; only the source and the rules are made up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.fakes.database import open_database
from tests.fakes.gateway import MARKER, MASTER, insert_grant, listening, principal, services
from tests.fakes.vault import fake_vault

from loglease.access.caller import Caller
from loglease.access.journal import Journal
from loglease.access.revoke import revoke
from loglease.access.steady_clock import steady
from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.audit.sequencer import Sequencer
from loglease.gateway import Gateway, GatewaySettings, SessionProtocol
from loglease.gateway.errors import NotAuthenticated
from loglease.model.ack import Ack
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.instant import EventWindow, Instant
from loglease.model.labels import Labels, labels_of
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.principal import Principal
from loglease.model.review import Channel
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Redactor, Withheld, redactor_for
from loglease.server.clock import SystemClock, SystemNewId, system_random
from loglease.server.databases import Database
from loglease.sources.interface import Capabilities, Direction, Gap, Health, Metadata, Page, ReadPlan

TOKEN = "llp_test"
T0 = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Line:
    ts: int
    labels: Labels
    text: bytes
    metadata: Metadata | None = None


def line(ts: int, text: str | bytes, metadata: Metadata | None = None, **labels: str) -> Line:
    return Line(ts, labels_of(labels), text.encode() if isinstance(text, str) else text, metadata)


def page_of(lines: Sequence[Line]) -> Page:
    page = Page()
    numbers: dict[Labels, int] = {}
    for one in lines:
        if one.labels not in numbers:
            numbers[one.labels] = len(page.streams)
            page.streams.append(one.labels)
        page.stream.append(numbers[one.labels])
        page.ts.append(one.ts)
        page.lines.append(one.text)
        page.metadata.append(one.metadata)
    return page


class ListReader:
    """A source in memory. `loose` gives everything it has, whatever was asked for, but in order; `exact` knows literals."""

    def __init__(
        self, lines: Sequence[Line] = (), *, loose: bool = False, exact: bool = False, page_lines: int = 100
    ) -> None:
        self.lines = list(lines)
        self.loose = loose
        self.page_lines = page_lines
        self.capabilities = Capabilities(backward=True, follow=True, exact_literal=exact, marks=exact)
        self.failure: LogLeaseError | None = None
        self.fail_after = 0
        self.plans: list[ReadPlan] = []
        self._arrived = asyncio.Event()

    def add(self, *lines: Line) -> None:
        self.lines += lines
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def _wanted(self, plan: ReadPlan, lines: Sequence[Line]) -> list[Line]:
        return [one for one in lines if self._has_wanted_text(plan, one.text) and self._is_asked_for(plan, one)]

    def _is_asked_for(self, plan: ReadPlan, one: Line) -> bool:
        return self.loose or (plan.selector.matches(one.labels) and plan.interval.holds(one.ts))

    def _has_wanted_text(self, plan: ReadPlan, text: bytes) -> bool:
        if not self.capabilities.exact_literal:
            return True
        return all(one in text for one in plan.literals) or any(one in text for one in plan.marks)

    async def read(self, plan: ReadPlan) -> AsyncIterator[Page]:
        self.plans.append(plan)
        found = sorted(self._wanted(plan, self.lines), key=lambda one: one.ts)
        if plan.direction is Direction.BACKWARD:
            found.reverse()
        for number, start in enumerate(range(0, len(found), self.page_lines)):
            if self.failure is not None and number >= self.fail_after:
                raise self.failure
            yield page_of(found[start : start + self.page_lines])
            await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure

    async def follow(self, plan: ReadPlan) -> AsyncIterator[Page | Gap]:
        self.plans.append(plan)
        at = 0
        while True:
            arrived = self._arrived
            new, at = self.lines[at:], len(self.lines)
            if found := self._wanted(plan, new):
                yield page_of(found)
            await arrived.wait()

    async def series(self, selector: object, interval: object) -> AsyncIterator[Labels]:
        for labels in {one.labels for one in self.lines}:
            yield labels

    async def labels(self, selector: object, interval: object) -> set[str]:
        return set()

    async def label_values(self, name: str, selector: object, interval: object) -> set[str]:
        return set()

    async def check(self) -> Health:
        return Health(ok=True, detail="")

    async def aclose(self) -> None:
        return None


class SwitchedLog:
    """The log, which can be told to fail."""

    def __init__(self, log: Sequencer) -> None:
        self._log = log
        self.fail_with: Callable[[], Exception] | None = None
        self.allowed = 0

    async def commit(self, work, *, urgent: bool = False, limit_s: float | None = None):
        if self.fail_with is not None and not urgent:
            if self.allowed <= 0:
                raise self.fail_with()
            self.allowed -= 1
        return await self._log.commit(work, urgent=urgent, limit_s=limit_s)


class ShiftedClock:
    """The system's clock, which a test can set forward or stop."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._stopped: tuple[Instant, int] | None = None
        self.ahead_us = 0
        self.stepped_us = 0
        """By how much wall time alone is ahead."""

    def stop(self) -> None:
        self._stopped = self._clock.now(), self._clock.boot_ns()

    def now(self) -> Instant:
        now, _ = self._stopped or (self._clock.now(), 0)
        return Instant(now + self.ahead_us + self.stepped_us)

    def boot_ns(self) -> int:
        _, boot_ns = self._stopped or (0, self._clock.boot_ns())
        return boot_ns + self.ahead_us * 1_000


@dataclass
class World:
    """Everything a test needs to use, change and look at."""

    directory: Path
    store: Database
    log: SwitchedLog
    watch: Watch
    journal: Journal
    clock: ShiftedClock
    reader: ListReader
    more_readers: dict[str, ListReader]
    alice: Principal
    bob: Principal
    callers: dict[str, Caller] = field(default_factory=dict)
    gateway: Gateway = None  # type: ignore[assignment]
    port: int = 0
    profile: str = "raw@1"
    redactors: dict[str, Redactor] = field(default_factory=dict)
    redactor_failure: Exception | None = None
    withheld: list[Withheld] = field(default_factory=list)

    def redactor_of(self, grant: Grant) -> Redactor:
        if self.redactor_failure is not None:
            raise self.redactor_failure
        if grant.id not in self.redactors:
            keys = Keys.derived(MASTER, salt=grant.key_salt, grant_id=grant.id)
            self.redactors[grant.id] = redactor_for([grant.terms.scopes[0].profile or ""], keys=keys, marker=MARKER)
        return self.redactors[grant.id]

    async def authenticate(self, token: str, _address: str) -> Caller:
        if token not in self.callers:
            raise NotAuthenticated("The token is not valid.", next_step="loglease login")
        return self.callers[token]

    async def grant(
        self,
        selector: str = '{service="a"}',
        *,
        source: str = "src",
        start_ns: int = 0,
        end_ns: int | None = None,
        level: Level | None = None,
        contains: tuple[str, ...] = (),
        profile: str | None = None,
        limits: Limits | None = None,
        duration_s: int = 600,
        holder: Principal | None = None,
        state: GrantState = GrantState.ACTIVE,
        single_use: bool = False,
        ack: Ack = Ack.DURABLE,
        grant_id: str | None = None,
        key_salt: bytes = b"s" * 32,
    ) -> Grant:
        scope = Scope(
            source=source,
            selector=parse_selector(selector),
            window=EventWindow(start_ns, end_ns),
            level_from=level,
            contains=contains,
            profile=profile or self.profile,
        )
        return await insert_grant(
            self.log,
            holder or self.alice,
            Terms(scopes=(scope,), duration_s=duration_s, limits=limits or Limits()),
            now=self.clock.now(),
            epoch=self.watch.epoch,
            state=state,
            single_use=single_use,
            ack=ack,
            grant_id=grant_id,
            key_salt=key_salt,
        )

    async def revoke(self, grant: Grant) -> None:
        await revoke(
            LockOn(LockKind.GRANT, grant.id),
            reason="enough",
            caller=self.callers[TOKEN],
            log=self.log,
            store=self.store,
            watch=self.watch,
            journal=self.journal,
            clock=self.clock,
            new_id=SystemNewId(),
            random=system_random,
        )

    async def entries(self, kind: str) -> list[dict]:
        """Return the entries of a kind once no session is open."""
        await eventually(lambda: self.gateway.open_sessions == 0)
        await self.gateway.settled()
        found = await self.store.read(lambda tx: tx.entries.since(0, types=frozenset({kind})))
        return [json.loads(one.content) for one in found]

    async def stored_grant(self, grant: Grant) -> Grant:
        await eventually(lambda: self.gateway.open_sessions == 0)
        await self.gateway.settled()
        found = await self.store.read(lambda tx: tx.grants.find(grant.id))
        assert found is not None
        return found


@asynccontextmanager
async def world(
    directory: Path,
    *,
    settings: GatewaySettings | None = None,
    lines: Sequence[Line] = (),
    log_of: Callable[[Database, ShiftedClock], Sequencer] | None = None,
    protocol: type[asyncio.Protocol] = SessionProtocol,
    **reader: object,
) -> AsyncIterator[World]:
    """Serve a world.

    Args:
        log_of: makes the log; by default one that waits for a minute.
        protocol: of the listener.
    """
    machine = ShiftedClock()
    clock = steady(machine)
    path = directory / "data" / "loglease.sqlite3"
    store = open_database(path, clock)
    sequencer = Sequencer(store, clock, fake_vault(), limit_s=60) if log_of is None else log_of(store, clock)
    log = SwitchedLog(sequencer)
    watch = Watch(store, clock, system_random)
    sequencer.on_committed(watch.committed)
    await watch.poll()
    alice, bob = principal("alice"), principal("bob")

    def work(tx, _now):
        tx.principals.insert(alice)
        tx.principals.insert(bob)
        return Recorded(None)

    await log.commit(work)
    journal = Journal.open(directory / "data" / "journal")
    made = World(
        directory=directory,
        store=store,
        log=log,
        watch=watch,
        journal=journal,
        clock=machine,
        reader=ListReader(lines, **reader),
        more_readers={},
        alice=alice,
        bob=bob,
    )
    made.callers[TOKEN] = Caller(principal=alice, channel=Channel.API, signed_in_at=clock.now())
    made.callers["llp_bob"] = Caller(principal=bob, channel=Channel.API, signed_in_at=clock.now())
    made.gateway = Gateway(
        services(
            log=log,
            store=store,
            watch=watch,
            clock=clock,
            authenticate=made.authenticate,
            reader_of=lambda name: made.reader if name == "src" else made.more_readers.get(name),
            redactor_of=made.redactor_of,
            withheld=made.withheld.append,
        ),
        settings,
    )
    async with listening(made.gateway, protocol) as port:
        made.port = port
        polling = asyncio.create_task(watch.run())
        try:
            yield made
        finally:
            await made.gateway.drain(within_s=2)
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
            made.gateway.close()
            await sequencer.aclose()
            store.close()


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool
    raw: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def records(self) -> list[dict]:
        return [json.loads(one) for one in self.body.splitlines()]

    @property
    def lines(self) -> list[str]:
        return [one["line"] for one in self.records if one["type"] == "line"]

    @property
    def end(self) -> str | None:
        ends = [one["reason"] for one in self.records if one["type"] == "end"]
        return ends[0] if ends else None


def request_bytes(path: str, token: str | None = TOKEN, *more: str, method: str = "GET") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: x"]
    if token is not None:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*head, *more, "", ""]).encode()


async def call(world: World, path: str, token: str | None = TOKEN, *more: str, method: str = "GET") -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request_bytes(path, token, *more, method=method))
    raw = await asyncio.wait_for(_all_of(reader), 120)
    writer.close()
    return answer_of(raw)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the answer is whole or the connection ends."""
    raw = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            raw += chunk
            if (found := answer_of(raw)).whole and found.status:
                return raw
    return raw


def answer_of(raw: bytes) -> Answer:
    head, separator, rest = raw.partition(b"\r\n\r\n")
    if not separator:
        return Answer(0, [], b"", whole=False, raw=raw)
    first, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in fields)]
    status = int(first.split(" ")[1])
    if dict(headers).get("transfer-encoding") == "chunked":
        body, whole = dechunked(rest)
    else:
        length = int(dict(headers).get("content-length", "0"))
        body, whole = rest[:length], len(rest) >= length
    return Answer(status, headers, body, whole, raw)


def dechunked(raw: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        size, separator, rest = raw.partition(b"\r\n")
        if not separator:
            return body, False
        length = int(size, 16)
        if length == 0:
            return body, True
        if len(rest) < length + 2:
            return body + rest[:length], False
        body, raw = body + rest[:length], rest[length + 2 :]


class Tail:
    """A client that follows; records come as they arrive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._raw = b""
        self._seen = 0
        self.was_reset = False

    @classmethod
    async def open(cls, world: World, path: str, *more: str) -> Tail:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(request_bytes(path, TOKEN, *more))
        return cls(reader, writer)

    async def head(self) -> Answer:
        while b"\r\n\r\n" not in self._raw:
            self._raw += await asyncio.wait_for(self._reader.read(65536), 10)
        return answer_of(self._raw)

    async def next(self) -> dict:
        """Return the next record."""
        while True:
            found = answer_of(self._raw).body.split(b"\n")
            if len(found) - 1 > self._seen:
                self._seen += 1
                return json.loads(found[self._seen - 1])
            chunk = await asyncio.wait_for(self._reader.read(65536), 10)
            assert chunk, "the tail ended"
            self._raw += chunk

    async def more(self) -> bytes:
        """Return all that came, once there is more of it."""
        chunk = await asyncio.wait_for(self._reader.read(65536), 10)
        assert chunk, "the tail ended"
        self._raw += chunk
        return self._raw

    async def rest(self) -> Answer:
        """Read until the connection ends."""
        try:
            while chunk := await asyncio.wait_for(self._reader.read(65536), 10):
                self._raw += chunk
        except ConnectionError:
            self.was_reset = True
        self._writer.close()
        return answer_of(self._raw)

    def close(self) -> None:
        self._writer.close()


def stalled_client(world: World, path: str, *more: str) -> socket.socket:
    """Return a client with a small receive buffer that reads nothing by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", world.port))
    client.sendall(request_bytes(path, TOKEN, *more))
    client.setblocking(False)
    return client


async def eventually(condition: Callable[[], bool], within_s: float = 10) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        await asyncio.sleep(0.01)


__all__ = [
    "T0",
    "TOKEN",
    "Tail",
    "World",
    "call",
    "eventually",
    "line",
    "listening",
    "replace",
    "stalled_client",
    "world",
]
