"""The main journey in a real browser: ask, decide, read live, revoke. Marked, and skipped by name without one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, Page, expect
from tests.pages.world import World
from tests.real.conftest import line
from tests.real.pages import PHONE, page_of, troubles

from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.policies import rules_of

pytestmark = pytest.mark.real_chromium


async def ask(page: Page, world: World) -> str:
    await page.goto(f"{world.origin}/requests/new")
    await page.fill("[name='label.service']", "pay-api")
    await page.check("[name=live]")
    await page.fill("#reason", "Checkout answers 500 since 09:40")
    await page.click("text=Review offers")
    await page.click("text=Send the request")
    await page.wait_for_url("**/requests/req_*")
    return page.url


async def approve(page: Page, request: str) -> None:
    await page.goto(request)
    await page.click("text=Approve…")
    await page.click("button:has-text('Approve')")
    await page.wait_for_url(request)


async def test_ask_approve_tail_revoke(browser: Browser, world: World, write: Callable[[str], None]) -> None:
    alice = await page_of(browser, world, "alice@example.com")
    bob = await page_of(browser, world, "bob@example.com")
    request = await ask(alice, world)
    await approve(bob, request)
    await expect(alice.locator("text=Open the grant")).to_be_visible()  # her page followed along
    await alice.click("text=Open the grant")
    grant = alice.url
    await expect(alice.locator(".clock >> text=starts at first use")).to_be_visible()
    await alice.click("text=Open the log viewer")
    await alice.click("#run")
    await expect(alice.locator(".line").first).to_be_visible()
    await expect(alice.locator("#grant-state")).to_have_text("active")
    await expect(alice.locator(".line button.chip").first).to_contain_text("email:")
    assert "jane.roe" not in await alice.content()
    write(line("ledger answers again", "warn"))
    await expect(alice.locator(".line >> text=ledger answers again")).to_be_visible()

    # Log text is text: nothing of it became an element, and nothing invisible is left of it.
    hostile = alice.locator(".line.is-error .text").first
    await expect(hostile).to_contain_text("<img src=x onerror=alert(1)>")
    assert not {"\u202e", "\x1b"} & set(await alice.content())
    assert await alice.locator("#lines img").count() == 0

    await alice.click("#pause")
    write(line("while paused"))
    await expect(alice.locator("#status")).to_contain_text("wait")
    assert await alice.locator(".line >> text=while paused").count() == 0
    await alice.click("#pause")
    await expect(alice.locator(".line >> text=while paused")).to_be_visible()

    await bob.goto(f"{grant}/revoke")
    await bob.fill("#reason", "incident over")
    began = time.monotonic()
    await bob.click("button:has-text('Revoke')")
    await expect(alice.locator("#cut")).to_be_visible()
    print(f"revocation seen after {time.monotonic() - began:.2f} s")  # noqa: T201 - journeys print their seconds
    await expect(alice.locator("#cut-what")).to_contain_text("Revoked by bob@example.com: “incident over”")
    await expect(alice.locator("#cut-count")).to_contain_text("lines were received here")
    assert await alice.locator(".line").count() == 0
    assert "ledger answers" not in await alice.content()
    await expect(alice.locator("#run")).to_be_disabled()
    await expect(alice.locator("#lines")).to_be_hidden()
    await alice.evaluate("() => new Promise((done) => setInterval(done, 500))")  # the countdown has ticked since
    assert await alice.locator("#left").text_content() == "over"
    await alice.goto(f"{world.origin}/help")
    await alice.go_back()
    assert await alice.locator(".line").count() == 0
    assert troubles(alice) == troubles(bob) == []


async def test_a_chip_filters_and_a_filter_filters(browser: Browser, world: World) -> None:
    grant = await world.approve(await world.ask())
    alice = await page_of(browser, world, "alice@example.com")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    await alice.fill("#filter", "timeout")
    await alice.press("#filter", "Enter")
    await expect(alice.locator(".line")).to_have_count(1)
    await alice.fill("#filter", "nothing has this")
    await alice.click("#run")
    await expect(alice.locator("#status")).to_contain_text("no line yet")
    await alice.fill("#filter", "")
    await alice.click("#run")
    await expect(alice.locator(".line")).to_have_count(21)
    await alice.locator("button.chip").first.click()
    await expect(alice.locator("#filter")).to_have_value(re.compile("⟦email:.*⟧"))
    await expect(alice.locator(".line")).to_have_count(20)
    await alice.locator(".line .at").first.click()
    await expect(alice.locator(".line .labels").first).to_contain_text("service pay-api")


async def test_the_viewer_is_blank_when_the_server_goes_away(browser: Browser, world: World) -> None:
    grant = await world.approve(await world.ask())
    alice = await page_of(browser, world, "alice@example.com")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    await alice.click("#run")
    await expect(alice.locator(".line").first).to_be_visible()
    await alice.context.set_offline(True)
    await expect(alice.locator("#cut")).to_be_visible()
    assert await alice.locator(".line").count() == 0


async def test_a_viewer_code_works_once_and_nowhere_else(browser: Browser, world: World) -> None:
    grant = await world.approve(await world.ask())
    other = await world.approve(await world.ask(reason="a second grant, for the other page"))
    alice = await page_of(browser, world, "alice@example.com")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    statuses = await alice.evaluate(
        """async ([grant, other]) => {
          const csrf = document.getElementById("viewer").dataset.csrf;
          const asked = (headers) => fetch(`/grants/${grant}/viewer-code`, {method: "POST", headers});
          const code = async () => (await (await asked({"x-csrf-token": csrf})).json()).code;
          const read = async (id, value, options = {}) => {
            const headers = {authorization: `Bearer ${value}`};
            return (await fetch(`/g/${id}/logs?limit=1`, {headers, ...options})).status;
          };
          const once = await code();
          return [
            await read(grant, once),
            await read(grant, once),
            await read(other, await code()),
            await read(grant, await code(), {credentials: "omit"}),
            (await asked({})).status,
          ];
        }""",
        [grant.id, other.id],
    )
    assert statuses[0] == 200
    assert statuses[1:4] == [401, 401, 401]
    assert statuses[4] == 403


async def test_deciding_by_keyboard_alone(browser: Browser, world: World) -> None:
    request = await world.ask()
    bob = await page_of(browser, world, "bob@example.com")
    await bob.keyboard.press("Tab")
    await expect(bob.locator(".skip")).to_be_focused()
    await bob.keyboard.press("Enter")
    await bob.keyboard.press("j")
    await bob.keyboard.press("Enter")
    await bob.wait_for_url(f"**/requests/{request.id}")
    await bob.keyboard.press("d")
    await bob.wait_for_url("**/decide?verdict=deny")
    await bob.go_back()
    await bob.keyboard.press("a")
    await bob.wait_for_url("**/decide?verdict=approve")
    state = await world.services.store.read(lambda tx: tx.requests.find(request.id))
    assert state is not None
    assert state.state == "pending"  # keys open the confirmation and decide nothing
    await bob.focus("#comment")
    await bob.keyboard.type("a d n ? / are letters here")
    await bob.keyboard.press("Tab")
    await bob.keyboard.press("Enter")
    await bob.wait_for_url(f"**/requests/{request.id}")
    await expect(bob.locator("h1 .badge")).to_have_text("approved")
    await bob.keyboard.press("?")
    await bob.wait_for_url("**/help#keys")
    await bob.goto(f"{world.origin}/requests")
    await bob.keyboard.press("/")
    await expect(bob.locator("#state")).to_be_focused()
    assert troubles(bob) == []


async def test_deciding_without_javascript_on_a_phone(browser: Browser, world: World) -> None:
    options = {"java_script_enabled": False, "viewport": PHONE}
    alice = await page_of(browser, world, "alice@example.com", **options)
    bob = await page_of(browser, world, "bob@example.com", **options)
    request = await ask(alice, world)
    await bob.goto(request)
    for name in ("Approve…", "Deny…"):
        box = await bob.locator(f"text={name}").bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert 0 <= box["x"] <= 360 - box["width"]
        assert box["y"] + box["height"] <= PHONE["height"]
    await bob.click("text=Narrow…")
    await bob.check("[name=half_time]")
    await bob.click("text=Show the difference")
    await expect(bob.locator("tr.is-smaller")).to_have_count(1)
    await bob.click("button:has-text('Narrow and approve')")
    await alice.goto(request)
    await expect(alice.locator(".proof")).to_be_visible()
    await alice.click("text=Open the grant")
    await alice.click("text=Open the log viewer")
    await expect(alice.locator("text=Following lines needs JavaScript")).to_be_visible()


async def test_an_open_page_says_when_it_is_out_of_date(browser: Browser, world: World) -> None:
    request = await world.ask()
    bob = await page_of(browser, world, "bob@example.com")
    await bob.goto(f"{world.origin}/requests/{request.id}")
    await world.approve(request, "carol@example.com")
    await expect(bob.locator("#changed")).to_be_visible()
    await bob.goto(f"{world.origin}/requests/{request.id}/decide")
    await expect(bob.locator("main")).to_contain_text("approved already, by carol@example.com")


async def test_expiry_blanks_the_viewer_at_once(browser: Browser, world: World) -> None:
    grant = await world.approve(await world.ask(duration_s=4))
    alice = await page_of(browser, world, "alice@example.com")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    await alice.click("#run")
    await expect(alice.locator(".line").first).to_be_visible()
    await expect(alice.locator("#cut")).to_be_visible()
    assert await alice.locator(".line").count() == 0
    await expect(alice.locator("#cut-what")).to_contain_text("over")


async def test_a_masked_value_is_asked_for_decided_on_and_shown_once(browser: Browser, world: World) -> None:
    services = world.services
    files = default_files(services.sources)
    reveal = b"  redaction: pii-default\n  reveal: {classes: [pii], stages: [{from: [group:approvers], need: 1}]}\n"
    files[POLICY_FILE] = files[POLICY_FILE].replace(b"  redaction: pii-default\n", reveal)
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)
    grant = await world.approve(await world.ask())
    alice = await page_of(browser, world, "alice@example.com")
    bob = await page_of(browser, world, "bob@example.com")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    await alice.click("#run")
    await expect(alice.locator(".line")).not_to_have_count(0)
    await alice.locator(".line", has=alice.locator("button.chip", has_text="email:")).first.locator(".at").click()
    async with alice.expect_popup() as opened:
        await alice.locator(".ask-reveal button", has_text="email:").first.click()
    form = await opened.value
    await expect(form.locator("h1")).to_have_text("Ask to reveal one value")
    await expect(form.locator(".words").first).to_contain_text("ONE VALUE of class pii.email")
    await form.fill("#reason", "whose payment is it that fails")
    await form.click("text=Send the request")
    await expect(form.locator("h1")).to_contain_text("pending")
    await bob.goto(f"{form.url}/decide?verdict=approve")
    await expect(bob.locator("h1")).to_have_text("Reveal this one value?")
    await bob.click("button:has-text('Approve')")
    await form.goto(form.url)
    await form.click("text=Open the grant")
    await form.click("#reveal-button")
    await expect(form.locator("#reveal-value")).to_contain_text("@")
    await expect(form.locator("#reveal-button")).to_have_count(0)
    await form.reload()
    await expect(form.locator("h1")).to_contain_text("ended")
    assert troubles(alice) == troubles(bob) == []
