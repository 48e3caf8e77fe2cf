"""Decisions at the same moment, by every door and by nobody's right. Rows AP and PO of the attack catalogue.

`ATTACK_ROUNDS` says how many races are run; the ordinary number is small.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final

import pytest
from tests.attacks.doors import Browser, command, refusal, sent
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import crowd, granted, quick

ROUNDS: Final = int(os.environ.get("ATTACK_ROUNDS", "5"))
DECIDED: Final = {
    "request.approved": "approved",
    "request.denied": "denied",
    "request.cancelled": "cancelled",
    "request.expired": "expired",
}
MISSING: Final = "0" * 26


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of it at the same moment; return what came of each: a result, or the refusal."""
    ready = Barrier(len(acts))

    def done(act: Callable[[], object]) -> object:
        ready.wait()
        try:
            return act()
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(done, acts))


def entries(people: dict[str, Person], request: str) -> list[str]:
    found = people["sam"].call("GET", f"/audit/entries?request={request}&limit=200")["items"]
    return [one["type"] for one in found]


@pytest.mark.attack("AP-01")
def test_nobody_approves_their_own_request_in_a_terminal(server: Stack) -> None:
    bob = crowd(server)["bob"]
    request = bob.ask()
    done = command(bob, "approve", request["id"], "--yes", "--output", "json")
    assert done.returncode != 0
    assert b"self_review" in done.stdout + done.stderr or b"own request" in done.stdout + done.stderr, done
    assert bob.call("GET", f"/requests/{request['id']}/reviews")["items"] == []


