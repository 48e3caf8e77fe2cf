"""A gateway without a socket: the real connection, routes, sessions and use cases, and a wire that keeps what is written.

Every call meets the same world: a clock that stands still, the same ids, and tables as they were before the first. So
two answers can differ only where the logs do. The tables are dictionaries, and evaluation runs where it is asked for
instead of in a thread, so that there can be hundreds of calls a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from tests.fakes.clock import FakeClock, FakeIds, FakeRandom
from tests.fakes.gateway import MARKER, MASTER, insert_grant, principal, services
from tests.gateway.world import Line, page_of
from tests.promises.twin_logs import twin_pseudonym
from uvicorn.server import ServerState

from loglease.access.caller import Caller
from loglease.access.watch import Watch
from loglease.gateway import Gateway, GatewaySettings, SessionProtocol
from loglease.gateway.errors import NotAuthenticated
from loglease.model.grant import Grant, Usage
from loglease.model.instant import Instant
from loglease.model.labels import Labels
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.review import Channel
from loglease.model.scope import Scope
from loglease.model.session import Account
from loglease.redaction import Keys, Redactor, redactor_for
from loglease.sources.interface import Capabilities, Direction, Health, Page, ReadPlan
from loglease.store.sessions_interface import InUse

NOW = Instant(1_800_000_000_000_000)
NOW_NS = NOW * 1_000
GENEROUS = Limits(queries_per_min=10**9, lines=10**12, bytes=10**15)
KEYS = Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt")
_WITHIN_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """How a source reads.

    Attributes:
        loose: it gives all it has, whatever it is asked for.
        exact: it looks for literals itself, and names no stream that has no line in the interval.
    """

    loose: bool = False
    exact: bool = False
    page_lines: int = 1_000


class Source:
    """A source of fixed lines; when followed, it ends behind the last.

    Args:
        lines: in the order in which they arrived.
    """

    def __init__(self, lines: Sequence[Line], reads: Reads) -> None:
        self._lines = lines
        # The order of a store that keeps its streams apart: hidden labels decide about lines of one time.
        self._stored = sorted(lines, key=lambda one: (one.ts, one.labels))
        self._reads = reads
        exact = reads.exact
        self.capabilities = Capabilities(
            backward=True, follow=True, exact_literal=exact, marks=exact, exact_series=exact
        )

    async def read(self, plan: ReadPlan) -> AsyncIterator[Page]:
        found = self._wanted(plan, self._stored)
        for page in self._pages(found[::-1] if plan.direction is Direction.BACKWARD else found):
            yield page

    async def follow(self, plan: ReadPlan) -> AsyncIterator[Page]:
        for page in self._pages(self._wanted(plan, self._lines)):
            yield page

    async def series(self, selector: Any, interval: Any) -> AsyncIterator[Labels]:
        exact = self._reads.exact
        has = [one.labels for one in self._lines if not exact or interval.holds(one.ts)]
        for labels in sorted(set(has)):
            if self._reads.loose or selector.matches(labels):
                yield labels

    async def labels(self, selector: Any, interval: Any) -> set[str]:
        return {name async for labels in self.series(selector, interval) for name, _ in labels}

    async def label_values(self, name: str, selector: Any, interval: Any) -> set[str]:
        return {value async for labels in self.series(selector, interval) for known, value in labels if known == name}

    async def check(self) -> Health:
        return Health(ok=True, detail="")

    async def aclose(self) -> None:
        return None

    def _wanted(self, plan: ReadPlan, lines: Sequence[Line]) -> list[Line]:
        if self._reads.exact and plan.literals:
            lines = [
                one
                for one in lines
                if all(part in one.text for part in plan.literals) or any(mark in one.text for mark in plan.marks)
            ]
        if self._reads.loose:
            return list(lines)
        return [one for one in lines if plan.selector.matches(one.labels) and plan.interval.holds(one.ts)]

    def _pages(self, lines: Sequence[Line]) -> list[Page]:
        size = self._reads.page_lines
        return [page_of(lines[at : at + size]) for at in range(0, len(lines), size)]


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a client sees: bytes, and whether they ended with a reset."""

    raw: bytes
    was_reset: bool

    @property
    def status(self) -> int:
        return int(self.raw[9:12])

    @property
    def body(self) -> bytes:
        """The body without the sizes of its chunks; only for looking into it, never for comparing."""
        head, _, rest = self.raw.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head:
            return rest
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body


