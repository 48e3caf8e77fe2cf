from __future__ import annotations

import pytest

from loglease.store.sqlite_library import Mode, mode_of, running_library


@pytest.mark.parametrize(
    "version",
    ["3.51.3", "3.51.4", "3.53.0", "3.53.4", "3.54.1", "3.50.7", "3.50.9", "3.44.6", "4.0.0", "3.51.3.1"],
)
def test_a_fixed_library_may_have_readers_beside_the_writer(version: str) -> None:
    assert mode_of(version) is Mode.WAL


@pytest.mark.parametrize(
    "version",
    ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.0", "3.51.2", "3.52.0", "3.52.9", "3.6.9", "", "x.y", "3"],
)
def test_an_affected_or_unknown_library_gets_one_connection(version: str) -> None:
    assert mode_of(version) is Mode.SINGLE_CONNECTION


def test_the_running_library_is_asked() -> None:
    library = running_library()
    connection = library.module.connect(":memory:")
    assert connection.execute("SELECT sqlite_version()").fetchone() == (library.version,)
    connection.close()
    assert library.mode is mode_of(library.version)
    assert str(library).startswith(f"SQLite {library.version} from ")


def test_what_the_driver_was_told_to_store_as_it_is_comes_back_as_it_was() -> None:
    connection = running_library().module.connect(":memory:")
    values = (b"\x00\xff", b"", None, 0, -(2**63), "", "é", 0.5)
    assert connection.execute("SELECT ?, ?, ?, ?, ?, ?, ?, ?", values).fetchone() == values
    kinds = connection.execute("SELECT typeof(?), typeof(?)", (b"x", None)).fetchone()
    connection.close()
    assert kinds == ("blob", "null")
