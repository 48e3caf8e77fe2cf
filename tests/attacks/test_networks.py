"""A token stolen from one network and used from another, at every door of a real server behind a proxy of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.attacks.doors import sent
from tests.fakes.stack import CONFIG, Person, Refused, Stack
from tests.promises.shared import POLICY
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

BOUND = POLICY.replace("  redaction: pii-default\n", "  redaction: pii-default\n  bind: [network]\n")
BEHIND_PROXY = CONFIG.replace(
    "[http]\n", '[networks]\ncorp = ["10.0.0.0/8"]\n[http]\ntrusted_proxies = ["127.0.0.1"]\n'
)
CORP, COLLEAGUE, HOME, SPOOFED = "10.1.2.3", "10.200.0.9", "203.0.113.7", "10.1.2.3, 203.0.113.7"
LINE = '{"level":"info","msg":"paid by ann@example.com"}\n'


@dataclass
class Away(Person):
    """Somebody behind the proxy, who calls from an address."""

    address: str = ""

    def headers(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().headers({"x-forwarded-for": self.address, **(extra or {})})

    def at(self, address: str) -> Away:
        return replace(self, address=address)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("networks")
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.yaml").write_text(BOUND)
    made = Stack(folder, config=f'{BEHIND_PROXY}\n[policy]\ndirectory = "{folder / "policy"}"\n')
    made.logs.mkdir()
    for service in ("shop", "web"):
        (made.logs / f"{service}.log").write_text(LINE * 20)
    made.start()
    made.add("alice", "everybody")
    made.add("bob", "approvers")
    yield made
    made.stop()


def person(stack: Stack, name: str, address: str) -> Away:
    found = stack.sign_in(name)
    return Away(found.url, found.name, found.token, address=address)


def granted(stack: Stack, address: str = CORP, selector: str = '{service="shop"}') -> tuple[Away, str]:
    alice, bob = person(stack, "alice", address), person(stack, "bob", HOME)
    request = alice.ask(selector)
    bob.decide(request)
    return alice, alice.grant_of(request)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    if "json" not in answer.headers["content-type"]:
        return answer.status_code, answer.text.partition(":")[0]
    body = answer.json()
    return answer.status_code, str(body.get("code") or body.get("error", "")).partition(":")[0]


READS = [
    "/logs?query={}",
    "/logs?query=sum(count_over_time({}[1h]))",
    "/logs?query={}&follow=true",
    '/loki/api/v1/query_range?query={service=~".%2B"}',
    '/loki/api/v1/query?query=sum(count_over_time({service=~".%2B"}[1h]))',
    "/loki/api/v1/labels",
    "/loki/api/v1/label/service/values",
    "/loki/api/v1/series",
    '/loki/api/v1/index/volume?query={service=~".%2B"}',
    '/loki/api/v1/detected_fields?query={service=~".%2B"}',
]  # fmt: skip


def test_no_door_reads_from_another_network_and_all_do_from_its_own(stack: Stack) -> None:
    alice, grant = granted(stack)
    for address in (HOME, SPOOFED, "2001:db8::1", "not an address"):
        thief = alice.at(address)
        for path in READS:
            for media in ("application/x-ndjson", "text/event-stream"):
                answer = sent(thief, "GET", f"/g/{grant}{path}", headers={"accept": f"{media}, application/json;q=0.5"})
                assert code_of(answer)[0] == 403, (address, path, answer.text)
                assert "can be used only from network corp" in answer.text, (address, path)
                assert "ann" not in answer.text
        with pytest.raises(Refused) as refused:
            thief.create(f"/grants/{grant}/activate", {})
        assert (refused.value.status, refused.value.problem["code"]) == (403, "not_permitted")
        assert refused.value.problem["rule"] == "network of the grant"
        assert refused.value.problem["next"]
    assert alice.call("GET", f"/grants/{grant}")["state"] == "scheduled"
    for address in (CORP, COLLEAGUE):
        for path in READS:
            if "follow" not in path:
                answer = sent(alice.at(address), "GET", f"/g/{grant}{path}")
                assert answer.status_code == 200, (address, path, answer.text)
    assert len(list(alice.lines(grant))) > 20


def test_a_web_socket_is_refused_before_it_is_one(stack: Stack) -> None:
    alice, grant = granted(stack)
    url = f"{stack.url.replace('http', 'ws')}/g/{grant}/loki/api/v1/tail?query=%7Bservice%3D~%22.%2B%22%7D"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=alice.at(HOME).headers(), proxy=None)
    assert refused.value.response.status_code == 403
    with connect(url, additional_headers=alice.headers(), proxy=None) as open_tail:
        assert "⟦email:" in str(open_tail.recv(timeout=20))


def test_an_answer_under_several_grants_leaves_out_what_is_bound_elsewhere(stack: Stack) -> None:
    alice, shop = granted(stack)
    alice.create(f"/grants/{shop}/activate", {})
    at_home, web = granted(stack, HOME, '{service="web"}')
    at_home.create(f"/grants/{web}/activate", {})

    def services(who: Away) -> set[str]:
        answer = sent(who, "GET", '/loki/api/v1/query_range?query={service=~".%2B"}&limit=1000')
        assert answer.status_code == 200, answer.text
        return {one["stream"]["service"] for one in answer.json()["data"]["result"]}

    assert services(alice) == {"shop"}
    assert services(at_home) == {"web"}
    nowhere = sent(alice.at("198.51.100.9"), "GET", '/loki/api/v1/query_range?query={service=~".%2B"}')
    assert nowhere.status_code == 403


def test_a_value_is_revealed_where_its_line_may_be_read(stack: Stack) -> None:
    alice, grant = granted(stack)
    record = next(one for one in alice.lines(grant) if "line" in one)
    draft: dict[str, Any] = {
        "reveal": {"grant": grant, "token": record["line"].partition("⟦")[2].partition("⟧")[0], "line": record},
        "reason": "which customer is it",
    }
    with pytest.raises(Refused) as refused:
        alice.at(HOME).create("/requests", draft)
    assert refused.value.problem["rule"] == "network of the grant"
    request = alice.create("/requests", draft)
    person(stack, "bob", HOME).decide(request)
    reveal = alice.grant_of(request)
    for address in (HOME, SPOOFED):
        answer = sent(alice.at(address), "POST", f"/g/{reveal}/reveal")
        assert (answer.status_code, "ann" in answer.text) == (403, False)
    answer = sent(alice, "POST", f"/g/{reveal}/reveal")
    assert (answer.status_code, answer.json()) == (200, {"value": "ann@example.com"})


def test_who_decides_sees_from_where_it_may_be_used(stack: Stack) -> None:
    home = person(stack, "alice", HOME)
    draft = {
        "scopes": [{"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 60}}],
        "reason": "x" * 9,
    }
    (offer,) = home.call("POST", "/offers", draft)["offers"]
    assert (offer["network_bound"], offer["network"]) == (True, HOME)
    request = home.ask()
    bob = person(stack, "bob", CORP)
    seen = bob.call("GET", f"/requests/{request['id']}")["offer"]
    assert (seen["network_bound"], seen["network"]) == (True, HOME)
    terms = bob.call("GET", f"/requests/{request['id']}/terms")
    assert json.loads(terms["terms"])["offer"]["bind"] == ["network"]
    assert terms["private"]["network_c"][1] == HOME
    bob.decide(request)
    grant = home.call("GET", f"/grants/{home.grant_of(request)}")
    assert (grant["network_bound"], grant["network"]) == (True, HOME)
