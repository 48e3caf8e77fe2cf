"""One ASGI application out of gateway, API and pages, told apart by path."""

from __future__ import annotations

from loglease.access.errors import NotFound
from loglease.gateway.routes import is_ours
from loglease.server.api.app import create_api
from loglease.server.audit_heads import carrying_heads
from loglease.server.edge import API, App, Edge, ErrorPage, Receive, Scope, Send
from loglease.server.metrics.surface import measured
from loglease.server.proxies import Proxies
from loglease.server.services import Services


def joined(
    services: Services, *, gateway: App | None = None, pages: App | None = None, error_page: ErrorPage | None = None
) -> App:
    """Return one application out of three.

    Args:
        services: what `wiring.build` has made.
        gateway: serves log lines; it checks calls itself, so nothing stands before it.
        pages: everything that is neither gateway nor API.
        error_page: what a browser is shown where the call came no further than the edge.
    """
    api = carrying_heads(create_api(services), lambda: services.publishing.head)
    http = services.settings.http
    proxies = Proxies.named(http.trusted_proxies)
    control = _only_lines if http.serve == "gateway" else _api_or_pages(api, pages or _nothing)
    edge = Edge(control, services.rates, services.random, http.tls, error_page)
    if http.serve == "control":
        gateway = None
    inner = measured(edge, services.metrics)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if (address := proxies.caller_of(scope)) is not None:
            scope["client"] = (address, 0)
        if gateway is not None and is_ours(_raw_path(scope)):
            await gateway(scope, receive, send)
        elif scope["type"] == "http":
            await inner(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    return app


def _raw_path(scope: Scope) -> bytes:
    raw = scope.get("raw_path")
    return bytes(raw) if raw is not None else str(scope["path"]).encode()


def _api_or_pages(api: App, pages: App) -> App:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"])
        await (api if path == API or path.startswith(f"{API}/") else pages)(scope, receive, send)

    return inner


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise NotFound("There is nothing at this path.", next_step=f"See {API}/openapi.json.")


async def _only_lines(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise NotFound("This server serves log lines and nothing else.", next_step="Ask one that has http.serve = control.")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
