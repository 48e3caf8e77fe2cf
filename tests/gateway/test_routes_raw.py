"""Each route and its neighbours, byte by byte on raw sockets: only the cells that are declared answer.

The first table says what there is. All else is derived from it: methods, spellings of the path, what is sent with it and
how the bytes are framed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import product
from urllib.parse import quote

import pytest
from tests.gateway.world import T0, TOKEN, Answer, World, answer_of, line, world

from loglease.gateway.routes import Action

SECOND = 10**9
SECRET = "only this line may be seen"
SPAN = f"start={T0}&end={T0 + SECOND}"
METRIC = "query=" + quote("sum(count_over_time({}[1m]))")

GET_AND_POST = {
    "query_range": f"query={quote('{}')}&{SPAN}",
    "query": f"{METRIC}&time={T0 + SECOND}",
    "labels": SPAN,
    "label": SPAN,
    "label/{name}/values": SPAN,
    "series": SPAN,
    "index/stats": SPAN,
    "index/volume": SPAN,
    "index/volume_range": SPAN,
    "detected_labels": SPAN,
    "detected_fields": SPAN,
    "detected_field/{name}/values": SPAN,
    "patterns": SPAN,
    "format_query": f"query={quote('{}')}",
}
GET_ALONE = {"status/buildinfo": "", "drilldown-limits": "", "tail": f"query={quote('{}')}"}
NAMED = {"label/{name}/values": "label/service/values", "detected_field/{name}/values": "detected_field/level/values"}

METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "LINK", "QUERY")
NOTHING_HERE = b"not_found: There is nothing here.\n"


def declared(prefix: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield path, query and methods of each route."""
    yield f"{prefix}/logs", SPAN, ("GET",)
    for route, query in GET_AND_POST.items():
        yield f"{prefix}/loki/api/v1/{NAMED.get(route, route)}", query, ("GET", "POST")
    for route, query in GET_ALONE.items():
        yield f"{prefix}/loki/api/v1/{route}", query, ("GET",)


def test_the_table_has_every_route():
    assert {*GET_AND_POST, *GET_ALONE, "logs", "reveal"} == set(Action)  # a reveal: test_reveal.py


class Wire:
    """One client that writes bytes as they are and keeps its connection as long as it may."""

    def __init__(self, w: World) -> None:
        self._world = w
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def sent(self, raw: bytes) -> Answer:
        """Return the first answer to some bytes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._world.port)
        reader, writer = self._streams
        writer.write(raw)
        got = b""
        with contextlib.suppress(ConnectionError):
            while not (self._is_whole(got, raw)):
                chunk = await asyncio.wait_for(reader.read(65536), 10)
                if not chunk:
                    break
                got += chunk
        answer = answer_of(got)
        if answer.header("connection") == "close" or not answer.whole:
            self.close()
        return answer

    @staticmethod
    def _is_whole(got: bytes, raw: bytes) -> bool:
        answer = answer_of(got)
        return bool(answer.status) and (answer.whole or raw.startswith(b"HEAD "))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@asynccontextmanager
async def wired(tmp_path) -> AsyncIterator[tuple[Wire, World, str]]:
    lines = [line(T0, SECRET, service="a"), line(T0, "hidden", service="b")]
    async with world(tmp_path, lines=lines) as w:
        grant, wire = await w.grant(), Wire(w)
        yield wire, w, f"/g/{grant.id}"
        wire.close()


def head(method: str, target: str | bytes, *fields: str, token: str | None = TOKEN) -> bytes:
    named = target.encode() if isinstance(target, str) else target
    own = [f"Authorization: Bearer {token}"] if token else []
    return method.encode() + b" " + named + b" HTTP/1.1\r\n" + "\r\n".join(["Host: x", *own, *fields, "", ""]).encode()


@pytest.mark.parametrize("named", [True, False])
async def test_every_route_takes_its_methods_and_names_them_to_others(tmp_path, named):
    async with wired(tmp_path) as (wire, _, prefix):
        for (path, query, methods), method in product(declared(prefix if named else ""), METHODS):
            answer = await wire.sent(
                head(method, f"{path}?{query}", *(["Content-Length: 0"] if method == "POST" else []))
            )
            if method not in methods:
                assert (answer.status, answer.header("allow")) == (405, ", ".join(methods)), (method, path)
                assert SECRET.encode() not in answer.raw
                if method == "HEAD":
                    wire.close()
            elif path.endswith("/tail"):
                assert (answer.status, b"takes a WebSocket" in answer.body) == (400, True)
            else:
                assert answer.status == 200, (method, path, answer.raw)


def neighbours(path: str) -> Iterator[str]:
    """Yield addresses that are nearly a route's."""
    yield path + "/"
    yield path + "//"
    yield path + ";"
    yield path + ";v=1"
    yield path + "x"
    yield path[:-1] + path[-1].upper()
    yield path[:-1]
    yield path + "/x"
    yield path + "%00"
    yield path + "%20"
    yield path + "%3F"
    yield path + "/."
    yield path + "/.."
    yield path + "/%2e%2e"
    yield path + "%2F"
    yield path + "\\"
    yield path + "*"
    yield "/" + path
    yield "/." + path
    yield "/x/.." + path
    yield "/x" + path
    for match in re.finditer("/", path):
        at = match.start()
        for other in ("//", "/./", "/x/../", "%2F", "%2f", "\\", "/%2e/", "/;/"):
            yield path[:at] + other + path[at + 1 :]
    last = path.rpartition("/")[2]
    place = len(path) - len(last)
    yield path[:place] + f"%{ord(last[0]):02X}" + last[1:]
    yield path[:place] + f"%25{ord(last[0]):02X}" + last[1:]
    yield path[:place] + last.capitalize()
    yield path[:place] + last.upper()


