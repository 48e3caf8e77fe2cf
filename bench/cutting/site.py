"""The servers that `bench.cut` measures: whole processes on SQLite or a PostgreSQL of their own, plain or with TLS."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fakes.own_postgres import OwnPostgres, own_postgres

STARTED_WITHIN_S = 300
KEPT_S = 5
"""So long a connection is used again; a server closes it sooner or later."""
PASSWORD = "of this measurement only"  # noqa: S105 - made up
LINE = '{"level":"info","msg":"GET /checkout 200 12ms","user":"ann@example.com","n":%d,"pad":"' + "x" * 110 + '"}\n'
FLOOD_LINES = 40_000
SERVICES = 50

CONFIG = """
[http]
listen = "127.0.0.1:0"
health = "127.0.0.1:0"
{tls}
[identity]
argon2_memory_kib = 64
argon2_passes = 1
argon2_lanes = 1
[limits]
enforced = false
[policy]
directory = "{folder}/policy"
[sources.files]
description = "Services of this measurement"
clear_labels = ["service"]
[[sources.files.watches]]
root = "{folder}/logs"
pattern = "*.log"
path_labels = '(?P<service>[a-z0-9-]+)\\.log'
{database}
"""

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {sources: [files]}
labels: {service: string}
redaction: {secrets: [], pii-default: [secrets]}
---
api: loglease/v1
kind: AccessPolicy
id: measured
title: Logs of this measurement
who: {kinds: [human], any_of: [group:everybody]}
scopes:
  - {sources: [files], labels: {service: [{prefix: shop-}, flood]}, lookback: 24h, live: true}
ask: {reason: {min: 5}}
grant:
  duration: {default: 1h, max: 2h}
  activate_within: 8h
  limits: {lines: 100000000, queries_per_min: 100000, tails: 4000}
  redaction: pii-default
approve:
  - otherwise: true
    auto: true
"""


class Refused(RuntimeError):
    """A call was refused."""


