"""A gateway with real store, log and use cases, built by hand for measurements: no policy, grants are inserted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.gateway import MARKER, MASTER, insert_grant, listening, principal, services

from loglease.access.caller import Caller
from loglease.access.journal import Journal
from loglease.access.revoke import revoke
from loglease.access.watch import Watch
from loglease.audit.interface import Recorded
from loglease.audit.privacy import Vault
from loglease.audit.sequencer import Sequencer
from loglease.gateway import Gateway, GatewaySettings, SessionProtocol
from loglease.model.grant import Grant
from loglease.model.hold import LockOn
from loglease.model.instant import EventWindow, Instant
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.principal import Principal, Role
from loglease.model.review import Channel
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Redactor, redactor_for
from loglease.server.clock import SystemClock, SystemNewId, system_random
from loglease.sources.interface import Reader
from loglease.store.interface import Transaction
from loglease.store.sqlite import SqliteStore, open_store

TOKEN = "llp_bench"  # noqa: S105 - made up, and the stack takes any


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
        scope = Scope(source="src", selector=parse_selector(selector), window=EventWindow(0, None), profile=profile)
        terms = Terms(scopes=(scope,), duration_s=3_600, limits=limits or Limits())
        return await insert_grant(self.log, self.person, terms, now=self.clock.now(), epoch=self.watch.epoch)

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


@asynccontextmanager
async def stack(
    directory: Path,
    reader: Reader,
    *,
    settings: GatewaySettings | None = None,
    protocol: type[SessionProtocol] = SessionProtocol,
) -> AsyncIterator[Stack]:
    """Serve a gateway on a port of this machine, in this process and loop."""
    sys.setswitchinterval(0.0005)  # as in the server's own process
    clock = SystemClock()
    store = open_store(directory / "data" / "loglease.sqlite3", clock=clock)
    log: Sequencer[Transaction] = Sequencer(store, clock, Vault(os.urandom(32), os.urandom))
    watch = Watch(store, clock, system_random)
    log.on_committed(watch.committed)
    await watch.poll()
    person = principal("bench", roles=frozenset({Role.ADMIN}))
    redactors: dict[str, Redactor] = {}

    def redactor_of(grant: Grant) -> Redactor:
        profile = grant.terms.scopes[0].profile or "raw@1"
        if profile not in redactors:
            keys = Keys.derived(MASTER, salt=grant.key_salt, grant_id="bench")
            redactors[profile] = redactor_for([profile], keys=keys, marker=MARKER)
        return redactors[profile]

    caller = Caller(principal=person, channel=Channel.API, signed_in_at=clock.now())

    async def authenticate(_token: str, _address: str) -> Caller:
        return caller

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.principals.insert(person)
        return Recorded(None)

    await log.commit(work)
    gateway = Gateway(
        services(
            log=log,
            store=store,
            watch=watch,
            clock=clock,
            authenticate=authenticate,
            reader_of=lambda _: reader,
            redactor_of=redactor_of,
        ),
        settings,
    )
    polling = asyncio.create_task(watch.run())
    try:
        async with listening(gateway, protocol, backlog=4_096) as port:
            try:
                yield Stack(
                    port=port,
                    gateway=gateway,
                    log=log,
                    store=store,
                    watch=watch,
                    journal=Journal.open(directory / "data" / "journal"),
                    clock=clock,
                    person=person,
                    caller=caller,
                )
            finally:
                await gateway.drain(within_s=5)
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling
        gateway.close()
        await log.aclose()
        store.close()


def request_bytes(path: str, *more: str) -> bytes:
    """Return a call as a client sends it."""
    head = [f"GET {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {TOKEN}", *more]
    return "\r\n".join([*head, "", ""]).encode()
