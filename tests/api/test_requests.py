from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.api.world import SCOPE, WISH, World

from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.policies import rules_of


async def test_a_request_goes_from_draft_to_grant(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    offers = await world.client.post("/offers", json=WISH, headers=alice)
    assert offers.status_code == 200
    assert [one["policy"] for one in offers.json()["offers"]] == ["default"]
    request = (await world.created("/requests", WISH, alice)).json()
    assert request["state"] == "pending"
    assert request["scopes"][0]["words"].startswith("all lines of service pay-api from files")
    terms = await world.client.get(f"/requests/{request['id']}/terms", headers=bob)
    assert terms.headers["etag"] == f'"{request["digest"]}"'
    assert hashlib.sha256(terms.json()["terms"].encode()).hexdigest() == request["digest"]
    inbox = await world.client.get("/requests?needs=my-review", headers=bob)
    assert [one["id"] for one in inbox.json()["items"]] == [request["id"]]
    review = await world.created(
        f"/requests/{request['id']}/reviews",
        {"verdict": "approve", "narrow": {"duration_s": 600, "level_from": "error"}},
        bob,
        **{"If-Match": f'"{request["digest"]}"'},
    )
    assert review.status_code == 201
    grant = (await world.client.get(f"/grants/{review.json()['grant']}", headers=alice)).json()
    assert (grant["state"], grant["duration_s"], grant["scopes"][0]["level_from"]) == ("scheduled", 600, "error")
    used = await world.client.post(f"/grants/{grant['id']}/activate", headers=alice)
    assert used.json()["state"] == "active"
    again = await world.client.post(f"/grants/{grant['id']}/activate", headers=alice)
    assert again.json()["valid_until"] == used.json()["valid_until"]
    back = await world.client.post(f"/grants/{grant['id']}/return", headers=alice)
    assert (back.json()["state"], back.json()["ended_why"]) == ("ended", "returned")
    steps = (await world.client.get(f"/requests/{request['id']}/timeline", headers=bob)).json()["items"]
    assert [one["type"] for one in steps] == [
        "request.submitted",
        "offer.made",
        "review.given",
        "request.approved",
        "grant.scheduled",
        "grant.activated",
        "grant.ended",
    ]
    assert {one["actor"] for one in steps} == {"alice@example.com", "bob@example.com"}


async def test_nobody_reviews_their_own_request(world: World) -> None:
    alice = await world.add("alice@example.com", groups=("approvers",))
    await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    answer = await world.created(
        f"/requests/{request['id']}/reviews", {"verdict": "approve"}, alice, **{"If-Match": f'"{request["digest"]}"'}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "self_review")


async def test_without_another_person_nothing_can_be_asked(world: World) -> None:
    alice = await world.add("alice@example.com", groups=("approvers",))
    answer = await world.created("/requests", WISH, alice)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_eligible_approver")


async def test_an_account_with_the_same_address_counts_as_the_same_person(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    admin = await world.sign_in("admin", world.admin_password)
    body = {
        "account": "alice2",
        "email": "alice@example.com",
        "password": "another long password",
        "groups": ["approvers"],
    }
    assert (await world.created("/principals", body, admin)).status_code == 201
    twin = await world.sign_in("alice2", "another long password")
    request = (await world.created("/requests", WISH, alice)).json()
    answer = await world.created(
        f"/requests/{request['id']}/reviews", {"verdict": "approve"}, twin, **{"If-Match": f'"{request["digest"]}"'}
    )
    # She is no approver of it, so she does not even see it.
    assert answer.status_code in (403, 404)
    assert answer.json()["code"] in ("same_person", "not_found")


async def test_a_key_answers_the_first_result_again_and_refuses_another_body(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    headers = {**alice, "Idempotency-Key": "once"}
    first = await world.client.post("/requests", json=WISH, headers=headers)
    again = await world.client.post("/requests", json=WISH, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = await world.client.post("/requests", json={**WISH, "reason": "quite another reason"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.attack("PO-04")
async def test_what_is_not_for_somebody_does_not_exist_for_them(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    mallory = await world.add("mallory@example.com")
    grant = await world.approved(alice, bob)
    request = (await world.client.get(f"/grants/{grant}", headers=alice)).json()["request"]
    missing = "0" * 26
    for path in (f"/requests/{request}", f"/grants/{grant}", f"/requests/{request}/terms", f"/sessions?grant={grant}"):
        foreign = await world.client.get(path, headers=mallory)
        absent = await world.client.get(path.replace(request[4:], missing).replace(grant[4:], missing), headers=mallory)
        assert foreign.status_code == absent.status_code == 404
        assert foreign.json()["title"] == absent.json()["title"]
    assert (await world.client.get("/requests", headers=mallory)).json() == {"items": []}
    assert (await world.client.get("/grants", headers=mallory)).json() == {"items": []}
    revoked = await world.created("/revocations", {"on": f"grant:{grant}", "reason": "mine?"}, mallory)
    assert revoked.status_code == 404


async def test_lists_go_on_behind_a_cursor_that_only_fits_its_list(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    ids = [(await world.created("/requests", WISH, alice)).json()["id"] for _ in range(5)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2, "mine": "true"}
    while True:
        page = (await world.client.get("/requests", params=query, headers=alice)).json()
        found += [one["id"] for one in page["items"]]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert found == ids[::-1]
    cursor = (await world.client.get("/requests?limit=2&mine=true", headers=alice)).json()["next"]
    for who, params in ((bob, {"mine": "true"}), (alice, {}), (alice, {"mine": "true", "state": "pending"})):
        answer = await world.client.get("/requests", params={**params, "cursor": cursor}, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_denial_needs_a_comment_and_ends_the_request(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    match = {"If-Match": f'"{request["digest"]}"'}
    path = f"/requests/{request['id']}/reviews"
    silent = await world.created(path, {"verdict": "deny"}, bob, **match)
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_required")
    denied = await world.created(path, {"verdict": "deny", "comment": "use the staging logs"}, bob, **match)
    assert denied.json()["request"]["state"] == "denied"
    late = await world.client.post(f"/requests/{request['id']}/cancel", headers=alice)
    assert (late.status_code, late.json()["code"]) == (409, "request_not_pending")


async def test_offers_say_why_there_is_none_and_what_would_help(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    wide = {**WISH, "scopes": [{**SCOPE, "window": {"lookback_s": 40 * 86_400}}]}
    answer = (await world.client.post("/offers", json=wide, headers=alice)).json()
    assert answer["offers"] == []
    assert answer["explanation"]
    assert any(line.startswith("narrow to: ") for line in answer["explanation"])
    assert answer["code"] == "policy_denied"
    unsaid = (await world.client.post("/offers", json={**WISH, "reason": ""}, headers=alice)).json()
    refused = await world.created("/requests", {**WISH, "reason": ""}, alice)
    assert unsaid["code"] == refused.json()["code"] == "reason_required"


async def test_labels_are_those_that_the_caller_may_ask_for(world: World) -> None:
    alice = await world.add("alice@example.com")
    answer = await world.client.get("/sources/files/labels", headers=alice)
    assert answer.json() == {"items": [{"name": "service", "values": [], "open": True}]}
    admin = await world.sign_in("admin", world.admin_password)
    owner = (await world.client.get("/me", headers=alice)).json()["principal"]["id"]
    bot = await world.created("/principals", {"account": "bot", "kind": "agent", "owner": owner}, admin)
    body = {"kind": "service", "label": "x", "rights": ["requests.read"], "expires_in_s": 60}
    secret = (await world.created("/tokens", {**body, "principal": "bot"}, admin)).json()["secret"]
    assert bot.status_code == 201
    none = await world.client.get("/sources/files/labels", headers={"Authorization": f"Bearer {secret}"})
    assert none.json() == {"items": []}, "the policy that ships is for people"


async def test_a_pending_request_says_what_a_newer_policy_demands_of_it(world: World) -> None:
    alice = await world.add("alice@example.com")
    for name in ("bob@example.com", "carol@example.com"):
        bob = await world.add(name, groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    assert (request["need"], request["plans"]) == (1, request["offer"]["plans"])
    services = world.services
    files = default_files(services.sources)
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"need: 1", b"need: 2")
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)
    listed = (await world.client.get("/requests", headers=alice)).json()["items"][0]
    for shown in (listed, (await world.client.get(f"/requests/{request['id']}", headers=alice)).json()):
        assert (shown["offer"]["need"], shown["need"]) == (1, 2)
        assert shown["plans"] != shown["offer"]["plans"]
    lines = (await world.client.get(f"/requests/{request['id']}/explain", headers=alice)).json()["explanation"]
    assert any("2 of group:approvers" in line for line in lines)
    review = await world.created(
        f"/requests/{request['id']}/reviews", {"verdict": "approve"}, bob, **{"If-Match": f'"{request["digest"]}"'}
    )
    answered = review.json()["request"]
    assert (answered["state"], answered["approvals"], answered["need"]) == ("pending", 1, 2)
