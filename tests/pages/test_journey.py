from __future__ import annotations

import html
import re

import pytest
from tests.pages.world import World

from loglease.server.identity.accounts import NewAccount

FORM = {
    "source": "files",
    "label.service": "pay-api",
    "window": "1h",
    "live": "1",
    "level": "warn",
    "contains": "timeout",
    "reason": "Checkout answers 500 since 09:40",
    "ticket": "PAY-1432",
    "duration": "20m",
}


async def test_asking_narrowing_reading_and_revoking_without_scripts(world: World) -> None:
    alice, bob = await world.signed_in("alice@example.com"), await world.signed_in("bob@example.com")
    offers = await alice.send("/requests/new", {**FORM, "step": "offers"})
    assert offers.status_code == 200
    assert "warn and above of service pay-api from files" in offers.text
    assert "needs 1 approval" in offers.text
    key = re.search(r'name="key" value="([^"]+)"', offers.text)
    assert key is not None
    sent = {**FORM, "step": "send", "offer": "1", "key": key[1]}
    first = await alice.send("/requests/new", sent)
    assert first.status_code == 303
    again = await alice.send("/requests/new", sent)
    assert again.headers["location"] == first.headers["location"]
    path = first.headers["location"]

    detail = (await bob.get(path)).text
    order = [
        "Who",
        "What",
        "May be read for",
        "Event window",
        "Reason",
        "Ticket",
        "Risks",
        "Policy",
        "Stage",
        "Other approvers",
        "Digest",
    ]
    places = [detail.index(f"<dt>{name}</dt>") for name in order]
    assert places == sorted(places)
    assert "Live tail" in detail
    assert path in (await bob.get("/")).text
    assert "Nothing waits" in (await alice.get("/")).text

    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', (await bob.get(f"{path}/decide")).text)
    assert digest is not None
    narrow = {
        "verdict": "approve",
        "digest": digest[1],
        "half_time": "1",
        "errors_only": "1",
        "comment": "half will do",
    }
    compared = await bob.send(f"{path}/decide", {**narrow, "step": "compare"})
    assert compared.status_code == 200
    assert "smaller" in compared.text
    assert "half will do" in compared.text
    assert (await bob.send(f"{path}/decide", {**narrow, "step": "decide"})).status_code == 303
    decided = (await alice.get(path)).text
    assert "approved" in decided
    assert "proven subset" in decided
    grant = re.search(r"/grants/(grt_[0-9A-Z]{26})", decided)
    assert grant is not None
    page = (await alice.get(f"/grants/{grant[1]}")).text
    assert "error and above" in page
    assert "starts at first use" in page
    assert "loglease tail" in page
    assert "logcli query" in page
    assert f"loglease env {grant[1]} --tool grafana" in page
    assert (await alice.send(f"/grants/{grant[1]}/activate", {}, page=f"/grants/{grant[1]}")).status_code == 303
    assert 'role="timer"' in (await alice.get(f"/grants/{grant[1]}")).text

    empty = await bob.send(f"/grants/{grant[1]}/revoke", {"reason": " "})
    assert empty.status_code == 422
    assert (await bob.send(f"/grants/{grant[1]}/revoke", {"reason": "incident over"})).status_code == 303
    over = await alice.get(f"/grants/{grant[1]}")
    assert "revoked" in over.text
    assert "incident over" in over.text
    state = (await alice.get(f"/grants/{grant[1]}/state", accept="application/json")).json()
    assert (state["state"], state["by"], state["reason"]) == ("revoked", "bob@example.com", "incident over")


