from __future__ import annotations

import pytest
from tests.sources.files.world import ToldClock

from loglease.model.errors import InvalidField
from loglease.sources.files import FileSource, FileSourceConfig
from loglease.sources.registry import Source, Sources


def source(name: str, tmp_path, **changes) -> Source:
    reader = FileSource(FileSourceConfig(name=name, directory=tmp_path / name), ToldClock())
    return Source(name=name, kind="files", reader=reader, trusted_labels=frozenset({"service", "env"}), **changes)


async def test_sources_are_found_by_name_and_closed_together(tmp_path):
    one, two = source("one", tmp_path), source("two", tmp_path, clear_labels=frozenset({"env"}))
    sources = Sources([one, two])
    assert list(sources) == ["one", "two"]
    assert sources["two"] is two
    assert sources.get("three") is None
    await sources.aclose()
    assert not (await one.reader.check()).ok


async def test_a_name_is_given_once(tmp_path):
    one = source("one", tmp_path)
    with pytest.raises(InvalidField, match="'one'"):
        Sources([one, one])
    await one.reader.aclose()


def test_a_clear_label_must_be_trusted(tmp_path):
    with pytest.raises(InvalidField, match="password"):
        source("one", tmp_path, clear_labels=frozenset({"password"}))
