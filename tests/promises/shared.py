"""What promises and attacks share: one real server for all tests of a process, its people, and a loop for sync tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from tests.fakes.stack import CONFIG, Person, Refused, Stack
from tests.fakes.world import Runner

T = TypeVar("T")

LINE = '{"level":"info","msg":"paid by ann@example.com with 4111111111111111"}\n'
PASSWORD = "of this test only"

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [approvers], sources: [files]}
labels: {service: string, env: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: AccessPolicy
id: ordinary
title: Logs of this test
who: {kinds: [human, agent], any_of: [group:everybody, 'agent:alice-bot']}
scopes:
  - {sources: [files], labels: {service: [shop, web, evil, in-two]}, lookback: 24h, live: true}
ask: {reason: {min: 5}}
grant:
  duration: {default: 30m, max: 1h}
  activate_within: 8h
  limits: {lines: 10000, queries_per_min: 1000, tails: 20}
  redaction: pii-default
  extend: {times: 1, by: 30m}
  reveal: {classes: [pii], stages: [{from: [group:approvers], need: 1}]}
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 1}]
pending_max: 4h
---
api: loglease/v1
kind: AccessPolicy
id: payments
title: Payments take two
who: {kinds: [human], any_of: [group:everybody]}
scopes:
  - {sources: [files], labels: {service: pay}, lookback: 24h, live: true}
ask: {reason: {min: 5}}
grant:
  duration: {default: 30m, max: 1h}
  activate_within: 8h
  limits: {lines: 10000, queries_per_min: 1000, tails: 20}
  redaction: pii-default
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 2}]
pending_max: 4h
"""

PEOPLE: dict[str, dict[str, Any]] = {
    "alice": {},
    "bob": {"groups": ["approvers"]},
    "carol": {"groups": ["approvers"]},
    "mallory": {},
    "sam": {"roles": ["auditor"]},
    "erin": {"roles": ["admin"]},
}

_started: dict[Path, Stack] = {}


