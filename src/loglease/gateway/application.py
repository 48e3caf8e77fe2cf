"""The gateway as an ASGI application: routes, admission, one session per call, errors as problems."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from loglease.access.caller import Caller
from loglease.access.note_call import note_look, request_of
from loglease.access.permissions import held_grant
from loglease.access.refusals import record_refusals
from loglease.audit.interface import AuditUnavailable, Draft
from loglease.gateway import admission
from loglease.gateway.answers import JSON, answer_whole, problem_body
from loglease.gateway.asked import Asked
from loglease.gateway.channel import HttpChannel, Send
from loglease.gateway.compressed import GzipChannel
from loglease.gateway.connection import Connection, connection_of
from loglease.gateway.errors import MethodNotAllowed, RouteUnknown
from loglease.gateway.form import Receive, form_of, require_no_body
from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.frontends.loki.question import SINGLE, loki_question
from loglease.gateway.frontends.loki.shapes import wants_categories
from loglease.gateway.frontends.loki.tail import TAIL_SINGLE, tail_question
from loglease.gateway.frontends.plain import numbers_question, plain_question
from loglease.gateway.grant_index import GrantIndex
from loglease.gateway.parameters import Parameters, Values, parameters_of
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Violations
from loglease.gateway.request import (
    Headers,
    accepts_gzip,
    accepts_only_json,
    format_of,
    require_json,
    resume_text,
    token_of,
)
from loglease.gateway.resume import Resumes
from loglease.gateway.routes import Action, Route, route_of
from loglease.gateway.services import Services
from loglease.gateway.sessions import DRAIN_S, Sessions
from loglease.gateway.settings import GatewaySettings
from loglease.gateway.websocket import Upgrade, WebSocketChannel
from loglease.logql import LogQuery
from loglease.model.errors import GrantNotActive, LogLeaseError, Malformed
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.store.interface import StoreUnavailable

Scope = dict[str, Any]

_OPERATION: Final = "logs.read"
# What the REST API answers with 409 is a matter of permission here.
_STATUSES: Final = {"grant_not_active": 403, "grant_ended": 403}

# A query that long takes so many milliseconds to read that lines of others would wait for it.
_LONG_QUERY: Final = 8 << 10
_Read = TypeVar("_Read")

_log = logging.getLogger("loglease.gateway")


async def _read(size: int, step: Callable[[], _Read]) -> _Read:
    """Read a query of some bytes: a long one in a thread, so that the event loop goes on handing over."""
    return step() if size <= _LONG_QUERY else await asyncio.to_thread(step)


@dataclass(slots=True)
class _Call:
    """One call on its way."""

    headers: Headers
    connection: Connection
    send: Send
    caller: Caller | None = None
    ref: dict[str, str] = field(default_factory=dict)


class Gateway:
    """Serves the routes of `routes`; everything else is 404. Runs under `connection.SessionProtocol` only."""

    def __init__(self, services: Services, settings: GatewaySettings | None = None) -> None:
        self._services = services
        self._settings = settings or GatewaySettings()
        self._index = GrantIndex(services.store, services.watch, services.clock)
        self._sessions = Sessions(services, self._settings, self._index)

    @property
    def violations(self) -> Violations:
        """Lines that sources should have held back."""
        return self._sessions.violations

    @property
    def open_sessions(self) -> int:
        """The number of sessions that are open here."""
        return self._sessions.open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        headers: Headers = scope["headers"]
        call: _Call | None = None
        try:
            route = route_of(scope["method"], scope.get("raw_path") or scope["path"].encode())
            call = _Call(headers, _equipped(connection_of(scope)), send)
            await self._serve(route, call, scope, receive)
        except LogLeaseError as error:
            self._note(error, call)
            await self._answer(error, headers, send)
        except Exception:
            _log.exception("call_failed")
            raise  # uvicorn answers 500, or resets what has begun, and says nothing

    async def _serve(self, route: Route, call: _Call, scope: Scope, receive: Receive) -> None:
        services = self._services
        now = services.clock.now()
        if scope.get("http_version") != "1.1":
            raise Malformed("Sessions take HTTP/1.1.", next_step="Use HTTP/1.1.")
        client = scope.get("client")
        address = str(client[0]) if client else "local"
        call.caller = await services.authenticate(token_of(call.headers), address)
        if route.action is Action.REVEAL:
            require_no_body(call.headers)
            Values(scope["query_string"], single=SINGLE)
            await self._reveal(route, call)
        elif route.action is Action.LOGS:
            require_no_body(call.headers)
            await self._plain(route, call, parameters_of(scope["query_string"], now), now)
        elif route.action is Action.TAIL:
            require_no_body(call.headers)
            await self._tail(route, call, Values(scope["query_string"], single=TAIL_SINGLE), now)
        else:
            form = await form_of(scope["method"], call.headers, receive)
            await self._loki(route, call, Values(scope["query_string"], form, single=SINGLE), now)

    async def _plain(self, route: Route, call: _Call, parameters: Parameters, now: Instant) -> None:
        services = self._services
        query = await _read(len(parameters.query), partial(parsed, parameters.query))
        if not isinstance(query, LogQuery):
            require_json(call.headers)
            await self._json(route, call, numbers_question(parameters, query, now), now)
            return
        chosen = format_of(call.headers)
        caller, grants = await self._grants(route, call, now)

        def resumes_for(bound: str, answering: Sequence[Grant]) -> Resumes:
            named = [(grant.id, grant.epoch) for grant in answering]
            return Resumes(services.resume_key, grants=named, principal=caller.principal.id, query=bound)

        asked = plain_question(query, parameters, chosen, resumes_for, resume_text(call.headers))
        channel = HttpChannel(call.send, call.connection, chosen.content_type)
        await self._sessions.serve(grants, asked, caller=caller, channel=channel)

    async def _loki(self, route: Route, call: _Call, values: Values, now: Instant) -> None:
        question = partial(
            loki_question,
            route,
            values,
            now,
            categorize=wants_categories(call.headers),
            exact_statistics=self._settings.exact_statistics,
        )
        asked = await _read(values.size, question)
        await self._json(route, call, asked, now)

    async def _json(self, route: Route, call: _Call, asked: Asked | Direct, now: Instant) -> None:
        if isinstance(asked, Direct):
            if route.grant is not None:
                await self._grants(route, call, now)
            await answer_whole(call.send, 200, asked.body, JSON)
            return
        caller, grants = await self._grants(route, call, now)
        kind = GzipChannel if self._settings.gzip and accepts_gzip(call.headers) else HttpChannel
        channel = kind(call.send, call.connection, JSON)
        await self._sessions.serve(grants, asked, caller=caller, channel=channel)

    async def _tail(self, route: Route, call: _Call, values: Values, now: Instant) -> None:
        categorize = wants_categories(call.headers)
        question = partial(tail_question, values, now, self._services.clock, categorize=categorize)
        asked = await _read(values.size, question)
        upgrade = Upgrade(call.headers, self._settings.origins)
        caller, grants = await self._grants(route, call, now)
        channel = WebSocketChannel(call.connection, upgrade)
        await self._sessions.serve(grants, asked, caller=caller, channel=channel)

    async def _reveal(self, route: Route, call: _Call) -> None:
        caller = call.caller
        if caller is None or route.grant is None:
            raise LookupError(route)
        grant_id = GrantId(route.grant)
        grant = await self._services.store.read(lambda tx: held_grant(tx, caller, grant_id))
        call.ref = {"request": grant.request, "grant": grant.id}
        await answer_whole(call.send, 200, await self._sessions.reveal(grant_id, caller=caller), JSON)

    async def _grants(self, route: Route, call: _Call, now: Instant) -> tuple[Caller, Sequence[Grant]]:
        caller, store = call.caller, self._services.store
        if caller is None:
            raise LookupError(route)
        if route.grant is None:
            grants = await admission.active_grants(caller=caller, index=self._index)
        else:
            named = admission.named_grant(route.grant, caller=caller, index=self._index, store=store, now=now)
            try:
                grants = [await named]
            except GrantNotActive:
                # Where it is suspended for where its holder called from, this call may be what it waits for.
                await self._note_look(GrantId(route.grant), caller, now)
                raise
        if len(grants) == 1:
            call.ref = {"request": grants[0].request, "grant": grants[0].id}
        return caller, grants

    async def _note_look(self, grant: GrantId, caller: Caller, now: Instant) -> None:
        services = self._services
        await note_look(
            request_of(grant),
            caller=caller,
            store=services.store,
            log=services.log,
            rules=services.rules(),
            now=now,
        )

    # What is said to whom, and what is written behind the client's back.

    def _note(self, error: LogLeaseError, call: _Call | None) -> None:
        if call is None or isinstance(error, RouteUnknown | MethodNotAllowed):
            return
        now = self._services.clock.now()
        draft = self._services.refusals.note(
            operation=_OPERATION, code=error.code, caller=call.caller, now=now, ref=call.ref
        )
        if draft is not None:
            self._sessions.later(self._record_refusal(draft))

    async def _record_refusal(self, draft: Draft) -> None:
        try:
            await record_refusals((draft,), log=self._services.log)
        except (AuditUnavailable, StoreUnavailable) as error:
            _log.warning("refusal_not_recorded", extra={"code": error.code})

    async def _answer(self, error: LogLeaseError, headers: Headers, send: Send) -> None:
        status = _STATUSES.get(error.code) or self._services.status_of(error)
        extra: list[tuple[bytes, bytes]] = []
        if isinstance(error, MethodNotAllowed):
            extra.append((b"allow", error.allowed.encode()))
        if status == 401:  # noqa: PLR2004 - the status that names how to authenticate
            extra.append((b"www-authenticate", b'Bearer realm="loglease", Basic realm="loglease", charset="UTF-8"'))
        if (retry_s := self._services.retry_after_s(error)) is not None:
            extra.append((b"retry-after", b"%d" % retry_s))
        body, media_type = problem_body(error, as_json=accepts_only_json(headers))
        await answer_whole(send, status, body, media_type, tuple(extra))

    # Its end.

    async def drain(self, within_s: float = DRAIN_S) -> None:
        """Open nothing new, end tails, let queries finish for a while, settle every account."""
        await self._sessions.drain(within_s)

    async def settled(self) -> None:
        """Wait until everything that is written behind the client's back is written."""
        await self._sessions.settled()

    def close(self) -> None:
        """Let the threads go; after `drain`."""
        self._sessions.close()


class _Unequipped(LogLeaseError):
    """The server runs without `SessionProtocol`, so a session could not be cut."""

    def __init__(self) -> None:
        super().__init__("This server cannot serve sessions.", next_step="Tell an operator.")


def _equipped(connection: Connection | None) -> Connection:
    if connection is None:
        raise _Unequipped
    return connection
