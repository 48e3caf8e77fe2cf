"""One masked value on the pages: a chip asks, the form says which value it is, the approver reads it, the grant shows it."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from tests.pages.world import Browser, World

from loglease.access.activate_grant import activate_grant
from loglease.model.grant import Grant
from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.pages.static_files import FOLDER
from loglease.server.policies import rules_of

TOKEN = "⟦email:abcdefghij⟧"
REASON = "whose checkout is it that fails"
REVEAL = b"  redaction: pii-default\n  reveal: {classes: [pii], stages: [{from: [group:approvers], need: 1}]}\n"


@pytest.fixture
async def grant(world: World) -> Grant:
    """Let the policy reveal personal data, and give Alice an active grant."""
    services = world.services
    files = default_files(services.sources)
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"  redaction: pii-default\n", REVEAL)
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)
    scheduled = await world.approve(await world.ask())
    await services.watch.poll()
    return await activate_grant(
        scheduled.id,
        caller=world.caller("alice@example.com"),
        log=services.log,
        watch=services.watch,
        rules=services.rules.current,
        new_id=services.new_id,
    )


def fields(world: World, grant: Grant, **changes: str) -> dict[str, str]:
    """Return what a chip of the viewer sends."""
    event_ns = (world.services.clock.now() - 60_000_000) * 1_000
    record = {"ts": str(event_ns), "labels": {"service": "pay-api"}, "line": f"paid by {TOKEN} twice {TOKEN}"}
    chosen = {"grant": grant.id, "token": TOKEN, "span": "2", "line": json.dumps(record), "step": "offers"}
    return chosen | changes


async def opened(browser: Browser, sent: dict[str, str]) -> Any:
    answer = await browser.send("/requests/reveal", sent)
    assert answer.status_code == 303
    return await browser.get(answer.headers["location"])


def typed(page: str, name: str) -> str:
    found = re.search(
        rf'<(?:input|textarea)[^>]*name="{name}"[^>]*?(?: value="([^"]*)"[^>]*>|>([^<]*)</textarea>)', page
    )
    assert found is not None, name
    return html.unescape(found[1] if found[1] is not None else found[2])


async def test_a_chip_opens_a_filled_form_that_says_which_value_and_asks_nobody_yet(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    sent = fields(world, grant)
    page = await opened(alice, sent)
    assert page.status_code == 200
    assert "ONE VALUE of class pii.email, once" in html.unescape(page.text)
    assert {name: typed(page.text, name) for name in ("grant", "token", "span", "line")} == {
        name: sent[name] for name in ("grant", "token", "span", "line")
    }
    assert "?draft=" in str(page.url)
    assert TOKEN not in str(page.url)
    again = await opened(alice, {**sent, "reason": REASON})
    assert "needs 1 approval" in again.text
    assert "reveal" not in (await alice.get("/requests?mine=1")).text.lower()


async def asked(world: World, grant: Grant, alice: Browser) -> str:
    answer = await alice.send("/requests/reveal", fields(world, grant, reason=REASON, step="send"))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_the_approver_reads_that_it_is_one_value_and_can_only_say_yes_or_no(world: World, grant: Grant) -> None:
    alice, bob = await world.signed_in("alice@example.com"), await world.signed_in("bob@example.com")
    path = await asked(world, grant, alice)
    shown = (await bob.get(path)).text
    assert "ONE VALUE of class pii.email" in html.unescape(shown)
    assert "One masked value is shown as it was logged, once." in shown
    assert "narrow=1" not in shown
    decide = (await bob.get(f"{path}/decide?verdict=approve")).text
    assert "Reveal this one value?" in decide
    assert "Allow less" not in decide
    assert "paid by" not in decide
    digest = typed(decide, "digest")
    sent = {"verdict": "approve", "digest": digest, "step": "decide", "half_time": "1"}
    refused = await bob.send(f"{path}/decide", sent, page=f"{path}/decide?verdict=approve")
    assert "One value cannot be narrowed." in refused.text
    del sent["half_time"]
    assert (await bob.send(f"{path}/decide", sent, page=f"{path}/decide?verdict=approve")).status_code == 303
    own = (await alice.get(path)).text
    made = re.search(r'href="(/grants/grt_[0-9A-Z]{26})">Open the grant', own)
    assert made is not None
    page = (await alice.get(made[1])).text
    assert "Show the value, once" in page
    assert 'src="/static/reveal.' in page
    assert "Open the log viewer" not in page
    others = (await bob.get(made[1])).text
    assert "Show the value, once" not in others
    assert "reveal.js" not in others


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"line": "no json"}, 422, "It is no record of a line."),
        ({"line": "[]"}, 422, "Not all fields are right."),
        ({"grant": "grt_other"}, 422, "Not all fields are right."),
        ({"grant": "grt_01JDC91T7KT9YV2K3R5W7X87XK"}, 404, "There is no grant"),
        ({"token": "⟦email:zzzzzzzzzz⟧"}, 422, "The line does not have this token there."),
        ({"span": "1"}, 200, "ONE VALUE"),
        ({"span": "7"}, 422, "The line does not have this token there."),
        ({"class": "credential.password"}, 403, "none of credential.password"),
        ({"token": "⟦unheard-of⟧"}, 422, "The token alone does not say its class."),
        ({"token": "<script>alert(1)</script>"}, 422, "does not say its class"),
    ],
)
async def test_what_cannot_be_revealed_is_said_in_the_form(
    world: World, grant: Grant, changes: dict[str, str], status: int, text: str
) -> None:
    alice = await world.signed_in("alice@example.com")
    page = await opened(alice, fields(world, grant, reason=REASON) | changes)
    assert (page.status_code, text in html.unescape(page.text)) == (status, True), page.text
    assert "<script>alert" not in page.text


async def test_another_person_finds_no_such_grant_and_a_foreign_page_sends_nothing(world: World, grant: Grant) -> None:
    carol = await world.signed_in("carol@example.com")
    assert (await opened(carol, fields(world, grant, reason=REASON))).status_code == 404
    alice = await world.signed_in("alice@example.com")
    sent = fields(world, grant, reason=REASON, step="send")
    assert (await alice.post("/requests/reveal", sent)).status_code == 403
    foreign = await alice.post(
        "/requests/reveal", {**sent, "csrf": await alice.csrf("/")}, origin="https://evil.example"
    )
    assert foreign.status_code == 403
    assert len(await world.services.store.read(lambda tx: tx.requests.page())) == 1


async def test_an_empty_form_can_be_filled_in_by_hand(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    page = await alice.get("/requests/reveal")
    assert page.status_code == 200
    assert all(typed(page.text, name) == "" for name in ("grant", "token", "span", "class", "line", "reason"))


def test_the_viewer_sends_no_line_in_an_address_and_the_value_is_written_as_text() -> None:
    viewer, reveal = (FOLDER / "viewer.js").read_text(), (FOLDER / "reveal.js").read_text()
    assert 'form.method = "post"' in viewer
    for script in (viewer, reveal):
        assert "innerHTML" not in script
        assert "localStorage" not in script
