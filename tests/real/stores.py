"""Real log stores, started on free ports of this machine: VictoriaLogs, and the gateway daemon of the journal."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sources.conformance import BASE_NS, Line
from tests.sources.stores import FIELDS

from loglease.server.clock import SystemClock
from loglease.sources.journald import JournaldReader, journald_config
from loglease.sources.victorialogs import VictoriaLogsReader, victorialogs_config

VERSION = "v1.52.1"
ROOT = Path(__file__).parents[2]
_FOLDERS = (Path("/usr/lib/systemd"), Path("/lib/systemd"))


def victorialogs_path() -> Path | None:
    path = ROOT / ".real" / f"victoria-logs-{VERSION}"
    return path if os.access(path, os.X_OK) else None


def journal_path(program: str = "systemd-journal-gatewayd") -> Path | None:
    found = next((folder / program for folder in _FOLDERS if os.access(folder / program, os.X_OK)), None)
    return found if shutil.which("systemd-socket-activate") else None


@dataclass
class VictoriaLogs:
    """A running server; each test gets a tenant of its own."""

    port: int
    process: subprocess.Popen[bytes]
    tenants: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, path: str, data: bytes | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - the same
            body: bytes = answer.read()
            return body


@contextmanager
def victorialogs(folder: Path, *, port: int | None = None) -> Iterator[VictoriaLogs]:
    program = victorialogs_path()
    assert program is not None
    port = port or free_port()
    said = (folder / "victoria-logs.log").open("ab")
    arguments = [f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    process = subprocess.Popen([program, *arguments, "-memory.allowedBytes=256MiB"], stdout=said, stderr=said)
    try:
        _until_listening(port, process)
        yield VictoriaLogs(port, process)
    finally:
        process.terminate()
        process.wait(20)
        said.close()


@dataclass
class VictoriaLogsStore:
    server: VictoriaLogs
    reader: VictoriaLogsReader
    tenant: int
    step_ns: int = 1
    names: tuple[str, str] = ("service", "env")

    def now_ns(self) -> int:
        return SystemClock().now() * 1_000

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        rows = []
        for line in lines:
            pairs = {name: value for name, value in zip(self.names, (line.one, line.two), strict=True) if value}
            rows.append({"_time": _time_text(base_ns + line.step), "_msg": line.text, **pairs})
        await self.insert(rows)

    async def insert(self, rows: Sequence[dict[str, Any]], streams: str = "service,env") -> None:
        body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        headers = {"Content-Type": "application/stream+json", "AccountID": str(self.tenant)}
        await asyncio.to_thread(self.server.call, f"/insert/jsonline?_stream_fields={streams}", body, **headers)
        await asyncio.to_thread(self.server.call, "/internal/force_flush")


@asynccontextmanager
async def victorialogs_store(server: VictoriaLogs, **more: Any) -> AsyncIterator[VictoriaLogsStore]:
    tenant = next(server.tenants)
    raw = {
        "address": f"http://127.0.0.1:{server.port}",
        "trusted_labels": ["service", "env"],
        "tenant": {"account": tenant},
        **more,
    }
    reader = VictoriaLogsReader(victorialogs_config("shop", raw, base=Path()), SystemClock())
    try:
        yield VictoriaLogsStore(server, reader, tenant)
    finally:
        await reader.aclose()


@dataclass
class JournalStore:
    reader: JournaldReader
    port: int
    remote: asyncio.subprocess.Process
    step_ns: int = 1_000
    names: tuple[str, str] = ("systemd_unit", "hostname")
    written: int = 0

    def now_ns(self) -> int:
        return SystemClock().now() * 1_000

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        entries = []
        for line in lines:
            pairs = {FIELDS[name]: value for name, value in zip(self.names, (line.one, line.two), strict=True) if value}
            entries.append((base_ns // 1_000 + line.step, {"MESSAGE": line.text.encode(), **_encoded(pairs)}))
        await self.insert(entries)

    async def insert(self, entries: Sequence[tuple[int, dict[str, bytes]]]) -> None:
        for us, fields in entries:
            self.written += 1
            known = {"__REALTIME_TIMESTAMP": b"%d" % us, "__MONOTONIC_TIMESTAMP": b"%d" % self.written}
            known["_BOOT_ID"] = b"0123456789abcdef0123456789abcdef"
            assert self.remote.stdin is not None
            self.remote.stdin.write(b"".join(_exported(*pair) for pair in {**known, **fields}.items()) + b"\n")
        await self.remote.stdin.drain()
        async with asyncio.timeout(30):
            while await asyncio.to_thread(self._count) < self.written:  # noqa: ASYNC110 - another process has to have it
                await asyncio.sleep(0.05)

    def _count(self) -> int:
        headers = {"Accept": "application/json", "Range": "entries=:0:1000000"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/entries", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - the same
            return sum(1 for _ in answer)


def _encoded(pairs: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in pairs.items()}


def _exported(name: str, value: bytes) -> bytes:
    """Write a field in the journal's export format; one with a newline or other control characters has its length."""
    if all(byte >= 0x20 or byte == 0x09 for byte in value):
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


@asynccontextmanager
async def gateway_daemon(journal: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the daemon as systemd would: it gets a listening socket."""
    program = journal_path("systemd-journal-gatewayd")
    assert program is not None
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        "systemd-socket-activate", "-l", f"127.0.0.1:{port}", program, "-D", journal, stdout=quiet, stderr=quiet
    )
    try:
        await asyncio.to_thread(_until_listening, port)
        yield process
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def journal_store(folder: Path) -> AsyncIterator[JournalStore]:
    program = journal_path("systemd-journal-remote")
    assert program is not None
    journal = folder / "journal"
    journal.mkdir()
    port = free_port()
    quiet = asyncio.subprocess.DEVNULL
    remote = await asyncio.create_subprocess_exec(
        program, f"--output={journal / 'x.journal'}", "-", stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
    )
    raw = {"address": f"http://127.0.0.1:{port}", "trusted_labels": ["systemd_unit", "hostname"]}
    reader = JournaldReader(journald_config("machine", raw, base=Path()), SystemClock())
    async with gateway_daemon(journal, port):
        try:
            yield JournalStore(reader, port, remote)
        finally:
            await reader.aclose()
            assert remote.stdin is not None
            remote.stdin.close()
            await remote.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _until_listening(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(400):
        assert process is None or process.poll() is None, "it ended at its start"
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at {port}")


def _time_text(ns: int) -> str:
    seconds, rest = divmod(ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"
