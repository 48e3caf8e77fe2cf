"""A real Loki on free ports of this machine: release 2.2.1, the last one under the Apache licence."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.stores import ROOT, free_port
from tests.sources.conformance import BASE_NS, Line

from loglease.model.labels import labels_of
from loglease.server.clock import SystemClock
from loglease.sources.loki import LokiReader, loki_config

VERSION = "2.2.1"
CONFIGURATION = Path(__file__).parent / f"loki-{VERSION}" / "loki.yaml"

Stream = tuple[Mapping[str, str], Sequence[tuple[int, str]]]
"""Labels, and lines with their times in nanoseconds, the oldest first: this Loki refuses any other order."""


def loki_path() -> Path | None:
    path = ROOT / ".real" / f"loki-{VERSION}"
    return path if os.access(path, os.X_OK) else None


@dataclass
class Loki:
    """A running server; each user of it takes a tenant of its own."""

    port: int
    process: subprocess.Popen[bytes]
    tenants: Iterator[str] = field(default_factory=lambda: (f"tenant-{number}" for number in itertools.count(1)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def push(self, tenant: str, streams: Sequence[Stream]) -> None:
        """Write lines; they can be queried as soon as this returns."""
        body = {
            "streams": [
                {"stream": dict(labels), "values": [[str(ts), text] for ts, text in lines]} for labels, lines in streams
            ]
        }
        self.call(tenant, "/loki/api/v1/push", json.dumps(body).encode(), {"Content-Type": "application/json"})

    def get(self, tenant: str, path: str, **parameters: str | int) -> Any:
        """Return the JSON of an answer."""
        return json.loads(self.call(tenant, f"{path}?{urllib.parse.urlencode(parameters)}"))

    def call(
        self, tenant: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of an answer.

        Raises:
            HTTPError: Loki refuses; its body says why.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers={"X-Scope-OrgID": tenant, **(headers or {})}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - a server that the test started
            body: bytes = answer.read()
            return body


@contextmanager
def loki(folder: Path, *, port: int | None = None) -> Iterator[Loki]:
    """Start a server that keeps everything in `folder`; it is ready when this yields."""
    program = loki_path()
    assert program is not None
    port = port or free_port()
    environment = {**os.environ, "HTTP_PORT": str(port), "GRPC_PORT": str(free_port()), "FOLDER": str(folder)}
    with (folder / "loki.log").open("ab") as said:
        process = subprocess.Popen(
            [program, f"-config.file={CONFIGURATION}", "-config.expand-env=true"],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
        )
        try:
            server = Loki(port, process)
            _until_ready(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class LokiStore:
    server: Loki
    reader: LokiReader
    tenant: str
    step_ns: int = 1
    names: tuple[str, str] = ("service", "env")

    def now_ns(self) -> int:
        return SystemClock().now() * 1_000

    async def write(self, lines: Sequence[Line], *, base_ns: int = BASE_NS) -> None:
        streams = defaultdict(list)
        for line in lines:
            labels = labels_of(dict(zip(self.names, (line.one, line.two), strict=True)))
            streams[labels].append((base_ns + line.step, line.text))
        await self.push([(dict(labels), values) for labels, values in streams.items()])

    async def push(self, streams: Sequence[tuple[dict[str, str], Sequence[tuple[int, str]]]]) -> None:
        await asyncio.to_thread(self.server.push, self.tenant, streams)


@asynccontextmanager
async def loki_store(server: Loki, **more: Any) -> AsyncIterator[LokiStore]:
    tenant = next(server.tenants)
    raw = {
        "address": server.address,
        "trusted_labels": ["service", "env"],
        "tenant": tenant,
        "structured_metadata": False,
        **more,
    }
    reader = LokiReader(loki_config("shop", raw, base=Path()), SystemClock())
    try:
        yield LokiStore(server, reader, tenant)
    finally:
        await reader.aclose()


def _until_ready(server: Loki) -> None:
    for _ in range(600):
        assert server.process.poll() is None, "Loki ended at its start"
        try:
            server.call("nobody", "/ready")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Loki does not become ready")
