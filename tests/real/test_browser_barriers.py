"""No barriers: axe on every page, in both colours and sizes, and what axe does not look at."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from tests.pages.world import World
from tests.real.pages import HIDDEN_FOCUS, PHONE, RING, WIDE, barriers, page_of, troubles

from loglease.model.wish import WindowDraft

pytestmark = pytest.mark.real_chromium

LOOKS = [("light", WIDE), ("dark", WIDE), ("light", PHONE), ("dark", PHONE)]


async def told(page: Page, found: dict[str, list[str]], name: str) -> None:
    if seen := await barriers(page):
        found[name] = seen


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light", "dark", "light-phone", "dark-phone"])
async def test_no_page_has_a_barrier(browser: Browser, world: World, scheme: str, viewport: dict[str, int]) -> None:
    request = await world.ask(
        reason="Reason with a very-long-word-" + "x" * 200, window=WindowDraft(lookback_s=3600, live=True)
    )
    decided = await world.ask(reason="A request that becomes a grant")
    grant = await world.approve(decided)
    options: dict[str, Any] = {"color_scheme": scheme, "viewport": viewport}
    found: dict[str, list[str]] = {}
    nobody = await page_of(browser, world, None, **options)
    for path in ("/sign-in", "/help", "/problems", "/problems/policy_denied", "/nowhere"):
        await nobody.goto(f"{world.origin}{path}")
        await told(nobody, found, path)
    alice = await page_of(browser, world, "alice@example.com", **options)
    bob = await page_of(browser, world, "bob@example.com", **options)
    carol = await page_of(browser, world, "sam@example.com", **options)
    await carol.goto(f"{world.origin}/policies")
    await told(carol, found, "/policies")
    await carol.fill("#ask-selector", '{service="pay-api"}')
    for button in ("Explain", "Who could have it?"):
        await carol.click(f"button:text-is('{button}')")
        await expect(carol.locator("#answer")).to_be_visible()
        await told(carol, found, button)
    for path in ("/", "/requests", "/grants"):
        for page in (alice, bob, carol):
            await page.goto(f"{world.origin}{path}")
            await told(page, found, path)
    for path in (
        "/settings",
        "/password",
        f"/requests/{request.id}",
        f"/requests/{decided.id}",
        f"/grants/{grant.id}",
        "/requests/new",
    ):
        await alice.goto(f"{world.origin}{path}")
        await told(alice, found, path)
    await alice.fill("[name='label.service']", "pay-api")
    await alice.fill("#reason", "Checkout answers 500")
    await alice.click("text=Review offers")
    await told(alice, found, "offers")
    await alice.check("[value=custom]")
    await alice.fill("#duration", "soon")
    await alice.click("text=Update after a change")
    await told(alice, found, "mistake")
    for path in (
        f"/requests/{request.id}",
        f"/requests/{request.id}/decide?verdict=deny",
        f"/requests/{decided.id}/decide",
        f"/grants/{grant.id}",
        f"/grants/{grant.id}/revoke",
    ):
        await bob.goto(f"{world.origin}{path}")
        await told(bob, found, f"bob {path}")
    await bob.goto(f"{world.origin}/requests/{request.id}/decide?verdict=approve&narrow=1")
    await bob.check("[name=errors_only]")
    await bob.click("text=Show the difference")
    await told(bob, found, "compare")
    await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
    await told(alice, found, "viewer, empty")
    await alice.click("#run")
    await expect(alice.locator(".line").first).to_be_visible()
    await alice.locator(".line .at").first.click()
    await told(alice, found, "viewer")
    await bob.goto(f"{world.origin}/grants/{grant.id}/revoke")
    await bob.fill("#reason", "done")
    await bob.click("button:has-text('Revoke')")
    await expect(alice.locator("#cut")).to_be_visible()
    await told(alice, found, "viewer, cut")
    await alice.goto(f"{world.origin}/grants/{grant.id}")
    await told(alice, found, "grant, revoked")
    assert found == {}
    assert [one for page in (nobody, alice, bob, carol) for one in troubles(page)] == []


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light", "dark", "light-phone", "dark-phone"])
async def test_explanations_have_no_barrier(
    browser: Browser, world: World, scheme: str, viewport: dict[str, int]
) -> None:
    request = await world.ask()
    found: dict[str, list[str]] = {}
    alice = await page_of(browser, world, "alice@example.com", color_scheme=scheme, viewport=viewport)
    wish = "window=custom&from_time=2026-01-01T00:00&label.service=pay-api&reason=Checkout+answers+500"
    await alice.goto(f"{world.origin}/requests/new?{wish}")
    await alice.click("button[value=offers]")
    for place, name in (("advice", "refused"), ("why", "a request")):
        if name == "a request":
            await alice.goto(f"{world.origin}/requests/{request.id}")
        await alice.click(f"section[aria-labelledby={place}] summary")
        await expect(alice.locator(".answers").first).to_be_visible()
        await told(alice, found, name)
    assert found == {}
    assert troubles(alice) == []


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
async def test_focus_is_always_seen(browser: Browser, world: World, viewport: dict[str, int]) -> None:
    request = await world.ask()
    grant = await world.approve(await world.ask(reason="another one for the grant"))
    bob = await page_of(browser, world, "bob@example.com", viewport=viewport)
    alice = await page_of(browser, world, "alice@example.com", viewport=viewport)
    faults = []
    for page, path in (
        (bob, "/"),
        (bob, f"/requests/{request.id}"),
        (bob, f"/requests/{request.id}/decide?verdict=approve&narrow=1"),
        (alice, "/requests/new"),
        (alice, f"/grants/{grant.id}"),
        (alice, f"/grants/{grant.id}/logs"),
        (alice, "/settings"),
    ):
        await page.goto(f"{world.origin}{path}")
        for _ in range(45):
            await page.keyboard.press("Tab")
            where = await page.evaluate("() => document.activeElement.outerHTML.slice(0, 90)")
            if where.startswith("<body"):
                break
            if hidden := await page.evaluate(HIDDEN_FOCUS):
                faults.append(f"{path}: {hidden}")
            if not await page.evaluate(RING):
                faults.append(f"{path}: no ring: {where}")
    assert faults == []


async def test_countdowns_are_silent_timers_and_motion_can_be_reduced(browser: Browser, world: World) -> None:
    await world.ask()
    bob = await page_of(browser, world, "bob@example.com", reduced_motion="reduce")
    timer = bob.locator("[role=timer]").first
    assert await timer.get_attribute("aria-live") is None
    first = await timer.text_content()
    assert first
    running = await bob.evaluate("() => document.getAnimations().length")
    assert running == 0


async def test_the_checks_find_barriers(browser: Browser, world: World) -> None:
    page = await page_of(browser, world, None)
    await page.goto(f"{world.origin}/help")
    await page.evaluate(
        """() => {
          document.documentElement.removeAttribute("lang");
          const button = document.createElement("button");
          button.className = "plain";
          document.querySelector("main").append(button);
        }"""
    )
    found = await barriers(page)
    assert any(one.startswith("html-has-lang") for one in found)
    assert any(one.startswith("button-name") for one in found)


async def test_text_can_be_twice_as_large(browser: Browser, world: World) -> None:
    request = await world.ask()
    bob = await page_of(browser, world, "bob@example.com", viewport={"width": 640, "height": 430})
    for path in ("/", f"/requests/{request.id}", "/requests/new"):
        await bob.goto(f"{world.origin}{path}")
        assert await bob.evaluate("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
