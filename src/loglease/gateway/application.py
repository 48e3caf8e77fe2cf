"""The gateway as an ASGI application: routes, admission, one session per call, errors as problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from loglease.access.caller import Caller
from loglease.access.refusals import record_refusals
from loglease.audit.interface import AuditUnavailable, Draft
from loglease.gateway import admission
from loglease.gateway.channel import HEADERS, HttpChannel, Send
from loglease.gateway.connection import Connection, connection_of
from loglease.gateway.errors import MethodNotAllowed, RouteUnknown
from loglease.gateway.frontends.plain import plain_question
from loglease.gateway.parameters import parameters_of
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Violations
from loglease.gateway.request import Headers, accepts_only_json, format_of, resume_text, token_of
from loglease.gateway.resume import Resumes
from loglease.gateway.routes import Route, route_of
from loglease.gateway.services import Services
from loglease.gateway.sessions import DRAIN_S, Sessions
from loglease.gateway.settings import GatewaySettings
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.grant import Grant
from loglease.model.instant import Instant
from loglease.store.interface import StoreUnavailable

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_OPERATION: Final = "logs.read"
# What the REST API answers with 409 is a matter of permission here.
_STATUSES: Final = {"grant_not_active": 403, "grant_ended": 403}

_log = logging.getLogger("loglease.gateway")


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
        self._sessions = Sessions(services, settings or GatewaySettings())

    @property
    def violations(self) -> Violations:
        """Lines that sources should have held back."""
        return self._sessions.violations

    @property
    def open_sessions(self) -> int:
        """The number of sessions that are open here."""
        return self._sessions.open

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
        parsed(parameters.query)
        grant = await self._grant(route, caller, now)
        call.ref = {"request": grant.request, "grant": grant.id}

        def resumes_for(bound: str) -> Resumes:
            return Resumes(
                services.resume_key, grant=grant.id, principal=caller.principal.id, epoch=grant.epoch, query=bound
            )

        asked = plain_question(parameters, chosen, resumes_for, resume_text(call.headers))
        channel = HttpChannel(call.send, call.connection, chosen.content_type)
        await self._sessions.serve(grant, asked, caller=caller, channel=channel)

    async def _grant(self, route: Route, caller: Caller, now: Instant) -> Grant:
        if route.grant is None:
            return await admission.only_grant(caller=caller, store=self._services.store, now=now)
        return await admission.named_grant(route.grant, caller=caller, store=self._services.store, now=now)

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


def _require_plain_get(scope: Scope) -> None:
    if scope.get("http_version") != "1.1":
        raise Malformed("Sessions take HTTP/1.1.", next_step="Use HTTP/1.1.")
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            raise Malformed("This address takes no body.", next_step="Send parameters in the address.")


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
