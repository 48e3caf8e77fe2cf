"""A gateway with real store, log and use cases, built by hand for measurements: no policy, grants are inserted."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from loglease.access.caller import Caller
from loglease.access.journal import Journal
from loglease.access.refusals import Refusals
from loglease.access.revoke import revoke
from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.audit.sequencer import Sequencer
from loglease.gateway import Gateway, GatewaySettings, Services, SessionProtocol
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockOn
from loglease.model.ids import GrantId, PersonId, PrincipalId, RequestId, SubjectId, id_of
from loglease.model.instant import EventWindow, Instant, after
from loglease.model.limits import Limits
from loglease.model.offer import Offer, Outcome, Plan, Shape, Terms
from loglease.model.principal import Kind, Principal, Role
from loglease.model.review import Channel
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Redactor, redactor_for
from loglease.server.clock import SystemClock, SystemNewId, system_random
from loglease.server.problems import kind_of, retry_after_s
from loglease.sources.interface import Reader
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore, open_store

TOKEN = "llp_bench"  # noqa: S105 - made up, and the stack takes any
_numbers = itertools.count(1)


class OpenRules:
    """Rules that ask for nothing."""

    bundle_sha256 = "0" * 64
    revision = 1
    profile_digests: dict[str, str] = {}  # noqa: RUF012 - a stand-in, never changed

    def final_terms(self, _point: object, _request: object, terms: Terms, *_rest: object) -> Terms:
        """Return the terms as they are."""
        return terms


def _made(prefix: str) -> str:
    return id_of(
        prefix,
        unix_ms=time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000,
        randomness=next(_numbers).to_bytes(10, "big"),
    )


@dataclass
class Stack:
    """What a benchmark does with it."""

    port: int
    gateway: Gateway
    log: Sequencer[Transaction]
    store: SqliteStore
    watch: Watch
    journal: Journal
    clock: SystemClock
    person: Principal
    caller: Caller

    async def grant(self, selector: str, *, profile: str, limits: Limits | None = None) -> Grant:
        """Insert an active grant of one hour over all event times."""
        now = self.clock.now()
        scope = Scope(source="src", selector=parse_selector(selector), window=EventWindow(0, None), profile=profile)
        terms = Terms(scopes=(scope,), duration_s=3_600, limits=limits or Limits())
        shape = Shape(activate_within_s=3_600, review_within_s=3_600)
        request = _request(self.person, terms, shape, now)
        grant = Grant(
            id=GrantId(_made("grt")),
            request=request.id,
            holder=self.person.id,
            policy="bench",
            basis=Outcome.AUTO,
            reviews=(),
            terms=terms,
            shape=shape,
            digest=request.digest,
            scheduled_at=now,
            activate_by=after(now, 3_600),
            key_salt=b"s" * 32,
            epoch=self.watch.epoch,
            state=GrantState.ACTIVE,
            valid_from=now,
            valid_until=after(now, 3_600),
        )

        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            tx.requests.insert(request)
            tx.grants.insert(grant)
            return Recorded(None)

        await self.log.commit(work)
        return grant

    async def revoke(self, on: LockOn) -> None:
        """Take grants away, as the REST API does."""
        await revoke(
            on,
            reason="bench",
            caller=self.caller,
            log=self.log,
            store=self.store,
            watch=self.watch,
            journal=self.journal,
            clock=self.clock,
            new_id=SystemNewId(),
            random=system_random,
        )


def _request(person: Principal, terms: Terms, shape: Shape, now: Instant) -> AccessRequest:
    offer = Offer(
        number=1,
        policy="bench",
        rule="auto",
        outcome=Outcome.AUTO,
        plans=(Plan("bench", ()),),
        terms=terms,
        shape=shape,
        bundle_sha256="0" * 64,
        revision=1,
    )
    return AccessRequest(
        id=RequestId(_made("req")),
        requester=person.id,
        subject=person.subject,
        persons=person.persons,
        wish=Wish(scopes=terms.scopes, reason="a measurement"),
        offer=offer,
        eligible=frozenset(),
        terms_bytes=b"{}",
        digest="0" * 64,
        private={},
        submitted_at=now,
        expires_at=after(now, 3_600),
        state=RequestState.APPROVED,
        decided_at=now,
        decided_by=person.id,
    )


@asynccontextmanager
async def stack(
    directory: Path,
    reader: Reader,
    *,
    settings: GatewaySettings | None = None,
    protocol: type[SessionProtocol] = SessionProtocol,
) -> AsyncIterator[Stack]:
    """Serve a gateway on a port of this machine, in this process and loop."""
    clock = SystemClock()
    store = open_store(directory / "data" / "loglease.sqlite3", clock=clock)
    log: Sequencer[Transaction] = Sequencer(store, clock)
    watch = Watch(store, clock, system_random)
    log.on_committed(watch.committed)
    await watch.poll()
    person = _person()
    redactors: dict[str, Redactor] = {}

    def redactor_of(grant: Grant) -> Redactor:
        profile = grant.terms.scopes[0].profile or "raw@1"
        if profile not in redactors:
            keys = Keys.derived(b"k" * 32, salt=grant.key_salt, grant_id="bench")
            redactors[profile] = redactor_for([profile], keys=keys, marker=b"m" * 32)
        return redactors[profile]

    caller = Caller(principal=person, channel=Channel.API, signed_in_at=clock.now())

    async def authenticate(_token: str, _address: str) -> Caller:
        return caller

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.principals.insert(person)
        return Recorded(None)

    await log.commit(work)
    rules: Callable[[], Any] = OpenRules
    gateway = Gateway(
        Services(
            log=log,
            store=store,
            watch=watch,
            clock=clock,
            new_id=SystemNewId(),
            random=system_random,
            rules=rules,
            authenticate=authenticate,
            reader_of=lambda _: reader,
            redactor_of=redactor_of,
            status_of=lambda error: kind_of(error).status,
            retry_after_s=retry_after_s,
            refusals=Refusals(SystemNewId()),
            resume_key=b"r" * 32,
            replica="bench",
        ),
        settings,
    )
    config = uvicorn.Config(gateway, http=protocol, lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0, backlog=4_096
    )
    polling = asyncio.create_task(watch.run())
    made = Stack(
        port=server.sockets[0].getsockname()[1],
        gateway=gateway,
        log=log,
        store=store,
        watch=watch,
        journal=Journal.open(directory / "data" / "journal"),
        clock=clock,
        person=person,
        caller=caller,
    )
    try:
        yield made
    finally:
        server.close()
        await gateway.drain(within_s=5)
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling
        gateway.close()
        await log.aclose()
        store.close()


def _person() -> Principal:
    return Principal(
        id=PrincipalId(_made("prn")),
        issuer="local",
        account="bench",
        kind=Kind.HUMAN,
        person=PersonId(_made("per")),
        subject=SubjectId(_made("sub")),
        name="bench",
        email="bench@example.com",
        roles=frozenset({Role.ADMIN}),
    )


def request_bytes(path: str) -> bytes:
    """Return a call as a client sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