async def test_a_mistake_keeps_what_was_typed(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    answer = await alice.send("/requests/new", {**FORM, "duration": "soon", "step": "offers"})
    assert answer.status_code == 422
    for kept in (
        'value="pay-api"',
        "Checkout answers 500 since 09:40</textarea>",
        'value="PAY-1432"',
        'value="soon"',
        "timeout</textarea>",
    ):
        assert kept in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'role="alert"' in answer.text


async def test_a_refusal_of_policy_has_three_parts(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    answer = await alice.send("/requests/new", {**FORM, "reason": "why", "step": "offers"})
    assert answer.status_code == 422
    assert "reason_required" in answer.text
    assert ">Rule<" in answer.text
    assert ">Next<" in answer.text
    assert re.search(r'<textarea id="reason"[^>]*reason-error[^>]*aria-invalid="true"', answer.text)
    assert 'id="reason-error"' in answer.text
    assert 'value="pay-api"' in answer.text


async def test_an_offer_says_when_it_is_shorter_than_what_was_asked(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    short = "Less time than you asked for"
    assert short in (await alice.send("/requests/new", {**FORM, "duration": "99h", "step": "offers"})).text
    assert short not in (await alice.send("/requests/new", {**FORM, "step": "offers"})).text


async def test_a_denial_needs_a_comment_and_keeps_the_rest(world: World) -> None:
    request = await world.ask()
    bob = await world.signed_in("bob@example.com")
    path = f"/requests/{request.id}/decide"
    answer = await bob.send(path, {"verdict": "deny", "digest": request.digest, "comment": " ", "step": "decide"})
    assert answer.status_code == 422
    assert "Deny this request?" in answer.text
    done = await bob.send(
        path, {"verdict": "deny", "digest": request.digest, "comment": "ask for errors only", "step": "decide"}
    )
    assert done.status_code == 303
    late = await bob.get(path)
    assert "It is denied already" in late.text
    other = await world.signed_in("carol@example.com")
    token = await other.csrf("/settings")
    too_late = await other.post(path, {"csrf": token, "verdict": "approve", "digest": request.digest, "step": "decide"})
    assert too_late.status_code == 409
    assert "It is denied already, by" in too_late.text
    approvers = (await bob.get(f"/requests/{request.id}")).text.partition("<dt>Approvers</dt>")[2]
    assert "bob@example.com" in approvers.partition("</dd>")[0]


async def test_deciding_on_other_terms_is_refused(world: World) -> None:
    request = await world.ask()
    bob = await world.signed_in("bob@example.com")
    path = f"/requests/{request.id}/decide"
    answer = await bob.send(path, {"verdict": "approve", "digest": "0" * 64, "step": "decide"})
    assert answer.status_code == 412
    assert request.digest in answer.text
    missing = await bob.send(path, {"verdict": "approve", "step": "decide"})
    assert missing.status_code == 428


async def test_nobody_decides_on_their_own_request(world: World) -> None:
    request = await world.ask("carol@example.com")
    carol = await world.signed_in("carol@example.com")
    path = f"/requests/{request.id}"
    assert "Your decision" not in (await carol.get(path)).text
    assert "Nobody reviews their own request" in (await carol.get(f"{path}/decide")).text
    token = await carol.csrf("/settings")
    forced = await carol.post(
        f"{path}/decide", {"csrf": token, "verdict": "approve", "digest": request.digest, "step": "decide"}
    )
    assert forced.status_code == 403
    assert "self_review" in forced.text


async def test_every_page_has_an_empty_state_that_says_what_will_appear(world: World) -> None:
    carol = await world.signed_in("carol@example.com")
    start = (await carol.get("/")).text
    assert start.count('class="empty"') == 3
    assert "appear here" in start
    for path in ("/requests", "/grants"):
        assert 'class="empty"' in (await carol.get(path)).text


async def test_the_first_start_shows_a_checklist_to_the_administrator(world: World) -> None:
    admin = await world.signed_in("admin")
    assert "First steps" in (await admin.get("/")).text
    assert "A first request" in (await admin.get("/")).text
    await world.ask()
    assert "First steps" not in (await admin.get("/")).text
    carol = await world.signed_in("carol@example.com")
    assert "First steps" not in (await carol.get("/")).text


@pytest.mark.attack("IN-04")
async def test_a_link_prefills_and_nothing_more(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    link = "/requests/new?selector=%7Bservice%3D%22pay-api%22%7D&reason=from+an+alert&duration=30m&live=1"
    page = await alice.get(link)
    assert 'name="label.service" value="pay-api"' in page.text
    assert "from an alert</textarea>" in page.text
    assert not (await world.services.store.read(lambda tx: tx.requests.page()))


async def test_the_looks_are_kept_in_the_browser(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    await alice.send("/settings", {"theme": "dark"})
    page = (await alice.get("/")).text
    assert 'data-theme="dark"' in page
    assert 'data-shortcuts="off"' in page


async def test_a_password_that_somebody_else_made_is_changed_before_anything_else(world: World) -> None:
    added = await world.services.accounts.add(NewAccount(account="zoe@example.com"), caller=world.caller("admin"))
    assert added.password is not None
    zoe = world.browser()
    assert (await zoe.sign_in("zoe@example.com", added.password)).headers["location"] == "/password"
    for path in ("/", "/requests", "/requests/new", "/settings"):
        answer = await zoe.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/password"), path
    done = await zoe.send("/password", {"password": added.password, "new_password": "a password of her own"})
    assert done.headers["location"] == "/sign-in"
    await zoe.sign_in("zoe@example.com", "a password of her own")
    assert (await zoe.get("/requests")).status_code == 200


async def test_a_new_password_ends_all_sign_ins(world: World) -> None:
    alice, elsewhere = await world.signed_in("alice@example.com"), await world.signed_in("alice@example.com")
    wrong = await alice.send("/password", {"password": "not it", "new_password": "another long password"})
    assert wrong.status_code == 401
    short = await alice.send("/password", {"password": "a long enough password", "new_password": "short"})
    assert short.status_code == 422
    done = await alice.send(
        "/password", {"password": "a long enough password", "new_password": "another long password"}
    )
    assert done.status_code == 303
    assert (await elsewhere.get("/")).status_code == 303
    assert "Your sign-in is over" in (await elsewhere.get("/sign-in")).text
    assert "Your sign-in is over" not in (await world.browser().get("/sign-in")).text
    assert (await alice.sign_in("alice@example.com", "another long password")).status_code == 303


async def test_a_wish_that_is_too_large_comes_back_with_smaller_ones(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    fields = {**FORM, "window": "custom", "from_time": "2026-01-01T00:00", "step": "offers"}
    answer = await alice.send("/requests/new", fields)
    assert answer.status_code == 403
    assert "This would get an offer:" in answer.text
    link = re.search(r'href="(/requests/new\?[^"]+)"', answer.text)
    assert link is not None
    filled = await alice.get(html.unescape(link[1]))
    again = {
        name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)"', filled.text)
    }
    times = {name: again[name] for name in ("from_time", "to_time")}
    accepted = await alice.send("/requests/new", {**FORM, "window": "custom", **times, "step": "offers"})
    assert accepted.status_code == 200


async def test_a_stale_sign_in_is_renewed_and_leads_back(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    page = await alice.get("/sign-in?again=1")
    assert "Sign in again" in page.text
    assert 'value="alice@example.com"' in page.text
    before = dict(alice.client.cookies)
    token = await alice.csrf("/settings")
    done = await alice.post(
        "/sign-in", {"csrf": token, "account": "alice@example.com", "password": "a long enough password"}
    )
    assert done.status_code == 303
    assert dict(alice.client.cookies)["loglease"] != before["loglease"]
