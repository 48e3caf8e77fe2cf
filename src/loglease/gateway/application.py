"""The gateway as an ASGI application: routes, admission, one session per call, errors as problems."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.errors import NotFound
from loglease.access.open_session import Opened, OpeningUncertain, open_session
from loglease.access.refusals import Refusals, record_refusals
from loglease.access.rules import Rules
from loglease.access.serving import NOTHING
from loglease.access.watch import Cut, Watch
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog
from loglease.gateway import admission
from loglease.gateway.connection import Connection, connection_of
from loglease.gateway.errors import Draining, LeaseOver, MethodNotAllowed, Overload, RedactionUnavailable, RouteUnknown
from loglease.gateway.frontends.plain import encoder_for
from loglease.gateway.grant_index import GrantIndex, OpenSession
from loglease.gateway.planner import Plan, parsed, planned
from loglease.gateway.pump import HEADERS, Pump, Reading, Send
from loglease.gateway.recheck import Order, Recheck, Violations
from loglease.gateway.request import (
    Headers,
    Parameters,
    accepts_only_json,
    format_of,
    parameters_of,
    resume_text,
    token_of,
)
from loglease.gateway.reserve import Recorder
from loglease.gateway.resume import Position, Resumes
from loglease.gateway.routes import Route, route_of
from loglease.gateway.scan import Scan
from loglease.gateway.session import ServedSession
from loglease.gateway.settings import GatewaySettings
from loglease.gateway.worker import Worker
from loglease.logql import print_query
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.grant import Grant
from loglease.model.ids import NewId, SessionId
from loglease.model.instant import Interval
from loglease.model.session import CloseWhy, Front, SessionKind
from loglease.redaction import RedactionError, Redactor
from loglease.sources.interface import Direction, Reader, ReadPlan, SourceUnavailable
from loglease.store.interface import Store, StoreUnavailable, Transaction

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

DRAIN_S: Final = 25.0
_PAGE_BYTES: Final = 256 * 1024
_PAGE_LINES: Final = 1_000
_TAIL_BYTES: Final = 64 * 1024
_OPERATION: Final = "logs.read"
# What the REST API answers with 409 is a matter of permission here.
_STATUSES: Final = {"grant_not_active": 403, "grant_ended": 403}

_log = logging.getLogger("loglease.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the gateway is built on.

    Attributes:
        rules: returns the rules in force.
        authenticate: returns who a token belongs to that came from an address; raises an error with the code
            `not_authenticated`, `rate_limited` or alike.
        reader_of: returns the reader of a source by its name, None if there is none.
        redactor_of: returns the redactor of a grant; may take long and runs in a thread, its results are its to cache.
        status_of: returns the HTTP status of an error.
        retry_after_s: returns the seconds after which it makes sense to repeat a call that had an error, if it does.
        refusals: counts refused calls; whoever owns it records what is due.
        resume_key: 32 random bytes that resume values are authenticated with; equal on all replicas.
        replica: name of this process in the records.
    """

    log: EntryLog[Transaction]
    store: Store
    watch: Watch
    clock: Clock
    new_id: NewId
    random: Random
    rules: Callable[[], Rules]
    authenticate: Callable[[str, str], Awaitable[Caller]]
    reader_of: Callable[[str], Reader | None]
    redactor_of: Callable[[Grant], Redactor]
    status_of: Callable[[LogLeaseError], int]
    retry_after_s: Callable[[LogLeaseError], int | None]
    refusals: Refusals
    resume_key: bytes
    replica: str


@dataclass(slots=True)
class _Call:
    """One call on its way."""

    headers: Headers
    connection: Connection
    send: Send
    caller: Caller | None = None
    ref: dict[str, str] = field(default_factory=dict)


