"""Bounded everything; revocation has its own lane. Rows DS of the attack catalogue."""

from __future__ import annotations

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx2
import pytest
from tests.attacks.doors import answered, head, sent, statuses
from tests.fakes.stack import Refused, Stack
from tests.promises.shared import Following, crowd, granted

PLACES = 20


@pytest.mark.attack("DS-02")
def test_ds_02_with_all_tail_places_taken_everything_else_goes_on(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob)
    host, _, port = server.url.removeprefix("http://").partition(":")
    sockets = []
    try:
        for _ in range(PLACES):
            one = socket.create_connection((host, int(port)), timeout=20)
            one.sendall(head(alice, f"GET /g/{grant}/logs?follow=true&since=1h HTTP/1.1"))
            assert b"200" in one.recv(64)
            sockets.append(one)
        with pytest.raises(Refused) as refused:
            list(alice.lines(grant, since="1h", follow="true"))
        assert refused.value.status == 429
        assert server.sign_in("carol").call("GET", "/me")
        other = granted(alice, bob)
        tail = Following.opened(alice, other)
        assert sent(alice, "GET", "/api/v1/grants").status_code == 200
        bob.call("POST", f"/grants/{grant}/revoke", {"reason": "enough"})
        for one in sockets:
            try:
                while one.recv(65_536):
                    pass
            except ConnectionError:
                pass
        bob.call("POST", f"/grants/{other}/revoke", {"reason": "enough"})
        assert tail.end() == "revoked"
    finally:
        for one in sockets:
            one.close()


DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "deep": (b'{"reason": ' + DEEP + b"}", {}),
    "deep in place": (json.dumps({"scopes": "x"}).encode().replace(b'"x"', DEEP), {}),
    "many keys": (json.dumps({f"k{n}": n for n in range(100_000)}).encode(), {}),
    "a huge integer": (b'{"duration_s": ' + b"9" * 5_000 + b"}", {}),
    "a huge exponent": (b'{"duration_s": 1e400}', {}),
    "one mebibyte": (b'{"reason": "' + b"x" * (1 << 20) + b'"}', {}),
    "a gzip bomb": (gzip.compress(b'{"reason": "' + b"x" * (20 << 20) + b'"}'), {"content-encoding": "gzip"}),
    "broken text": (b'{"reason": "\xff\xfe"}', {}),
    "half a character": (b'{"reason": "\\ud800"}', {}),
    "nothing": (b"", {}),
    "not JSON": (b"reason=x", {}),
}


@pytest.mark.attack("DS-04")
@pytest.mark.parametrize("kind", BODIES)
def test_ds_04_a_monstrous_body_is_refused_and_delays_nobody(server: Stack, kind: str) -> None:
    alice = crowd(server)["alice"]
    content, more = BODIES[kind]
    for path in ("/api/v1/requests", "/api/v1/offers", "/api/v1/sign-in"):
        headers = {"content-type": "application/json", "idempotency-key": "ds-04", **more}
        answer = sent(alice, "POST", path, content=content, headers=headers)
        assert 400 <= answer.status_code < 500, answer.text
        assert "traceback" not in answer.text.lower()
        assert "code" in answer.json()
    assert alice.call("GET", "/me")


@pytest.mark.attack("DS-04")
def test_ds_04_a_gigabyte_is_refused_before_it_is_sent(server: Stack) -> None:
    alice = crowd(server)["alice"]
    kind = "Content-Type: application/json"
    raw = answered(server, head(alice, "POST /api/v1/requests HTTP/1.1", kind, f"Content-Length: {1 << 30}"))
    assert statuses(raw) == [413]


@pytest.mark.attack("DS-04")
def test_ds_04_heads_have_a_bound(server: Stack) -> None:
    alice = crowd(server)["alice"]
    for content in (
        head(alice, "GET /api/v1/me HTTP/1.1", "X: " + "x" * 200_000),
        head(alice, "GET /api/v1/me HTTP/1.1", *(f"X{n}: x" for n in range(20_000))),
        head(alice, f"GET /api/v1/me?{'x' * 100_000} HTTP/1.1"),
        b"GET /" + b"x" * 300_000,
    ):
        raw = answered(server, content)
        assert not [status for status in statuses(raw) if status < 400]
    assert alice.call("GET", "/me")


# Other tests write other lines than JSON to the same files.
COSTLY = (
    'sum by (msg) (count_over_time({} | json | __error__="" | line_format "{{ __line__ | b64enc | b64dec }}" [1h]))'
)


@pytest.mark.attack("DS-03", "RV-01")
def test_ds_03_a_revocation_reaches_its_tail_while_everything_is_busy(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant, busy = granted(alice, bob), granted(alice, bob)
    tail = Following.opened(alice, grant)
    over = Event()

    def hammer(_: int) -> int:
        count = 0
        while not over.is_set():
            path = f"/g/{busy}/loki/api/v1/query_range?step=1"
            with httpx2.Client(timeout=60) as client:
                answer = client.get(f"{server.url}{path}", params={"query": COSTLY}, headers=alice.headers())
            assert answer.status_code in (200, 403, 422, 429, 503), answer.text
            count += 1
        return count

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(hammer, number) for number in range(12)]
        try:
            bob.call("POST", f"/grants/{grant}/revoke", {"reason": "enough"})
            assert tail.end() == "revoked"
            assert not any(one.done() for one in calls), "nothing was busy any more"
            with pytest.raises(Refused) as refused:
                list(alice.lines(grant, since="1h"))
            assert refused.value.status == 403
        finally:
            over.set()
    assert sum(one.result() for one in calls)
