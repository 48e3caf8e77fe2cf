"""A refusal on the request form: why, as far as the person may know, and what helps as things to click."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams
from tests.pages.world import PASSWORD, Browser, World
from tests.policy.test_explain import ASKING, FACTS
from tests.policy.world import CATALOG, NOW, ORGANISATION, bundle_of, decided, wish_of

from loglease.policy.conditions import Fault
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.trace import Fix
from loglease.server.pages.advice import advice_of
from loglease.server.pages.request_form import Typed, link_to, typed_of
from loglease.server.wiring import close

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [eng, leads, sre, vault], sources: [files], channels: [security], trackers: [tickets]}
labels: {service: string, env: [prod, dev]}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: Facts
id: call
facts: {ctx.mfa_age: {type: duration, from: identity}}
---
api: loglease/v1
kind: AccessPolicy
id: support
title: Support <b>cases</b>
owner: group:leads
who: {any_of: [group:eng]}
scopes: [{sources: [files], labels: {service: {prefix: pay}}, lookback: 24h, live: true}]
ask: {ticket: {tracker: tickets, key: 'PAY-[0-9]+'}}
when: req.duration <= duration("30m")
grant: {duration: {max: 2h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:leads], need: 1}]}]
---
api: loglease/v1
kind: AccessPolicy
id: fresh
title: Only just signed in
who: {any_of: [group:eng]}
scopes: [{sources: [files], labels: {service: till}, lookback: 24h, live: true}]
when: ctx.mfa_age > duration("1h")
grant: {duration: {max: 2h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:leads], need: 1}]}]
---
api: loglease/v1
kind: AccessPolicy
id: shop
title: The shop
who: {any_of: [group:eng]}
scopes: [{sources: [files], labels: {service: shop}, lookback: 24h, live: true}]
grant: {duration: {max: 2h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:leads], need: 1}]}]
---
api: loglease/v1
kind: AccessPolicy
id: secret-vault
title: Nobody may know of the vault
who: {any_of: [group:vault]}
scopes: [{sources: [files], labels: {service: vault}, lookback: 24h, live: true}]
grant: {duration: {max: 2h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:leads], need: 1}]}]
---
api: loglease/v1
kind: BreakGlass
id: on-fire
title: Production on fire
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: {prefix: pay}}, lookback: 24h, live: true}]
step_up: {within: 5m}
grant: {duration: {max: 30m}, redaction: pii-default}
notify: [channel:security]
after_review: {from: [group:leads], need: 1, within: 24h}
rate: {per_person: 2, window: 7d, alarm_at: 9}
"""
FORM = {
    "source": "files",
    "label.service": "pay-api",
    "window": "1h",
    "reason": "they called",
    "ticket": "PAY-7",
    "duration": "20m",
    "step": "offers",
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(POLICY)
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - a fixture
    made = await World.start(tmp_path)
    await made.add("eve@example.com", groups=frozenset({"eng"}))
    await made.add("sue@example.com", groups=frozenset({"eng", "sre"}))
    await made.add("lea@example.com", groups=frozenset({"leads"}))
    yield made
    await close(made.services)


@pytest.fixture
async def eve(world: World) -> Browser:
    return await world.signed_in("eve@example.com")


async def shown(browser: Browser, **fields: str) -> str:
    """Return the page after asking, whatever it says."""
    wanted = {name.replace("__", "."): text for name, text in fields.items()}
    page: str = (await browser.send("/requests/new", {**FORM, **wanted})).text
    return page


def fixes(page: str) -> list[str]:
    return re.findall(r'<li data-fix="([a-z_]+)"', page)


def links(page: str, fix: str) -> list[str]:
    part = page.partition(f'<li data-fix="{fix}"')[2].partition("<li data-fix")[0].partition("<details")[0]
    return [html.unescape(one) for one in re.findall(r'href="([^"]+)"', part)]


async def again(browser: Browser, link: str) -> str:
    """Open a link that fills in the form, and ask with what stands in it."""
    filled = (await browser.get(link)).text
    values = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)"', filled)}
    window = re.search(r'name="window" value="([^"]+)" checked', filled)
    reason = re.search(r'<textarea id="reason"[^>]*>([^<]*)<', filled)
    assert window is not None
    assert reason is not None
    for name in ("live", "all_streams"):
        if f'name="{name}" value="1" checked' not in filled:
            values.pop(name, None)
    for name in ("offer", "key", "csrf"):
        values.pop(name, None)
    values |= {"window": window[1], "reason": html.unescape(reason[1]), "profile": "", "level": "", "step": "offers"}
    return (await browser.send("/requests/new", values)).text


async def test_nothing_is_said_where_there_are_offers(eve: Browser) -> None:
    page = await shown(eve)
    assert "Send the request" in page
    assert fixes(page) == []


async def test_a_shorter_one_is_a_click_away(eve: Browser) -> None:
    page = await shown(eve, duration="1h")
    assert fixes(page) == ["shorten"]
    assert "It is offered for 30m at most." in page
    (link,) = links(page, "shorten")
    assert "duration=30m" in link
    assert "Send the request" in await again(eve, link)


async def test_a_smaller_one_is_a_click_away(eve: Browser) -> None:
    page = await shown(eve, window="custom", from_time="2026-01-01T00:00")
    assert fixes(page) == ["narrow"]
    (link,) = links(page, "narrow")
    assert "Send the request" in await again(eve, link)