@pytest.mark.attack("AP-06")
def test_one_person_is_one_approval_however_often_and_fast_they_say_it(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    request = alice.ask('{service="pay"}')
    with Browser(server, "bob") as browser:
        form = {"verdict": "approve", "digest": request["digest"], "step": "decide", "comment": "seen"}
        again = [quick(bob) for _ in range(15)]
        results = at_once(
            *(lambda one=one: one.decide(request) for one in again),
            *[lambda: browser.send(f"/requests/{request['id']}/decide", form, page="/settings")] * 5,
        )
    assert any(not isinstance(one, Refused) for one in results)
    reviews = alice.call("GET", f"/requests/{request['id']}/reviews")["items"]
    assert len(reviews) == 1
    assert alice.call("GET", f"/requests/{request['id']}")["state"] == "pending"
    assert entries(people, request["id"]).count("review.given") == 1


@pytest.mark.attack("AP-06")
def test_ap_06_who_denies_what_they_approved_cannot_go_back(server: Stack) -> None:
    people = crowd(server)
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    request = alice.ask('{service="pay"}')
    bob.decide(request)
    for _ in range(2):
        bob.decide(request, "deny")
    for who in (bob, carol):
        with pytest.raises(Refused) as refused:
            who.decide(request)
        assert refusal(refused.value)[0] == 409
    assert alice.call("GET", f"/requests/{request['id']}")["state"] == "denied"


@pytest.mark.attack("AP-07", "RV-10")
def test_of_opposite_decisions_at_once_one_holds(server: Stack) -> None:
    people = crowd(server)
    alice, bob, carol, admin = (people[name] for name in ("alice", "bob", "carol", "admin"))
    outcomes = set()
    for number in range(ROUNDS):
        request = alice.ask('{service="pay"}')
        name = request["id"]
        bob.decide(request)
        acts = [
            lambda: carol.decide(request),  # noqa: B023 - all of it happens in this round
            lambda: quick(carol).decide(request),  # noqa: B023
            lambda: bob.decide(request, "deny", comment="after all: no"),  # noqa: B023
            lambda: alice.call("POST", f"/requests/{name}/cancel"),  # noqa: B023
            lambda: admin.create("/revocations", {"on": f"request:{name}", "reason": "no"}),  # noqa: B023
        ]
        results = at_once(*acts[number % 5 :], *acts[: number % 5])
        refused = [one for one in results if isinstance(one, Refused)]
        assert all(one.status == 409 for one in refused), refused
        shown = alice.call("GET", f"/requests/{name}")
        outcomes.add(shown["state"])
        told = entries(people, name)
        assert [DECIDED[one] for one in told if one in DECIDED] == [shown["state"]]
        assert told.count("grant.scheduled") == (shown["state"] == "approved")
        assert ("grant" in shown) == (shown["state"] == "approved")
        if shown["state"] == "approved" and any(one in told for one in ("grant.revoked", "revocation.accepted")):
            assert alice.call("GET", f"/grants/{shown['grant']}")["state"] in ("revoked", "scheduled")
        if shown["state"] != "cancelled":  # else it would be the same again
            with pytest.raises(Refused) as over:
                alice.call("POST", f"/requests/{name}/cancel")
            assert over.value.status == 409
        if shown["state"] != "approved":
            with pytest.raises(Refused) as over:
                quick(carol).decide(request)
            assert over.value.status == 409
    assert outcomes <= set(DECIDED.values())


# Path parameters that name something; what is there is refused by right, what is not by absence.
NAMES: Final = {"source_id": "files", "path": "checkpoint", "report": "refusals", "revision": "1", "entry": "1"}
VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def _address(path: str) -> str:
    parts = (
        NAMES.get(part.strip("{}"), MISSING) if part.startswith("{") else part for part in path.strip("/").split("/")
    )
    return "/" + "/".join(parts)


@pytest.mark.attack("AP-08")
def test_only_the_declared_verbs_of_the_exact_paths_exist_for_anybody(server: Stack) -> None:
    people = crowd(server)
    admin = people["admin"]
    declared = sent(admin, "GET", "/api/v1/openapi.json").json()["paths"]
    for path, operations in declared.items():
        address = _address(path)
        for verb in VERBS:
            if verb.lower() not in operations:
                answer = sent(admin, verb, address)
                assert answer.status_code in (404, 405), (verb, path, answer.text)
        verb = next(iter(operations)).upper()
        behind = ("/", "//") if path.endswith("}") else ("/", "//", ";x", "%2f", ".json")
        for near in (f"/{address}", *(address + more for more in behind)):
            answer = sent(admin, verb, near)
            assert answer.status_code in (400, 404, 405), (verb, near, answer.status_code)


BULK: Final = ("/requests/bulk", "/requests/*/reviews", "/requests/reviews", "/reviews", "/grants/*/revoke", "/batch")


@pytest.mark.attack("AP-08")
def test_nothing_is_decided_in_bulk_or_by_another_name(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    one, two = alice.ask(), alice.ask()
    review = {"verdict": "approve", "comment": "all of them"}
    for path in BULK:
        assert sent(bob, "POST", f"/api/v1{path}", json=review).status_code in (400, 404, 405), path
    several = f"{one['id']},{two['id']}"
    path = f"/api/v1/requests/{one['id']}/reviews"
    bodies: list[Any] = [
        [review, review],
        {**review, "request": two["id"]},
        {**review, "requests": [one["id"], two["id"]]},
        {**review, "reviewer": "carol"},
        {**review, "verdict": ["approve"]},
        {**review, "Verdict": "approve"},
    ]
    for number, body in enumerate(bodies):
        headers = {"if-match": f'"{one["digest"]}"', "idempotency-key": f"bulk-{number}"}
        assert sent(bob, "POST", path, json=body, headers=headers).status_code in (400, 422), body
    for match in ("*", f'"{one["digest"]}", "{two["digest"]}"', f'W/"{one["digest"]}"', '""'):
        headers = {"if-match": match, "idempotency-key": f"match-{len(match)}"}
        assert sent(bob, "POST", path, json=review, headers=headers).status_code in (400, 412, 422, 428), match
    headers = {"if-match": f'"{one["digest"]}"', "idempotency-key": "several"}
    assert sent(bob, "POST", f"/api/v1/requests/{several}/reviews", json=review, headers=headers).status_code in (
        400,
        404,
    )
    for request in (one, two):
        assert alice.call("GET", f"/requests/{request['id']}/reviews")["items"] == []


def _details(request: str, grant: str) -> Iterator[str]:
    for more in ("", "/terms", "/timeline", "/reviews", "/explain", "/exposure"):
        yield f"/api/v1/requests/{request}{more}"
    for more in ("", "/usage"):
        yield f"/api/v1/grants/{grant}{more}"
    yield f"/api/v1/sessions?grant={grant}"
    for more in ("", "/state", "/decide"):
        yield f"/requests/{request}{more}"
    for more in ("", "/state", "/logs", "/revoke", "/extend"):
        yield f"/grants/{grant}{more}"
    for path in ("logs", "loki/api/v1/labels", "loki/api/v1/query_range?query={}"):
        yield f"/g/{grant}/{path}"


@pytest.mark.attack("PO-04", "AP-08")
def test_what_is_somebody_elses_is_not_there_by_any_door(server: Stack) -> None:
    """Each door gives a stranger the same bytes for what exists and for what does not."""
    people = crowd(server)
    alice, mallory, admin = people["alice"], people["mallory"], people["admin"]
    grant = granted(alice, people["bob"])
    request = alice.call("GET", f"/grants/{grant}")["request"]
    list(alice.lines(grant, since="1h", limit="2"))
    session = people["sam"].call("GET", f"/sessions?grant={grant}")["items"][0]["id"]
    entry = people["sam"].call("GET", f"/audit/entries?grant={grant}")["items"][0]["id"]
    nothing = {"req_": request, "grt_": grant, "ses_": session, "ent_": entry}

    def told(address: str, browser: Browser | None) -> tuple[int, str]:
        answer = sent(mallory, "GET", address) if browser is None else browser.client.get(address)
        text = answer.text
        for name in (*nothing.values(), *(prefix + MISSING for prefix in nothing)):
            text = text.replace(name, "…")
        return answer.status_code, _without_chance(text)

    with Browser(server, "mallory") as browser:
        addresses = [*_details(request, grant), f"/api/v1/sessions/{session}", f"/api/v1/audit/entries/{entry}"]
        for address in addresses:
            absent = address
            for prefix, name in nothing.items():
                absent = absent.replace(name, prefix + MISSING)
            by = None if address.startswith(("/api", "/g/")) else browser
            found = told(address, by)
            assert found == told(absent, by), address
            assert found[0] in (401, 403, 404), address
        lists = ("/requests", "/requests?state=approved", "/grants", "/after-reviews", "/proposals", "/tokens")
        for path in lists:
            answer = sent(mallory, "GET", f"/api/v1{path}")
            assert grant not in answer.text
            assert request not in answer.text
        for path in ("/", "/grants", "/requests"):
            shown = browser.client.get(path).text
            assert grant not in shown
            assert request not in shown
    for path in ("/audit/entries", "/audit/export?format=ndjson", "/policies/decisions?since=2026-01-01T00:00:00Z"):
        assert sent(mallory, "GET", f"/api/v1{path}").status_code == 403
    with pytest.raises(Refused) as refused:
        mallory.call("POST", f"/requests/{request}/cancel")
    assert refusal(refused.value) == (404, "not_found")
    with pytest.raises(Refused) as refused:
        mallory.create(f"/requests/{request}/reviews", {"verdict": "approve"}, if_match=f'"{"0" * 64}"')
    assert refusal(refused.value) == (404, "not_found")
    for who in (alice, people["bob"], people["sam"], admin):
        assert who.call("GET", f"/requests/{request}")["id"] == request


def _without_chance(text: str) -> str:
    """Leave out what differs from call to call: numbers of calls, tokens of forms, times."""
    try:
        problem = json.loads(text)
    except ValueError:
        return "page" if "<html" in text else text
    if isinstance(problem, dict):
        for name in ("trace_id", "trace", "instance"):
            problem.pop(name, None)
    return json.dumps(problem, sort_keys=True)


VAGUE: Final[list[Any]] = [
    "{}",
    None,
    "",
    '{service=~".*"}',
    '{service=~".+"}',
    '{service=~""}',
    '{service!="x"}',
    '{env="test"}',
    '{service=~"shop|.*"}',
    '{service=""}',
    {},
    [],
]


@pytest.mark.attack("PO-03")
@pytest.mark.parametrize("selector", VAGUE, ids=str)
def test_what_names_nothing_asks_for_nothing(server: Stack, selector: Any) -> None:
    people = crowd(server)
    alice = people["alice"]
    body = {"scopes": [{"source": "files", "window": {"lookback_s": 60}}], "reason": "checkout fails"}
    if selector is not None:
        body["scopes"][0]["selector"] = selector  # type: ignore[index]
    before = len(alice.call("GET", "/requests?mine=true&state=pending")["items"])
    with pytest.raises(Refused) as refused:
        alice.create("/requests", body)
    assert refused.value.status in (403, 422)
    assert len(alice.call("GET", "/requests?mine=true&state=pending")["items"]) == before
    if isinstance(selector, str) and selector:
        assert sent(alice, "POST", "/api/v1/offers", json=body).json().get("offers", []) == []


TEMPLATES: Final = "{0.__class__} {{7*7}} %(x)s %s ${jndi:ldap://x} <%= 7*7 %> #{7*7} $(id) `id`"


@pytest.mark.attack("PO-05")
def test_what_looks_like_a_template_stays_text_in_every_field(server: Stack) -> None:
    people = crowd(server)
    alice, bob, admin = people["alice"], people["bob"], people["admin"]
    request = alice.ask(reason=TEMPLATES, ticket=TEMPLATES[:60], scope={"contains": [TEMPLATES]})
    review = bob.decide(request, comment=TEMPLATES)
    assert review["review"]["comment"] == TEMPLATES
    grant = alice.grant_of(request)
    assert list(alice.lines(grant, since="1h"))[-1]["type"] == "end"
    bob.call("POST", f"/grants/{grant}/suspend", {"reason": TEMPLATES})
    assert alice.call("GET", f"/grants/{grant}")["state"] == "suspended"
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": TEMPLATES})
    assert alice.call("GET", f"/grants/{grant}")["reason"] == TEMPLATES
    lock = admin.create("/locks", {"on": f"grant:{grant}", "reason": TEMPLATES})
    assert admin.call("GET", f"/locks/{lock['id']}")["reason"] == TEMPLATES
    token = alice.create("/tokens", {"label": TEMPLATES[:60], "rights": ["logs.read"], "expires_in_s": 60})
    assert TEMPLATES[:60] in json.dumps(alice.call("GET", "/tokens"))
    alice.call("DELETE", f"/tokens/{token['token']['id']}")
    shown = alice.call("GET", f"/requests/{request['id']}")
    assert (shown["reason"], shown["ticket"]) == (TEMPLATES, TEMPLATES[:60])
    with Browser(server, "alice") as browser:
        for path in (f"/requests/{request['id']}", f"/grants/{grant}", "/grants", "/settings"):
            page = browser.client.get(path)
            assert page.status_code == 200
            assert " 49 " not in page.text
            assert "&lt;class" not in page.text
            assert "uid=" not in page.text
    done = command(alice, "requests", request["id"])
    assert TEMPLATES[:20] in done.stdout.decode(), done
    log = (server.folder / "stderr.log").read_text()
    assert "jndi" not in log
    assert "Traceback" not in log