@contextmanager
def in_memory(*settings: GatewaySettings) -> Iterator[InMemory]:
    """Run a gateway in this thread, without threads and waits; twins of pseudonyms show one token.

    Args:
        settings: one gateway for each, over the same grants; a call names its number.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loglease.redaction.edits.pseudonym", twin_pseudonym)
        patch.setattr("loglease.gateway.turns._Thread", AtOnce)
        patch.setattr("loglease.gateway.cut.LOOK_S", 0)
        made = InMemory(*settings)
        try:
            yield made
        finally:
            made.close()


class InMemory:
    """A gateway in this thread. Made by `in_memory`.

    Args:
        settings: one gateway for each, over the same grants; a call names its number.
    """

    def __init__(self, *settings: GatewaySettings) -> None:
        self.clock = FakeClock(NOW)
        self.source = Source((), Reads())
        self._run = asyncio.Runner()
        self._store = _Tables(self.clock)
        self._callers: dict[str, Caller] = {}
        self._redactors: dict[str, Redactor] = {}
        self._ids, self._random = FakeIds(self.clock), FakeRandom()
        self._gateways, self._configs = self._run.run(self._started(settings or (GatewaySettings(),)))

    async def _started(self, settings: Sequence[GatewaySettings]) -> tuple[list[Gateway], list[uvicorn.Config]]:
        store: Any = self._store
        watch = Watch(store, self.clock, self._random)
        await watch.poll()
        self._epoch = watch.epoch
        made = services(
            log=store,
            store=store,
            watch=watch,
            clock=self.clock,
            authenticate=self._authenticate,
            reader_of=lambda _: self.source,  # type: ignore[arg-type,return-value]
            redactor_of=lambda grant: self.redactor(grant.terms.scopes[0].profile or ""),
        )
        made = replace(made, new_id=self._new_id, random=self._random_bytes)
        gateways = [Gateway(made, one) for one in settings]
        configs = [
            uvicorn.Config(one, http=SessionProtocol, lifespan="off", log_config=None, access_log=False)
            for one in gateways
        ]
        for config in configs:
            config.load()
        return gateways, configs

    def _new_id(self, prefix: str) -> str:
        return self._ids(prefix)

    def _random_bytes(self, size: int) -> bytes:
        return self._random(size)

    def redactor(self, profile: str) -> Redactor:
        """Return the redactor of a profile; all grants have the same keys."""
        if profile not in self._redactors:
            self._redactors[profile] = redactor_for([profile], keys=KEYS, marker=MARKER)
        return self._redactors[profile]

    def holder(self, token: str, *scopes: tuple[Scope, Limits]) -> list[Grant]:
        """Make a principal with a token and active grants. To be called before the first call."""
        who = principal(token)
        self._callers[token] = Caller(principal=who, channel=Channel.API, signed_in_at=NOW)
        self._store.principals.insert(who)
        return [
            self._run.run(
                insert_grant(
                    self._store, who, Terms(scopes=(scope,), duration_s=600, limits=limits), now=NOW, epoch=self._epoch
                )
            )
            for scope, limits in scopes
        ]

    def answer(self, request: bytes, lines: Sequence[Line], reads: Reads, gateway: int = 0) -> Answer:
        """Send one request, which closes its connection, while the source has these lines."""
        self.source = Source(lines, reads)
        self._ids, self._random = FakeIds(self.clock), FakeRandom()
        return self._run.run(self._answer(request, gateway))

    async def _answer(self, request: bytes, gateway: int) -> Answer:
        try:
            protocol = SessionProtocol(config=self._configs[gateway], server_state=ServerState(), app_state={})
            wire = Wire(protocol)
            protocol.connection_made(wire)
            protocol.data_received(request)
            async with asyncio.timeout(_WITHIN_S):
                await wire.closed.wait()
                await self._gateways[gateway].settled()
            answer = Answer(bytes(wire.written), wire.was_reset)
            assert answer.status != 500, request  # it would be alike for all twins
            return answer
        finally:
            self._store.rewound()

    def close(self) -> None:
        """Let everything go."""
        for one in self._gateways:
            self._run.run(one.drain(0))
            one.close()
        self._run.close()

    async def _authenticate(self, token: str, _address: str) -> Caller:
        if token not in self._callers:
            raise NotAuthenticated("The token is not valid.", next_step="loglease login")
        return self._callers[token]


class Wire(asyncio.Transport):
    """The way to one client, who takes everything at once."""

    def __init__(self, protocol: SessionProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._closing = False
        self.written = bytearray()
        self.was_reset = False
        self.closed = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def write(self, data: Any) -> None:
        if not self._closing:
            self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.was_reset = self.was_reset or not self._closing
        self.close()

    def _lost(self) -> None:
        self._protocol.connection_lost(None)
        self.closed.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del high, low

    def pause_reading(self) -> None:
        """Do nothing: a request comes whole."""

    def resume_reading(self) -> None:
        """Do nothing."""


class _Tables:
    """`Store` and `EntryLog` of dictionaries, with what use cases of a gateway need; entries are made and dropped."""

    epoch = 1

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.principals = _Principals()
        self.requests = _Table()
        self.grants = _Grants()
        self.sessions = _Sessions(self)
        self.holds = SimpleNamespace(locks=lambda now: (), suspensions=lambda _: ())
        head = SimpleNamespace(last_at=Instant(0))
        self.entries = SimpleNamespace(size=lambda: 0, since=lambda *_, **__: (), head=lambda: head)
        self.values = SimpleNamespace(find=lambda _: None)

    def rewound(self) -> None:
        """Take back all that was written since grants were made."""
        self.sessions.rows.clear()
        self.grants.rows.update(self.grants.inserted)

    async def read(self, query: Callable[[Any], Any], *, urgent: bool = False) -> Any:
        del urgent
        return query(self)

    async def touch(self, run: object) -> Instant:
        return self._clock.now()

    async def commit(self, work: Callable[..., Any], *, urgent: bool = False, limit_s: float | None = None) -> Any:
        del urgent, limit_s
        return work(self, self._clock.now()).result


class _Table:
    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def insert(self, row: Any) -> None:
        self.rows[row.id] = row

    def update(self, row: Any) -> None:
        self.rows[row.id] = row

    def find(self, row_id: str) -> Any:
        return self.rows.get(row_id)


class _Principals(_Table):
    def directory(self) -> None:
        """Return nothing: the rules of these tests ask nobody."""


class _Grants(_Table):
    def __init__(self) -> None:
        super().__init__()
        self.inserted: dict[str, Grant] = {}

    def insert(self, row: Grant) -> None:
        super().insert(row)
        self.inserted[row.id] = row

    def spend(self, grant_id: str, *, lines: int, size: int, queries: int = 0) -> bool:
        grant: Grant = self.rows[grant_id]
        used, limits = grant.usage, grant.terms.limits
        usage = Usage(lines=used.lines + lines, bytes=used.bytes + size, queries=used.queries + queries)
        pairs = ((usage.lines, limits.lines), (usage.bytes, limits.bytes), (usage.queries, limits.queries))
        if any(most is not None and amount > most for amount, most in pairs):
            return False
        self.rows[grant_id] = replace(grant, usage=usage)
        return True

    def page(self, *, holder: str | None, **_: object) -> list[Grant]:
        return [grant for _, grant in sorted(self.rows.items(), reverse=True) if grant.holder == holder]


class _Sessions(_Table):
    def __init__(self, tables: _Tables) -> None:
        super().__init__()
        self._tables = tables

    def in_use(self, session_id: str, _: Instant) -> InUse | None:
        session = self.rows.get(session_id)
        if session is None:
            return None
        grant = self._tables.grants.rows[session.grant]
        holder = self._tables.principals.find(grant.holder)
        return InUse(session, grant, holder, self._tables.epoch, may_be_held=False)

    def update_account(self, session_id: str, account: Account) -> None:
        self.update(replace(self.rows[session_id], account=account))

    def opened_after(self, *_: object) -> int:
        return 0

    def of_grant(self, *_: object) -> tuple[()]:
        return ()

    def open_tails(self, _: object) -> int:
        return 0

    def has_unclosed(self, _: object) -> bool:
        return False

    def open_of(self, _: object) -> tuple[int, int]:
        return 0, 0


class AtOnce:
    """Does what it is given in the thread that gives it."""

    def begin(self, work: Callable[[], Any], _progress: object, told: Callable[..., None]) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            told(None, error)
        else:
            told(result, None)

    def end(self) -> None:
        """There is no thread to end."""

    def stop(self) -> None:
        """There is no thread to stop."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A request, as its parts."""

    path: str
    token: str
    headers: tuple[str, ...] = ()
    form: str | None = None

    @property
    def request(self) -> bytes:
        """The request as bytes."""
        body = None if self.form is None else self.form.encode()
        head = [f"{'GET' if body is None else 'POST'} {self.path} HTTP/1.1", "Host: x"]
        head += [f"Authorization: Bearer {self.token}", *self.headers]
        if not any(one.startswith("Connection:") for one in head):
            head.append("Connection: close")
        if body is not None:
            head += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + (body or b"")
