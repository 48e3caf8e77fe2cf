"""What the gateway needs of the server: who a token belongs to, and the redactor of a grant."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock
from typing import Final

from loglease.access.caller import Caller
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope, day_of
from loglease.model.review import Channel
from loglease.redaction import Keys, Redactor
from loglease.server.edge import App, ErrorPage, Receive, Scope, Send, address_of, send_refusal
from loglease.server.engines import Engines
from loglease.server.identity import secrets
from loglease.server.identity.cookies import cookie_of
from loglease.server.problems import CsrfFailed
from loglease.server.services import Services

MAX_REDACTORS: Final = 64
_BEARER: Final = b"bearer " + secrets.VIEWER.encode() + b"_"


class Redactors:
    """The redactors of grants in use, each with its own pseudonym key; the longest unused one is let go.

    A new set of rules makes new redactors; sessions that run keep theirs.
    """

    def __init__(self, key: bytes, engines: Engines) -> None:
        self._key = key
        self._engines = engines
        self._built_from = engines.library.current
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, str, KeyScope], Redactor] = OrderedDict()

    def of(self, grant: Grant) -> Redactor:
        """Return the redactor of a grant; blocks while it is built.

        Raises:
            RedactionError: its profile is not known here, or the engine does not vouch for itself.
        """
        pin = grant.terms.scopes[0].profile or ""
        place = (grant.id, pin, grant.shape.pseudonyms)
        with self._lock:
            library = self._engines.library.current
            if library is not self._built_from:
                self._known.clear()
                self._built_from = library
            found = self._known.pop(place, None)
            if found is None or not self._engines.serves(found):
                found = self._engines.redactor(pin, keys_of(self._key, grant))
            self._known[place] = found
            while len(self._known) > MAX_REDACTORS:
                self._known.popitem(last=False)
        return found


def keys_of(master: bytes, grant: Grant) -> Keys:
    """Return the key of a grant's pseudonyms, in the scope that it has.

    Where rules have narrowed that of a grant since it was made, its key is another one, that links less.

    Raises:
        RedactionError: there is no salt to derive it from.
    """
    return keys_in(
        grant.shape.pseudonyms,
        master,
        grant_id=grant.id,
        policy=grant.policy,
        scheduled_at=grant.scheduled_at,
        salt=grant.key_salt,
        shared_salt=grant.shared_salt,
    )


def keys_in(
    scope: KeyScope,
    master: bytes,
    *,
    grant_id: GrantId,
    policy: str,
    scheduled_at: Instant,
    salt: bytes,
    shared_salt: bytes | None,
) -> Keys:
    """Return the key that a grant has if its pseudonyms reach so far.

    Raises:
        RedactionError: there is no salt to derive it from.
    """
    match scope:
        case KeyScope.TEAM_DAY:
            return Keys.of_team_day(master, salt=shared_salt or b"", policy=policy, day=day_of(scheduled_at))
        case KeyScope.DEPLOYMENT:
            return Keys.of_deployment(master, salt=shared_salt or b"")
        case _:
            return Keys.derived(master, salt=salt, grant_id=grant_id)


class ViewerDoor:
    """Lets our own log viewer in: a code that works once, for one grant, with the cookie it was made for."""

    def __init__(self, services: Services, error_page: ErrorPage) -> None:
        self._services = services
        self._error_page = error_page
        self._admitted: dict[str, Caller] = {}

    async def authenticate(self, token: str, address: str) -> Caller:
        """Return who a token belongs to; a viewer's code was spent at the door.

        Raises:
            NotAuthenticated, TokenExpired, Locked, PasswordChangeRequired: see `Credentials`.
            RateLimited: too many calls of this address have shown no valid token.
        """
        admitted = self._admitted.pop(token, None)
        if admitted is not None:
            return replace(admitted, address=address)
        rates = self._services.rates
        rates.take_call(address, token)
        with rates.judging(address, token):
            known = await self._services.credentials.bearer(token, Channel.API)
        return replace(known.caller, address=address)

    def guarding(self, gateway: App) -> App:
        """Return the gateway with the door before it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            value = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            code = value[len("bearer ") :].decode("latin-1").strip() if value.lower().startswith(_BEARER) else ""
            try:
                if not value or code:  # any other token is counted where it is looked at
                    self._services.rates.take_address(address_of(scope))
                if code:
                    self._admitted[code] = await self._admit(code, scope)
            except LogLeaseError as error:
                await send_refusal(scope, receive, send, error, self._error_page)
                return
            try:
                await gateway(scope, receive, send)
            finally:
                self._admitted.pop(code, None)

        return app

    async def _admit(self, code: str, scope: Scope) -> Caller:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origins = self._services.standing.origins
        own = any(origin.partition("://")[2] == headers.get(b"host") for origin in origins)
        origin = headers.get(b"origin")
        cross = headers.get(b"sec-fetch-site", "same-origin") != "same-origin"
        if not own or cross or (origin is not None and origin not in origins):
            raise CsrfFailed("The call did not come from one of our pages.", next_step="Load the page again.")
        cookie = cookie_of(headers.get(b"cookie"), tls=self._services.settings.http.tls) or ""
        grant = GrantId(str(scope["path"]).removeprefix("/g/").partition("/")[0])
        return (await self._services.credentials.viewer(code, grant=grant, cookie=cookie)).caller
