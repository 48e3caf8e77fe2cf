"""What every call passes first, before anything of it is parsed: sizes, rates, bodies, parameters.

A plain ASGI wrapper: it holds no bytes of answers back.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
import structlog

from loglease.access.commitments import Random
from loglease.model.errors import LogLeaseError, Malformed
from loglease.server.identity.cookies import cookie_of
from loglease.server.problems import (
    MEDIA_TYPE,
    TooLarge,
    UnknownParameter,
    UnsupportedMediaType,
    headers_of,
    problem_of,
)
from loglease.server.rates import Rates
from loglease.server.strict_json import MAX_BODY, strict_json
from loglease.server.telemetry import place_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
ErrorPage = Callable[[Scope, LogLeaseError], App]
"""Makes the page that shows an error to people."""

MAX_HEADERS: Final = 32 * 1024
MAX_QUERY: Final = 8 * 1024
BODY_WITHIN_S: Final = 10.0
TRACE: Final = "loglease.trace_id"
BODY: Final = "loglease.body"
ADDRESS: Final = "loglease.address"
API: Final = "/api/v1"

_SECRET_PARAMETER: Final = re.compile(
    rb"(?:^|&)(?:(?:access_|refresh_|auth_|id_)?token|api_key|apikey|authorization|password|secret)="
    rb"|ll[psargvw]_[A-Za-z0-9_-]{20}",
    re.IGNORECASE,
)
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_FIXED_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_log: Final = structlog.get_logger("loglease.http")


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the network address of a caller."""
    client = scope.get("client")
    return str(client[0]) if client else "local"


def header_of(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """Return the only header of that name, None where there is none.

    Raises:
        Malformed: it comes more than once.
    """
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise Malformed(f"The header {name.decode('latin-1')} comes twice.", next_step="Send it once.")
    return found[0] if found else None


def _credential_of(scope: Mapping[str, Any], *, tls: bool) -> str | None:
    """Return what a call shows of itself, whatever it is worth: a bearer token, else the cookie of a web session."""
    cookie = header_of(scope, b"cookie")
    if (authorization := header_of(scope, b"authorization")) is not None:
        return authorization.decode("latin-1").partition(" ")[2].strip()
    return None if cookie is None else cookie_of(cookie.decode("latin-1"), tls=tls)


def _asks_for_page(scope: Scope) -> bool:
    """Say whether a browser goes to this address: that asks for HTML by name, which no program does that wants data."""
    if str(scope["path"]).startswith(API):
        return False
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])


async def send_refusal(
    scope: Scope, receive: Receive, send: Send, error: LogLeaseError, page: ErrorPage | None
) -> None:
    """Answer with an error: a page for a browser that asks for one, else a problem."""
    if page is not None and _asks_for_page(scope):
        await page(scope, error)(scope, receive, send)
    else:
        await _send_problem(scope, send, error)


async def _send_problem(scope: Scope, send: Send, error: LogLeaseError) -> None:
    body = problem_of(error, instance=str(scope["path"])[:200], trace_id=scope.get(TRACE, ""))
    content = orjson.dumps(body)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(content)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
    await send({"type": "http.response.start", "status": body["status"], "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


@dataclass(frozen=True, slots=True)
class Edge:
    """The wrapper around pages and API; the gateway does all of this itself, stricter."""

    inner: App
    rates: Rates
    random: Random
    tls: bool
    error_page: ErrorPage | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a call, hand it on, and add the headers that every answer has."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        scope[TRACE] = self.random(16).hex()
        scope[ADDRESS] = address_of(scope)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message)
            await send(message)

        try:
            receive = await self._checked(scope, receive)
            await self.inner(scope, receive, send_with_headers)
        except LogLeaseError as error:
            if not started:
                await send_refusal(scope, receive, send_with_headers, error, self.error_page)
        except Exception as error:  # noqa: BLE001 - the outermost step: a fault of ours ends one call, not the process
            _log.error("call_failed", trace_id=scope[TRACE], error=type(error).__name__, where=place_of(error))
            if not started:
                await send_refusal(scope, receive, send_with_headers, LogLeaseError("internal"), self.error_page)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            raise TooLarge("The headers are larger than 32 KiB.", next_step="Send fewer.")
        if len(scope["query_string"]) > MAX_QUERY:
            raise TooLarge("The query string is larger than 8 KiB.", next_step="Send less.")
        self.rates.take_call(scope[ADDRESS], _credential_of(scope, tls=self.tls))
        if _SECRET_PARAMETER.search(unquote_to_bytes(scope["query_string"])):
            raise UnknownParameter(
                "A credential does not belong into an address.",
                next_step="Send it as `Authorization: Bearer …`; change it, since addresses are written to logs.",
            )
        return await _with_body(scope, receive) if scope["path"].startswith(API) else receive


async def _with_body(scope: Scope, receive: Receive) -> Receive:
    """Read and check the body of an API call whole, and hand on the very bytes."""
    declared = header_of(scope, b"content-length")
    if declared is not None and (not declared.isdigit() or int(declared) > MAX_BODY):
        raise TooLarge(f"The body has more than {MAX_BODY} bytes.", next_step="Send less.")
    try:
        body = await asyncio.wait_for(_read(receive), BODY_WITHIN_S)
    except TimeoutError as error:
        raise Malformed("The body did not arrive within 10 s.", next_step="Send it at once.") from error
    if scope["method"] in _WITH_BODY and body:
        kind = (header_of(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise UnsupportedMediaType(
                "The body is not application/json.", next_step="Send JSON with Content-Type: application/json."
            )
        strict_json(body)
    scope[BODY] = body
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            raise TooLarge(f"The body has more than {MAX_BODY} bytes.", next_step="Send less.")
        if not message.get("more_body", False):
            return body


def _add_headers(message: Message) -> None:
    present = {name.lower() for name, _ in message.get("headers", ())}
    message["headers"] = [
        *message.get("headers", ()),
        *((name, value) for name, value in _FIXED_HEADERS if name not in present),
    ]
