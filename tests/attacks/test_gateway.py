"""The gateway: exact routes, built requests, one grant a session. Rows GW of the attack catalogue.

The spy is a source that keeps every plan of a read that reached it.
"""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path

import pytest
from tests.attacks.doors import Browser, answered, head, sent, statuses
from tests.fakes.stack import Stack
from tests.gateway.world import T0, TOKEN, Answer, World, answer_of, call, line, request_bytes, world
from tests.promises.shared import crowd, granted

from loglease.sources.interface import ReadPlan

LINES = [line(T0, "of a", service="a"), line(T0 + 1, "hr only", service="hr")]
ELSEWHERE = (
    "/{g}/logs",
    "//g/{g}/logs",
    "/g//{g}/logs",
    "/g/{g}//logs",
    "/g/{g}/logs/",
    "/g/{g}/LOGS",
    "/G/{g}/logs",
    "/g/{g}/logs;x",
    "/g/{g}/./logs",
    "/g/x/../{g}/logs",
    "/g/{g}/logs/../logs",
    "/g/{g}/%2e%2e/{g}/logs",
    "/g/{g}%2flogs",
    "/g/{g}/%6cogs",
    "/g/{g}/x%2f..%2flogs",
    "/g/{g}/%252e%252e%252flogs",
    "/g/{g}/%c0%ae%c0%ae/logs",
    "/g/{g}/．．／logs",
    "/g/{g}\\logs",
    "//loki/api/v1/query",
    "/loki//api/v1/query_range",
    "/g/{g}//loki/api/v1/query",
    "/g/{g}/loki/api/v1/labels/../rules/x",
    "/api/prom/query",
    "/api/prom/tail",
    "/prometheus/api/v1/rules",
)


async def raw_call(made: World, content: bytes, within_s: float = 5) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
    writer.write(content)
    raw = b""
    try:
        async with asyncio.timeout(within_s):
            while chunk := await reader.read(65_536):
                raw += chunk
                if answer_of(raw).whole and answer_of(raw).status:
                    break
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return raw


@pytest.mark.attack("GW-01", "GW-02", "GW-03")
async def test_gw_01_02_03_only_the_exact_path_is_a_route(tmp_path: Path) -> None:
    async with world(tmp_path, lines=LINES, loose=True) as made:
        grant = await made.grant()
        for path in ELSEWHERE:
            first = f"GET {path.replace('{g}', grant.id)}?start=0 HTTP/1.1\r\n".encode()
            raw = await raw_call(made, first + request_bytes("/").partition(b"\r\n")[2])
            assert statuses(raw) in ([404], [400], []), path
            assert b"of a" not in raw
        assert made.reader.plans == []
        assert (await call(made, f"/g/{grant.id}/logs?start=0")).lines == ["of a"]


@pytest.mark.attack("GW-01", "GW-02", "GW-03")
@pytest.mark.parametrize("path", ELSEWHERE)
def test_gw_01_02_03_the_whole_server_answers_no_neighbour_either(server: Stack, path: str) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    target = path.replace("{g}", grant).encode()
    raw = answered(server, b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n" + head(alice, "").lstrip(b"\r\n"))
    assert statuses(raw) in ([404], [400], [405])
    assert b"paid by" not in raw


FOREIGN = (
    "loki/api/v1/push",
    "otlp/v1/logs",
    "loki/api/v1/delete",
    "loki/api/v1/rules",
    "flush",
    "ingester/shutdown",
    "config",
    "ring",
    "debug/pprof/heap",
    "metrics",
    "services",
)


@pytest.mark.attack("GW-04")
def test_gw_04_nothing_that_writes_or_tells_is_there_for_any_verb(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    for prefix in ("/", f"/g/{grant}/"):
        for path in FOREIGN:
            for method in ("GET", "POST", "PUT", "DELETE"):
                assert sent(alice, method, prefix + path).status_code in (404, 405), path
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"):
        answer = sent(alice, method, f"/g/{grant}/logs")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET"


@pytest.mark.attack("GW-05")
@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("query=%7B%7D&query=%7Bservice%3D%22a%22%7D", 400),
        ("query=%7B%7D&%71uery=%7B%7D", 400),
        ("start=0&start=1", 400),
        ("limit=1&limit=5", 400),
        ("follow=false&follow=true", 400),
        ("regexp=x", 400),
        ("query[]=%7Bservice%3D%22hr%22%7D", 200),
        ("QUERY=%7Bservice%3D%22hr%22%7D", 200),
        ("shards=9&source=hr&profile=raw&grant=other", 200),
        ("query=%ff", 400),
    ],
)
async def test_gw_05_no_parameter_has_two_meanings(tmp_path: Path, parameters: str, status: int) -> None:
    async with world(tmp_path, lines=LINES, loose=True) as made:
        grant = await made.grant()
        start = "" if "start" in parameters else "start=0&"
        answer = await call(made, f"/g/{grant.id}/logs?{start}{parameters}")
        assert answer.status == status
        if status == 200:
            assert answer.lines == ["of a"]
        else:
            assert made.reader.plans == []


