"""Requests and reviews: who counts is a person, what counts is a digest. Rows AP of the attack catalogue."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from tests.attacks.doors import Browser, refusal, sent
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import changed, crowd, followed, granted

SCOPE = {"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 3_600}}
WISH = {"scopes": [SCOPE], "reason": "checkout fails"}


def size_of(people: dict[str, Person]) -> int:
    """Return the index of the newest request; -1 where this server has had none yet."""
    newest = people["sam"].call("GET", "/audit/entries?type=request.submitted&limit=1")["items"]
    return int(newest[0]["index"]) if newest else -1


def reviews_of(person: Person, request: dict[str, Any]) -> list[dict[str, Any]]:
    return list(person.call("GET", f"/requests/{request['id']}/reviews")["items"])


@pytest.mark.attack("AP-01")
def test_ap_01_nobody_reviews_their_own_request_by_any_door(server: Stack) -> None:
    people = crowd(server)
    bob = people["bob"]
    request = bob.ask()
    with pytest.raises(Refused) as refused:
        bob.decide(request)
    assert refusal(refused.value) == (403, "self_review")
    with Browser(server, "bob") as browser:
        path = f"/requests/{request['id']}/decide"
        fields = {"verdict": "approve", "digest": request["digest"], "step": "decide", "comment": "mine"}
        assert browser.send(path, fields, page="/settings").status_code in (403, 404)
    token = bob.create("/tokens", {"label": "t", "rights": ["requests.write"], "expires_in_s": 600})["secret"]
    with pytest.raises(Refused) as refused:
        Person(server.url, "bob", token).decide(request)
    assert refused.value.status == 403
    assert bob.call("GET", f"/requests/{request['id']}")["state"] == "pending"
    assert reviews_of(bob, request) == []


@pytest.mark.attack("AP-02")
def test_ap_02_neither_an_agent_nor_a_late_member_reviews(server: Stack) -> None:
    people = crowd(server)
    alice, admin, mallory = people["alice"], people["admin"], people["mallory"]
    owner = alice.call("GET", "/me")["principal"]["id"]
    made = admin.create(
        "/principals", {"account": "alice-bot", "kind": "agent", "owner": owner, "groups": ["approvers"]}
    )
    body = {"kind": "service", "label": "bot", "rights": ["requests.read", "requests.write"], "expires_in_s": 600}
    secret = admin.create("/tokens", {**body, "principal": made["principal"]["id"]})["secret"]
    request = alice.ask()
    with pytest.raises(Refused) as refused:
        Person(server.url, "alice-bot", secret).decide(request)
    assert refused.value.status in (403, 404)
    account = mallory.call("GET", "/me")["principal"]["id"]
    changed(admin, account, groups=["approvers"])
    try:
        with pytest.raises(Refused) as refused:
            server.sign_in("mallory").decide(request)
        assert refused.value.status in (403, 404)
    finally:
        changed(admin, account, groups=[])
    assert alice.call("GET", f"/requests/{request['id']}")["state"] == "pending"
    assert reviews_of(alice, request) == []


MORE_FIELDS: list[dict[str, Any]] = [
    {"state": "approved"},
    {"reviews": []},
    {"approved_by": "bob"},
    {"policy_version": 7},
    {"valid_until": "2030-01-01T00:00:00Z"},
    {"id": "req_00000000000000000000000000"},
    {"requester": "bob"},
    {"digest": "0" * 64},
    {"Reason": "in another case"},
]


@pytest.mark.attack("AP-03")
@pytest.mark.parametrize("more", MORE_FIELDS, ids=lambda more: next(iter(more)))
def test_ap_03_a_request_takes_no_field_that_decides(server: Stack, more: dict[str, Any]) -> None:
    people = crowd(server)
    people["alice"].ask()
    before = size_of(people)
    with pytest.raises(Refused) as refused:
        people["alice"].create("/requests", {**WISH, **more})
    assert refused.value.status == 422
    assert size_of(people) == before


@pytest.mark.attack("AP-03")
def test_ap_03_no_key_comes_twice_and_nothing_is_patched(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    request = alice.ask()
    before = size_of(people)
    twice = json.dumps(WISH)[:-1] + ', "reason": "another reason"}'
    headers = {"content-type": "application/json", "idempotency-key": "ap-03"}
    assert sent(alice, "POST", "/api/v1/requests", content=twice, headers=headers).status_code in (400, 422)
    for method in ("PATCH", "PUT", "DELETE"):
        answer = sent(alice, method, f"/api/v1/requests/{request['id']}", json={"state": "approved"})
        assert answer.status_code == 405
    assert size_of(people) == before
    assert alice.call("GET", f"/requests/{request['id']}")["state"] == "pending"


@pytest.mark.attack("AP-04")
@pytest.mark.parametrize(
    "wider",
    [{"duration_s": 3_600}, {"scope": {"window": {"lookback_s": 80_000, "live": True}}}, {"reason": "quite another"}],
)
def test_ap_04_other_terms_are_another_request_without_reviews(server: Stack, wider: dict[str, Any]) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    key = f"ap-04-{next(iter(wider))}"
    payments = {"scopes": [{**SCOPE, "selector": '{service="pay"}'}], "reason": "checkout fails"}
    request = alice.create("/requests", payments, key=key)
    bob.decide(request)
    with pytest.raises(Refused) as refused:
        alice.create("/requests", {**WISH, "reason": "rewritten"}, key=key)
    assert refusal(refused.value) == (422, "idempotency_key_reused")
    other = alice.ask('{service="pay"}', **wider)
    assert other["id"] != request["id"]
    assert other["digest"] != request["digest"]
    assert reviews_of(alice, other) == []
    people["carol"].decide(other)
    assert alice.call("GET", f"/requests/{other['id']}")["state"] == "pending"


@pytest.mark.attack("AP-05")
def test_ap_05_an_approval_of_other_terms_is_answered_with_the_present_digest(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    request, other = alice.ask(), alice.ask(duration_s=60)
    with pytest.raises(Refused) as refused:
        bob.decide(request, digest=other["digest"])
    assert refusal(refused.value) == (412, "digest_mismatch")
    assert request["digest"] in json.dumps(refused.value.problem)
    with pytest.raises(Refused) as refused:
        bob.create(f"/requests/{request['id']}/reviews", {"verdict": "approve"})
    assert refused.value.status == 428
    assert reviews_of(alice, request) == []


@pytest.mark.attack("AP-09", "IN-04")
def test_ap_09_opening_a_review_changes_nothing_and_it_counts_once(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    request = alice.ask()
    path = f"/requests/{request['id']}/decide?verdict=approve&step=decide&digest={request['digest']}"
    with httpx2.Client(base_url=server.url) as scanner:
        assert "approve" not in scanner.get(path).text or scanner.get(path).status_code in (303, 401, 404)
    with Browser(server, "bob") as browser:
        assert browser.client.get(path).status_code == 200
    with Browser(server, "mallory") as browser:
        assert browser.client.get(path).status_code == 404
    assert reviews_of(alice, request) == []
    one, again = bob.decide(request), bob.decide(request)
    assert one["review"]["id"] == again["review"]["id"]
    assert len(reviews_of(alice, request)) == 1


@pytest.mark.attack("AP-11")
@pytest.mark.parametrize(
    "duration", ["0", "-1", "1e12", "1000000000000", "NaN", '"P1Y"', '"60m "', '"60"', "1.5", "true", "null"]
)
def test_ap_11_a_strange_duration_is_refused_or_shown_as_clamped(server: Stack, duration: str) -> None:
    alice = crowd(server)["alice"]
    content = json.dumps(WISH)[:-1] + f', "duration_s": {duration}}}'
    headers = {"content-type": "application/json", "idempotency-key": f"ap-11-{len(duration)}-{ord(duration[-1])}"}
    answer = sent(alice, "POST", "/api/v1/requests", content=content, headers=headers)
    if answer.status_code == 201:
        assert answer.json()["duration_s"] <= 3_600
    else:
        assert answer.status_code in (400, 422)


HOSTILE = {
    "lines": "one\r\ntwo: three\r\n\r\nfour",
    "chat": "<!channel> @everyone *bold*",
    "markup": "[link](javascript:alert(1)) <img src=x onerror=alert(1)>",
    "override": "abc \u202e def \u200b ghi",
    "format": "{0.__class__} %(x)s {{7*7}} ${jndi:ldap://x}",
    "formula": "=HYPERLINK(1) +1 -1 @x",
}


@pytest.mark.attack("AP-12")
@pytest.mark.parametrize("kind", HOSTILE)
def test_ap_12_a_hostile_reason_is_kept_verbatim_and_inert(server: Stack, kind: str) -> None:
    alice = crowd(server)["alice"]
    request = alice.ask(reason=HOSTILE[kind])
    assert alice.call("GET", f"/requests/{request['id']}")["reason"] == HOSTILE[kind]
    with Browser(server, "bob") as browser:
        page = browser.client.get(f"/requests/{request['id']}").text
    assert "<img src=x" not in page
    assert "<!channel>" not in page
    assert "\u202e" not in page
    assert ">49<" not in page


@pytest.mark.attack("AP-12")
@pytest.mark.parametrize("reason", ["nul \x00 in it", "x" * 1_000_000, "half \ud800", "esc \x1b]0;x\x07"])
def test_ap_12_what_is_no_text_or_too_long_is_refused(server: Stack, reason: str) -> None:
    people = crowd(server)
    people["alice"].ask()
    before = size_of(people)
    headers = {"content-type": "application/json", "idempotency-key": f"ap-12-{len(reason)}"}
    answer = sent(
        people["alice"], "POST", "/api/v1/requests", content=json.dumps({**WISH, "reason": reason}), headers=headers
    )
    if answer.status_code == 201:
        assert reason.startswith("esc")  # kept, and shown as an escape everywhere
    else:
        assert answer.status_code in (400, 413, 422)
        assert size_of(people) == before


@pytest.mark.attack("AP-13")
def test_ap_13_nothing_moves_the_end_of_a_grant(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob, duration_s=5)
    before = alice.call("POST", f"/grants/{grant}/activate")
    for method in ("PATCH", "PUT", "POST", "DELETE"):
        body = json.dumps({"valid_until": "2099-01-01T00:00:00Z"})
        headers = {"content-type": "application/json"}
        assert sent(alice, method, f"/api/v1/grants/{grant}", content=body, headers=headers).status_code == 405
    for more in ({"valid_until": "2099-01-01T00:00:00Z"}, {"starts_at": "2099-01-01T00:00:00Z"}):
        body = json.dumps({"extends": grant, "reason": "not found yet", **more})
        headers = {"content-type": "application/json", "idempotency-key": f"k-{next(iter(more))}"}
        assert sent(alice, "POST", "/api/v1/requests", content=body, headers=headers).status_code == 422
    asked = dict(alice.create("/requests", {"extends": grant, "reason": "not found yet"}))
    assert asked["state"] == "pending"
    with pytest.raises(Refused) as refused:
        people["mallory"].create("/requests", {"extends": grant, "reason": "not found yet"})
    assert refusal(refused.value) == (404, "not_found")
    assert alice.call("GET", f"/grants/{grant}")["valid_until"] == before["valid_until"]
    followed(lambda: alice.call("GET", f"/grants/{grant}")["state"] == "ended")
    with pytest.raises(Refused) as refused:
        alice.create("/requests", {"extends": grant, "reason": "not found yet"})
    assert refusal(refused.value) == (409, "grant_ended")
    bob.decide(asked)  # late: it starts at its first use, as a grant of its own
    extension = alice.call("POST", f"/grants/{alice.grant_of(asked)}/activate")
    assert extension["valid_from"] > before["valid_until"]
    with pytest.raises(Refused) as refused:
        alice.create("/requests", {"extends": extension["id"], "reason": "not found yet"})
    assert refusal(refused.value) == (403, "extension_not_allowed")
    ended = alice.call("GET", f"/grants/{grant}")
    assert (ended["state"], ended["ended_why"], ended["valid_until"]) == ("ended", "expired", before["valid_until"])


@pytest.mark.attack("AP-14")
def test_ap_14_what_is_over_stays_over(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    denied, cancelled = alice.ask(), alice.ask()
    bob.decide(denied, "deny", comment="no")
    alice.call("POST", f"/requests/{cancelled['id']}/cancel")
    for request in (denied, cancelled):
        with pytest.raises(Refused) as refused:
            people["carol"].decide(request)
        assert refused.value.status == 409
    with pytest.raises(Refused) as refused:
        alice.call("POST", f"/requests/{denied['id']}/cancel")
    assert refusal(refused.value) == (409, "request_not_pending")
    with pytest.raises(Refused) as refused:
        bob.decide(denied)
    assert refused.value.status == 409
    revoked, returned = granted(alice, bob), granted(alice, bob)
    bob.call("POST", f"/grants/{revoked}/revoke", {"reason": "over"})
    alice.call("POST", f"/grants/{returned}/return")
    for grant in (revoked, returned):
        for who, path, body in (
            (alice, "activate", None),
            (bob, "suspend", {"reason": "x"}),
            (people["admin"], "resume", {"reason": "x"}),
        ):
            with pytest.raises(Refused) as refused:
                who.call("POST", f"/grants/{grant}/{path}", body)
            assert refused.value.status == 409
    assert alice.call("GET", f"/grants/{revoked}")["state"] == "revoked"
    assert alice.call("GET", f"/grants/{returned}")["state"] == "ended"
