"""How API and pages answer, measured around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any, Final

from loglease.server.metrics.families import Families

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ELSEWHERE: Final = "other"
"""The route of calls that came to none: what was asked for is in no label."""


def measured(app: App, families: Families) -> App:
    """Return an application that counts its answers, by route as the code has it, and how long they took to begin."""

    async def measuring(scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = str(getattr(scope.get("route"), "path", ELSEWHERE))
                families.api_requests.labels(route, str(message["status"])).inc()
                families.api_seconds.observe(perf_counter() - began)
            await send(message)

        await app(scope, receive, send_counted)

    return measuring
