"""An export over a real connection that cannot go on: whoever reads it notices, and what came is whole lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.world import settings_in

from loglease.audit.checking import LogDamaged
from loglease.server import exporting
from loglease.server.exporting import Export
from loglease.server.process import serving


async def read(client: httpx2.AsyncClient, headers: dict[str, str], received: bytearray) -> None:
    async with client.stream("GET", "/audit/export?format=ndjson", headers=headers) as response:
        assert response.status_code == 200
        async for chunk in response.aiter_bytes():
            received.extend(chunk)


async def test_an_export_that_cannot_go_on_never_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE_ENTRIES", 1)
    whole = Export._page
    written: list[int] = []

    def page(self: Export, tx: Any, first: int, last: int) -> tuple[bytes, int]:
        if first in written and first == 2:  # hashed before, and now to be sent
            raise LogDamaged("Audit entry 2 is missing.")
        written.append(first)
        return whole(self, tx, first, last)

    monkeypatch.setattr(Export, "_page", page)
    async with (
        serving(settings_in(tmp_path)) as server,
        httpx2.AsyncClient(base_url=f"{server.url}/api/v1", trust_env=False) as client,
    ):
        answer = await client.post("/sign-in", json={"account": "admin", "password": server.admin_password})
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        received = bytearray()
        with pytest.raises(httpx2.RemoteProtocolError):
            await read(client, headers, received)
    content = bytes(received)
    assert content.count(b"\n") == 2
    assert content.endswith(b"\n")
