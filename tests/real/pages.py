"""What the browser tests share: signing in, watching for trouble, looking for barriers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page
from tests.pages.world import PASSWORD, World

AXE = (Path(__file__).parent / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 360, "height": 780}

SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [role=button]")]
  .filter((e) => e.offsetParent !== null && e.type !== "hidden" && !e.closest(".skip, .visually-hidden"))
  .filter((e) => !(e.tagName === "A" && getComputedStyle(e).display === "inline"))
  .map((e) => [e, e.closest("label") && e.matches("[type=checkbox], [type=radio]") ? e.closest("label") : e])
  .map(([e, box]) => [e, box.getBoundingClientRect()])
  .filter(([, r]) => r.width < 24 || r.height < 23.5)
  .map(([e, r]) => `${e.outerHTML.slice(0, 90)} ${r.width}x${r.height}`)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN_FOCUS = """() => {
  const e = document.activeElement, r = e.getBoundingClientRect();
  if (e === document.body || !r.width) return "";
  const x = r.left + r.width / 2, y = Math.min(r.top + r.height / 2, innerHeight - 1);
  const on = document.elementFromPoint(x, Math.max(0, y));
  if (r.bottom < 0 || r.top > innerHeight) return `off screen: ${e.outerHTML.slice(0, 80)}`;
  const same = on && on.closest("label, li") !== null && on.closest("label, li") === e.closest("label, li");
  return on && (e.contains(on) || on.contains(e) || same) ? "" : `hidden: ${e.outerHTML.slice(0, 80)}`;
}"""
RING = """() => {
  const e = document.activeElement, s = getComputedStyle(e), box = e.closest(".row, .choice, .offer, .tick-box");
  const rings = [s, box && getComputedStyle(box)].filter(Boolean);
  return e === document.body || rings.some((one) => parseFloat(one.outlineWidth) >= 2 && one.outlineStyle !== "none");
}"""


async def page_of(browser: Browser, world: World, account: str | None, **options: Any) -> Page:
    """Return a page, signed in as somebody; anything that its console complains about is kept in `page.troubles`."""
    context = await browser.new_context(**{"viewport": WIDE, **options})
    context.set_default_timeout(15_000)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("console", lambda one: troubles.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    page.troubles = troubles  # type: ignore[attr-defined]
    if account is not None:
        await page.goto(f"{world.origin}/sign-in")
        await page.fill("#account", account)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await page.wait_for_url(f"{world.origin}/")
    return page


def troubles(page: Page) -> list[str]:
    """Return what went wrong on a page; answers that tests provoke are no trouble."""
    found: list[str] = page.troubles  # type: ignore[attr-defined]
    return [one for one in found if "Failed to load resource" not in one]


async def barriers(page: Page) -> list[str]:
    """Return what axe finds, with our own checks of target size and overflow."""
    await page.evaluate(AXE)
    found = await page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS)
    said = [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    said += [f"target: {one}" for one in await page.evaluate(SMALL_TARGETS)]
    if (over := await page.evaluate(OVERFLOW)) > 0:
        said.append(f"{over} px of sideways scrolling")
    return said
