"""What is read is ours, whatever a query names: every door of a whole server. Rows QL of the attack catalogue.

Beside the stream of the grant there are others, each with a canary that nobody may see, and one whose name begins alike.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest
from tests.attacks.doors import command, sent
from tests.fakes.stack import Person, Stack
from tests.promises.shared import crowd, granted, quick, wire
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from loglease.server.clock import SystemClock

HIDDEN: Final = ("hr", "shop-eu", "shopping", "pay-eu")
CANARY: Final = "canary-of-"


@pytest.fixture
def reader(server: Stack) -> Person:
    """Return somebody whose grants are those of these tests alone, on a server that has other streams."""
    for name in HIDDEN:
        path = server.logs / f"{name}.log"
        if not path.exists():
            path.write_text(f'{{"level":"error","msg":"{CANARY}{name}","service":"shop","app":"{name}"}}\n' * 5)
    return quick(server.sign_in("quinn") if "quinn" in server.passwords else server.add("quinn"))


@pytest.fixture
def grant(server: Stack, reader: Person) -> Iterator[str]:
    """Return a grant of the reader on one stream."""
    made = granted(reader, crowd(server)["bob"])
    yield made
    reader.call("POST", f"/grants/{made}/return")


def texts(server: Stack, alice: Person, grant: str, query: str) -> Iterator[tuple[str, httpx2.Response]]:
    """Ask the same by every door of HTTP."""
    base = f"/g/{grant}"
    yield "logs", sent(alice, "GET", f"{base}/logs", params={"query": query, "since": "1h", "limit": "20"})
    loki = f"{base}/loki/api/v1"
    yield "range", sent(alice, "GET", f"{loki}/query_range", params={"query": query, "limit": "20"})
    yield "form", sent(alice, "POST", f"{loki}/query_range", data={"query": query, "limit": "20"})
    yield "instant", sent(alice, "GET", f"{loki}/query", params={"query": query})
    for name in ("labels", "label/service/values", "index/stats", "index/volume", "detected_fields", "patterns"):
        yield name, sent(alice, "GET", f"{loki}/{name}", params={"query": query})
    yield "series", sent(alice, "GET", f"{loki}/series", params={"match[]": query})
    yield "plain", wire().get(f"{server.url}/logs", params={"query": query, "limit": "20"}, headers=alice.headers())


def require_nothing_hidden(answer: httpx2.Response, where: object) -> None:
    assert answer.status_code in (200, 400, 403, 404, 409, 413, 422), (where, answer.text)
    assert CANARY not in answer.text, where
    if answer.status_code == 200:  # a refusal may repeat what was asked for
        for name in HIDDEN:
            assert f'"{name}"' not in answer.text, (where, answer.text)


OUTSIDE: Final = (
    '{service="hr"}',
    '{service="shop-eu"}',
    '{service=~"hr"}',
    '{service=~"shop.+"}',
    '{service!="shop"}',
    '{service!~"sho.*"}',
    '{service="shop", service="hr"}',
    '{service="hr", service=~"shop|hr"}',
    '{service="SHOP"}',
    '{service="shop "}',
)
AROUND: Final = (
    "{}",
    '{env="test"}',
    '{env=~".+"}',
    '{service=~"shop.*"}',
    '{service=~"shop|hr"}',
    '{service=~"hr|shop|pay-eu"}',
    '{service=~".+"}',
    '{service=~".*"}',
    '{service!="x"}',
    '{service!~"x"}',
    '{service!=""}',
    '{service=~"(?i)SHOP.*"}',
    '{service=~"^sho"}',
    '{service=~"shop\\n|.*"}',
    '{env="test", filename!=""}',
    '{service="shop"} or {service="hr"}',
)


@pytest.mark.attack("QL-01", "QL-02")
@pytest.mark.parametrize("query", OUTSIDE + AROUND)
def test_no_selector_leads_out_of_the_grant(server: Stack, reader: Person, grant: str, query: str) -> None:
    for name, answer in texts(server, reader, grant, query):
        require_nothing_hidden(answer, (name, query))
        if query in OUTSIDE and name in ("logs", "range", "form"):
            assert "paid by" not in answer.text, name


@pytest.mark.attack("QL-01", "QL-02")
def test_the_doors_show_what_the_grant_covers(server: Stack, reader: Person, grant: str) -> None:
    shown = {name for name, answer in texts(server, reader, grant, '{service=~"shop.*"}') if "paid by" in answer.text}
    assert {"logs", "range", "form", "plain"} <= shown


FENCES: Final = (
    '{service="shop"} # or {service="hr"}',
    '{service="shop"} #\n or {service="hr"}',
    '{service="shop"}\n{service="hr"}',
    '{service="shop"} // {service="hr"}',
    '{service="shop"} /* */ or {service="hr"}',
    "{service=`shop`} or {service=`hr`}",
    "{service=`shop`,service=~`hr|shop`}",
    '{service="shop\\"} or {service=\\"hr"}',
    '{service="shop"}or{service="hr"}',
    '{service="shop\\u0022}or{service=\\u0022hr"}',
    '{service="x"}or{service="hr"}',
    "{service=\u201cshop\u201d} or {service=\u201chr\u201d}",
    '{service="hr\u0000"}',
    '{service="shop"} |= `"} or {service="hr"}`',
    '{service="shop"} | line_format "{{ `{service=\\"hr\\"}` }}"',
    '{service="shop"} | label_format service="hr" | service="hr"',
    '{service="shop"} | json | app="hr" or service="hr"',
    '{"service"="hr"}',
    '{service="shop"',
    '"} or {service="hr"} #',
)


@pytest.mark.attack("QL-03")
@pytest.mark.parametrize("query", FENCES)
def test_no_quote_or_comment_opens_the_fence(server: Stack, reader: Person, grant: str, query: str) -> None:
    for name, answer in texts(server, reader, grant, query):
        assert CANARY not in answer.text, (name, query)
        assert answer.status_code in (200, 400, 403, 404, 409, 422), (name, answer.text)
        if answer.status_code == 200 and name in ("label/service/values", "series", "labels"):
            require_nothing_hidden(answer, (name, query))


def _numbers(selector: str) -> str:
    return f"sum by (service) (count_over_time({selector}[1h]))"


def in_a_second() -> str:
    return str(SystemClock().now() / 1_000_000 + 1)


SHOP, HR, ALIKE, ALL = (_numbers(one) for one in ('{service="shop"}', '{service="hr"}', '{service=~"shop.*"}', "{}"))
MIXED: Final = (
    f"{SHOP} or {HR}",
    f"{HR} or {SHOP}",
    f"{ALIKE} + on() group_left() {HR}",
    f"topk(9, {ALIKE}) or {HR}",
    f"{ALL} unless {SHOP}",
    f'label_replace({ALL}, "x", "$1", "service", "(.*)")',
    "sum by (app) (count_over_time({} | json [1h]))",
    'sum by (msg) (count_over_time({service!="shop"} | json [1h] offset 1m))',
    'max_over_time({service=~"hr|shop"} | json | unwrap nothing [1h]) by (service)',
)


@pytest.mark.attack("QL-04")
@pytest.mark.parametrize("query", MIXED)
def test_every_selector_of_a_number_is_fenced(server: Stack, reader: Person, grant: str, query: str) -> None:
    at = in_a_second()
    for path, more in (("query", {"time": at}), ("query_range", {"step": "600"})):
        url = f"/g/{grant}/loki/api/v1/{path}"
        answer = sent(reader, "GET", url, params={"query": query, **more})
        require_nothing_hidden(answer, (path, query))
        if answer.status_code == 200:
            for one in answer.json()["data"]["result"]:
                assert one["metric"].get("service", "shop") == "shop", one
                assert one["metric"].get("x", "shop") in ("shop", "")


@pytest.mark.attack("QL-04")
def test_absence_says_nothing_of_a_stream_outside(server: Stack, reader: Person, grant: str) -> None:
    del server
    at = in_a_second()

    def told(service: str) -> str:
        query = f'absent_over_time({{service="{service}"}}[1h])'
        answer = sent(reader, "GET", f"/g/{grant}/loki/api/v1/query", params={"query": query, "time": at})
        return f"{answer.status_code} {answer.text.replace(service, '…')}"

    assert told("hr") == told("no") == told("shop-eu")


@pytest.mark.attack("QL-01", "QL-02", "QL-06")
def test_a_tail_and_the_command_line_show_only_the_grant(server: Stack, reader: Person, grant: str) -> None:
    base = f"{server.url.replace('http', 'ws')}/g/{grant}/loki/api/v1/tail"
    for query in ("{}", '{service=~"shop.*"}', '{service=~"hr|shop"}', '{service="hr"}'):
        address = str(httpx2.URL(base, params={"query": query, "limit": "5"}))
        try:
            with connect(address, additional_headers=reader.headers(), proxy=None) as tail:
                told = str(tail.recv(timeout=20))
                for one in json.loads(told).get("streams", []):
                    assert one["stream"]["service"] == "shop"
        except (InvalidStatus, ConnectionClosed) as refused:
            told = str(refused)
            assert query == '{service="hr"}', told
        assert CANARY not in told
    done: subprocess.CompletedProcess[bytes] = command(
        reader, "logs", "--grant", grant, "--since", "1h", '{service=~"hr|shop.*|pay.*"}'
    )
    assert done.returncode == 0, done.stderr
    assert b"paid by" in done.stdout
    assert CANARY.encode() not in done.stdout + done.stderr


@pytest.mark.attack("GW-10", "GW-12")
def test_two_grants_are_two_reads_and_nobody_shares_either(server: Stack, reader: Person, grant: str) -> None:
    people = crowd(server)
    alice, bob, carol = reader, people["bob"], people["carol"]
    strict = granted(alice, bob, '{service="web"}', scope={"profile": "strict"}, limits={"lines": 7})
    for one in (grant, strict):
        alice.call("POST", f"/grants/{one}/activate")
    request = bob.ask('{service="shop"}')
    carol.decide(request)
    of_bob = bob.grant_of(request)

    def services(person: Person, base: str, query: str) -> dict[str, int]:
        path = f"{base}/loki/api/v1/query_range"
        answer = sent(person, "GET", path, params={"query": query, "limit": "50"}, headers={"if-none-match": "*"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        require_nothing_hidden(answer, query)
        found: dict[str, int] = {}
        for stream in answer.json()["data"]["result"]:
            service = stream["stream"]["service"]
            found[service] = found.get(service, 0) + len(stream["values"])
        return found

    # The grant that is named decides, although the other one of the same person covers what is asked for.
    assert set(services(alice, f"/g/{grant}", '{service=~"shop|web"}')) == {"shop"}
    both = services(alice, "", '{service=~"shop|web"}')
    assert set(both) <= {"shop", "web"}
    assert both["web"] <= 7, "the lines of one grant were read under the other's budget"
    for foreign in (grant, strict):
        answer = sent(bob, "GET", f"/g/{foreign}/logs", params={"since": "1h"})
        assert answer.status_code == 404
    theirs = [
        sent(who, "GET", f"/g/{name}/logs", params={"since": "1h", "limit": "3"}).text
        for who, name in ((alice, grant), (bob, of_bob))
    ]
    tokens = [text.partition("⟦")[2].partition("⟧")[0] for text in theirs]
    assert all(tokens)
    assert tokens[0] != tokens[1], "one grant's pseudonyms were shown under another"
    left = sent(alice, "GET", f"/g/{strict}/logs", params={"since": "1h"})
    assert left.status_code == (200 if both["web"] < 7 else 403)
    if left.status_code == 200:
        alice.call("POST", f"/grants/{strict}/return")