@pytest.mark.attack("GW-05")
async def test_gw_05_a_body_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, lines=LINES, loose=True) as made:
        grant = await made.grant()
        for more in (["Content-Length: 9"], ["Transfer-Encoding: chunked"]):
            content = request_bytes(f"/g/{grant.id}/logs?start=0", TOKEN, *more) + b"query=%7B"
            assert statuses(await raw_call(made, content)) == [400]
        assert made.reader.plans == []


STRANGE_HEADERS = (
    "X-Scope-OrgID: hr",
    "X-Scope-OrgID: a|hr",
    "x_scope_orgid: hr",
    "X-Forwarded-User: bob",
    "X-Original-URL: /g/other/logs",
    "X-Forwarded-Uri: /g/other/logs",
    "X-HTTP-Method-Override: POST",
    "Cookie: loglease-session=x",
    "X-Redact: off",
    "Forwarded: for=127.0.0.1",
)


@pytest.mark.attack("AU-06", "GW-06", "GW-08")
async def test_gw_06_08_no_header_of_a_client_reaches_a_source_or_changes_an_answer(tmp_path: Path) -> None:
    async with world(tmp_path, lines=LINES, loose=True) as made:
        grant = await made.grant()
        path = f"/g/{grant.id}/logs?start=0"
        query = "&query=%7C%3D%20%22of%22"
        assert (await call(made, path + query)).lines == ["of a"]
        plain = await call(made, path)
        for one in ([header] for header in STRANGE_HEADERS):
            assert (await call(made, path, TOKEN, *one)).body == plain.body
        assert (await call(made, path, TOKEN, *STRANGE_HEADERS, "X-Scope-OrgID: hr")).body == plain.body
        # All that a source is told: which streams, which times, which order, how much at once.
        assert {one.name for one in fields(ReadPlan)} == {
            "selector",
            "interval",
            "direction",
            "page_lines",
            "page_bytes",
            "literals",  # of the query, where a source looks for them exactly; this one does not
            "marks",  # of the grant's profiles
        }
        assert all(one.literals == () for one in made.reader.plans)
        first = made.reader.plans[0]
        assert all((one.selector, one.direction) == (first.selector, first.direction) for one in made.reader.plans)
        assert TOKEN not in repr(made.reader.plans)


@pytest.mark.attack("AU-10", "GW-08")
@pytest.mark.parametrize("name", ["token", "access_token", "auth_token", "api_key", "Authorization", "x"])
def test_gw_08_a_token_in_an_address_is_refused_and_not_logged(server: Stack, name: str) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    for path in (f"/g/{grant}/logs", "/api/v1/me", "/"):
        assert sent(alice, "GET", f"{path}?{name}={alice.token}").status_code == 400
    assert alice.token not in (server.folder / "stderr.log").read_text()