class Gateway:
    """Serves `/logs` and `/g/<grant>/logs`; everything else is 404. Runs under `connection.SessionProtocol` only."""

    def __init__(self, services: Services, settings: GatewaySettings | None = None) -> None:
        self._services = services
        self._settings = settings or GatewaySettings()
        self._index = GrantIndex()
        self._pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="loglease-evaluate")
        self._recorder = Recorder(
            log=services.log,
            store=services.store,
            new_id=services.new_id,
            random=services.random,
            replica=services.replica,
            is_stopping=lambda: self._is_draining,
        )
        self._behind: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_draining = False
        self.violations = Violations()
        """Lines that sources should have held back."""
        services.watch.subscribe(self._index.apply)

    @property
    def open_sessions(self) -> int:
        """The number of sessions that are open here."""
        return len(list(self._index.all()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - no route takes a body
        """Answer one call."""
        if scope["type"] != "http":
            return
        headers: Headers = scope["headers"]
        connection = connection_of(scope)
        call: _Call | None = None
        try:
            route = route_of(scope["method"], scope.get("raw_path") or scope["path"].encode())
            if connection is None:
                raise _Unequipped
            call = _Call(headers, connection, send)
            await self._logs(route, call, scope)
        except LogLeaseError as error:
            self._note(error, call)
            await self._answer(error, headers, send)

    async def _logs(self, route: Route, call: _Call, scope: Scope) -> None:
        services = self._services
        now = services.clock.now()
        _require_plain_get(scope)
        client = scope.get("client")
        address = str(client[0]) if client else "local"
        call.caller = caller = await services.authenticate(token_of(call.headers), address)
        chosen = format_of(call.headers)
        parameters = parameters_of(scope["query_string"], now)
        query = parsed(parameters.query)
        if route.grant is None:
            grant = await admission.only_grant(caller=caller, store=services.store, now=now)
        else:
            grant = await admission.named_grant(route.grant, caller=caller, store=services.store, now=now)
        call.ref = {"request": grant.request, "grant": grant.id}
        planned(query, grant.terms.scopes[0])
        bound = f"{print_query(query)} {parameters.direction} {chosen}"
        resumes = Resumes(
            services.resume_key, grant=grant.id, principal=caller.principal.id, epoch=grant.epoch, query=bound
        )
        resume = resume_text(call.headers)
        after = None if resume is None else resumes.position(resume)
        reader, redactor = await self._means(grant)
        kind = SessionKind.TAIL if parameters.follow else SessionKind.QUERY
        self._admit(kind)
        with self._index.hearing(kind) as heard:
            opened = await self._open(grant, kind, _from(after, parameters), parameters, caller)
            try:
                # The policy in force may have narrowed the terms since the grant was looked at.
                plan = planned(query, opened.grant.terms.scopes[0])
                if opened.grant.terms != grant.terms:
                    reader, redactor = await self._means(opened.grant)
            except LogLeaseError:
                account = self._recorder.close(opened.session.id, why=CloseWhy.ERROR, account=NOTHING, cut_ms=None)
                self._later(account)
                raise
        encoder = encoder_for(chosen, resumes)
        worker = Worker(
            plan,
            redactor=redactor,
            recheck=Recheck(plan.scope, opened.interval, self.violations),
            encoder=encoder,
            direction=parameters.direction,
            order=None if parameters.follow else Order(parameters.direction),
            after=after,
            scan=None if parameters.follow else Scan(self._settings.scan_lines, self._settings.scan_bytes),
        )
        reading = _reading(reader, worker, plan, opened, parameters)
        machine = self._machine(opened, parameters)
        pump = Pump(
            opened,
            reading,
            machine=machine,
            encoder=encoder,
            connection=call.connection,
            send=call.send,
            watch=services.watch,
            clock=services.clock,
            recorder=self._recorder,
            pool=self._pool,
            settings=self._settings,
        )
        await self._serve(pump, opened, caller, heard)

    async def _open(
        self, grant: Grant, kind: SessionKind, interval: Interval, parameters: Parameters, caller: Caller
    ) -> Opened:
        services = self._services
        try:
            return await open_session(
                grant.id,
                kind=kind,
                front=Front.PLAIN,
                query=parameters.query,
                interval=interval,
                limit=parameters.limit,
                caller=caller,
                replica=services.replica,
                log=services.log,
                rules=services.rules(),
                new_id=services.new_id,
                random=services.random,
                places=self._settings.places,
            )
        except OpeningUncertain as error:
            self._later(self._close_if_opened(error.session))
            raise

    async def _close_if_opened(self, session: SessionId) -> None:
        """Close a session whose opening came too late for its client; nothing was served."""
        with contextlib.suppress(NotFound):
            await self._recorder.close(session, why=CloseWhy.AUDIT, account=NOTHING, cut_ms=None)

    async def _means(self, grant: Grant) -> tuple[Reader, Redactor]:
        """Return the reader and the redactor of a grant, before anything is opened."""
        reader = self._services.reader_of(grant.terms.scopes[0].source)
        if reader is None:
            raise SourceUnavailable("The source is not configured here.", next_step="Tell an operator.")
        try:
            redactor = await asyncio.get_running_loop().run_in_executor(self._pool, self._services.redactor_of, grant)
        except RedactionError as error:
            _log.warning("redactor_not_built", extra={"grant": grant.id, "code": error.code})
            raise RedactionUnavailable from error
        return reader, redactor

    def _admit(self, kind: SessionKind) -> None:
        services, settings = self._services, self._settings
        if self._is_draining:
            raise Draining("This server stops.", next_step="Try again.")
        services.watch.require_ready()
        if services.clock.boot_ns() >= services.watch.lease_until_ns:
            raise LeaseOver("This server does not know the newest revocations.", next_step="Try again in a moment.")
        most = settings.tails if kind is SessionKind.TAIL else settings.queries
        if self._index.open(kind) >= most:
            raise Overload(f"This server serves {most} of these at once.", next_step="Try again in a moment.")

    def _machine(self, opened: Opened, parameters: Parameters) -> ServedSession:
        services, settings = self._services, self._settings
        return ServedSession(
            deadline_ns=services.watch.deadline_ns(opened.grant.due_at),
            epoch=opened.session.epoch,
            limit=parameters.limit,
            follow=parameters.follow,
            skip_after_ns=round(settings.skip_after_s * 1e9),
            slow_after_ns=round(settings.slow_after_s * 1e9),
            started_ns=services.clock.boot_ns(),
        )

    async def _serve(self, pump: Pump, opened: Opened, caller: Caller, heard: list[Cut]) -> None:
        entry = OpenSession(
            id=opened.session.id,
            kind=opened.session.kind,
            grant=opened.grant,
            principal=caller.principal,
            token=caller.token,
            sign_in=caller.sign_in,
            cut=pump.cut,
        )
        self._index.add(entry)
        self._empty.clear()
        for cut in heard:
            if entry.is_concerned(cut):
                pump.cut(cut.why, cut.text)
        try:
            if self._is_draining:
                pump.cut(CloseWhy.DRAIN, "drain")
            await pump.run()
        finally:
            self._index.remove(entry)
            self._later(pump.settle())
            if not self.open_sessions:
                self._empty.set()

    # What is said to whom, and what is written behind the client's back.

    def _note(self, error: LogLeaseError, call: _Call | None) -> None:
        if call is None or isinstance(error, RouteUnknown | MethodNotAllowed):
            return
        now = self._services.clock.now()
        draft = self._services.refusals.note(
            operation=_OPERATION, code=error.code, caller=call.caller, now=now, ref=call.ref
        )
        if draft is not None:
            self._later(self._record_refusal(draft))

    async def _record_refusal(self, draft: Draft) -> None:
        try:
            await record_refusals((draft,), log=self._services.log)
        except (AuditUnavailable, StoreUnavailable) as error:
            _log.warning("refusal_not_recorded", extra={"code": error.code})

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _answer(self, error: LogLeaseError, headers: Headers, send: Send) -> None:
        status = _STATUSES.get(error.code) or self._services.status_of(error)
        extra: list[tuple[bytes, bytes]] = []
        if isinstance(error, MethodNotAllowed):
            extra.append((b"allow", error.allowed.encode()))
        if status == 401:  # noqa: PLR2004 - the status that names how to authenticate
            extra.append((b"www-authenticate", b'Bearer realm="loglease", Basic realm="loglease", charset="UTF-8"'))
        if (retry_s := self._services.retry_after_s(error)) is not None:
            extra.append((b"retry-after", b"%d" % retry_s))
        body, media_type = _problem_body(error, as_json=accepts_only_json(headers))
        fields = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            *HEADERS,
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    # Its end.

    async def drain(self, within_s: float = DRAIN_S) -> None:
        """Open nothing new, end tails, let queries finish for a while, settle every account."""
        self._is_draining = True
        for session in list(self._index.all()):
            if session.kind is SessionKind.TAIL:
                session.cut(CloseWhy.DRAIN, "drain")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for session in list(self._index.all()):
            session.cut(CloseWhy.DRAIN, "drain")
        await self._empty.wait()
        await self.settled()

    async def settled(self) -> None:
        """Wait until everything that is written behind the client's back is written."""
        while self._behind:
            await asyncio.gather(*self._behind, return_exceptions=True)
            await asyncio.sleep(0)

    def close(self) -> None:
        """Let the threads go; after `drain`."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Unequipped(LogLeaseError):
    """The server runs without `SessionProtocol`, so a session could not be cut."""

    def __init__(self) -> None:
        super().__init__("This server cannot serve sessions.", next_step="Tell an operator.")


def _require_plain_get(scope: Scope) -> None:
    if scope.get("http_version") != "1.1":
        raise Malformed("Sessions take HTTP/1.1.", next_step="Use HTTP/1.1.")
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            raise Malformed("This address takes no body.", next_step="Send parameters in the address.")


def _from(after: Position | None, parameters: Parameters) -> Interval:
    """Return the interval that is left behind a position; the line at it is read again and skipped."""
    interval = parameters.interval
    if after is None:
        return interval
    if parameters.direction is Direction.BACKWARD:
        end = after.event_ns + 1 if interval.end is None else min(interval.end, after.event_ns + 1)
        return Interval(min(interval.start, after.event_ns), end)
    start = max(interval.start, after.event_ns)
    return Interval(start, None if interval.end is None else max(interval.end, start + 1))


def _reading(reader: Reader, worker: Worker, plan: Plan, opened: Opened, parameters: Parameters) -> Reading:
    return Reading(
        reader=reader,
        plan=ReadPlan(
            selector=plan.selector,
            interval=opened.interval,
            direction=parameters.direction,
            page_lines=_PAGE_LINES,
            page_bytes=_TAIL_BYTES if parameters.follow else _PAGE_BYTES,
        ),
        worker=worker,
        follow=parameters.follow,
        backward=parameters.direction is Direction.BACKWARD,
    )


def _problem_body(error: LogLeaseError, *, as_json: bool) -> tuple[bytes, bytes]:
    """Return the body of a refusal: code, what was wrong, the rule, the next step."""
    if as_json:
        fields = {"code": error.code, "message": error.message, "rule": error.rule, "next": error.next_step}
        return orjson.dumps({name: value for name, value in fields.items() if value}), b"application/json"
    parts = [f"{error.code}: {error.message}"]
    if error.rule:
        parts.append(f"Rule: {error.rule}")
    if error.next_step:
        parts.append(f"Next: {error.next_step}")
    return ("\n".join(parts) + "\n").encode(), b"text/plain; charset=utf-8"