NEVER = (
    "push", "delete", "rules", "index/shards", "tail/ws", "config", "ruler/ring", "loki_build_information",
    "status/config", "detected_labels/service/values", "labels/service/values", "label/service",
)  # fmt: skip
NOWHERE = (
    "/", "/g", "/g/", "/g/logs", "/loki", "/loki/api/v1", "/loki/api/v1/", "/loki/api/v2/labels", "/api/prom/query",
    "/api/prom/tail", "/metrics", "/ready", "/config", "/debug/pprof/", "/flush", "/log", "/log_level",
    *(f"/loki/api/v1/{one}" for one in NEVER),
)  # fmt: skip


@pytest.mark.attack("GW-01", "GW-02")
async def test_what_is_near_a_route_is_nowhere(tmp_path):
    async with wired(tmp_path) as (wire, _, prefix):
        there = {path for path, _, _ in (*declared(prefix), *declared(""))}
        near = {one for path in there for one in neighbours(path)} - there
        near |= set(NOWHERE) | {prefix + one for one in NOWHERE}
        near = {path for path in near if path.startswith("/")}  # the others are no addresses at all: 400, see below
        assert len(near) > 1_000
        heads = set()
        for number, path in enumerate(sorted(near)):
            method = ("GET", "POST", "DELETE")[number % 3]
            token = (TOKEN, None)[number % 2]
            fields = ["Content-Length: 0"] if method == "POST" else []
            answer = await wire.sent(head(method, f"{path}?{SPAN}", *fields, token=token))
            assert (answer.status, answer.body) == (404, NOTHING_HERE), (method, path)
            heads.add(re.sub(rb"\r\ndate: [^\r]*", b"", answer.raw))
        assert len(heads) == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("service", 200),
        ("servic%65", 200),
        ("%73%65%72%76%69%63%65", 200),
        ("%5f_name", 200),
        ("servic%2565", 404),
        ("%2E%2E", 404),
        ("..", 404),
        ("a%2Fb", 404),
        ("a%5Cb", 404),
        ("a-b", 404),
        ("a.b", 404),
        ("9a", 404),
        ("%c3%b6", 404),
        ("%ff", 404),
        ("%6", 404),
        ("%zz", 404),
        ("%", 404),
        ("a%00", 404),
        ("a%0d%0ab", 404),
        ("a+b", 404),
        ("a" * 257, 404),
        ("", 404),
    ],
)
async def test_a_name_in_a_path_is_decoded_once(tmp_path, name, status):
    async with wired(tmp_path) as (wire, _, prefix):
        for route in ("label", "detected_field"):
            answer = await wire.sent(head("GET", f"{prefix}/loki/api/v1/{route}/{name}/values?{SPAN}"))
            assert answer.status == status, answer.raw