def populated(
    folder: Path,
    *,
    stepped_clock: bool = False,
    policy: str = POLICY,
    more: str = "",
    prepare: Callable[[], None] | None = None,
) -> Stack:
    """Start a server with a policy, logs and people; with a stepped clock the test sets the machine's wall clock.

    Args:
        more: what the configuration has besides.
        prepare: a function of a module that the server's process calls before it serves.
    """
    (folder / "policy").mkdir(parents=True)
    (folder / "policy" / "policy.yaml").write_text(policy)
    config = f'{CONFIG}\n[policy]\ndirectory = "{folder / "policy"}"\n{more}'
    stack = Stack(folder, config=config, stepped_clock=stepped_clock, prepare=prepare)
    stack.logs.mkdir()
    for service in ("shop", "web", "pay"):
        (stack.logs / f"{service}.log").write_text(LINE * 200)
    stack.start()
    admin = stack.sign_in("admin")
    for name, about in PEOPLE.items():
        stack.passwords[name] = f"{name}: {PASSWORD}"
        body = {"account": name, "email": f"{name}@example.com", "password": stack.passwords[name], **about}
        admin.create("/principals", body)
    return stack


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One server for all tests of this process that do not stop it."""
    base = tmp_path_factory.getbasetemp()
    if base not in _started:
        _started[base] = populated(tmp_path_factory.mktemp("server"))
    yield _started[base]
    wire().close()
    wire.cache_clear()
    _started[base].stop()


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[Stack]:
    """Serve from a folder of its own; the test may kill and start it."""
    stack = populated(tmp_path)
    yield stack
    wire().close()
    wire.cache_clear()
    stack.stop()


@cache
def wire() -> httpx2.Client:
    """Return the one client of this process: making one costs more than a call."""
    return httpx2.Client(timeout=60)


class QuickPerson(Person):
    """Somebody who keeps connections open."""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = self.headers({name.replace("_", "-"): value for name, value in headers.items()})
        response = wire().request(method, f"{self.url}/api/v1{path}", json=body, headers=given)
        if response.status_code >= 400:
            raise Refused(response)
        return response.json() if response.content else None

    def lines(self, grant: str, query: str = "{}", **parameters: str) -> Iterator[dict[str, Any]]:
        path = f"{self.url}/g/{grant}/logs"
        headers = self.headers({"accept": "application/x-ndjson"})
        with wire().stream("GET", path, params={"query": query, **parameters}, headers=headers) as response:
            if response.status_code >= 400:
                response.read()
                raise Refused(response)
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)


_crowds: dict[str, dict[str, Person]] = {}


def crowd(stack: Stack) -> dict[str, Person]:
    """Return everybody, signed in; what earlier tests left pending is cancelled."""
    people = _crowds.get(stack.url)
    if people is None or not all(_is_signed_in(people[name]) for name in ("alice", "mallory")):
        people = {name: quick(stack.sign_in(name)) for name in (*PEOPLE, "admin")}
        _crowds[stack.url] = people
    for one in (people["alice"], people["bob"]):
        for pending in one.call("GET", "/requests?mine=true&state=pending")["items"]:
            one.call("POST", f"/requests/{pending['id']}/cancel")
    return dict(people)


def quick(person: Person) -> Person:
    return QuickPerson(person.url, person.name, person.token)


def _is_signed_in(person: Person) -> bool:
    try:
        person.call("GET", "/me")
    except Refused:
        return False
    return True


def granted(alice: Person, bob: Person, selector: str = '{service="shop"}', **changes: Any) -> str:
    """Return a grant that one person approved."""
    request = alice.ask(selector, **changes)
    bob.decide(request)
    return alice.grant_of(request)


def changed(admin: Person, principal: str, **fields: Any) -> None:
    """Change an account as an administrator."""
    path = f"/principals/{principal}"
    etag = wire().get(f"{admin.url}/api/v1{path}", headers=admin.headers()).headers["etag"]
    admin.call("PATCH", path, fields, if_match=etag)


def followed(found: Callable[[], T], within_s: float = 20) -> T:
    """Return what is found once it is there."""
    until = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
    return value


class Following:
    """A tail that is read in a thread of its own; `records` grows until it ends."""

    def __init__(self, person: Person, grant: str, **parameters: str) -> None:
        self.records: list[dict[str, Any]] = []
        self.fault: Exception | None = None
        self._lines = person.lines(grant, follow="true", since="1h", **parameters)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.records.extend(self._lines)
        except (httpx2.TransportError, Refused) as error:
            self.fault = error

    @property
    def texts(self) -> list[str]:
        return [one["line"] for one in self.records if one["type"] == "line"]

    def has(self, count: int) -> Following:
        """Wait for so many lines."""
        followed(lambda: len(self.texts) >= count or not self._thread.is_alive())
        assert len(self.texts) >= count, (self.fault, self.records[-1:])
        return self

    @classmethod
    def opened(cls, person: Person, grant: str, **parameters: str) -> Following:
        """Return a tail that has its first line."""
        return cls(person, grant, **parameters).has(1)

    def end(self) -> str | None:
        """Wait for the end and return its reason; None if there was no end record."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "the tail goes on"
        last = self.records[-1] if self.records else {}
        return str(last["reason"]) if last.get("type") == "end" else None


@contextmanager
def running(context: AbstractAsyncContextManager[T]) -> Iterator[tuple[Runner, T]]:
    """Keep an async context open on a loop of its own, for tests that are not async."""
    run = Runner()
    try:
        made = run(context.__aenter__())
        try:
            yield run, made
        finally:
            run(context.__aexit__(None, None, None))
            with contextlib.suppress(asyncio.CancelledError):
                run(asyncio.sleep(0.05))  # transports that were closed finish closing
    finally:
        run.close()
