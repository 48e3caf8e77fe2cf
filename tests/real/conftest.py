from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser
from tests.pages.world import World, served
from tests.real.chromium import chromium, chromium_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip by name what needs a browser that is not here; `-ra` prints it at the end of every run."""
    if chromium_path() is not None:
        return
    absent = pytest.mark.skip(reason="ABSENT: chromium. Run `make real-servers`, or set LOGLEASE_CHROMIUM.")
    for item in items:
        if item.get_closest_marker("real_chromium"):
            item.add_marker(absent)


def line(text: str, level: str = "info", *, seconds_ago: float = 0) -> str:
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds")  # noqa: TID251 - lines of a real log
    return json.dumps({"time": at.replace("+00:00", "Z"), "level": level, "msg": text}, ensure_ascii=False) + "\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A whole server on a port, with a few log lines."""
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "pay-api.log").open("a") as file:
        for at in range(20, 0, -1):
            file.write(line(f"order {at} accepted user=jane.roe@example.com", seconds_ago=at))
        file.write(line("upstream timeout <img src=x onerror=alert(1)> \u202e\x1b[31m", "error"))
    async with served(tmp_path) as made:
        yield made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], None]:
    """Append one line to the log of pay-api."""

    def append(text: str) -> None:
        with (tmp_path / "logs" / "pay-api.log").open("a") as file:
            file.write(text)

    return append


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one
