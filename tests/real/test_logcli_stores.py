"""logcli reads under a grant whatever the store behind the gateway is: each real store is read in the same ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.world import TOKEN, World, eventually, world
from tests.real.logcli import Logcli
from tests.real.loki import Loki, loki_store
from tests.real.stores import VictoriaLogs, journal_store, victorialogs, victorialogs_store
from tests.sources.conformance import BASE_NS, Line
from tests.sources.stores import files_store

from loglease.model.grant import Grant

pytestmark = pytest.mark.real_logcli

SECOND = 10**9
FROM, TO = (datetime.fromtimestamp(BASE_NS // SECOND + after, UTC) for after in (0, 600))
SPAN = (f"--from={FROM:%Y-%m-%dT%H:%M:%SZ}", f"--to={TO:%Y-%m-%dT%H:%M:%SZ}")
COUNT = 47


@pytest.fixture(
    params=[
        pytest.param("files", id="files"),
        pytest.param("loki", id="loki", marks=pytest.mark.real_loki),
        pytest.param("victorialogs", id="victorialogs", marks=pytest.mark.real_victorialogs),
        pytest.param("journald", id="journald", marks=pytest.mark.real_journald),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def victorialogs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaLogs]:
    with victorialogs(tmp_path_factory.mktemp("victorialogs")) as server:
        yield server


@pytest.fixture
def opening(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Any]:
    if kind == "loki":
        server: Loki = request.getfixturevalue("loki_server")
        return loki_store(server)
    if kind == "victorialogs":
        other: VictoriaLogs = request.getfixturevalue("victorialogs_server")
        return victorialogs_store(other)
    folder = tmp_path / "store"
    folder.mkdir()
    return journal_store(folder) if kind == "journald" else files_store(folder)


@pytest.fixture
async def store(opening: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
    """A store with 47 lines of two streams that may be read, three at each time, and as many that may not."""
    async with opening as one:
        second = SECOND // one.step_ns
        seen = [
            Line(n // 3 * second, "a.service", f"host-{n % 2}", f'{{"n":{n},"user":"bob@example.com"}}')
            for n in range(COUNT)
        ]
        hidden = [Line(n // 3 * second, "b.service", "host-9", f"hidden {n}") for n in range(COUNT)]
        await one.write(sorted([*seen, *hidden], key=lambda line: line.step))
        yield one


@asynccontextmanager
async def reading(store: Any, directory: Path, profile: str = "raw@1") -> AsyncIterator[tuple[World, Grant, Logcli]]:
    async with world(directory / "world") as w:
        w.reader = store.reader
        grant = await w.grant(f'{{{store.names[0]}="a.service"}}', profile=profile)
        token = directory / "token"
        token.write_text(TOKEN + "\n")
        yield w, grant, Logcli(f"http://127.0.0.1:{w.port}/g/{grant.id}", token)


@pytest.mark.parametrize("direction", ["backward", "forward"])
async def test_five_pages_give_each_line_once_in_order(store: Any, direction: str, tmp_path: Path) -> None:
    async with reading(store, tmp_path) as (w, _, logcli):
        order = ("--forward",) if direction == "forward" else ()
        found = await logcli.run(
            "query",
            "--quiet",
            "--output=raw",
            "--limit=1000",
            "--batch=10",
            *SPAN,
            *order,
            f"{{{store.names[0]}=~`.+`}}",
        )
        assert found.code == 0, found.said
        numbers = [json.loads(text)["n"] for text in found.out.splitlines() if text.strip()]
        times = [number // 3 for number in numbers]
        assert sorted(numbers) == list(range(COUNT))
        assert times == sorted(times, reverse=direction == "backward")
        assert len(await w.entries("session.closed")) >= 5


async def test_what_is_filtered_is_redacted(store: Any, tmp_path: Path) -> None:
    async with reading(store, tmp_path, "pii-default@1") as (_, _, logcli):
        found = await logcli.run(
            "query", "--quiet", "--output=jsonl", *SPAN, f'{{{store.names[0]}="a.service"}} |= "user"'
        )
        assert found.code == 0, found.said
        assert len(found.out.splitlines()) == 30
        assert "⟦email:" in found.out
        assert "bob@example.com" not in found.out


async def test_names(store: Any, tmp_path: Path) -> None:
    async with reading(store, tmp_path) as (_, _, logcli):
        names = await logcli.run("labels", "--quiet", *SPAN)
        assert (names.code, set(names.out.split())) == (0, set(store.names)), names.said
        values = await logcli.run("labels", "--quiet", *SPAN, store.names[1])
        assert (values.code, values.out.split()) == (0, ["host-0", "host-1"]), values.said
        series = await logcli.run("series", "--quiet", *SPAN, f'{{{store.names[0]}="a.service"}}')
        assert (series.code, len(series.out.splitlines())) == (0, 2), series.said


async def test_numbers(store: Any, tmp_path: Path) -> None:
    async with reading(store, tmp_path) as (w, _, logcli):
        counted = f'sum(count_over_time({{{store.names[0]}="a.service"}} | json | n >= 7 [10m]))'
        numbers = await logcli.run("query", "--quiet", *SPAN, "--step=60s", counted)
        assert numbers.code == 0, numbers.said
        assert '"40"' in numbers.out
        now_ns = w.clock.now() * 1_000 // SECOND * SECOND
        await store.write([Line(0, "a.service", "host-0", '{"n":9}')], base_ns=now_ns - SECOND)
        now = await logcli.run("instant-query", "--quiet", counted)
        assert (now.code, '"1"' in now.out) == (0, True), now.said + now.out


async def test_a_tail_is_told_why_it_ends(store: Any, tmp_path: Path) -> None:
    async with reading(store, tmp_path) as (w, grant, logcli):
        process = await logcli.start("query", "--tail", "--output=raw", f'{{{store.names[0]}="a.service"}}')
        try:
            await eventually(lambda: w.gateway.open_sessions == 1, within_s=30)
            written = asyncio.create_task(_write_until_seen(store, w))
            assert process.stdout is not None
            assert b"fresh" in await asyncio.wait_for(process.stdout.readline(), 60)
            written.cancel()
            await w.revoke(grant)
            _, said = await asyncio.wait_for(process.communicate(), 30)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert b"grant revoked" in said


async def _write_until_seen(store: Any, w: World) -> None:
    """Write lines now and then: one may come before the store follows."""
    while True:
        await store.write([Line(0, "a.service", "host-0", "fresh")], base_ns=w.clock.now() * 1_000)
        await asyncio.sleep(0.5)
