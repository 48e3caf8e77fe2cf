"""What operations take from a call: who calls, idempotency keys, digests, cursors."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, cast
from urllib.parse import urlencode

from fastapi import Depends, Header, Query, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted
from loglease.access.once import Once
from loglease.model.errors import InvalidField, LogLeaseError
from loglease.model.instant import Instant
from loglease.model.review import Channel
from loglease.server.edge import ADDRESS, API, BODY, header_of
from loglease.server.identity.cookies import CSRF_HEADER, PLAIN_NAME, cookie_of, csrf_fits
from loglease.server.identity.credentials import Known
from loglease.server.problems import (
    CsrfFailed,
    NotAuthenticated,
    PasswordChangeRequired,
    UnknownField,
    UnknownParameter,
)
from loglease.server.services import Services

CLI_AGENT: Final = b"loglease-cli/"
MAX_KEY: Final = 255
_GRANT_PATH: Final = "/grants/{grant_id}"
_OF_ONE_GRANT: Final = frozenset({"/me", "/sessions", "/sessions/{session_id}"})
_BEFORE_CHANGE: Final = frozenset({"/me", "/me/password", "/sign-out"})
_SAFE: Final = frozenset({"GET", "HEAD"})

bearer_scheme: Final = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="A token: `lla_` of a sign-in, `llp_`, `lls_` or `llg_`."
)
cookie_scheme: Final = APIKeyCookie(
    name=PLAIN_NAME,
    auto_error=False,
    scheme_name="cookie",
    description="A browser's session; changing calls also need `X-CSRF-Token` and an `Origin` of ours.",
)


class InProgress(LogLeaseError):
    """A call with the same idempotency key is being carried out."""

    code = "in_progress"


def services_of(request: Request) -> Services:
    """Return what the composition root has built."""
    return cast("Services", request.app.state.services)


ServicesOf = Annotated[Services, Depends(services_of)]


def route_path(request: Request) -> str:
    """Return the path of a call's operation as it is declared, without the prefix of the API."""
    return str(request.scope["route"].path).removeprefix(API)


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the operation does not know, and doubled ones; and a body where none is taken.

    Raises:
        UnknownParameter: there is one.
        UnknownField: there is a body.
    """
    route = request.scope.get("route")
    known = _parameters(route.dependant) if isinstance(route, APIRoute) else set()
    if isinstance(route, APIRoute) and route.body_field is None and request.scope.get(BODY, b"") not in (b"", b"{}"):
        raise UnknownField("This call takes no body.", next_step="Send none, or {}.")
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            allowed = f"Known here: {', '.join(sorted(known))}." if known else "This call takes none."
            raise UnknownParameter(f"The parameter {name[:60]!r} is not known.", next_step=allowed)
        if name in seen:
            raise UnknownParameter(f"The parameter {name[:60]!r} comes twice.", next_step="Send it once.")
        seen.add(name)


def _parameters(dependant: Dependant) -> set[str]:
    found = {param.alias for param in dependant.query_params}
    return found.union(*map(_parameters, dependant.dependencies))


async def known_caller(
    request: Request,
    services: ServicesOf,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_scheme)],
    _cookie: Annotated[str | None, Security(cookie_scheme)],
) -> Known:
    """Return who calls, by bearer token or cookie.

    Raises:
        NotAuthenticated, TokenExpired, Locked: see `Credentials`.
        NotPermitted: a token of one grant, on a way that leads elsewhere.
        CsrfFailed: a cookie without the signs of our own page.
        RateLimited: too many calls of this principal.
        PasswordChangeRequired: the caller has to set a password of their own first.
    """
    known = await authenticated(request, services)
    request.state.caller = known.caller
    _require_its_grant(request, known.caller)
    urgent = any(part in request.url.path for part in ("/revocations", "/revoke", "/locks"))
    services.rates.take_principal(known.caller.principal, urgent=urgent)
    if known.must_change and route_path(request) not in _BEFORE_CHANGE:
        raise PasswordChangeRequired
    return known


def _require_its_grant(request: Request, caller: Caller) -> None:
    """Keep a token of one grant on the ways to that grant; which one it is, the use cases look at."""
    path = route_path(request)
    if caller.only_grant is not None and path not in _OF_ONE_GRANT and not path.startswith(_GRANT_PATH):
        raise NotPermitted("A token of one grant does nothing else.", next_step="loglease login")


async def authenticated(request: Request, services: Services) -> Known:
    """Return who calls, also before a change of password that is due; does not count the call."""
    address = request.scope[ADDRESS]
    authorization = header_of(request.scope, b"authorization")
    if authorization is not None:
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("This takes a bearer token.", next_step="loglease login")
        agent = header_of(request.scope, b"user-agent") or b""
        channel = Channel.CLI if agent.startswith(CLI_AGENT) else Channel.API
        token = text.strip()
        with services.rates.judging(address, token):
            return _from(address, await services.credentials.bearer(token, channel, before_change=True))
    cookie = cookie_of(request.headers.get("cookie"), tls=services.settings.http.tls)
    if cookie is None:
        raise NotAuthenticated("There is no sign-in or token with this call.", next_step="loglease login")
    _require_own_page(request, services, cookie)
    with services.rates.judging(address, cookie):
        return _from(address, await services.credentials.cookie(cookie, before_change=True))


def _from(address: str, known: Known) -> Known:
    return replace(known, caller=replace(known.caller, address=address))


def _require_own_page(request: Request, services: Services, cookie: str) -> None:
    origins = services.standing.origins
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    cross = request.headers.get("sec-fetch-site") == "cross-site"
    foreign_host = not any(known.partition("://")[2] == host for known in origins)
    if cross or foreign_host or (origin is not None and origin not in origins):
        raise CsrfFailed("The call did not come from one of our pages.", next_step="Load the page again.")
    if request.method in _SAFE:
        return
    if origin is None or not csrf_fits(cookie, request.headers.get(CSRF_HEADER)):
        raise CsrfFailed("The call lacks the token of our page.", next_step="Load the page again.")


KnownCaller = Annotated[Known, Depends(known_caller)]


def the_caller(known: KnownCaller) -> Caller:
    """Return the caller."""
    return known.caller


CallerOf = Annotated[Caller, Depends(the_caller)]


def seeing(caller: Caller) -> Caller:
    """Return the caller for showing what they have just done, whatever else their token may read."""
    return replace(caller, rights=None)


async def once_only(
    request: Request,
    caller: CallerOf,
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=MAX_KEY,
            pattern=r"^[\x21-\x7e]+$",
            description="A new one for each new call; repeated with the same body it answers the first result again.",
        ),
    ],
) -> AsyncIterator[Once]:
    """Give the idempotency key of a creating call, and keep a second call with it out until the first is done.

    Raises:
        IdempotencyKeyRequired: it is missing or not printable ASCII.
        InProgress: the first call is still being carried out.
    """
    route = route_path(request)
    once = Once(
        principal=caller.principal.id,
        route=f"{request.method} {route}{_object_of(request)}",
        key=key,
        body=hashlib.sha256(request.scope.get(BODY, b"")).digest(),
    )
    running: set[tuple[str, str, str]] = request.app.state.running
    mark = (once.principal, once.route, once.key)
    if mark in running:
        raise InProgress("The same call is still being carried out.", next_step="Repeat it in a moment.")
    running.add(mark)
    try:
        yield once
    finally:
        running.discard(mark)


def _object_of(request: Request) -> str:
    return "".join(f" {value}" for value in request.path_params.values())


OnceOf = Annotated[Once, Depends(once_only)]


async def is_replay(services: Services, once: Once) -> bool:
    """Say whether this key has created something already; a different body is refused by the use case."""
    now = services.clock.now()
    return (
        await services.store.read(lambda tx: tx.idempotency.find(once.principal, once.route, once.key, now)) is not None
    )


def if_match(
    request: Request,
    _header: Annotated[str | None, Header(alias="If-Match", description="The quoted ETag of what was shown.")] = None,
) -> str | None:
    """Return the one strong ETag of If-Match without its quotes; None where there is none.

    Raises:
        InvalidField: it is weak, a list, or not quoted.
    """
    raw = header_of(request.scope, b"if-match")
    if raw is None:
        return None
    text = raw.decode("latin-1").strip()
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')) or '"' in text[1:-1]:  # noqa: PLR2004
        raise InvalidField("If-Match is not one quoted ETag.", next_step='Send it like If-Match: "9f2c…71ab".')
    return text[1:-1]


IfMatch = Annotated[str | None, Depends(if_match)]


@dataclass(frozen=True, slots=True)
class PageWanted:
    """Which page of a list: how long, and behind which item."""

    limit: int
    before: str | None
    query: str


def page_wanted(
    request: Request,
    services: ServicesOf,
    caller: CallerOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
) -> PageWanted:
    """Return the wanted page.

    Raises:
        InvalidCursor: it was not made for this caller and this list.
    """
    pairs = sorted((name, value) for name, value in request.query_params.items() if name not in ("cursor", "limit"))
    query = f"{request.url.path}?{urlencode(pairs)}"
    before = None if cursor is None else services.cursors.read(cursor, principal=caller.principal.id, query=query)
    return PageWanted(limit, before, query)


PageOf = Annotated[PageWanted, Depends(page_wanted)]


def next_cursor(services: Services, caller: Caller, page: PageWanted, found: list[Any], last: str | None) -> str | None:
    """Return the cursor of the following page; a page that is not full is the last."""
    if last is None or len(found) < page.limit:
        return None
    return services.cursors.made(last, principal=caller.principal.id, query=page.query)


def now_of(services: Services) -> Instant:
    """Return the instant that reading operations show things as of."""
    return services.clock.now()
