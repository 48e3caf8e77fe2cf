"""A running server in one process: real database and log, cheap passwords, people who can sign in."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes.database import put_new_database

from loglease.access.caller import Caller
from loglease.model.instant import Instant, after
from loglease.model.principal import Role
from loglease.model.review import Channel
from loglease.server.clock import SystemClock
from loglease.server.databases import FILE
from loglease.server.identity.accounts import NewAccount
from loglease.server.services import Services
from loglease.server.settings import Settings, load_settings
from loglease.server.wiring import Application, build, close, create_app

PASSWORD = "correct horse battery staple"
CHEAP = {"argon2_memory_kib": 8, "argon2_passes": 1, "argon2_lanes": 1}
SCOPE: dict[str, Any] = {"source": "files", "selector": '{service="pay-api"}', "window": {"lookback_s": 3_600}}
WISH: dict[str, Any] = {"scopes": [SCOPE], "reason": "checkout fails since nine"}


def settings_in(directory: Path, **areas: Any) -> Settings:
    given: dict[str, Any] = {
        "data_dir": str(directory / "data"),
        "http": {"listen": "127.0.0.1:0", "health": "127.0.0.1:0", "origins": ["http://127.0.0.1:8080"]},
        "identity": CHEAP,
        "limits": {"enforced": False},
        **areas,
    }
    return load_settings(overrides=given, environment={})


class ShiftedClock(SystemClock):
    """The machine's clock, so many seconds later."""

    later_s = 0

    def now(self) -> Instant:
        return after(super().now(), self.later_s)

    def boot_ns(self) -> int:
        return super().boot_ns() + self.later_s * 1_000_000_000


@dataclass(slots=True)
class World:
    """The server and a client that calls it in process."""

    services: Services
    app: Application
    client: httpx2.AsyncClient
    admin_password: str
    clock: ShiftedClock
    keys: Any = field(default_factory=lambda: (f"key-{number}" for number in itertools.count()))

    async def sign_in(self, account: str, password: str = PASSWORD) -> dict[str, str]:
        answer = await self.client.post("/sign-in", json={"account": account, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def key(self) -> dict[str, str]:
        return {"Idempotency-Key": next(self.keys)}

    async def add(self, account: str, *, groups: tuple[str, ...] = (), roles: tuple[Role, ...] = ()) -> dict[str, str]:
        now = self.services.clock.now()
        admin = await self.services.store.read(lambda tx: tx.principals.by_account("local", "admin"))
        assert admin is not None
        wanted = NewAccount(account=account, password=PASSWORD, groups=frozenset(groups), roles=frozenset(roles))
        caller = Caller(principal=admin, channel=Channel.API, signed_in_at=now)
        await self.services.accounts.add(wanted, caller=caller)
        return await self.sign_in(account)

    async def created(self, path: str, body: dict[str, Any], who: dict[str, str], **headers: str) -> httpx2.Response:
        return await self.client.post(path, json=body, headers={**who, **self.key(), **headers})

    async def approved(self, asker: dict[str, str], approver: dict[str, str]) -> str:
        """Return the id of a grant that the two have brought about."""
        request = (await self.created("/requests", WISH, asker)).json()
        answer = await self.created(
            f"/requests/{request['id']}/reviews",
            {"verdict": "approve"},
            approver,
            **{"If-Match": f'"{request["digest"]}"'},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["grant"])


@asynccontextmanager
async def world_in(directory: Path, **areas: Any) -> AsyncIterator[World]:
    clock = ShiftedClock()
    settings = settings_in(directory, **areas)
    put_new_database(settings.data_dir / FILE)
    services = await build(settings, clock=clock)
    try:
        admin = await services.accounts.first_admin()
        password = "" if admin is None else admin.password or ""
        app = create_app(services)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080/api/v1") as client:
            yield World(services=services, app=app, client=client, admin_password=password, clock=clock)
        app.gateway.close()
    finally:
        await close(services)
