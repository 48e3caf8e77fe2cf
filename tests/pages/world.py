"""A whole server in one process, with people in it: without sockets for most tests, on a port for browsers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
import uvicorn

from loglease.access.caller import Caller
from loglease.access.wish import WindowDraft, WishDraft
from loglease.access.submit_request import submit_request
from loglease.gateway.application import Gateway
from loglease.gateway.application import Services as GatewayServices
from loglease.gateway.connection import SessionProtocol
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant
from loglease.model.labels import Selector
from loglease.model.principal import Kind, Principal, Role
from loglease.model.review import Channel
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for
from loglease.server.edge import Edge
from loglease.server.identity.accounts import NewAccount
from loglease.server.loops import running
from loglease.server.pages.routes import create_pages
from loglease.server.pages.viewer_door import ViewerDoor
from loglease.server.problems import kind_of
from loglease.server.services import Services
from loglease.server.settings import Settings
from loglease.server.wiring import build, close

PASSWORD = "a long enough password"
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "alice@example.com": {"name": "Alice Archer", "groups": frozenset({"payments"})},
    "bob@example.com": {"name": "Bob Baker", "groups": frozenset({"approvers"})},
    "carol@example.com": {"name": "Carol Clark", "groups": frozenset({"approvers"})},
    "sam@example.com": {"name": "Sam Sharp", "roles": frozenset({Role.AUDITOR})},
}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class World:
    """A server, its people, and what they have asked for."""

    def __init__(self, services: Services, origin: str) -> None:
        self.services = services
        self.origin = origin
        self.people: dict[str, Principal] = {}
        self.admin_password = ""
        self.gateway: Gateway | None = None

    @classmethod
    async def start(cls, folder: Path, *, port: int = 8080, policy: str | None = None) -> Self:
        """Build a server on an empty folder and add everybody."""
        if policy is not None:
            (folder / "policy").mkdir()
            (folder / "policy" / "policy.yaml").write_text(policy)
        settings = Settings(
            data_dir=folder,
            http={"listen": f"127.0.0.1:{port}"},
            identity={"argon2_memory_kib": 8, "argon2_passes": 1, "argon2_lanes": 1},
            limits={"enforced": False},
        )
        world = cls(await build(settings), f"http://127.0.0.1:{port}")
        first = await world.services.accounts.first_admin()
        assert first is not None
        world.people["admin"] = first.principal
        world.admin_password = first.password or ""
        for account, about in PEOPLE.items():
            await world.add(account, **about)
        return world

    async def add(self, account: str, **about: Any) -> Principal:
        about.setdefault("password", PASSWORD)
        added = await self.services.accounts.add(NewAccount(account=account, **about), caller=self.caller("admin"))
        self.people[account] = added.principal
        return added.principal

    def caller(self, account: str) -> Caller:
        """Return somebody who has just signed in."""
        return Caller(
            principal=self.people[account], channel=Channel.WEB, signed_in_at=self.services.clock.now()
        )

    async def ask(self, account: str = "alice@example.com", **wish: Any) -> AccessRequest:
        """Submit a request."""
        selector = parse_selector(wish.pop("selector", '{service="pay-api"}'))
        draft = WishDraft(
            source=wish.pop("source", "files"),
            selector=Selector(()) if wish.get("all_streams") else selector,
            window=wish.pop("window", WindowDraft(lookback_s=3600, live=True)),
            reason=wish.pop("reason", "Checkout answers 500 since 09:40, PAY-1432"),
            **wish,
        )
        services = self.services
        return await submit_request(
            draft,
            caller=self.caller(account),
            offer=None,
            log=services.log,
            rules=services.rules.current,
            new_id=services.new_id,
            random=services.random,
        )

    async def approve(self, request: AccessRequest, account: str = "bob@example.com") -> Grant:
        """Approve a request and return its grant."""
        from loglease.access.review_request import Verdict, review_request

        services = self.services
        done = await review_request(
            request.id,
            verdict=Verdict.APPROVE,
            digest=request.digest,
            comment="go ahead",
            caller=self.caller(account),
            log=services.log,
            rules=services.rules.current,
            new_id=services.new_id,
            random=services.random,
        )
        assert done.grant is not None
        return done.grant

    def app(self) -> Any:
        """Return pages and gateway as one application; the API has tests of its own."""
        services = self.services
        pages = Edge(create_pages(services), services.rates, services.random)
        door = ViewerDoor(services)

        async def bearer(token: str) -> Caller:
            return (await services.credentials.bearer(token, Channel.API)).caller

        self.gateway = Gateway(
            GatewayServices(
                log=services.log,
                store=services.store,
                watch=services.watch,
                clock=services.clock,
                new_id=services.new_id,
                random=services.random,
                rules=lambda: services.rules.current,
                authenticate=door.authenticate(bearer),
                reader_of=lambda name: services.sources[name].reader if name in services.sources else None,
                redactor_of=self._redactor,
                status_of=lambda error: kind_of(error).status,
                refusals=services.refusals,
                resume_key=b"k" * 32,
                replica=services.replica,
            )
        )
        logs = door.before(self.gateway)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                return
            await (logs if scope["path"].startswith("/g/") else pages)(scope, receive, send)

        return app

    def _redactor(self, grant: Grant) -> Any:
        keys = Keys.derived(self.services.pseudonym_key, salt=grant.key_salt, grant_id=grant.id)
        pins = sorted({scope.profile for scope in grant.terms.scopes if scope.profile})
        return redactor_for(pins, keys=keys, marker=b"m" * 32)

    def browser(self) -> Browser:
        """Return a browser without scripts, signed in as nobody."""
        return Browser(self.app(), self.origin)

    async def signed_in(self, account: str) -> Browser:
        """Return a browser in which somebody has signed in."""
        browser = self.browser()
        await browser.sign_in(account, self.admin_password if account == "admin" else PASSWORD)
        return browser

    async def stop(self) -> None:
        await close(self.services)


class Browser:
    """Loads pages and sends their forms the way a browser does without scripts."""

    def __init__(self, app: Any, origin: str) -> None:
        self.origin = origin
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=origin)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def csrf(self, path: str) -> str:
        found = _CSRF.search((await self.get(path)).text)
        assert found is not None, path
        return found[1]

    async def send(self, path: str, fields: Mapping[str, str], *, page: str | None = None, **headers: str) -> httpx2.Response:
        """Send the form of a page with its token."""
        token = await self.csrf(page or path)
        return await self.post(path, {"csrf": token, **fields}, **headers)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        return await self.client.post(path, data=dict(fields), headers={"origin": self.origin, **headers})

    async def sign_in(self, account: str, password: str) -> httpx2.Response:
        return await self.send("/sign-in", {"account": account, "password": password})


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def served(folder: Path, prepare: Callable[[World], Awaitable[None]] | None = None) -> AsyncIterator[World]:
    """Serve a world on a port of this machine until the block ends."""
    world = await World.start(folder, port=free_port())
    if prepare is not None:
        await prepare(world)
    config = uvicorn.Config(
        world.app(),
        host="127.0.0.1",
        port=int(world.origin.rpartition(":")[2]),
        http=SessionProtocol,
        lifespan="off",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    async with running(world.services):
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield world
        finally:
            if world.gateway is not None:
                await world.gateway.drain(1.0)
                world.gateway.close()
            server.should_exit = True
            await task
            await world.stop()


def log_line(level: str, text: str, **labels: str) -> str:
    return json.dumps({"level": level, "msg": text, **labels}) + "\n"


__all__ = ["PASSWORD", "Browser", "Kind", "World", "contextlib", "free_port", "log_line", "served"]
