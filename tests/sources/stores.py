"""The stores that the suite of all readers runs over without anything but Python."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.http import Server, serving
from tests.fakes.journal import FakeJournal
from tests.fakes.loki import FakeLoki
from tests.fakes.loki import Stored as LokiLine
from tests.fakes.victorialogs import FakeVictoriaLogs, Stored
from tests.sources.conformance import BASE_NS, Line

from loglease.model.labels import labels_of
from loglease.server.clock import SystemClock
from loglease.sources.files import FileSource, FileSourceConfig, Watch
from loglease.sources.files.segments import Lines
from loglease.sources.interface import Reader
from loglease.sources.journald import JournaldReader, journald_config
from loglease.sources.loki import LokiReader, loki_config
from loglease.sources.victorialogs import VictoriaLogsReader, victorialogs_config

FIELDS = {"systemd_unit": "_SYSTEMD_UNIT", "hostname": "_HOSTNAME"}


class _Now:
    def now_ns(self) -> int:
        return SystemClock().now() * 1_000


@dataclass
class FilesStore(_Now):
    source: FileSource
    step_ns: int = 1
    names: tuple[str, str] = ("service", "env")

    @property
    def reader(self) -> Reader:
        return self.source

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        storage = self.source._storage
        assert storage is not None
        for line in lines:
            labels = labels_of(dict(zip(self.names, (line.one, line.two), strict=True)))
            times = array("q", [base_ns + line.step * self.step_ns])
            storage.append(Lines(storage.stream_number(labels), times, [line.text.encode()]))
        self.source._wake_followers(storage.commit())


@asynccontextmanager
async def files_store(folder: Path) -> AsyncIterator[FilesStore]:
    watch = Watch(root=folder, pattern="none.log", labels={"service": "none"})
    source = FileSource(FileSourceConfig(name="files", directory=folder / "data", watches=(watch,)), SystemClock())
    await source.start(poll=False)
    try:
        yield FilesStore(source)
    finally:
        await source.aclose()


@dataclass
class VictoriaLogsStore(_Now):
    reader: VictoriaLogsReader
    fake: FakeVictoriaLogs
    server: Server
    step_ns: int = 1
    names: tuple[str, str] = ("service", "env")

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        rows = []
        for line in lines:
            pairs = zip(self.names, (line.one, line.two), strict=True)
            rows.append(Stored(base_ns + line.step, {name: value for name, value in pairs if value}, line.text))
        await self.fake.write(rows)


@asynccontextmanager
async def victorialogs_store(folder: Path) -> AsyncIterator[VictoriaLogsStore]:
    fake = FakeVictoriaLogs()
    async with serving(fake.respond) as server:
        raw = {"address": server.address, "trusted_labels": ["service", "env"]}
        reader = VictoriaLogsReader(victorialogs_config("shop", raw, base=folder), SystemClock())
        try:
            yield VictoriaLogsStore(reader, fake, server)
        finally:
            await reader.aclose()


@dataclass
class LokiStore(_Now):
    reader: LokiReader
    fake: FakeLoki
    server: Server
    step_ns: int = 1
    names: tuple[str, str] = ("service", "env")

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        rows = []
        for line in lines:
            pairs = zip(self.names, (line.one, line.two), strict=True)
            rows.append(LokiLine(base_ns + line.step, {name: value for name, value in pairs if value}, line.text))
        await self.fake.write(rows)


@asynccontextmanager
async def loki_store(folder: Path, **more: Any) -> AsyncIterator[LokiStore]:
    fake = FakeLoki(folds=more.get("structured_metadata") is False)
    async with serving(fake.respond) as server:
        raw = {"address": server.address, "trusted_labels": ["service", "env"], **more}
        reader = LokiReader(loki_config("shop", raw, base=folder), SystemClock())
        try:
            yield LokiStore(reader, fake, server)
        finally:
            await reader.aclose()


@dataclass
class JournalStore(_Now):
    reader: JournaldReader
    fake: FakeJournal
    server: Server
    step_ns: int = 1_000
    names: tuple[str, str] = ("systemd_unit", "hostname")

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        for line in lines:
            fields = {
                FIELDS[name]: value for name, value in zip(self.names, (line.one, line.two), strict=True) if value
            }
            await self.fake.write(base_ns // 1_000 + line.step, MESSAGE=line.text, PRIORITY="6", **fields)


@asynccontextmanager
async def journal_store(folder: Path) -> AsyncIterator[JournalStore]:
    fake = FakeJournal()
    async with serving(fake.respond) as server:
        raw = {"address": server.address, "trusted_labels": ["systemd_unit", "hostname"]}
        reader = JournaldReader(journald_config("machine", raw, base=folder), SystemClock())
        try:
            yield JournalStore(reader, fake, server)
        finally:
            await reader.aclose()
