"""The whole product in a process of its own, as `loglease serve` starts it, with people who have signed in."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes import postgres
from tests.fakes.database import put_new_database
from tests.fakes.warm import WarmServer

from loglease.server.databases import FILE

PASSWORDS = {"alice": "alice reads the logs", "bob": "bob approves of it", "carol": "carol approves too"}
WITHIN_S = 60
# To read the authorities that this machine trusts takes ten times as long as a call, and nothing here needs them.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

CONFIG = """
[http]
listen = "127.0.0.1:{port}"
health = "127.0.0.1:0"
[identity]
argon2_memory_kib = 64
argon2_passes = 1
argon2_lanes = 1
[limits]
enforced = false
[sources.files]
description = "Services of this test"
clear_labels = ["service", "env"]
[[sources.files.watches]]
root = "{logs}"
pattern = "*.log"
path_labels = '(?P<service>[a-z0-9-]+)\\.log'
labels = {{ env = "test" }}
"""


class Refused(AssertionError):
    """A call was refused; `problem` is what the server said."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"{response.status_code}: {response.text}")
        self.status = response.status_code
        self.problem: dict[str, Any] = response.json() if "json" in response.headers["content-type"] else {}


@dataclass
class Person:
    """Somebody who signed in, and what they may ask the server."""

    url: str
    name: str
    token: str
    count: int = 0

    def headers(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", **(extra or {})}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = self.headers({name.replace("_", "-"): value for name, value in headers.items()})
        url = f"{self.url}/api/v1{path}"
        response = httpx2.request(method, url, json=body, headers=sent, timeout=WITHIN_S, verify=NO_TLS)
        if response.status_code >= 400:
            raise Refused(response)
        return response.json() if response.content else None

    def create(self, path: str, body: Any, **headers: str) -> Any:
        self.count += 1
        key = headers.pop("key", f"{self.name}-{os.getpid()}-{time.monotonic_ns()}-{self.count}")
        return self.call("POST", path, body, idempotency_key=key, **headers)

    def ask(self, selector: str = '{service="shop"}', **changes: Any) -> dict[str, Any]:
        scope = {"source": "files", "selector": selector, "window": {"lookback_s": 3_600, "live": True}}
        body = {"scopes": [scope | changes.pop("scope", {})], "reason": "checkout fails since nine", **changes}
        return dict(self.create("/requests", body))

    def decide(self, request: Mapping[str, Any], verdict: str = "approve", **changes: Any) -> dict[str, Any]:
        body = {"verdict": verdict, "comment": "seen", **changes}
        digest = changes.pop("digest", request["digest_sha256"] if "digest_sha256" in request else request["digest"])
        body.pop("digest", None)
        return dict(self.create(f"/requests/{request['id']}/reviews", body, if_match=f'"{digest}"'))

    def grant_of(self, request: Mapping[str, Any]) -> str:
        return str(self.call("GET", f"/requests/{request['id']}")["grant"])

    def lines(self, grant: str, query: str = "{}", **parameters: str) -> Iterator[dict[str, Any]]:
        """Yield the records of one answer."""
        with httpx2.stream(
            "GET",
            f"{self.url}/g/{grant}/logs",
            params={"query": query, **parameters},
            headers=self.headers({"accept": "application/x-ndjson"}),
            timeout=WITHIN_S,
            verify=NO_TLS,
        ) as response:
            if response.status_code >= 400:
                response.read()
                raise Refused(response)
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)


@dataclass
class Stack:
    """One server over one folder; it can be killed and started again."""

    folder: Path
    port: int = 0
    config: str = CONFIG
    stepped_clock: bool = False
    prepare: Callable[[], None] | None = None
    process: WarmServer | None = None
    url: str = ""
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def step_file(self) -> Path:
        """How many seconds the machine's wall clock is ahead for a server with `stepped_clock`."""
        return self.folder / "step"

    def step(self, seconds: float) -> None:
        """Have the machine's wall clock be so many seconds ahead of the true one."""
        written = self.step_file.with_suffix(".new")
        written.write_text(str(seconds))
        written.replace(self.step_file)

    def start(self) -> Stack:
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.folder / "loglease.toml"
        path.write_text(self.config.format(logs=self.logs, port=self.port) + self._database())
        told = self.folder / "stdout.log"
        told.unlink(missing_ok=True)
        if self.process is None and not postgres.WANTED and "[database]" not in self.config:
            put_new_database(self.folder / "data" / FILE)
        self.process = WarmServer(
            path,
            environment={**os.environ, "LOGLEASE_DATA_DIR": str(self.folder / "data")},
            step=self.step_file if self.stepped_clock else None,
            prepare=self.prepare,
            out=told,
            err=self.folder / "stderr.log",
        )
        self.url = self._announced()
        self.port = int(self.url.rpartition(":")[2])
        password = self.folder / "data" / "admin-password"
        if "admin" not in self.passwords and password.exists():
            self.passwords["admin"] = password.read_text().strip()
        return self

    def _database(self) -> str:
        if not postgres.WANTED or "[database]" in self.config:
            return ""
        return f'\n[database]\nurl = "{postgres.database_at(self.folder)}"\n'

    def _announced(self) -> str:
        assert self.process is not None
        told = self.folder / "stdout.log"
        until = time.monotonic() + WITHIN_S
        shown = ""
        is_over = False
        while not is_over and time.monotonic() < until:
            is_over = self.process.poll() is not None
            shown = told.read_text() if told.exists() else ""
            if match := re.search(r"^Address +(http\S+)$", shown, re.MULTILINE):
                return match[1]
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {shown}\n{(self.folder / 'stderr.log').read_text()[-3000:]}")

    def sign_in(self, name: str) -> Person:
        body = {"account": name, "password": self.passwords[name]}
        response = httpx2.post(f"{self.url}/api/v1/sign-in", json=body, timeout=WITHIN_S, verify=NO_TLS)
        if response.status_code != 200:
            raise Refused(response)
        return Person(self.url, name, response.json()["access_token"])

    def add(self, name: str, *groups: str, roles: tuple[str, ...] = ()) -> Person:
        admin = self.sign_in("admin")
        self.passwords[name] = PASSWORDS.get(name, f"{name} has a password")
        body = {
            "account": name,
            "email": f"{name}@example.com",
            "groups": list(groups),
            "roles": list(roles),
            "password": self.passwords[name],
        }
        admin.create("/principals", body)
        return self.sign_in(name)

    def kill(self) -> None:
        """End the process without any warning."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._gone()

    def _gone(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=WITHIN_S)

    def stop(self) -> int:
        """Ask the process to end, and return its exit code."""
        if self.process is None or self.process.poll() is not None:
            return -1
        self.process.send_signal(signal.SIGTERM)
        return self._gone()