@pytest.mark.attack("GW-07")
def test_gw_07_ambiguous_framing_is_refused_and_smuggles_nothing(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    hidden = head(people["bob"], f"POST /api/v1/grants/{grant}/revoke HTTP/1.1", "Content-Length: 0")
    post = f"POST /api/v1/requests/{'req_' + '0' * 26}/cancel HTTP/1.1"
    tricks = [
        head(alice, post, "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
        head(alice, post, "Transfer-Encoding: chunked", "Content-Length: 0") + b"5\r\nabcde\r\n0\r\n\r\n",
        head(alice, post, "Content-Length: 0", "Content-Length: 5") + b"abcde",
        head(alice, post, "Content-Length: 5, 0") + b"abcde",
        head(alice, post, "Content-Length: -1"),
        head(alice, post, "Content-Length: +5") + b"abcde",
        head(alice, post, "Content-Length: 0x5") + b"abcde",
        head(alice, post, "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n0\r\n\r\n",
        head(alice, post, "Transfer-Encoding: chunked") + b"3\r\nabcXX0\r\n\r\n",
        head(alice, post, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
        head(alice, post, "Transfer-Encoding : chunked") + b"0\r\n\r\n",
        head(alice, post, "X: a\x00b"),
        head(alice, post, "X : y"),
        b"GET /api/v1/me HTTP/1.1\nHost: x\n\n",
        b"GET /api/v1/me HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x00\xa5" + b"\x00" * 50,
    ]
    for content in tricks:
        raw = answered(server, content)
        found = statuses(raw)
        assert len(found) <= 2, content
        assert not [status for status in found if status < 400], (content, raw)
    assert people["bob"].call("GET", f"/grants/{grant}")["state"] != "revoked"


@pytest.mark.attack("GW-07")
def test_gw_07_a_second_request_on_the_line_acts_for_its_own_caller_only(server: Stack) -> None:
    people = crowd(server)
    alice, mallory = people["alice"], people["mallory"]
    grant = granted(alice, people["bob"])
    query = f"GET /g/{grant}/logs?since=1h&limit=1 HTTP/1.1"
    raw = answered(server, head(alice, query) + head(mallory, query) + head(alice, query))
    assert statuses(raw) == [200]  # a connection that served a session serves nothing more
    raw = answered(server, head(mallory, query) + head(mallory, "GET /api/v1/me HTTP/1.1"))
    assert statuses(raw)[0] == 404
    assert b"paid by" not in raw


@pytest.mark.attack("GW-13")
def test_gw_13_a_stream_opens_neither_for_a_foreign_origin_nor_for_a_cookie(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    path = f"GET /g/{grant}/logs?since=1h HTTP/1.1"
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + "A" * 24,
    )
    for origin in ("https://evil.example", "null"):
        assert 101 not in statuses(answered(server, head(alice, path, f"Origin: {origin}", *upgrade)))
    with Browser(server, "alice") as browser:
        assert browser.client.get(f"/g/{grant}/logs").status_code == 401
        page = browser.client.get(f"/grants/{grant}/logs").text
        csrf = (
            page.partition('csrf" value="')[2].partition('"')[0]
            or page.partition('csrf" content="')[2].partition('"')[0]
        )
        for origin in ("https://evil.example", "null", server.url.replace("http", "https")):
            for more in ({}, {"x-csrf-token": csrf}):
                answer = browser.client.post(f"/grants/{grant}/viewer-code", headers={"origin": origin, **more})
                assert answer.status_code in (400, 403)
        answer = browser.client.post(
            f"/grants/{grant}/viewer-code", headers={"origin": server.url, "x-csrf-token": csrf}
        )
        assert answer.status_code == 200, answer.text
        code = {"authorization": f"Bearer {answer.json()['code']}"}
        for strange in ({"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}):
            assert browser.client.get(f"/g/{grant}/logs", headers={**code, **strange}).status_code in (401, 403)


@pytest.mark.attack("GW-10")
async def test_gw_10_answers_are_not_kept_by_anybody(tmp_path: Path) -> None:
    async with world(tmp_path, lines=LINES) as made:
        grant = await made.grant()
        answer: Answer = await call(made, f"/g/{grant.id}/logs?start=0", TOKEN, "If-None-Match: *")
        assert (answer.status, answer.header("cache-control")) == (200, "no-store")
        assert answer.header("etag") is None


BINARY = (
    "application/vnd.google.protobuf",
    "application/vnd.apache.arrow.stream",
    "application/x-protobuf",
    "text/csv",
    "application/octet-stream",
)


@pytest.mark.attack("GW-09")
@pytest.mark.parametrize("accept", BINARY)
def test_gw_09_no_client_gets_another_format_than_ours(server: Stack, accept: str) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    for path in (
        "loki/api/v1/query_range?query={}",
        "loki/api/v1/labels",
        "loki/api/v1/series",
        "logs?since=1h&limit=2",
    ):
        answer = sent(alice, "GET", f"/g/{grant}/{path}", headers={"accept": accept})
        assert answer.status_code in (200, 406), path
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in ("application/json", "text/plain"), path
        assert kind == "application/json" or "paid by" not in answer.text
