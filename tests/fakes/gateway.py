"""What a gateway needs around it, for tests and measurements: rules that ask for nothing, inserted grants, a socket."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType, SimpleNamespace
from typing import Any, Self

import uvicorn
from uvicorn.server import ServerState

from loglease.access.caller import Caller
from loglease.access.refusals import Refusals
from loglease.access.rules import Allowed
from loglease.access.watch import Watch
from loglease.audit.interface import Draft, Recorded
from loglease.gateway import Services, SessionProtocol
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.ack import Ack
from loglease.model.clock import Clock
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import EntryId, GrantId, PersonId, PrincipalId, RequestId, SubjectId, id_of
from loglease.model.instant import Instant, after, instant_text
from loglease.model.key_scope import KeyScope
from loglease.model.offer import Offer, Outcome, Plan, Shape, Terms
from loglease.model.principal import Kind, Principal, Role
from loglease.model.reveal import Reveal
from loglease.policy.profiles import ProfileInfo
from loglease.redaction import Redactor, Withheld
from loglease.server.clock import SystemNewId, system_random
from loglease.server.databases import Database
from loglease.server.problems import kind_of, retry_after_s
from loglease.sources.interface import Reader

# As in the tests of redaction: what an engine compiled with this mark for one of them serves the others, too.
MARKER = bytes(range(16))
MASTER = b"k" * 32


class OpenRules:
    """Rules that ask for nothing; policy has its own tests."""

    bundle_sha256 = "0" * 64
    revision = 1
    network: str | None = None
    profiles: MappingProxyType[str, ProfileInfo] = MappingProxyType({})
    profile_digests: MappingProxyType[str, str] = MappingProxyType({})
    bundle = SimpleNamespace(approver_sets=MappingProxyType({}), emergencies=(), policies=())

    def for_call(self, _caller: object) -> Self:
        return self

    def said(self, _requester: object, _now: object) -> dict[Any, Any]:
        return {}

    def satisfied(self, request: object, reviews: object, directory: object, now: object) -> tuple[()]:
        return ()

    def still_allowed(self, point: object, request: object, terms: Terms, *rest: object) -> Allowed:
        return Allowed(terms=terms, network_bound=False, pseudonyms=KeyScope.GRANT)

    def keeps(self, _grant: object) -> None:
        return None

    def usable(self, request: object, grant: Grant, directory: object, now: object) -> Grant:
        return grant.within(self.still_allowed(None, request, grant.terms, directory, now).terms)


_numbers = itertools.count(1)


def made_id(prefix: str) -> str:
    return id_of(prefix, unix_ms=1_700_000_000_000, randomness=next(_numbers).to_bytes(10, "big"))


def principal(name: str, groups: frozenset[str] = frozenset(), roles: frozenset[Role] = frozenset()) -> Principal:
    return Principal(
        id=PrincipalId(made_id("prn")),
        issuer="local",
        account=name,
        kind=Kind.HUMAN,
        person=PersonId(made_id("per")),
        subject=SubjectId(made_id("sub")),
        name=name,
        email=f"{name}@example.com",
        groups=groups,
        roles=roles,
    )


async def insert_grant(
    log: Any,
    holder: Principal,
    terms: Terms,
    *,
    now: Instant,
    epoch: int,
    state: GrantState = GrantState.ACTIVE,
    single_use: bool = False,
    ack: Ack = Ack.DURABLE,
    grant_id: str | None = None,
    key_salt: bytes = b"s" * 32,
    reveal: Reveal | None = None,
) -> Grant:
    """Store a grant with its request, as if it had been asked for and approved."""
    shape = Shape(activate_within_s=3600, review_within_s=3600, single_use=single_use, ack=ack)
    request = _request(holder, terms, shape, now, reveal)
    active = state is GrantState.ACTIVE
    grant = Grant(
        id=GrantId(grant_id or made_id("grt")),
        request=request.id,
        holder=holder.id,
        policy="test",
        basis=Outcome.AUTO,
        reviews=(),
        terms=terms,
        shape=shape,
        digest=request.digest,
        scheduled_at=now,
        activate_by=after(now, 3600),
        key_salt=key_salt,
        epoch=epoch,
        state=state,
        valid_from=now if active else None,
        valid_until=after(now, terms.duration_s) if active else None,
        parent=None if reveal is None else reveal.grant,
    )

    def work(tx: Any, _now: Instant) -> Recorded[None]:
        tx.requests.insert(request)
        tx.grants.insert(grant)
        return Recorded(None, (_activated(grant, holder),) if active else ())

    await log.commit(work, urgent=True)
    return grant


def _activated(grant: Grant, holder: Principal) -> Draft:
    return Draft(
        id=EntryId(made_id("ent")),
        type="grant.activated",
        actor=holder.subject,
        ref={"request": grant.request, "grant": grant.id},
        data={
            "from_at": instant_text(grant.scheduled_at),
            "until_at": instant_text(grant.due_at),
            "reviews": [],
            "bundle_sha256": "0" * 64,
            "revision": 1,
            "epoch": grant.epoch,
        },
    )


def _request(owner: Principal, terms: Terms, shape: Shape, now: Instant, reveal: Reveal | None = None) -> AccessRequest:
    offer = Offer(
        number=1,
        policy="test",
        rule="auto",
        outcome=Outcome.AUTO,
        plans=(Plan("test", ()),),
        terms=terms,
        shape=shape,
        bundle_sha256="0" * 64,
        revision=1,
    )
    return AccessRequest(
        id=RequestId(made_id("req")),
        requester=owner.id,
        subject=owner.subject,
        persons=owner.persons,
        wish=Wish(scopes=terms.scopes, reason="a test", reveal=reveal),
        offer=offer,
        eligible=frozenset(),
        terms_bytes=b"{}",
        digest="0" * 64,
        private={},
        submitted_at=now,
        expires_at=after(now, 3600),
        state=RequestState.APPROVED,
        decided_at=now,
        decided_by=owner.id,
    )


def services(
    *,
    log: Any,
    store: Database,
    watch: Watch,
    clock: Clock,
    authenticate: Callable[[str, str], Awaitable[Caller]],
    reader_of: Callable[[str], Reader | None],
    redactor_of: Callable[[Grant], Redactor],
    withheld: Callable[[Withheld], None] = lambda _: None,
) -> Services:
    """Return what a gateway is built on; what is not given is the real thing, but for the rules."""
    rules: Callable[[], Any] = OpenRules
    return Services(
        log=log,
        store=store,
        watch=watch,
        clock=clock,
        new_id=SystemNewId(),
        random=system_random,
        rules=rules,
        authenticate=authenticate,
        reader_of=reader_of,
        redactor_of=redactor_of,
        withheld=withheld,
        status_of=lambda error: kind_of(error).status,
        retry_after_s=retry_after_s,
        refusals=Refusals(SystemNewId()),
        resume_key=b"r" * 32,
        replica="test",
    )


@asynccontextmanager
async def listening(
    app: object,
    protocol: type[asyncio.Protocol] = SessionProtocol,
    backlog: int = 100,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve an application with uvicorn's protocol in this loop."""
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0, backlog=backlog, ssl=tls
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(0)
