from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.store import values
from tests.store.fixtures import change, opened, raw

import loglease.store.audit_schema
import loglease.store.schema  # noqa: F401 - what declares the tables
from loglease.store.columns import metadata
from loglease.store.errors import StoreTooNew
from loglease.store.sqlite import SqliteStore


def dump(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    connection = store.library.module.connect(store.path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in ["sqlite_master", *tables]}  # noqa: S608 - our own tables
    connection.close()
    return found


def test_migrations_make_the_schema_that_core_knows(tmp_path: Path) -> None:
    store = opened(tmp_path)
    try:
        options = {"compare_type": True, "compare_server_default": True}
        differences = store._writer.run(
            lambda connection, _: compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )
        assert differences == []
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'alembic%'"
        found = store._writer.run(lambda connection, _: connection.exec_driver_sql(query).all())
        assert {name for name, _ in found} == set(metadata.tables)
        for name, sql in found:  # the comparison above does not look at check constraints
            expected = sum("CHECK" in str(type(one)).upper() for one in metadata.tables[name].constraints)
            assert sql.count("CHECK") == expected, name
    finally:
        store.close()


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await change(store, lambda tx: tx.requests.insert(values.request()))
    before = dump(store)
    store.close()
    for _ in range(2):
        store = opened(tmp_path)
        assert dump(store) == before
        store.close()


def test_what_this_version_knows_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path).close()
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _: pytest.fail("the revisions are read again"))
    opened(tmp_path).close()


def test_a_database_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    raw(store, "UPDATE alembic_version SET version_num = '0099_from_tomorrow'")
    store.close()
    for _ in range(2):
        with pytest.raises(StoreTooNew, match="'0099_from_tomorrow'") as caught:
            opened(tmp_path)
        assert "or newer" in str(caught.value.next_step)


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loglease.store.guards.TRIGGERS", {"broken": "CREATE TRIGGER broken"})
        with pytest.raises(Exception, match="incomplete"):
            opened(tmp_path)
    store = opened(tmp_path)
    assert dump(store)["alembic_version"] == [("0001_first",)]
    store.close()
