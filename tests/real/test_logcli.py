"""Loki's own command line reads under a grant: pages in both directions, names, numbers, a tail and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.gateway.world import T0, TOKEN, World, eventually, line, world
from tests.real.logcli import Logcli, logcli_knows

from loglease.model.grant import Grant

pytestmark = pytest.mark.real_logcli

SECOND = 10**9
SPAN = ("--from=2023-11-14T22:13:20Z", "--to=2023-11-14T22:23:20Z")
# Three lines share each time, so that pages of ten end in the middle of one.
LINES = [
    line(T0 + n // 3 * SECOND, f'{{"level":"info","n":{n},"user":"bob@example.com"}}', service="a", pod=str(n % 2))
    for n in range(47)
]
HIDDEN = [line(T0 + n * SECOND, "hidden", service="b", pod="9") for n in range(47)]


@asynccontextmanager
async def reading(directory: Path, profile: str = "raw@1") -> AsyncIterator[tuple[World, Grant, Logcli]]:
    lines = sorted([*LINES, *HIDDEN], key=lambda one: one.ts)
    async with world(directory, lines=lines) as w:
        grant = await w.grant(profile=profile)
        token = directory / "token"
        token.write_text(TOKEN + "\n")
        yield w, grant, Logcli(f"http://127.0.0.1:{w.port}/g/{grant.id}", token)


@pytest.mark.parametrize("direction", ["backward", "forward"])
async def test_many_pages_give_each_line_once_in_order(tmp_path: Path, direction: str) -> None:
    async with reading(tmp_path) as (w, _, logcli):
        order = ("--forward",) if direction == "forward" else ()
        found = await logcli.run(
            "query", "--quiet", "--output=raw", "--limit=1000", "--batch=10", *SPAN, *order, '{service="a"}'
        )
        assert found.code == 0, found.said
        numbers = [json.loads(text)["n"] for text in found.out.splitlines() if text.strip()]
        times = [number // 3 for number in numbers]
        assert sorted(numbers) == list(range(47))
        assert times == sorted(times, reverse=direction == "backward")
        assert len(await w.entries("session.closed")) > 3


async def test_a_limit_is_kept_over_pages(tmp_path: Path) -> None:
    async with reading(tmp_path) as (_, _, logcli):
        found = await logcli.run("query", "--quiet", "--output=raw", "--limit=35", "--batch=10", *SPAN, "{}")
        assert (found.code, len(found.out.splitlines())) == (0, 35), found.said


async def test_lines_are_redacted(tmp_path: Path) -> None:
    async with reading(tmp_path, "pii-default@1") as (_, _, logcli):
        found = await logcli.run("query", "--quiet", "--output=jsonl", "--limit=5", *SPAN, '{} |= "level"')
        assert found.code == 0, found.said
        assert len(found.out.splitlines()) == 5
        assert "⟦email:" in found.out
        assert "bob@example.com" not in found.out


async def test_labels_and_series(tmp_path: Path) -> None:
    async with reading(tmp_path) as (_, _, logcli):
        names = await logcli.run("labels", "--quiet", *SPAN)
        assert (names.code, names.out.split()) == (0, ["pod", "service"]), names.said
        pods = await logcli.run("labels", "--quiet", *SPAN, "pod")
        assert (pods.code, pods.out.split()) == (0, ["0", "1"]), pods.said
        series = await logcli.run("series", "--quiet", *SPAN, '{service="a"}')
        assert series.code == 0, series.said
        assert len(series.out.splitlines()) == 2
        assert 'service="a"' in series.out


async def test_a_number_of_now(tmp_path: Path) -> None:
    async with reading(tmp_path) as (w, _, logcli):
        for n in range(5):
            w.reader.add(line(w.clock.now() * 1_000 - n * SECOND, "fresh", service="a", pod="1"))
        count = 'sum(count_over_time({service="a"}[10m]))'
        number = await logcli.run("instant-query", "--quiet", count)
        assert number.code == 0, number.said
        assert '"5"' in number.out


async def test_numbers_over_time(tmp_path: Path) -> None:
    async with reading(tmp_path) as (_, _, logcli):
        count = 'sum(count_over_time({service="a"}[10m]))'
        numbers = await logcli.run("query", "--quiet", *SPAN, "--step=60s", count)
        assert numbers.code == 0, numbers.said
        assert '"47"' in numbers.out


async def test_volume_and_fields(tmp_path: Path) -> None:
    _needs("volume", "detected-fields")
    async with reading(tmp_path) as (_, _, logcli):
        volume = await logcli.run("volume", "--quiet", *SPAN, '{service="a"}')
        assert volume.code == 0, volume.said
        assert f'"{sum(len(one.text) for one in LINES)}"' in volume.out
        fields = await logcli.run("detected-fields", "--quiet", *SPAN, '{service="a"}')
        assert fields.code == 0, fields.said
        assert "user" in fields.out


async def test_statistics_tell_nothing(tmp_path: Path) -> None:
    _needs("stats")
    async with reading(tmp_path) as (_, _, logcli):
        found = await logcli.run("stats", "--quiet", *SPAN, '{service="a"}')
        assert found.code == 0, found.said
        assert not set("123456789") & set(found.out)


async def test_statistics_of_a_query_tell_nothing_of_the_source(tmp_path: Path) -> None:
    async with reading(tmp_path) as (_, _, logcli):
        found = await logcli.run("query", "--stats", "--output=raw", "--limit=7", *SPAN, '{service="a"}')
        assert found.code == 0, found.said
        parts = ("Ingester.", "Store.", "Summary.")
        figures = {one.split()[0]: one.split()[1] for one in found.said.splitlines() if one.startswith(parts)}
        assert figures.pop("Summary.TotalLinesProcessed") == "7"
        assert set(figures.values()) == {"0", "0s"}


async def test_a_tail_ends_with_the_grant_and_says_why(tmp_path: Path) -> None:
    async with reading(tmp_path) as (w, grant, logcli):
        process = await logcli.start("query", "--tail", "--output=raw", '{service="a"}')
        try:
            await eventually(lambda: w.gateway.open_sessions == 1, within_s=30)
            w.reader.add(line(w.clock.now() * 1_000, "fresh", service="a", pod="1"))
            assert process.stdout is not None
            assert b"fresh" in await asyncio.wait_for(process.stdout.readline(), 30)
            await w.revoke(grant)
            _, said = await asyncio.wait_for(process.communicate(), 30)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert b"grant revoked" in said


async def test_a_grant_that_is_over_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with reading(tmp_path) as (w, grant, logcli):
        await w.revoke(grant)
        found = await logcli.run("query", "--quiet", *SPAN, "{}")
        assert found.code != 0
        assert "grant_ended" in found.said


def _needs(*commands: str) -> None:
    absent = [command for command in commands if not logcli_knows(f"  {command} [")]
    if absent:
        pytest.skip(f"ABSENT: this logcli is too old for {' and '.join(absent)}. Set LOGLEASE_LOGCLI to a newer one.")
