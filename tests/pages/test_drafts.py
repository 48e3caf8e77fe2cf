from __future__ import annotations

import re
from html import unescape

import pytest
from tests.fakes.clock import FakeClock
from tests.pages.world import PASSWORD, Browser, World

from loglease.model.ids import PrincipalId
from loglease.server.clock import system_random
from loglease.server.pages.drafts import KEEPS_NS, MAX_BYTES, MOST_OF_ONE, MOST_UNCLAIMED, Drafts, Fields, page_of

ALICE, BOB = PrincipalId("prn_alice"), PrincipalId("prn_bob")
FORM = {
    "source": "files",
    "label.service": "pay-api",
    "window": "1h",
    "reason": "checkout 500s & <more>",
    "duration": "20m",
}


@pytest.fixture
def drafts() -> Drafts:
    return Drafts(FakeClock(), system_random)


def kept(drafts: Drafts, owner: PrincipalId | None, **fields: str) -> str:
    key = drafts.keep(Fields(list((fields or {"reason": "why"}).items())), owner)
    assert key is not None
    return key


def test_a_draft_is_its_owners_and_says_nothing_of_how_a_form_proves_itself(drafts: Drafts) -> None:
    key = kept(drafts, ALICE, reason="why", csrf="secret", digest="9f2c", key="once")
    assert drafts.find(key, BOB) is None
    found = drafts.find(key, ALICE)
    assert found is not None
    assert found.multi_items() == [("reason", "why")]
    assert drafts.find("", ALICE) is None


def test_what_nobody_claims_is_whoevers_opens_it_first(drafts: Drafts) -> None:
    key = kept(drafts, None)
    assert drafts.find(key, ALICE) is not None
    assert drafts.find(key, BOB) is None


def test_drafts_have_an_end_and_a_size_and_a_number(drafts: Drafts) -> None:
    assert drafts.keep(Fields([("reason", "x" * MAX_BYTES)]), ALICE) is None
    first = kept(drafts, ALICE)
    for _ in range(MOST_UNCLAIMED + 1):
        unclaimed = kept(drafts, None)
    assert drafts.find(first, ALICE) is not None
    for _ in range(MOST_OF_ONE):
        last = kept(drafts, ALICE)
    assert drafts.find(first, ALICE) is None
    assert drafts.find(unclaimed, BOB) is not None
    drafts.clock.advance(KEEPS_NS / 1e9)  # type: ignore[attr-defined]
    assert drafts.find(last, ALICE) is None


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/requests/new", "/requests/new"),
        ("/requests/req_1/decide", "/requests/req_1/decide"),
        ("/requests/req_1/cancel", "/requests/req_1"),
        ("/grants/grt_1/return", "/grants/grt_1"),
        ("/password", "/password"),
        ("/sign-out", "/"),
    ],
)
def test_every_form_has_a_page_to_come_back_to(path: str, page: str) -> None:
    assert page_of(path) == page


async def sent_after_the_end(world: World, account: str, page: str, path: str, fields: dict[str, str]) -> Browser:
    """Let somebody open a page, lose their sign-in, and send its form."""
    browser = await world.signed_in(account)
    token = await browser.csrf(page)
    session = await world.services.credentials.cookie(browser.client.cookies["loglease"])
    await world.services.sign_ins.sign_out(session.caller)
    answer = await browser.post(path, {"csrf": token, **fields})
    assert answer.headers["location"] == "/sign-in"
    return browser


async def test_a_request_outlives_the_sign_in_and_is_not_sent_by_it(world: World) -> None:
    form = {**FORM, "step": "send", "offer": "1"}
    alice = await sent_after_the_end(world, "alice@example.com", "/requests/new", "/requests/new", form)
    assert "What you typed is kept" in (await alice.get("/sign-in")).text
    back = (await alice.sign_in("alice@example.com", PASSWORD)).headers["location"]
    page = await alice.get(back)
    assert page.status_code == 200
    assert FORM["reason"] in unescape(page.text)
    assert "What you would get" in page.text
    assert "No request" in (await alice.get("/requests?mine=1")).text
    assert (await alice.send("/requests/new", form, page=back)).headers["location"].startswith("/requests/req_")


async def test_somebody_else_who_signs_in_there_sees_nothing_of_it(world: World) -> None:
    browser = await sent_after_the_end(world, "alice@example.com", "/requests/new", "/requests/new", FORM)
    back = (await browser.sign_in("bob@example.com", PASSWORD)).headers["location"]
    page = await browser.get(back)
    assert FORM["reason"] not in unescape(page.text)
    assert "not kept any more" in page.text


async def test_a_review_outlives_the_sign_in_with_its_verdict(world: World) -> None:
    request = await world.ask()
    path = f"/requests/{request.id}/decide"
    fields = {"verdict": "deny", "comment": "not before noon", "digest": request.digest}
    bob = await sent_after_the_end(world, "bob@example.com", f"{path}?verdict=deny", path, fields)
    page = await bob.get((await bob.sign_in("bob@example.com", PASSWORD)).headers["location"])
    assert "Deny this request?" in page.text
    assert "not before noon" in page.text


async def test_the_reason_of_a_revocation_outlives_the_sign_in(world: World) -> None:
    path = f"/grants/{(await world.approve(await world.ask())).id}/revoke"
    bob = await sent_after_the_end(world, "bob@example.com", path, path, {"reason": "incident over"})
    page = await bob.get((await bob.sign_in("bob@example.com", PASSWORD)).headers["location"])
    assert 'value="incident over"' in page.text


async def test_no_password_is_kept_and_a_button_leads_back_to_its_page(world: World) -> None:
    request = await world.ask()
    path = f"/requests/{request.id}"
    alice = await sent_after_the_end(world, "alice@example.com", path, f"{path}/cancel", {})
    assert (await alice.sign_in("alice@example.com", PASSWORD)).headers["location"] == path
    fields = {"password": PASSWORD, "new_password": "another long password"}
    alice = await sent_after_the_end(world, "alice@example.com", "/password", "/password", fields)
    assert (await alice.sign_in("alice@example.com", PASSWORD)).headers["location"] == "/password"


async def test_a_form_from_another_site_is_not_kept(world: World) -> None:
    browser = world.browser()
    await browser.post("/requests/new", FORM, origin="https://evil.example")
    assert (await browser.sign_in("alice@example.com", PASSWORD)).headers["location"] == "/requests/new"


async def test_a_form_of_an_earlier_sign_in_is_refused_and_kept(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    refused = await alice.post("/requests/new", {"csrf": "of another sign-in", **FORM})
    assert refused.status_code == 403
    link = re.search(r'href="(/requests/new\?draft=\w+)">Back to the form', refused.text)
    assert link is not None
    assert FORM["reason"] in unescape((await alice.get(link[1])).text)


async def test_offers_have_an_address_so_that_back_leads_to_them(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    token = await alice.csrf("/requests/new")
    headers = {"origin": alice.origin}
    asked = await alice.client.post("/requests/new", data={"csrf": token, **FORM, "step": "offers"}, headers=headers)
    assert asked.status_code == 303
    shown = asked.headers["location"]
    assert FORM["reason"] not in shown
    sent = await alice.send("/requests/new", {**FORM, "step": "send", "offer": "1"}, page=shown)
    assert sent.status_code == 303
    again = await alice.get(shown)
    assert "What you would get" in again.text
    assert FORM["reason"] in unescape(again.text)