FORM = "Content-Type: application/x-www-form-urlencoded"
BODIES = [
    ("GET", ["Content-Length: 0"], b"", 200),
    ("GET", ["Content-Length: 7"], b"limit=1", 400),
    ("GET", [FORM, "Content-Length: 7"], b"limit=1", 400),
    ("GET", ["Transfer-Encoding: chunked"], b"0\r\n\r\n", 400),
    ("POST", ["Content-Length: 0"], b"", 200),
    ("POST", [FORM, "Content-Length: 7"], b"limit=1", 200),
    ("POST", [FORM + "; charset=utf-8", "Content-Length: 7"], b"limit=1", 200),
    ("POST", [FORM, "Transfer-Encoding: chunked"], b"7\r\nlimit=1\r\n0\r\n\r\n", 200),
    ("POST", [FORM, "Transfer-Encoding: chunked"], b"3\r\nlim\r\n4;x=y\r\nit=1\r\n0\r\n\r\n", 200),
    ("POST", ["Content-Length: 7"], b"limit=1", 415),
    ("POST", ["Content-Type: application/json", "Content-Length: 2"], b"{}", 415),
    ("POST", ["Content-Type: multipart/form-data; boundary=x", "Content-Length: 2"], b"--", 415),
    ("POST", [FORM, FORM, "Content-Length: 7"], b"limit=1", 415),
    ("POST", [FORM, f"Content-Length: {256 * 1024 + 1}"], b"a" * (256 * 1024 + 1), 413),
    ("POST", [FORM, "Content-Length: 9"], b"limit=%ff", 400),
    ("POST", [FORM, "Content-Length: 5"], b"a=%00", 200),
]


@pytest.mark.parametrize(("method", "fields", "body", "status"), BODIES, ids=[str(n) for n in range(len(BODIES))])
async def test_a_body_is_a_small_form_of_a_post(tmp_path, method, fields, body, status):
    async with wired(tmp_path) as (wire, _, prefix):
        answer = await wire.sent(head(method, f"{prefix}/loki/api/v1/labels?{SPAN}", *fields) + body)
        assert answer.status == status, answer.raw


SINGLE = ("query", "start", "end", "since", "limit", "direction", "interval", "step")


@pytest.mark.attack("GW-05")
@pytest.mark.parametrize("name", SINGLE)
async def test_what_may_be_given_once_is_refused_twice_in_any_mix_and_spelling(tmp_path, name):
    values = {"query": "%7B%7D", "start": str(T0), "end": str(T0 + SECOND), "since": "1h", "limit": "1"}
    values |= {"direction": "forward", "interval": "1s", "step": "1s"}
    value, spelled = values[name], f"%{ord(name[0]):02x}" + name[1:]
    rest = "" if name == "query" else "query=%7B%7D&"
    async with wired(tmp_path) as (wire, _, prefix):
        path = f"{prefix}/loki/api/v1/query_range"

        async def posted(query: str, body: str) -> Answer:
            fields = (FORM, f"Content-Length: {len(body)}")
            return await wire.sent(head("POST", f"{path}?{query}", *fields) + body.encode())

        once, twice = f"{rest}{name}={value}", f"{rest}{name}={value}&{spelled}={value}"
        answers = [
            await wire.sent(head("GET", f"{path}?{twice}")),
            await posted("", twice),
            await posted(once, f"{name}={value}"),
            await posted(once, f"{spelled}={value}"),
            await posted(once, f"{name}="),
        ]
        for answer in answers:
            assert (answer.status, f"{name} is given twice".encode() in answer.body) == (400, True), answer.raw
        assert (await posted("", once)).status == 200
        assert (await posted(rest, f"{name}={value}")).status == 200
        assert (await posted(f"{once}&shards=0_of_2&shards=1_of_2&other=1&other=2", "")).status == 200


FRAMES: dict[str, bytes] = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
    "an empty length": b"Content-Length: \r\n\r\n",
    "a coding that is none": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "compressed chunks": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks that are not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a size that is none": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a prefixed size": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a negative size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a size beyond all": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "a chunk without its end": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx0\r\n\r\n",
    "a folded header": b"X: a\r\n Content-Length: 0\r\n\r\n",
    "a header with a zero": b"X: a\x00\r\nContent-Length: 0\r\n\r\n",
    "a carriage return alone": b"X: a\rContent-Length: 0\r\n\r\n",
    "a second host": b"Host: y\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.attack("GW-07")
