"""A whole server in one process, with people in it: without sockets for most tests, on a port for browsers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
from tests.fakes.database import put_new_database

from loglease.access.caller import Caller
from loglease.access.review_request import review_request
from loglease.access.submit_request import submit_request
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant
from loglease.model.labels import Selector
from loglease.model.principal import Principal, Role
from loglease.model.review import Channel, Verdict
from loglease.model.selector_text import parse_selector
from loglease.model.wish import WindowDraft, WishDraft
from loglease.server.databases import FILE
from loglease.server.identity.accounts import NewAccount
from loglease.server.process import serving
from loglease.server.services import Services
from loglease.server.settings import Settings, load_settings
from loglease.server.wiring import build, close, create_app

PASSWORD = "a long enough password"
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "alice@example.com": {"name": "Alice Archer", "groups": frozenset({"payments"})},
    "bob@example.com": {"name": "Bob Baker", "groups": frozenset({"approvers"})},
    "carol@example.com": {"name": "Carol Clark", "groups": frozenset({"approvers"})},
    "sam@example.com": {"name": "Sam Sharp", "roles": frozenset({Role.AUDITOR})},
}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


def settings_of(
    folder: Path, *, port: int, limits: Mapping[str, Any] | None = None, policy: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of a server on this machine with cheap password checks."""
    return load_settings(
        overrides={
            "data_dir": str(folder),
            "http": {"listen": f"127.0.0.1:{port}", "health": "127.0.0.1:0", "drain_s": 1},
            "identity": {"argon2_memory_kib": 8, "argon2_passes": 1, "argon2_lanes": 1},
            "limits": limits or {"enforced": False},
            "policy": policy or {},
        },
        environment={},
    )


class World:
    """A server, its people, and what they have asked for."""

    def __init__(self, services: Services, origin: str) -> None:
        self.services = services
        self.origin = origin
        self.people: dict[str, Principal] = {}
        self.admin_password = ""

    @classmethod
    async def start(cls, folder: Path, **settings: Any) -> Self:
        """Build a server on an empty folder, without sockets, and add everybody."""
        put_new_database(folder / FILE)
        world = cls(await build(settings_of(folder, port=8080, **settings)), "http://127.0.0.1:8080")
        first = await world.services.accounts.first_admin()
        assert first is not None
        world.admin_password = first.password or ""
        await world.populate()
        return world

    async def populate(self) -> None:
        directory = await self.services.store.read(lambda tx: tx.principals.directory())
        self.people["admin"] = next(one for one in directory.principals.values() if one.account == "admin")
        for account, about in PEOPLE.items():
            await self.add(account, **about)

    async def add(self, account: str, **about: Any) -> Principal:
        about.setdefault("password", PASSWORD)
        added = await self.services.accounts.add(NewAccount(account=account, **about), caller=self.caller("admin"))
        self.people[account] = added.principal
        return added.principal

    def caller(self, account: str) -> Caller:
        """Return somebody who has just signed in."""
        return Caller(principal=self.people[account], channel=Channel.WEB, signed_in_at=self.services.clock.now())

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
        """Return the whole server as one application; what the gateway serves needs real sockets."""
        return create_app(self.services)

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

    async def send(
        self, path: str, fields: Mapping[str, str], *, page: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Send the form of a page with its token."""
        token = await self.csrf(page or path)
        return await self.post(path, {"csrf": token, **fields}, **headers)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        answer = await self.client.post(path, data=dict(fields), headers={"origin": self.origin, **headers})
        if path == "/requests/new" and "?draft=" in (shown := answer.headers.get("location", "")):
            return await self.get(shown)  # as every browser does
        return answer

    async def sign_in(self, account: str, password: str) -> httpx2.Response:
        return await self.send("/sign-in", {"account": account, "password": password})


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[World]:
    """Serve a world on a free port of this machine until the block ends, as `loglease serve` does."""
    async with serving(settings_of(folder, port=0)) as ready:
        world = World(ready.services, ready.url)
        world.admin_password = ready.admin_password or ""
        await world.populate()
        yield world


def log_line(level: str, text: str, **labels: str) -> str:
    return json.dumps({"level": level, "msg": text, **labels}) + "\n"
