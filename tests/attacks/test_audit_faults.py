"""Recording fails while lines flow, in every way and at any moment: no byte is served that no durable record covers.

A round is a server with nine clients over real sockets. Faults come one after the other, each while lines flow; then
the log is tampered with, which only a new start heals. Half of the rounds acknowledge only what is signed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from urllib.parse import urlencode

import pytest
from tests.audit.signing import KEY, UNGUARDED
from tests.fakes.audit_faults import REFUSING, Fault, Faults, FaultySigner
from tests.fakes.judge import DurableRecord, Judge, judged_protocol
from tests.fakes.vault import fake_vault
from tests.gateway.world import (
    T0,
    TOKEN,
    ListReader,
    ShiftedClock,
    Tail,
    World,
    answer_of,
    call,
    eventually,
    line,
    request_bytes,
    world,
)
from tests.store.fixtures import raw
from tests.volume import volume

from loglease.access.reassert import reassert
from loglease.audit.checking import Tampered
from loglease.audit.integrator import EMPTY, Integrator
from loglease.audit.sequencer import Sequencer
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.server.clock import SystemNewId, system_random
from loglease.server.publishing import Alarm
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite import SqliteStore

FAULTS = int(os.environ.get("AUDIT_FAULTS", volume(24, 60)))
"""How many faults happen while lines flow, over all rounds."""
SEED = int(os.environ.get("AUDIT_FAULTS_SEED", "5"))
PER_ROUND = volume(12, 30)

SECOND = 10**9
LINE, NAME = b"precious", b"jewel"
BOB = "llp_bob"
UNLIMITED = Limits(queries_per_min=10**9, tails=10**6)
WITHIN_S = 1.0
"""How long a commit may take; shorter than a real server's, so that more of them are too late."""
REPEATED = 6
"""How often a fault of one kind comes for one that is stuck, and takes so long."""

IN_ORDER = frozenset({"complete", "limit"})
FAILED = frozenset({"audit", "database"})
CODES = frozenset({"audit_unavailable", "audit_busy", "store_unavailable", "index_stale"})
CLOSES = {b"recording failed": "audit", b"database": "database"}
"""How a WebSocket says why."""
STORED = [line(T0 + n * SECOND, f"precious {n} " + "x" * 120, service="a", pod=f"jewel-{n % 40}") for n in range(400)]
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: " + base64.b64encode(b"k" * 16).decode(),
    "Sec-WebSocket-Version: 13",
)


