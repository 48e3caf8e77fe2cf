"""Promise 2, blind, and the redactor's own: no secret that is in a log comes out, in whatever way it is asked for.

Secrets of many kinds are planted in log files, in names of files, and in a store behind HTTP: in lines, labels, metadata
and in what it says in errors. A real server reads them for people with grants that mask, by every route. Then all that
came out is searched for any twelve bytes of any of them: answers with their heads, our own logs, the audit log, the
database, everything else in the data directory but the kept lines themselves, and temporary files. `SILENCE_SECRETS`
says how many there are.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest
from tests.fakes import postgres
from tests.fakes.http import Answer, Call, serving
from tests.fakes.loki import FakeLoki, Stored
from tests.fakes.stack import NO_TLS, Person, Refused, Stack
from tests.promises.planted import PERSONAL, Needles, Planted, planted
from tests.promises.shared import followed
from tests.promises.silence_calls import calls, tails
from tests.volume import volume

from loglease.gateway.routes import Action
from loglease.server.clock import SystemClock

SECRETS = int(os.environ.get("SILENCE_SECRETS", volume(60, 160)))
PER_FILE = 900
AT_ONCE = 1_000
LAST = "the last line"
WITHIN_S = 60
RENEWED_S = 300
"""How old a sign-in gets."""

CONFIG = """
[http]
listen = "127.0.0.1:{{port}}"
health = "127.0.0.1:{health}"
[identity]
argon2_memory_kib = 64
argon2_passes = 1
argon2_lanes = 1
[limits]
enforced = false
[policy]
directory = "{folder}/policy"
[sources.files]
clear_labels = ["service"]
[[sources.files.watches]]
root = "{{logs}}"
pattern = "**/*.log"
path_labels = '(?P<service>[a-z0-9-]+)(?:/(?P<pod>.+))?\\.log'
[sources.cluster]
kind = "loki"
address = "{loki}"
trusted_labels = ["service"]
"""
POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [approvers], sources: [files, cluster]}
labels: {service: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: AccessPolicy
id: everything
title: Logs of this test
who: {kinds: [human], any_of: [group:everybody]}
scopes:
  - {sources: [files, cluster], labels: {service: {prefix: s}}, lookback: 24h, live: true}
ask: {reason: {min: 5}}
grant:
  duration: {default: 1h, max: 1h}
  activate_within: 8h
  limits: {lines: 1000000000, bytes: 1000GiB, queries_per_min: 100000, tails: 50}
  redaction: REDACTION
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 1}]
pending_max: 4h
"""