@pytest.mark.parametrize("trick", sorted(FRAMES))
async def test_where_the_end_of_a_call_is_in_doubt_nothing_behind_it_is_answered(tmp_path, trick):
    async with wired(tmp_path) as (_, w, prefix):
        smuggled = head("GET", f"{prefix}/logs?{SPAN}")
        first = f"POST {prefix}/loki/api/v1/labels?{SPAN} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        got = await all_of(w, first.encode() + FRAMES[trick] + smuggled)
        assert got.startswith(b"HTTP/1.1 400 ")
        assert (got.count(b"HTTP/1.1 "), SECRET.encode() in got) == (1, False), got


HEADS: dict[str, bytes] = {
    "no version": b"GET %b\r\nHost: x\r\n%b\r\n",
    "an old version": b"GET %b HTTP/1.0\r\nHost: x\r\n%b\r\n",
    "a version to come": b"GET %b HTTP/2.0\r\nHost: x\r\n%b\r\n",
    "a version that is none": b"GET %b HTTP/1.2\r\nHost: x\r\n%b\r\n",
    "no host": b"GET %b HTTP/1.1\r\n%b\r\n",
    "two hosts": b"GET %b HTTP/1.1\r\nHost: x\r\nHost: x\r\n%b\r\n",
    "line feeds alone": b"GET %b HTTP/1.1\nHost: x\n%b\n",
    "a space before a colon": b"GET %b HTTP/1.1\r\nHost : x\r\n%b\r\n",
    "tabs": b"GET\t%b\tHTTP/1.1\r\nHost: x\r\n%b\r\n",
    "a small method": b"get %b HTTP/1.1\r\nHost: x\r\n%b\r\n",
    "no such method": b"FETCH %b HTTP/1.1\r\nHost: x\r\n%b\r\n",
    "a fragment": b"GET %b#x HTTP/1.1\r\nHost: x\r\n%b\r\n",
    "an address without a slash": b"GET x%b HTTP/1.1\r\nHost: x\r\n%b\r\n",
    "another letter": b"GET %b\xc3\xb6 HTTP/1.1\r\nHost: x\r\n%b\r\n",
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET %b HTTP/1.1\r\nHost: x\r\n%b\r\n",
}


@pytest.mark.attack("GW-07")
@pytest.mark.parametrize("trick", sorted(HEADS))
async def test_a_head_of_another_form_is_refused_and_closes_the_connection(tmp_path, trick):
    async with wired(tmp_path) as (_, w, prefix):
        target = f"{prefix}/logs?{SPAN}".encode()
        got = await all_of(w, HEADS[trick] % (target, f"Authorization: Bearer {TOKEN}\r\n".encode()))
        assert (got.startswith(b"HTTP/1.1 400 "), SECRET.encode() in got) == (True, False), got


@pytest.mark.attack("GW-07")
async def test_what_comes_behind_a_body_is_no_header(tmp_path):
    async with wired(tmp_path) as (_, w, prefix):
        path = f"{prefix}/loki/api/v1/labels?{SPAN}"
        chunks, trailer = "Transfer-Encoding: chunked", f"0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        nobody = await all_of(w, head("POST", path, chunks, "Connection: close", token=None) + trailer)
        assert nobody.startswith(b"HTTP/1.1 401 ")
        somebody = await all_of(w, head("POST", path, chunks) + trailer.replace(TOKEN.encode(), b"llp_other"))
        assert somebody.startswith(b"HTTP/1.1 200 ")


async def test_a_session_is_the_last_thing_on_its_connection(tmp_path):
    async with wired(tmp_path) as (_, w, prefix):
        call = head("GET", f"{prefix}/logs?{SPAN}")
        got = await all_of(w, call + call)
        assert (got.count(b"HTTP/1.1 200"), got.count(SECRET.encode())) == (1, 1)


async def all_of(w: World, raw: bytes) -> bytes:
    """Write bytes and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
    writer.write(raw)
    got = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 10):
            got += chunk
    writer.close()
    return got