async def test_what_takes_two_policies_is_asked_for_twice(eve: Browser) -> None:
    page = await shown(eve, label__service="pay-api, pay-web, shop")
    assert fixes(page) == ["split"]
    assert len(links(page, "split")) == 2
    for link in links(page, "split"):
        assert "Send the request" in await again(eve, link)


async def test_a_missing_ticket_leads_to_its_field(eve: Browser) -> None:
    page = await shown(eve, ticket="")
    assert fixes(page) == ["attach_ticket"]
    assert "Name a ticket of tickets like PAY-[0-9]+." in html.unescape(page)
    assert links(page, "attach_ticket") == ["#ticket"]
    assert 'id="ticket"' in page


async def test_an_old_sign_in_leads_to_a_new_one_and_back(eve: Browser) -> None:
    sent = await eve.client.post(
        "/requests/new",
        data={"csrf": await eve.csrf("/requests/new?source=files"), **FORM, "label.service": "till"},
        headers={"origin": eve.origin},
    )
    denied = await eve.get(sent.headers["location"])
    assert fixes(denied.text) == ["sign_in"]
    (link,) = links(denied.text, "sign_in")
    token = await eve.csrf(link)
    fields = {"csrf": token, "account": "eve@example.com", "password": PASSWORD}
    done = await eve.client.post("/sign-in", data=fields, headers={"origin": eve.origin})
    assert (done.status_code, done.headers["location"]) == (303, sent.headers["location"])


async def test_the_glass_is_a_click_away_for_those_who_may_break_it(world: World, eve: Browser) -> None:
    sue = await world.signed_in("sue@example.com")
    page = await shown(sue, ticket="")
    assert fixes(page) == ["attach_ticket", "break_glass"]
    (link,) = links(page, "break_glass")
    form = (await sue.get(link)).text
    assert "This breaks the glass" in form
    assert 'value="pay-api"' in form
    assert "they called" in form
    assert fixes(await shown(eve, ticket="")) == ["attach_ticket"]


async def test_where_nothing_helps_the_owner_is_named(world: World, eve: Browser) -> None:
    page = await shown(eve, label__service="mail")
    assert fixes(page) == ["ask_owner"]
    assert "Ask group:leads, who own the policy." in page
    bob = await world.signed_in("bob@example.com")
    other = await shown(bob, label__service="mail")
    assert "Ask the owner of the logs which policy is for you." in other
    assert "No policy is for you here, or none that you may know of." in other


async def test_what_policies_said_is_shown_and_what_is_hidden_is_not(eve: Browser) -> None:
    page = await shown(eve, duration="1h", ticket="")
    assert "What each policy said" in page
    assert "Support &lt;b&gt;cases&lt;/b&gt;" in page
    assert "<b>cases</b>" not in page
    assert "req.duration &lt;= duration(&#34;30m&#34;)" in page
    assert "vault" not in page
    assert "Nobody may know" not in page


async def test_sending_what_is_denied_says_the_same(eve: Browser) -> None:
    page = await shown(eve, duration="1h", step="send", offer="1")
    assert fixes(page) == ["shorten"]
    assert "What each policy said" in page


async def test_hostile_fields_stay_text(eve: Browser) -> None:
    page = await shown(eve, reason='"><script>alert(1)</script>\u202e', duration="1h", ticket='PAY-"x')
    assert "<script>alert" not in page
    assert "\u202e" not in re.sub(r"<textarea.*?</textarea>", "", page, flags=re.DOTALL)


async def test_the_page_of_a_request_says_why(world: World, eve: Browser) -> None:
    sent = await eve.send("/requests/new", {**FORM, "step": "send", "offer": "1"})
    assert sent.status_code == 303
    own = (await eve.get(sent.headers["location"])).text
    assert "Why this policy" in own
    assert "route" not in own.partition("Why this policy")[2].partition("Timeline")[0]
    lea = await world.signed_in("lea@example.com")
    theirs = (await lea.get(sent.headers["location"])).text
    why = theirs.partition("Why this policy")[2].partition("Timeline")[0]
    assert "support" in why
    assert "fresh" not in why
    assert "Support &lt;b&gt;cases&lt;/b&gt;" in why


def test_what_was_typed_goes_through_a_link_unchanged() -> None:
    typed = Typed(
        source="files",
        labels={"service": "a & b, c=d"},
        inputs={"customer": "ä/?#"},
        window="custom",
        from_time="2026-01-01T00:00",
        live=True,
        break_glass=True,
        reason='said "x"\nand %41',
        duration="30m",
    )
    assert typed_of(QueryParams(link_to(typed).partition("?")[2])) == typed


def test_an_outage_says_so_and_leads_back_to_the_same_page() -> None:
    bundle = bundle_of(CATALOG, FACTS, ASKING.replace("ctx.risk < 60", "ctx.score < 60"), *ORGANISATION[2:])
    known = {"ctx.mfa_age": 0, "ctx.on_call": False, "ctx.score": Fault("no answer")}
    denied = decided(bundle, facts=supposed_facts(bundle, wish_of(), known, NOW))
    (one,) = advice_of(denied, Typed(), here="/requests/new?draft=1")
    assert (one.fix, one.links) == (Fix.WAIT_FOR_SOURCE, (("/requests/new?draft=1", "Try again"),))


def test_a_short_reason_leads_to_its_field() -> None:
    (one,) = advice_of(decided(bundle_of(*ORGANISATION), wish_of(reason="because")), Typed(), here="/")
    assert (one.fix, one.links) == (Fix.FILL_INPUT, (("#reason", "Fill it in"),))
    assert one.text.startswith("The reason has 7 characters")