@dataclass
class Heard:
    """All bytes that came, and what kind of answers they were."""

    raw: list[tuple[str, bytes]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    actions: set[Action] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    compressed: int = 0

    def add(self, name: str, data: bytes) -> bytes:
        clear = _decompressed(data)
        self.compressed += clear is not data
        self.raw.append((name, clear))
        self.statuses[int(data[9:12] or 0)] += 1
        return clear


@dataclass
class World:
    profile: str
    stack: Stack
    loki: FakeLoki
    folder: Path
    health: int
    alice: Person
    bob: Person
    secrets: list[Planted]
    services: dict[str, list[str]]
    heard: Heard = field(default_factory=Heard)
    signed_in_at: float = field(default_factory=time.monotonic)

    def granted(self, source: str) -> str:
        selector = "{" + f'service=~"{"|".join(self.services[source])}"' + "}"
        request = self.alice.ask(selector, scope={"source": source})
        self.bob.decide(request)
        return self.alice.grant_of(request)

    def call(
        self, address: str, call: tuple[str, str, tuple[str, ...]], token: str = "", within_s: float = WITHIN_S
    ) -> bytes:
        method, path, headers = call
        if time.monotonic() > self.signed_in_at + RENEWED_S:
            self.alice, self.bob = self.stack.sign_in("alice"), self.stack.sign_in("bob")
            self.signed_in_at = time.monotonic()
        route = path.partition("?")[0]
        self.heard.asked[route] += 1
        gzip = () if self.heard.asked[route] % 2 else ("Accept-Encoding: gzip",)
        fields = (f"Authorization: Bearer {token or self.alice.token}", *gzip, *headers)
        raw = _sent(self.stack.port, f"{method} {address}{path}", fields, within_s)
        return self.heard.add(f"{address}{path}", raw)


def _sent(port: int, asked: str, headers: tuple[str, ...], within_s: float) -> bytes:
    """Return all that comes in time; of what does not end by itself, until the last planted line has come."""
    fields = [f"{asked} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if not any(one.startswith("Connection:") for one in fields):
        fields.append("Connection: close")
    follows = "follow=true" in asked or "/tail?" in asked
    raw = bytearray()
    until = time.monotonic() + within_s
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as client:
        client.sendall("\r\n".join([*fields, "", ""]).encode())
        while time.monotonic() < until:
            try:
                piece = client.recv(1 << 20)
            except (ConnectionError, TimeoutError):
                break
            if not piece or (follows and LAST.encode() in piece):
                raw += piece
                break
            raw += piece
    return bytes(raw)


def _decompressed(answer: bytes) -> bytes:
    """Return an answer with its body in clear, however much of it came."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if b"\r\ncontent-encoding: gzip" not in head.lower():
        return answer
    assert b"\r\ntransfer-encoding: chunked" in head.lower()
    return head + end + zlib.decompressobj(wbits=31).decompress(b"".join(_chunks(body)))


def _chunks(body: bytes) -> Iterator[bytes]:
    while body:
        size, _, body = body.partition(b"\r\n")
        yield body[: int(size or b"0", 16)]
        body = body[int(size or b"0", 16) + 2 :]


def _stamp(ns: int) -> str:
    return datetime.fromtimestamp(ns / 10**9, UTC).isoformat()


def _written(logs: Path, secrets: list[Planted], now_ns: int) -> list[str]:
    """Write the lines to files, those of one shape together, some under names that hold secrets; return the services."""
    services: list[str] = []
    for shape in ("json", "logfmt", "plain"):
        own = [one for one in secrets if one.shape == shape]
        for number, begin in enumerate(range(0, len(own), PER_FILE)):
            service = f"s-{shape}-{number}"
            services.append(service)
            lines = [
                _timed(one.text, shape, now_ns - 10**9 * 600 + at * 10**6)
                for at, one in enumerate(own[begin : begin + PER_FILE])
            ]
            lines.append(_timed(f'{{"msg":"{LAST}"}}' if shape == "json" else LAST, shape, now_ns - 10**9))
            (logs / f"{service}.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (logs / "s-names").mkdir()
    services.append("s-names")
    named = [one for one in secrets if one.kind in ("github", "email", "aws key", "iban", "slack")][:60]
    for at, one in enumerate(named):
        text = _timed(f"{one.text} {LAST}" if at == len(named) - 1 else "nothing", "plain", now_ns - 10**9 * 300 + at)
        (logs / "s-names" / f"of-{one.value}.log").write_text(text + "\n", encoding="utf-8")
    return services


def _timed(text: str, shape: str, ns: int) -> str:
    if shape == "json":
        return f'{{"ts":"{_stamp(ns)}","level":"info",{text[1:]}'
    return f"ts={_stamp(ns)} {text}" if shape == "logfmt" else f"{_stamp(ns)} {text}"


def _rows(secrets: list[Planted], now_ns: int) -> Iterator[Stored]:
    """Yield lines of the store, with secrets in labels and metadata, too."""
    of = {kind: [one.value for one in secrets if one.kind == kind] for kind in {one.kind for one in secrets}}
    for at, one in enumerate(secrets):
        labels = {"service": "s-store", "pod": f"p{at % 3}"}
        if at % 50 == 0:
            labels |= {
                "owner": of["email"][at % len(of["email"])],
                "password": of["password"][at % len(of["password"])],
            }
            labels["token"] = of["github"][at % len(of["github"])]
        metadata = {"user": of["email"][at % len(of["email"])], "api_key": of["api key"][at % len(of["api key"])]}
        if at % 7 == 0:
            metadata[f"x_{of['github'][at % len(of['github'])]}"] = "1"
        yield Stored(now_ns - 600 * 10**9 + at * 10**6, labels, one.text, metadata)
    yield Stored(now_ns - 10**9, {"service": "s-store", "pod": "p0"}, LAST)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(params=["pii-default", "strict", "secrets"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(POLICY.replace("REDACTION", request.param))
    secrets = list(planted(SECRETS if request.param == "pii-default" else min(SECRETS, 600)))
    if request.param == "secrets":
        secrets = [one for one in secrets if one.kind not in PERSONAL]
    (tmp_path / "logs").mkdir()
    now_ns = SystemClock().now() * 1_000
    loki, health = FakeLoki(), _free_port()
    services = _written(tmp_path / "logs", secrets, now_ns)
    few = secrets if request.param != "secrets" else [*secrets, Planted("email", "plain", "x", "nobody@example.com")]
    await loki.write(_rows(few[:PER_FILE], now_ns))
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(serving(loki.respond))
        config = CONFIG.format(folder=tmp_path, loki=server.address, health=health)
        stack = await asyncio.to_thread(Stack(tmp_path, config=config).start)
        exits.push_async_callback(asyncio.to_thread, stack.stop)
        alice = await asyncio.to_thread(stack.add, "alice")
        bob = await asyncio.to_thread(stack.add, "bob", "approvers")
        by_source = {"files": services, "cluster": ["s-store"]}
        yield World(request.param, stack, loki, tmp_path, health, alice, bob, secrets, by_source)


def _read_everything(world: World, source: str, grant: str) -> None:
    now_ns = SystemClock().now() * 1_000
    services, heard = world.services[source], world.heard
    followed(lambda: all(LAST.encode() in _whole(world, grant, one) for one in services), within_s=WITHIN_S)
    start_ns, end_ns = now_ns - 3_600 * 10**9, now_ns + 10**9
    at_once = len(world.secrets) <= AT_ONCE
    selectors = ['{service=~".+"}'] if at_once else [f'{{service="{one}"}}' for one in services]
    share = 6 if world.profile != "pii-default" else 3 if at_once else 13  # by and by, every call meets some file
    for number, (action, call) in enumerate(calls(selectors, start_ns=start_ns, end_ns=end_ns)):
        if number % share and action in heard.actions:
            continue
        heard.actions.add(action)
        world.call("" if number % 5 == 0 else f"/g/{grant}", call)
    for action, call in tails(services[-1:] if at_once else services[-3:], start_ns=start_ns):
        heard.actions.add(action)
        world.call(f"/g/{grant}", call)
    for path in ("/logs", "/loki/api/v1/query_range?query=%7B%7D"):
        world.call(f"/g/{grant}", ("GET", path, ()), token="llp_" + "x" * 40)


def _whole(world: World, grant: str, service: str) -> bytes:
    query = f"/logs?since=1h&limit=5000&query=%7Bservice%3D%22{service}%22%7D"
    return world.call(f"/g/{grant}", ("GET", query, ()))


async def _read_while_the_store_fails(world: World, grant: str) -> None:
    """Read while the store says secrets in errors, in what is no answer, and in the middle of one."""
    said = " ".join(one.text for one in world.secrets[:40])
    plain = said.encode()
    as_json = b'{"status":"error","errorType":"bad_data","error":"%s"}' % plain.replace(b'"', b"'").replace(b"\n", b" ")
    answers = (
        (plain, "text/plain", "400 Bad Request"),
        (plain, "text/plain", "500 " + re.sub(r"[^ -~]", " ", said)[:400]),
        (as_json, "application/json", "422 No"),
        (plain, "application/json", "200 OK"),
        (b'{"status":"success","data":{"resultType":"streams","result":[' + plain, "application/json", "200 OK"),
        (as_json, "application/json", "200 OK"),
        (plain, "text/html; x=" + world.secrets[0].value, "200 OK"),
        (b'{"status":"success","data":' + plain[:9] + b"\xff\xfe", "application/json", "429 Slow"),
    )
    for body, kind, status in answers:

        async def instead(_call: Call, answer: Answer, body=body, kind=kind, status=status) -> bool:
            await answer.whole(body, kind, status=status)
            return True

        world.loki.instead = instead
        asked = dict(calls(['{service="s-store"}'], start_ns=1, end_ns=2**62)) | dict(tails(["s-store"], start_ns=1))
        for action in (
            Action.LOGS,
            Action.QUERY_RANGE,
            Action.QUERY,
            Action.SERIES,
            Action.DETECTED_FIELDS,
            Action.TAIL,
        ):
            await asyncio.to_thread(world.call, f"/g/{grant}", asked[action], within_s=1)
        async with httpx2.AsyncClient(verify=NO_TLS) as client:
            for path in ("readyz", "healthz", "metrics"):
                found = await client.get(f"http://127.0.0.1:{world.health}/{path}")
                world.heard.add(path, b"HTTP/1.1 %d " % found.status_code + found.content)
    world.loki.instead = None


def _after_the_end(world: World, grants: list[str]) -> None:
    """Read under grants that are revoked, and all that the API says of them."""
    for grant in grants:
        world.bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
        for number, (_, call) in enumerate(calls(['{service=~".+"}'], start_ns=1, end_ns=2**62)):
            if number % 20 == 0:
                world.call(f"/g/{grant}", call)
    admin = world.stack.sign_in("admin")
    for person in (world.alice, world.bob, admin):
        pages = ["/requests", "/grants", "/sources", "/locks", "/me"]
        pages += [f"/grants/{grant}{more}" for grant in grants for more in ("", "/usage")]
        pages += [f"/sessions?grant={grant}" for grant in grants]
        pages += [f"/sources/{source}/labels" for source in world.services]
        for path in pages:
            url = f"{world.stack.url}/api/v1{path}"
            answer = httpx2.get(url, headers=person.headers(), timeout=WITHIN_S, verify=NO_TLS)
            world.heard.raw.append((path, answer.content))
    _audited(world, admin)


def _audited(world: World, admin: Person) -> None:
    cursor = ""
    while cursor is not None:
        try:
            found = admin.call("GET", f"/audit/entries?limit=200{cursor}")
        except Refused:
            return
        world.heard.raw.append(("audit", repr(found).encode()))
        cursor = f"&cursor={found['next']}" if found.get("next") else None


def _left_behind(world: World) -> Iterator[tuple[str, bytes]]:
    """Yield every file but the logs themselves and the lines that the source keeps of them."""
    for path in sorted(world.folder.rglob("*")):
        inside = path.relative_to(world.folder)
        is_kept = inside.parts[0] == "logs" or inside.parts[:2] == ("data", "sources")
        if path.is_file() and not is_kept:
            yield f"{inside}", path.read_bytes()


@pytest.mark.volume
async def test_no_secret_of_the_logs_comes_out(world: World) -> None:
    needles = Needles((one.kind, one.value) for one in world.secrets)
    grants = [await asyncio.to_thread(world.granted, source) for source in world.services]
    for source, grant in zip(world.services, grants, strict=True):
        await asyncio.to_thread(_read_everything, world, source, grant)
    await _read_while_the_store_fails(world, grants[1])
    await asyncio.to_thread(_after_the_end, world, grants)
    await asyncio.to_thread(world.stack.stop)
    heard = world.heard
    # A reveal is what shows a value, to whom it was approved for.
    assert heard.actions == set(Action) - {Action.REVEAL} or world.profile != "pii-default"
    assert {101, 200, 400, 401, 403, 502} <= set(heard.statuses), heard.statuses
    assert heard.compressed >= 5
    assert sum(data.count("⟦".encode()) for _, data in heard.raw) > 10 * len(world.secrets)
    left = dict(_left_behind(world))
    kept = set() if postgres.WANTED else {"data/loglease.db"}
    assert {"stderr.log"} | kept <= set(left), set(left)
    leaked = {name: found for name, data in (*heard.raw, *left.items()) if (found := needles.found_in(data))}
    assert not leaked, "\n".join(f"{unquote(name)[:400]}: {sorted(found)[:3]}" for name, found in leaked.items())


@pytest.mark.volume
@pytest.mark.parametrize("profile", ["pii-default", "strict"])
def test_the_local_command_says_no_secret_either(tmp_path: Path, profile: str) -> None:
    """Standard output and standard error, also with its reasons for what it masked and what not."""
    secrets = list(planted(min(SECRETS, 1_000), seed=2))
    text = "\n".join(one.text for one in secrets).encode()
    command = [str(Path(sys.executable).parent / "loglease"), "redact", "--profile", profile]
    for more in ((), ("--engine", "python")):
        ran = subprocess.run([*command, *more], input=text, capture_output=True, check=False, timeout=120, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.count("⟦".encode()) >= len(secrets)
        assert Needles((one.kind, one.value) for one in secrets).found_in(ran.stdout + ran.stderr) == set()


def test_the_search_finds_every_secret_where_nothing_is_masked() -> None:
    """As it stands, and in parts; so silence is no blindness."""
    for one in planted(400, seed=3):
        search = Needles([(one.kind, one.value)])
        assert search.found_in(one.text.encode()) == {(one.kind, one.value)}
        part = one.value[:12] if one.kind in PERSONAL else one.value[-14:]
        assert search.found_in(part.encode())
        assert search.found_in(one.value.encode().hex().upper().encode())
        assert search.found_in("".join(f"%{ord(char):02x}" for char in one.value).encode())
    assert Needles([("email", "nobody@example.com")]).found_in(b"all is well at example.com") == set()