@dataclass
class Client:
    """Somebody who asks the same thing again and again.

    Attributes:
        query: path behind the grant's.
        ends: why its answers ended; those that are reset say nothing.
        whole: answers that came to their end in order, and for which all went well from their beginning.
    """

    made: World
    judge: Judge
    grant: Grant
    token: str
    query: str
    mark: bytes = LINE
    headers: tuple[str, ...] = ("Connection: close",)
    ends: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    whole: int = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            if not await self.ask():
                await asyncio.sleep(0.02)

    async def ask(self) -> bool:
        """Ask once; say whether there was an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.made.port)
        port = writer.get_extra_info("sockname")[1]
        exchange = self.judge.begins(port, self.grant.id, self.mark)
        recoveries, got = self.judge.recoveries, b""
        try:
            writer.write(request_bytes(f"/g/{self.grant.id}{self.query}", self.token, *self.headers))
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65_536):
                    self.judge.arrived(exchange, chunk)
                    got += chunk
        finally:
            writer.transport.abort()
            self.judge.ends(port)
        end = self._note(got)
        self.whole += end in IN_ORDER and recoveries == self.judge.recoveries
        return not exchange.is_refused

    def _note(self, got: bytes) -> str | None:
        """Count how an answer ended, and return it; None where it was refused or there was none."""
        answer = answer_of(got)
        if answer.status == 503:
            self.refusals[_code_of(answer.body)] += 1
        if answer.status in (0, 503):
            return None
        if answer.status == 101:
            end = next((why for told, why in CLOSES.items() if told in got[-80:]), "reset")
        elif answer.status == 200:
            end = _end_of(answer.body, is_whole=answer.whole)
        else:
            end = f"{answer.status}: {answer.body.decode()}"
        self.ends[end] += 1
        return end


def _code_of(body: bytes) -> str:
    return body.partition(b":")[0].decode()


def _end_of(body: bytes, *, is_whole: bool) -> str:
    """Return the reason that a record gives; what has none is complete if it is whole."""
    _, found, rest = body.rpartition(b'"type":"end","reason":"')
    if found:
        return rest.partition(b'"')[0].decode()
    return "complete" if is_whole else "reset"


def loki(route: str, **parameters: object) -> str:
    return f"/loki/api/v1/{route}?{urlencode(parameters)}"


async def clients_of(made: World, judge: Judge) -> list[Client]:
    """Return people of both kinds at every front end."""
    span = {"start": T0, "end": T0 + 600 * SECOND}
    sse = ("Connection: close", "Accept: text/event-stream")
    numbers = "sum by (pod) (count_over_time({}[1h]))"
    asked: list[tuple[str, str, bytes, tuple[str, ...]]] = [
        ("src", "/logs?start=0&direction=forward&limit=600", LINE, ("Connection: close",)),
        ("src", "/logs?start=0&limit=300", LINE, sse),
        ("live", "/logs?start=0&follow=true", LINE, ("Connection: close",)),
        ("live", "/logs?start=0&follow=true", LINE, sse),
        ("live", loki("tail", query="{}", start=0, limit=50), LINE, WEBSOCKET),
        ("src", loki("query_range", query="{}", limit=400, **span), LINE, ("Connection: close",)),
        ("src", loki("query", query=numbers, time=T0 + 600 * SECOND), NAME, ("Connection: close",)),
        ("src", loki("label/pod/values", **span), NAME, ("Connection: close",)),
        ("src", loki("series", **{"match[]": "{}"}, **span), NAME, ("Connection: close",)),
    ]
    found = []
    for number, (source, query, mark, headers) in enumerate(asked):
        token, holder = (TOKEN, made.alice) if number % 2 else (BOB, made.bob)
        grant = await made.grant(source=source, limits=UNLIMITED, holder=holder)
        found.append(Client(made, judge, grant, token, query, mark, headers))
    return found


@dataclass
class Round:
    """A server whose recording fails."""

    made: World
    faults: Faults
    integrator: Integrator
    judge: Judge
    random: Random
    clients: list[Client]
    is_published: bool
    happened: Counter[Fault | str] = field(default_factory=Counter)
    revoked: int = 0
    probed: int = 0

    @property
    def whole(self) -> int:
        return sum(one.whole for one in self.clients)

    def kinds(self) -> list[Fault]:
        often = [one for one in Fault if one not in (Fault.STUCK, Fault.UNSIGNED)] * REPEATED
        return [*often, Fault.STUCK, *([Fault.UNSIGNED] * REPEATED if self.is_published else [])]

    async def meet(self, fault: Fault) -> bool:
        """Let a fault happen while lines flow, and go on; say whether it did."""
        items = self.judge.items
        await eventually(lambda: self.judge.items > items and self.judge.flows, 30)
        victim = await self._victim() if fault in REFUSING and self.random.random() < 0.15 else None
        await asyncio.sleep(self.random.random() * 0.02)
        flowed = False

        def hit() -> None:
            nonlocal flowed
            flowed = flowed or (self.faults.hits == 1 and self.judge.flows)

        self.faults.on_hit = hit
        self.faults.begin(fault)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: self.faults.hits > 0, 2)
        if fault in REFUSING and self.faults.hits:
            if self.random.random() < 0.2:
                await self._all_are_refused_alike()
            if victim is not None:
                await self._cut(*victim)
            await asyncio.sleep(self.random.random() * 0.1)
        self.faults.end()
        await self._recovers()
        self.happened[fault] += flowed
        return flowed

    async def _victim(self) -> tuple[Grant, Tail]:
        """Return a tail that is silent, so that no fault ends it."""
        grant = await self.made.grant(source="quiet")
        tail = await Tail.open(self.made, f"/g/{grant.id}/logs?follow=true&start=0")
        assert (await tail.next())["type"] == "line"
        return grant, tail

    async def _cut(self, grant: Grant, tail: Tail) -> None:
        """Revoke what is served, although that cannot be recorded."""
        with contextlib.suppress(StoreUnavailable):
            await self.made.revoke(grant)
        end = (await tail.rest()).end
        # A second reservation for its one line may be under way where the first one took long.
        assert end in {"revoked", *FAILED}
        self.revoked += end == "revoked"
        assert (await call(self.made, f"/g/{grant.id}/logs?start=0")).status in (403, 503)

    async def _all_are_refused_alike(self) -> None:
        paths = ["/logs?start=0", loki("query_range", query="{}", start=0), loki("labels")]
        bodies: dict[str, set[bytes]] = {}
        for client in (self.clients[0], self.clients[1]):
            for path in paths:
                answer = await call(self.made, f"/g/{client.grant.id}{path}", client.token)
                assert answer.status == 503, answer.raw
                assert LINE not in answer.raw
                bodies.setdefault(_code_of(answer.body), set()).add(answer.body)
        assert all(len(same) == 1 for same in bodies.values()), bodies
        self.probed += 1

    async def _recovers(self) -> None:
        """Wait until somebody gets a whole answer again, without a restart; late revocations come first."""
        made = self.made
        while made.watch.unrecorded:
            with contextlib.suppress(LogLeaseError):
                await reassert(made.journal, log=made.log, watch=made.watch, new_id=SystemNewId(), random=system_random)
        self.judge.recoveries += 1
        whole = self.whole
        await eventually(lambda: self.whole > whole, 30)

    async def tamper(self) -> None:
        """Change what was signed, as a foreign hand does: all sessions end and nothing new is served."""
        await eventually(lambda: self.judge.flows and self.integrator.head is not None, 30)
        # Again, since a head that is being signed at this moment goes on from the one before it as it was read.
        while self.integrator.fault is None:
            raw(self.made.store, *UNGUARDED, "UPDATE checkpoints SET note = x'00'")
            await asyncio.sleep(0.05)
        await eventually(lambda: not self.made.gateway.open_sessions, 30)
        self.happened["tampered"] += 1
        await self._all_are_refused_alike()


@asynccontextmanager
async def round_of(directory: Path, random: Random, *, is_published: bool) -> AsyncIterator[Round]:
    parts: list[tuple[Faults, Integrator, Sequencer]] = []
    judges: list[Judge] = []
    signer = FaultySigner(KEY)

    def log_of(store: SqliteStore, clock: ShiftedClock) -> Sequencer:
        faults, integrator = Faults(store, random), Integrator(store, [signer])
        integrator.begin(EMPTY, None)
        covered = integrator.covered if is_published else None
        log = Sequencer(faults, clock, fake_vault(), limit_s=WITHIN_S, covered=covered)
        parts.append((faults, integrator, log))
        return log

    protocol = judged_protocol(lambda: judges[0] if judges else None)
    async with world(directory, lines=STORED, log_of=log_of, protocol=protocol) as made:
        [(faults, integrator, log)] = parts
        signer.faults = faults
        alarm = Alarm(log=log, watch=made.watch, new_id=SystemNewId())
        integrator.on_tampered(alarm)
        made.more_readers["live"] = ListReader(STORED[:50])
        made.more_readers["quiet"] = ListReader([line(T0, "quiet", service="a")])
        record = DurableRecord(made.store.path, is_signed=is_published)
        judges.append(Judge(record))
        clients = await clients_of(made, judges[0])
        made.log.commit = faults.entrance(made.log.commit)  # type: ignore[method-assign]
        faults.listen()
        running = [asyncio.create_task(one) for one in (_signing(integrator), _feeding(made.more_readers["live"]))]
        running += [asyncio.create_task(one.run()) for one in clients]
        try:
            yield Round(made, faults, integrator, judges[0], random, clients, is_published)
            assert not [one for one in running if one.done() and one.exception()], "a client failed"
        finally:
            faults.end()
            faults.leave()
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await alarm.aclose()
            await integrator.aclose()
            record.close()


async def _signing(integrator: Integrator) -> None:
    """Sign again and again, whatever fails, until the log turns out to be another one."""
    while True:
        try:
            await integrator.run(0.05)
        except Tampered:
            return
        except (StoreUnavailable, OSError):
            await asyncio.sleep(0.01)


async def _feeding(reader: ListReader) -> None:
    for number in count():
        reader.add(line(T0 + 10_000 * SECOND + number, f"precious live {number} " + "y" * 100, service="a"))
        await asyncio.sleep(0.02)


async def settled(one: Round) -> None:
    """Check that what the closed sessions of each grant say was handed over is what was."""
    for client in one.clients:
        assert not set(client.ends) - IN_ORDER - FAILED - {"reset"}, client.ends
        assert set(client.refusals) <= CODES, client.refusals
    record = DurableRecord(one.made.store.path)

    def all_are_closed() -> bool:
        record.look()
        return all(found.closed is not None for found in record.sessions.values())

    await eventually(all_are_closed, 30)
    for client in one.clients:
        own = [record.sessions[name] for name in record.opened[client.grant.id]]
        total = sum(found.closed["total"]["lines"] for found in own if found.closed)
        assert total == sum(made.handed.items for made in one.judge.all if made.grant == client.grant.id)
    whys = {found.closed["why"] for found in record.sessions.values() if found.closed}
    record.close()
    # The client of a WebSocket answers no pings, and what loses only an answer ends nobody, so one may last so long.
    assert whys <= {*IN_ORDER, *FAILED, "client", "revoked", "idle"}, whys


def told(one: Round, number: int) -> str:
    """Return what happened in a round."""
    judge = one.judge
    said = {str(kind): times for kind, times in one.happened.items() if times}
    refused = sum((client.refusals for client in one.clients), Counter[str]())
    ends = sum((client.ends for client in one.clients), Counter[str]())
    return (
        f"AUDIT_FAULTS_SEED={SEED}, round {number}: {one.happened.total()} faults while lines flowed {said}; "
        f"{judge.items} items handed over, {judge.looks} looks, {len(judge.violations)} violations; "
        f"refused {dict(refused)}, ended {dict(ends)}; "
        f"{one.revoked} revocations cut in an outage, all refused alike {one.probed} times"
    )


def rounds() -> list[tuple[int, bool]]:
    return [(number, number % 2 == 1) for number in range(-(-FAULTS // PER_ROUND))]


@pytest.mark.volume
@pytest.mark.attack("AD-02", "FT-02")
@pytest.mark.parametrize(("number", "is_published"), rounds())
async def test_no_byte_is_served_without_a_durable_record(tmp_path: Path, number: int, is_published: bool) -> None:
    random = Random(SEED + number)  # noqa: S311 - drawn again from the same seed, nothing secret
    wanted = min(PER_ROUND, FAULTS - number * PER_ROUND)
    async with round_of(tmp_path, random, is_published=is_published) as one:
        kinds = one.kinds()
        while one.happened.total() < wanted - 1:
            await one.meet(random.choice(kinds))
        await one.tamper()
        await settled(one)
        judge = one.judge
        print(told(one, number))  # noqa: T201 - pytest shows it with -s, and when it fails
        assert not judge.violations, judge.violations[:10]
        assert one.happened.total() >= wanted
        assert any(client.refusals for client in one.clients)
        assert any(client.ends["audit"] for client in one.clients)


async def test_the_judge_sees_what_is_served_too_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that hands over whatever it has is found out."""
    monkeypatch.setattr("loglease.gateway.session.may_serve", lambda *_, **__: None)
    random = Random(SEED)  # noqa: S311 - drawn again from the same seed, nothing secret
    async with round_of(tmp_path, random, is_published=False) as one:
        await eventually(lambda: bool(one.judge.violations), 30)
