"""All readers do the same: over the embedded store, and over fakes of the others on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sources.conformance import Suite
from tests.sources.stores import (
    FilesStore,
    JournalStore,
    VictoriaLogsStore,
    files_store,
    journal_store,
    victorialogs_store,
)


class TestFiles(Suite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[FilesStore]:
        async with files_store(tmp_path) as store:
            yield store


class TestVictoriaLogs(Suite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[VictoriaLogsStore]:
        async with victorialogs_store(tmp_path) as store:
            yield store


class TestJournald(Suite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JournalStore]:
        async with journal_store(tmp_path) as store:
            yield store
