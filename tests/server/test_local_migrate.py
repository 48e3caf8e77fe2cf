"""A server's database moves from its file into PostgreSQL: all of it, once, and the log goes on."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import settings_in, world_in
from tests.fakes.postgres import database_at, empty_database

from loglease.server import databases, stopped, wiring
from loglease.server.databases import FILE
from loglease.server.local_migrate import MOVED, migrate_store, moved
from loglease.server.settings import Settings, SettingsInvalid
from loglease.server.wiring import build, close
from loglease.store import copying
from loglease.store.errors import StoreDamaged, StoreInUse
from loglease.store.postgres import PostgresStore

pytestmark = pytest.mark.usefixtures("_as_configured")


@pytest.fixture
def _as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (wiring, stopped):
        monkeypatch.setattr(module, "open_database", databases.open_database)


async def used(folder: Path) -> tuple[str, int]:
    """Leave a database behind in which something happened; return a grant and the size of the log."""
    async with world_in(folder) as world:
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        grant = await world.approved(alice, bob)
    return grant, await size_of(settings_in(folder))


async def size_of(settings: Settings) -> int:
    async with stopped.stopped_server(settings) as server:
        return await server.store.read(lambda tx: tx.entries.size())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, database={"url": empty_database()})


async def test_everything_is_there_afterwards_and_the_log_goes_on(tmp_path: Path, settings: Settings) -> None:
    grant, size = await used(tmp_path)
    counts = await moved(settings)
    assert counts["entries"] == size
    assert counts["grants"] == 1
    assert not (settings.data_dir / FILE).exists()
    assert (settings.data_dir / MOVED).exists()
    services = await build(settings)
    try:
        assert isinstance(services.store, PostgresStore)
        found = await services.store.read(lambda tx: [one.id for one in tx.grants.live()])
        assert found == [grant]
        assert await services.store.read(lambda tx: tx.entries.size()) > size
        assert await services.store.read(lambda tx: tx.epoch) == 1
    finally:
        await close(services)


async def test_the_file_is_not_gone_on_with(tmp_path: Path, settings: Settings) -> None:
    await used(tmp_path)
    with pytest.raises(SettingsInvalid, match="names another database") as refused:
        await build(settings)
    assert "migrate-store" in (refused.value.next_step or "")
    await moved(settings)
    with pytest.raises(SettingsInvalid, match="moved already"):
        await moved(settings)


async def test_what_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    await used(tmp_path)
    settings = settings_in(tmp_path, database={"url": database_at(tmp_path / "target")})
    with pytest.raises(StoreInUse, match="something in this PostgreSQL"):
        await moved(settings)
    assert (settings.data_dir / FILE).exists()


async def test_a_copy_that_differs_is_not_kept(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used(tmp_path)
    rows = copying._rows

    def changed(table: Any, connection: Any) -> Any:
        for row in rows(table, connection):
            is_copy = connection.dialect.name == "postgresql" and table.name == "principals"
            yield (*row[:-1], "changed") if is_copy else row

    with monkeypatch.context() as patched:
        patched.setattr(copying, "_rows", changed)
        with pytest.raises(StoreDamaged, match="copy of principals"):
            await moved(settings)
    assert (settings.data_dir / FILE).exists()
    await moved(settings)


def test_the_command_says_what_it_did(tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate_store(data_dir=tmp_path / "nowhere") == 2
    assert "No PostgreSQL database is configured" in capsys.readouterr().err
    url = settings.database.url
    assert url is not None
    config = tmp_path / "loglease.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n[database]\nurl = "{url.get_secret_value()}"\n')
    assert migrate_store(config=config) == 2
    assert "There is no database in" in capsys.readouterr().err
    import asyncio

    asyncio.run(used(tmp_path))
    out = StringIO()
    assert migrate_store(config=config, as_json=True, out=out) == 0, capsys.readouterr().err
    assert '"entries"' in out.getvalue()
