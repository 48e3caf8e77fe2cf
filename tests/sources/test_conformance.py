"""All readers do the same: over the embedded store, and over fakes of the others on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sources.conformance import LokiSuite, Suite
from tests.sources.stores import (
    FilesStore,
    JournalStore,
    LokiStore,
    VictoriaLogsStore,
    files_store,
    journal_store,
    loki_store,
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


class TestLoki(LokiSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[LokiStore]:
        async with loki_store(tmp_path) as store:
            yield store


class TestLokiBeforeStructuredMetadata(LokiSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[LokiStore]:
        async with loki_store(tmp_path, structured_metadata=False) as store:
            yield store


class TestJournald(Suite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JournalStore]:
        async with journal_store(tmp_path) as store:
            yield store