@dataclass
class Api:
    """Calls of one person to one server, over one connection that is kept."""

    port: int
    tls: bool
    token: str = ""
    _open: http.client.HTTPConnection | None = None
    _used_at: float = 0.0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call and return what is answered."""
        if self._open is None or time.monotonic() - self._used_at > KEPT_S:
            self._open = self._connection()
        self._used_at = time.monotonic()
        headers = {"content-type": "application/json", "idempotency-key": f"bench-{os.getpid()}-{time.monotonic_ns()}"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        self._open.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
        response = self._open.getresponse()
        content = response.read()
        if response.status >= 400:
            raise Refused(f"{method} {path}: {response.status} {content[:600]!r}")
        return json.loads(content) if content else None

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=trusting)

    def signed_in(self, account: str, password: str) -> Api:
        """Return the same server as somebody knows it."""
        answer = Api(self.port, self.tls).call("POST", "/sign-in", {"account": account, "password": password})
        return Api(self.port, self.tls, answer["access_token"])

    def grant(self, services: str = 'service=~"shop-.*"', duration_s: int | None = None) -> str:
        """Ask for logs, which policy gives at once, and begin to use that."""
        scope = {
            "source": "files",
            "selector": f"{{{services}}}",
            "window": {"lookback_s": 3_600, "live": True},
        }
        body: dict[str, Any] = {"scopes": [scope], "reason": "how fast it is cut"}
        if duration_s is not None:
            body["duration_s"] = duration_s
        made = self.call("POST", "/requests", body)
        return str(made.get("grant") or self.call("GET", f"/requests/{made['id']}")["grant"])


@dataclass
class Site:
    """Servers, the first of which made everybody's account."""

    folder: Path
    tls: bool
    database: OwnPostgres | None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    admins: list[Api] = field(default_factory=list)
    alices: list[Api] = field(default_factory=list)
    shares_keys: bool = False

    def start(self, mode: str) -> None:
        """Start one more server."""
        number = len(self.processes) + 1
        home = self.folder / f"server-{number}"
        home.mkdir()
        tls = (
            f'tls_certificate = "{self.folder}/certificate.pem"\ntls_key = "{self.folder}/key.pem"' if self.tls else ""
        )
        database = ""
        if self.database is not None:
            (self.folder / "keys").mkdir(mode=0o700, exist_ok=True)
            database = f'[database]\nurl = "{self.database.url}"\n'
            if self.shares_keys:
                database += f'keys_dir = "{self.folder / "keys"}"\n'
        config = home / "loglease.toml"
        config.write_text(CONFIG.format(folder=self.folder, tls=tls, database=database))
        told = home / "stdout.log"
        with told.open("wb") as out, (home / "stderr.log").open("wb") as err:
            command = [sys.executable, "-m", "bench.cutting.process", str(config), mode]
            environment = {**os.environ, "LOGLEASE_DATA_DIR": str(home / "data")}
            self.processes.append(subprocess.Popen(command, stdout=out, stderr=err, env=environment))
        self.ports.append(self._announced(told))
        self._sign_in()

    def _announced(self, told: Path) -> int:
        until = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < until and self.processes[-1].poll() is None:
            if match := re.search(r"^Address +https?://[^:]+:(\d+)$", told.read_text(), re.MULTILINE):
                return int(match[1])
            time.sleep(0.05)
        raise RuntimeError(
            f"the server did not start: {told.read_text()}\n{(told.parent / 'stderr.log').read_text()[-2000:]}"
        )

    def _sign_in(self) -> None:
        newest = Api(self.ports[-1], self.tls)
        if len(self.ports) > 1:  # one sign-in counts at all servers
            self.admins.append(Api(newest.port, self.tls, self.admins[0].token))
            self.alices.append(Api(newest.port, self.tls, self.alices[0].token))
            return
        password = (self.folder / "server-1" / "data" / "admin-password").read_text().strip()
        self.admins.append(newest.signed_in("admin", password))
        account = {"account": "alice", "email": "alice@example.com", "password": PASSWORD}
        self.admins[0].call("POST", "/principals", account)
        other = {"account": "erin", "email": "erin@example.com", "roles": ["admin"], "password": PASSWORD}
        self.admins[0].call("POST", "/principals", other)
        self.alices.append(newest.signed_in("alice", PASSWORD))

    @property
    def erin(self) -> Api:
        """The administrator who lifts locks, which is nobody's own act."""
        return Api(self.ports[0], self.tls).signed_in("erin", PASSWORD)

    def stop(self) -> None:
        """Stop all servers."""
        for one in self.processes:
            one.terminate()
        for one in self.processes:
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


@contextmanager
def site(*, tls: bool, postgres: bool, servers: int = 1, mode: str = "cut", rate: float = 1.0) -> Iterator[Site]:
    """Run servers over logs that grow by so many lines a second."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cut", ignore_cleanup_errors=True)))
        database = stack.enter_context(own_postgres()) if postgres else None
        for name in ("logs", "policy"):
            (folder / name).mkdir()
        (folder / "policy" / "policy.yaml").write_text(POLICY)
        for number in range(SERVICES):
            log_of(folder, number).write_text(LINE % 0)
        (folder / "logs" / "flood.log").write_text("".join(LINE % n for n in range(FLOOD_LINES)))
        if tls:
            certificate_in(folder)
        made = Site(folder, tls, database, shares_keys=servers > 1)
        stack.callback(made.stop)
        for _ in range(servers):
            made.start(mode)
        over = threading.Event()
        writer = threading.Thread(target=_append, args=(folder, rate, over))
        writer.start()
        stack.callback(writer.join)
        stack.callback(over.set)
        yield made


def log_of(folder: Path, number: int) -> Path:
    """Return the log of a service."""
    return folder / "logs" / f"{service_of(number)}.log"


def service_of(number: int) -> str:
    """Return the service that a tail with this number follows: their lines come one after the other, not at once."""
    return f"shop-{number % SERVICES:02d}"


def _append(folder: Path, rate: float, over: threading.Event) -> None:
    number = 0
    while not over.wait(1 / rate / SERVICES):
        number += 1
        with log_of(folder, number).open("a") as log:
            log.write(LINE % number)


def certificate_in(folder: Path) -> None:
    """Make a certificate that nobody else trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    written = key.private_bytes(pem, form, serialization.NoEncryption())
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(written)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
