"""Routes, credentials and heads one by one; `test_routes_raw.py` has the whole matrix."""

from __future__ import annotations

import asyncio
import base64

import pytest
from tests.gateway.world import T0, TOKEN, answer_of, call, line, listening, world

from loglease.gateway.errors import MethodNotAllowed, RouteUnknown
from loglease.gateway.routes import Action, Route, is_ours, route_of

GRANT = "grt_01HF7YAT00000000000000000A"

NOWHERE = [
    "/",
    "/logs/",
    "//logs",
    "/Logs",
    "/LOGS",
    "/log",
    "/logs/x",
    "/logs;x",
    "/logs%2F",
    "/%6Cogs",
    "/./logs",
    "/x/../logs",
    "/g",
    "/g/",
    "/g//logs",
    "/g/logs",
    f"/g/{GRANT}",
    f"/g/{GRANT}/",
    f"/g/{GRANT}/logs/",
    f"/g/{GRANT}//logs",
    f"/g/{GRANT}/./logs",
    f"/g/{GRANT}/../logs",
    f"/g/{GRANT}/logs%00",
    f"/g/{GRANT}%2Flogs",
    f"/g/{GRANT}%252F/logs",
    f"/g/{GRANT}/Logs",
    f"/G/{GRANT}/logs",
    f"/g/{GRANT};v=1/logs",
    f"/g\\{GRANT}\\logs",
    "/g/%2E%2E/logs",
    "/g/../logs",
    f"/g/{GRANT}/loki/api/v1/push",
    "/loki/api/v1/push",
    "/loki/api/v1/delete",
    "/loki/api/v1/rules",
    "/loki/api/v1/index/shards",
    "/loki/api/v1/query_range/",
    "/loki/api/v1/Query_range",
    "/loki/api/v1//query",
    "/loki/api/v1/label//values",
    "/loki/api/v1/label/a%2Fb/values",
    "/loki/api/v1/label/a-b/values",
    "/loki/api/v1/label/../values",
    "/loki/api/v1",
    "/loki",
    "/api/prom/tail",
    "/config",
    "/debug/pprof",
    "/metrics",
]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_listed_is_not_there(path, method):
    with pytest.raises(RouteUnknown):
        route_of(method, path.encode())


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
@pytest.mark.parametrize("path", ["/logs", f"/g/{GRANT}/logs", "/loki/api/v1/status/buildinfo"])
def test_other_methods_are_named_as_such(path, method):
    with pytest.raises(MethodNotAllowed) as caught:
        route_of(method, path.encode())
    assert caught.value.allowed == "GET"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
def test_queries_may_be_posted_and_nothing_else(method):
    assert route_of("POST", b"/loki/api/v1/query_range") == Route(Action.QUERY_RANGE, None)
    with pytest.raises(MethodNotAllowed) as caught:
        route_of(method, b"/loki/api/v1/query_range")
    assert caught.value.allowed == "GET, POST"


def test_the_declared_routes_answer():
    assert route_of("GET", b"/logs") == Route(Action.LOGS, None)
    assert route_of("GET", f"/g/{GRANT}/logs".encode()) == Route(Action.LOGS, GRANT)
    assert route_of("GET", f"/g/{GRANT}/loki/api/v1/label/p%6Fd/values".encode()) == Route(Action.VALUES, GRANT, "pod")
    encoded = "".join(f"%{byte:02x}" for byte in GRANT.encode())
    assert route_of("GET", f"/g/{encoded}/logs".encode()) == Route(Action.LOGS, GRANT)


def test_whoever_mounts_it_knows_its_paths():
    assert is_ours(b"/logs")
    assert is_ours(b"/g/anything")
    assert not is_ours(b"/api/v1/grants")
    assert not is_ours(b"/logs/x")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Authorization: Bearer",
        "Authorization: Bearer wrong",
        "Authorization: Digest x",
        f"Authorization: Token {TOKEN}",
        "Authorization: Basic ####",
        f"Cookie: session={TOKEN}",
        f"X-Forwarded-User: {TOKEN}",
        f"Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}",
    ],
)
async def test_without_one_valid_credential_it_is_401(tmp_path, header):
    async with world(tmp_path) as w:
        more = [] if header is None else [header]
        answer = await call(w, "/logs", None, *more)
        assert answer.status == 401
        assert "Bearer" in (answer.header("www-authenticate") or "")
        assert "Basic" in (answer.header("www-authenticate") or "")


async def test_basic_takes_the_token_as_password_under_any_name(tmp_path):
    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        await w.grant()
        value = base64.b64encode(f"whoever:{TOKEN}".encode()).decode()
        assert (await call(w, "/logs?start=0", None, f"Authorization: Basic {value}")).lines == ["one"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (["Content-Length: 2"], 400),
        (["Transfer-Encoding: chunked"], 400),
        (["Content-Length: 0"], 403),
        (["X-Scope-OrgID: other"], 403),
    ],
)
async def test_a_get_has_no_body(tmp_path, more, status):
    async with world(tmp_path) as w:
        assert (await call(w, "/logs", TOKEN, *more)).status == status


async def test_an_endless_head_closes_the_connection(tmp_path):
    async with world(tmp_path) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(b"GET /logs HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
        answer = answer_of(await asyncio.wait_for(reader.read(-1), 5))
        assert answer.status == 400
        writer.close()


async def test_an_address_that_is_too_long_is_named_as_that(tmp_path):
    async with world(tmp_path) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(b"GET /logs?query=" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = answer_of(await asyncio.wait_for(reader.read(-1), 5))
        assert (answer.status, answer.body.partition(b":")[0], answer.whole) == (414, b"too_large", True)
        writer.close()


async def test_errors_are_json_for_clients_that_read_nothing_else(tmp_path):
    async with world(tmp_path) as w:
        answer = await call(w, "/logs", TOKEN, "Accept: application/x-ndjson")
        assert answer.header("content-type") == "application/json"
        assert answer.records[0]["code"] == "not_permitted"


async def test_without_our_protocol_no_session_begins(tmp_path):
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    async with world(tmp_path, lines=[line(T0, "one", service="a")]) as w:
        await w.grant()
        async with listening(w.gateway, HttpToolsProtocol) as port:
            w.port = port
            answer = await call(w, "/logs?start=0")
            assert answer.status == 500
            assert b"one" not in answer.raw
