from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser
from tests.audit.logs import KEY
from tests.pages.world import World, served
from tests.real.chromium import chromium, chromium_path
from tests.real.foreign import Foreign, foreign_path
from tests.real.grammar import grammar_command
from tests.real.logcli import logcli_path
from tests.real.loki import VERSION as LOKI_VERSION
from tests.real.loki import Loki, loki, loki_path
from tests.real.oracle import Oracle, oracle_path
from tests.real.stores import VERSION, journal_path, victorialogs_path

NEVER_ABSENT_IN_CI = frozenset({"real_foreign"})
"""What `make real-servers` can build everywhere, so that its absence is a failure where changes are accepted."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip by name and number what needs a program that is not here; `-ra` prints it at the end of every run."""
    needed: dict[str, tuple[Callable[[], Path | str | list[str] | None], str, str]] = {
        "real_chromium": (chromium_path, "chromium", "Run `make real-servers`, or set LOGLEASE_CHROMIUM."),
        "real_go": (oracle_path, "the oracles in Go", "Run `make real-servers`; it takes Go."),
        "real_foreign": (foreign_path, "the foreign verifier in Go", "Run `make real-servers`."),
        "real_journald": (journal_path, "systemd-journal-remote", "Run `make real-servers`; it takes apt-get."),
        "real_node": (grammar_command, "the grammar in JavaScript", "Run `make real-servers`; it takes Node and npm."),
        "real_logcli": (logcli_path, "logcli", "Run `make real-servers`, it takes Go; or set LOGLEASE_LOGCLI."),
        "real_loki": (loki_path, f"Loki {LOKI_VERSION}", "Run `make real-servers`; it takes Go."),
        "real_victorialogs": (victorialogs_path, f"VictoriaLogs {VERSION}", "Run `make real-servers`; it takes Go."),
    }
    for marker, (path, name, remedy) in needed.items():
        concerned = [item for item in items if item.get_closest_marker(marker)]
        if concerned and path() is None and not (marker in NEVER_ABSENT_IN_CI and os.environ.get("CI") == "true"):
            reason = f"ABSENT: {name}, so {len(concerned)} tests are skipped. {remedy}"
            for item in concerned:
                item.add_marker(pytest.mark.skip(reason=reason))


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


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    path = oracle_path()
    assert path is not None
    one = Oracle(path)
    yield one
    one.close()


@pytest.fixture(scope="session")
def foreign() -> Foreign:
    path = foreign_path()
    assert path is not None, "ABSENT: the foreign verifier in Go. Run `make real-servers`, which says why."
    return Foreign(path, (str(KEY.verifier),))


@pytest.fixture(scope="session")
def loki_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loki]:
    with loki(tmp_path_factory.mktemp("loki")) as server:
        yield server


@pytest.fixture(scope="session")
def grammar() -> Iterator[Oracle]:
    command = grammar_command()
    assert command is not None
    one = Oracle(*command)
    yield one
    one.close()
