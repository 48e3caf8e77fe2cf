"""How the log viewer's stream is let in: its one-time code is redeemed before the gateway sees the call.

The gateway knows bearer tokens only. A viewer code counts together with the cookie of the browser it was given to, the
grant in the address and the origin, so it is checked here, where all of them are at hand.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from loglease.access.caller import Caller
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GrantId
from loglease.server.edge import App, Receive, Scope, Send, send_problem
from loglease.server.identity.cookies import cookie_of
from loglease.server.identity.secrets import VIEWER
from loglease.server.problems import NotAuthenticated
from loglease.server.services import Services

_CODE: Final = re.compile(rb"bearer +(" + VIEWER.encode() + rb"_[A-Za-z0-9_-]+)", re.IGNORECASE)
_ROUTE: Final = re.compile(r"/g/(grt_[0-9A-Z]{26})/logs")


class ViewerDoor:
    """Stands before the gateway for viewer codes, and answers for them when the gateway asks who calls."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._redeemed: dict[str, Caller] = {}

    def before(self, gateway: App) -> App:
        """Return the gateway with the door before it; calls with any other credential pass untouched."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            code = _code_of(scope) if scope["type"] == "http" else None
            if code is None:
                await gateway(scope, receive, send)
                return
            try:
                self._redeemed[code] = await self._redeem(code, scope)
            except LogLeaseError as error:
                await send_problem(scope, send, error)
                return
            try:
                await gateway(scope, receive, send)
            finally:
                self._redeemed.pop(code, None)

        return app

    def authenticate(self, others: Callable[[str], Awaitable[Caller]]) -> Callable[[str], Awaitable[Caller]]:
        """Return what the gateway asks: redeemed codes are answered here, once; all else by `others`."""

        async def answer(token: str) -> Caller:
            caller = self._redeemed.pop(token, None)
            return await others(token) if caller is None else caller

        return answer

    async def _redeem(self, code: str, scope: Scope) -> Caller:
        route = _ROUTE.fullmatch(str(scope["path"]))
        cookie = cookie_of(_header(scope, b"cookie"), tls=self._services.settings.http.tls)
        origin = _header(scope, b"origin")
        foreign = origin is not None and origin not in self._services.standing.origins
        cross_site = _header(scope, b"sec-fetch-site") not in (None, "same-origin")
        if route is None or cookie is None or foreign or cross_site:
            raise NotAuthenticated("The viewer code is not valid here.", next_step="Open the log viewer again.")
        known = await self._services.credentials.viewer(code, grant=GrantId(route[1]), cookie=cookie)
        return known.caller


def _code_of(scope: Scope) -> str | None:
    found = _CODE.fullmatch((_header(scope, b"authorization") or "").strip().encode("latin-1"))
    return None if found is None else found[1].decode()


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value for key, value in scope["headers"] if key == name]
    return str(values[0].decode("latin-1")) if len(values) == 1 else None
