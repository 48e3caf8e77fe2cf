# ruff: noqa: INP001, T201, ASYNC240 - a script: it prints, and nothing else waits for it
"""Make the pictures of the documentation: a server with made-up people and logs, and a real browser.

Run: .venv/bin/python -m tools.screenshots [folder]; with a folder it takes every page in every look.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page
from tests.pages.world import PASSWORD, World, served
from tests.real.chromium import chromium

from loglease.model.scope import Level
from loglease.model.wish import WindowDraft

FOLDER: Final = Path("docs/images")
DOCUMENTED: Final = frozenset(
    {"inbox", "offers", "request", "decide", "grant", "viewer", "viewer-dark", "request-phone", "policy"}
)
WIDE: Final = {"width": 1280, "height": 860}
PHONE: Final = {"width": 360, "height": 780}
_TEXTS: Final = (
    ("info", "order accepted id=88{n} items=3 user=jane.roe@example.com"),
    ("info", "payment authorised provider=stripe-like amount=42.{n} EUR"),
    ("warn", "slow upstream took=2{n}ms host=ledger-2"),
    ("debug", "retry schedule attempt=1 backoff=200ms"),
    ("error", "upstream timeout after 3000ms user=jane.roe@example.com order=882{n}"),
    ("info", "cart updated session=f3{n} user=max.lee@example.com"),
    ("error", "card declined pan=4111 1111 1111 1111 reason=do_not_honor"),
)


def write_lines(folder: Path, count: int, *, seconds_apart: float = 4.0) -> None:
    """Append log lines of the last minutes to the file that the source reads."""
    chosen = random.Random(count)  # noqa: S311 - made-up lines
    (folder / "logs").mkdir(exist_ok=True)
    now = datetime.now(UTC)  # noqa: TID251 - real lines for a real server
    with (folder / "logs" / "pay-api.log").open("a") as file:
        for at in range(count, 0, -1):
            level, text = chosen.choice(_TEXTS)
            when = (now - timedelta(seconds=at * seconds_apart)).isoformat(timespec="milliseconds")
            line = {"time": when.replace("+00:00", "Z"), "level": level, "msg": text.format(n=chosen.randint(10, 99))}
            file.write(json.dumps(line) + "\n")


async def signed_in(browser: Browser, world: World, account: str, viewport: Mapping[str, int], **options: str) -> Page:
    """Return a page in which somebody has signed in."""
    context = await browser.new_context(viewport=dict(viewport), **options)  # type: ignore[arg-type]
    page = await context.new_page()
    page.on("console", lambda message: print("console:", message.text) if message.type == "error" else None)
    await page.goto(f"{world.origin}/sign-in")
    await page.fill("#account", account)
    await page.fill("#password", PASSWORD)
    await page.click("button[type=submit]")
    return page


async def take(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        write_lines(Path(data), 160)
        async with served(Path(data)) as world, chromium() as browser:
            await _pictures(browser, world, Path(data), folder)


async def _pictures(browser: Browser, world: World, data: Path, folder: Path) -> None:
    first = await world.ask(reason="Checkout answers 500 since 09:40. Need the timeouts of pay-api.", ticket="PAY-1432")
    await world.ask(
        "carol@example.com",
        reason="Nightly ledger job stopped half-way",
        selector='{service="ledger"}',
        level_from=Level.WARN,
        window=WindowDraft(lookback_s=7200),
    )
    grant = await world.approve(
        await world.ask(reason="Refund queue grows since the deploy of 08:15", ticket="PAY-1398")
    )

    async def shot(page: Page, name: str, *, full: bool = True) -> None:
        if folder != FOLDER or name in DOCUMENTED:
            await page.screenshot(path=folder / f"{name}.png", full_page=full)

    for theme in ("light", "dark"):
        for size, viewport in (("", WIDE), ("-phone", PHONE)):
            tail = f"{size}{'-dark' if theme == 'dark' else ''}"
            context = await browser.new_context(viewport=viewport, color_scheme=theme)  # type: ignore[arg-type]
            page = await context.new_page()
            await page.goto(f"{world.origin}/sign-in")
            await shot(page, f"sign-in{tail}")
            alice = await signed_in(browser, world, "alice@example.com", viewport, color_scheme=theme)
            bob = await signed_in(browser, world, "bob@example.com", viewport, color_scheme=theme)
            await shot(bob, f"inbox{tail}")
            await bob.goto(f"{world.origin}/requests/{first.id}")
            await shot(bob, f"request{tail}", full=not size)
            await bob.goto(f"{world.origin}/requests/{first.id}/decide?verdict=approve&narrow=1")
            await bob.check("[name=half_time]")
            await bob.check("[name=errors_only]")
            await bob.click("[name=step][value=compare]")
            await shot(bob, f"decide{tail}")
            sam = await signed_in(browser, world, "sam@example.com", viewport, color_scheme=theme)
            await sam.goto(f"{world.origin}/policies")
            await shot(sam, f"policy{tail}", full=folder != FOLDER)
            await alice.goto(f"{world.origin}/requests/new")
            await shot(alice, f"ask{tail}")
            await alice.fill("[name='label.service']", "pay-api, pay-web")
            await alice.check("[name=live]")
            await alice.fill("#reason", "Checkout answers 500 since 09:40")
            await alice.click("[name=step][value=offers]")
            await shot(alice, f"offers{tail}")
            await alice.fill("#duration", "a while")
            await alice.click("[name=step][value=offers] >> nth=0")
            await shot(alice, f"mistake{tail}")
            await alice.goto(f"{world.origin}/grants/{grant.id}/logs")
            await alice.select_option("#range", "900")
            await alice.click("#run")
            await alice.wait_for_selector(".line", timeout=10_000)
            write_lines(data, 6, seconds_apart=0.1)
            await alice.wait_for_timeout(1500)
            await alice.click(".line .at >> nth=-3")
            await shot(alice, f"viewer{tail}", full=False)
            await alice.goto(f"{world.origin}/grants/{grant.id}")
            await shot(alice, f"grant{tail}")
            await alice.goto(f"{world.origin}/help")
            await shot(alice, f"help{tail}")
            await alice.goto(f"{world.origin}/nowhere")
            await shot(alice, f"error{tail}")
            for one in (page, alice, bob):
                await one.context.close()


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
