"""Secrets typed everywhere, and looked for in what we log: promised in docs/operations/running.md."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import structlog
from tests.api.world import SCOPE, World, world_in

from loglease.server.telemetry import configure

CANARY = "canary-7f3a9c"


async def typed_everywhere(world: World) -> list[str]:
    """Make calls that hold the canary wherever a client can put it; return the secrets that were handed out."""
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    wish = {"scopes": [{**SCOPE, "contains": [CANARY]}], "reason": f"because {CANARY}", "ticket": CANARY}
    assert (await world.created("/requests", wish, alice)).status_code == 201
    await world.created("/requests", {**wish, CANARY: CANARY}, alice)
    await world.created("/requests", {**wish, "scopes": [{**SCOPE, "selector": f'{{service="{CANARY}'}]}, alice)
    await world.client.post("/sign-in", json={"account": CANARY, "password": CANARY})
    await world.client.get(f"/requests?source={CANARY}&{CANARY}=1", headers={**alice, "X-Canary": CANARY})
    await world.client.get(f"/{CANARY}", headers={"Authorization": f"Bearer {CANARY}"})
    await world.client.post("/requests", content=f"{{{CANARY}", headers={**alice, "Content-Type": "application/json"})
    issued = await world.created("/tokens", {"label": CANARY, "rights": ["logs.read"], "expires_in_s": 60}, alice)
    return [issued.json()["secret"], alice["Authorization"].removeprefix("Bearer "), world.admin_password]


async def test_nothing_that_people_type_or_hold_is_in_our_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    configure(out)
    try:
        async with world_in(tmp_path) as world:
            secrets = await typed_everywhere(world)

            async def broken(*_args: object) -> None:
                raise RuntimeError(CANARY)

            monkeypatch.setattr(type(world.services.tokens), "mine", broken)
            alice = await world.sign_in("alice@example.com")
            assert (await world.client.get("/tokens", headers=alice)).status_code == 500
    finally:
        structlog.reset_defaults()
    seen = capfd.readouterr()
    logged = out.getvalue() + seen.out + seen.err
    assert "call_failed" in logged
    assert [secret for secret in (CANARY, "alice@example.com", *secrets) if secret in logged] == []
