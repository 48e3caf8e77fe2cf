from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.pages.world import PASSWORD, World

from loglease.access.queries import request_view
from loglease.model.access_request import RequestState
from loglease.server.pages.static_files import FOLDER, StaticFiles

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</textarea><svg/onload=alert(1)>",
    "</title><style>*{display:none}</style>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "javascript:alert(1)",
    "\u202e\u200b\u0007evil\x1b[31m",
    "&lt;b&gt;&#x3c;b&#x3e;",
)


class Elements(HTMLParser):
    """Collects what a browser would build: elements, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def elements(text: str) -> Elements:
    found = Elements()
    found.feed(text)
    return found


@pytest.mark.attack("UI-01")
@pytest.mark.parametrize("evil", HOSTILE)
async def test_foreign_text_is_text_in_every_field(world: World, evil: str) -> None:
    reason = f"for the checkout {evil}"
    request = await world.ask(
        reason=reason.replace("\x1b", "").replace("\x07", ""), ticket="T-1", contains=(evil,) if "⟦" not in evil else ()
    )
    alice, bob = await world.signed_in("alice@example.com"), await world.signed_in("bob@example.com")
    pages = [
        await bob.get("/"),
        await bob.get(f"/requests/{request.id}"),
        await bob.get(f"/requests/{request.id}/decide?verdict=approve&narrow=1"),
        await alice.get("/requests"),
        await alice.get(f"/requests/new?like={request.id}"),
        await alice.get(
            "/requests/new",
        ),
        await alice.send(
            "/requests/new",
            {
                "source": evil,
                "selector": evil,
                "reason": evil,
                "ticket": evil,
                "duration": evil,
                "level": evil,
                "window": evil,
                "limit_lines": evil,
                "label.service": evil,
                f"label.{evil}": evil,
                "profile": evil,
                "contains": evil,
                "step": "offers",
            },
        ),
        await bob.send(
            f"/requests/{request.id}/decide",
            {
                "verdict": "approve",
                "comment": evil,
                "duration": evil,
                "selector": evil,
                "step": "compare",
                "digest": evil,
            },
            page=f"/requests/{request.id}/decide?verdict=approve",
        ),
        await alice.get("/" + quote(evil)),
        await alice.get("/problems/" + quote(evil, safe="")),
    ]
    grant = await world.approve(request)
    pages += [
        await alice.get(f"/grants/{grant.id}"),
        await alice.get(f"/grants/{grant.id}/logs"),
        await alice.get("/grants"),
    ]
    if "7*7" in evil:
        assert evil in html.unescape(pages[1].text)
    for page in pages:
        found = elements(page.text)
        assert page.text.count("<script") == found.tags.count("script")
        assert found.tags.count("script") <= 2
        assert not {"img", "style", "object", "iframe"} & set(found.tags)
        assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
        assert not [
            value
            for name, value in found.attributes
            if name in ("href", "action", "src") and not value.startswith(("/", "#", "?"))
        ]
        # What somebody typed stays in its own field as it was typed; everywhere else nothing invisible is left.
        outside = re.sub(r"<textarea[^>]*>[^<]*</textarea>|value=\"[^\"]*\"", "", page.text)
        assert not {"\u202e", "\u200b", "\x07", "\x1b"} & set(outside)


@pytest.mark.attack("UI-04")
async def test_headers_of_every_page(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    for path in ("/", "/requests/new", "/help", "/nothing", "/sign-in?again=1"):
        page = await alice.get(path)
        policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
        nonce = re.search(r'nonce="([^"]+)"', page.text)
        assert nonce is not None
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == f"'nonce-{nonce[1]}'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        assert "style=" not in page.text
    assert (await alice.get("/")).headers["content-security-policy"] != (await alice.get("/")).headers[
        "content-security-policy"
    ]


@pytest.mark.attack("AU-09")
async def test_a_form_without_its_token_is_refused(world: World) -> None:
    request = await world.ask()
    alice, bob = await world.signed_in("alice@example.com"), await world.signed_in("bob@example.com")
    fields = {"verdict": "approve", "digest": request.digest, "step": "decide"}
    path = f"/requests/{request.id}/decide"
    token, other = await bob.csrf(path), await alice.csrf("/settings")
    refused = [
        await bob.post(path, fields),
        await bob.post(path, {**fields, "csrf": ""}),
        await bob.post(path, {**fields, "csrf": other}),
        await bob.post(path, {**fields, "csrf": token}, origin="https://evil.example"),
        await bob.post(path, {**fields, "csrf": token}, origin="null"),
        await bob.post(path, {**fields, "csrf": token}, origin="null", **{"sec-fetch-site": "cross-site"}),
        await bob.post(
            path, {**fields, "csrf": token}, origin="null", host="evil.example", **{"sec-fetch-site": "same-origin"}
        ),
        await bob.post(path, {**fields, "csrf": token}, **{"sec-fetch-site": "cross-site"}),
        await bob.client.post(path, data={**fields, "csrf": token}),
        await bob.client.post(path, json={**fields, "csrf": token}, headers={"origin": bob.origin}),
        await bob.client.post(
            path,
            content=b"x" * 300_000,
            headers={"origin": bob.origin, "content-type": "application/x-www-form-urlencoded"},
        ),
    ]
    assert [one.status_code for one in refused[:-1]] == [403] * 10
    assert refused[-1].status_code == 422
    state = await world.services.store.read(
        lambda tx: request_view(tx, world.caller("bob@example.com"), request.id, world.services.clock.now())
    )
    assert state.state is RequestState.PENDING
    done = await bob.post(path, {**fields, "csrf": token}, origin="null", **{"sec-fetch-site": "same-origin"})
    assert done.status_code == 303


@pytest.mark.attack("AU-09")
async def test_no_get_changes_anything(world: World) -> None:
    request = await world.ask()
    grant = await world.approve(await world.ask())
    alice, bob = await world.signed_in("alice@example.com"), await world.signed_in("bob@example.com")
    before = await world.services.store.read(lambda tx: tx.entries.size())
    for browser in (alice, bob):
        for path in (
            f"/requests/{request.id}/decide?verdict=approve&step=decide&digest={request.digest}",
            f"/requests/{request.id}/cancel",
            f"/requests/new?like={request.id}&step=send&offer=1",
            f"/grants/{grant.id}/activate",
            f"/grants/{grant.id}/return",
            f"/grants/{grant.id}/revoke?reason=x",
            f"/grants/{grant.id}/viewer-code",
            f"/grants/{grant.id}/logs",
            f"/grants/{grant.id}/state",
            "/sign-out",
            "/settings?theme=dark",
        ):
            await browser.get(path)
    assert await world.services.store.read(lambda tx: tx.entries.size()) == before
    assert (await alice.get("/")).status_code == 200


async def test_pages_of_others_do_not_exist(world: World) -> None:
    request = await world.ask()
    grant = await world.approve(await world.ask())
    await world.add("mallory@example.com", name="Mallory")
    mallory, bob = await world.signed_in("mallory@example.com"), await world.signed_in("bob@example.com")
    nobody = "req_" + "0" * 26
    for path in (
        f"/requests/{request.id}",
        f"/requests/{request.id}/decide",
        f"/requests/{request.id}/state",
        f"/requests/new?like={request.id}",
        f"/grants/{grant.id}",
        f"/grants/{grant.id}/state",
        f"/grants/{grant.id}/logs",
        f"/requests/{nobody}",
    ):
        assert (await mallory.get(path)).status_code == 404, path
    assert (await bob.get(f"/grants/{grant.id}/logs")).status_code == 403
    assert "req_" not in (await mallory.get("/requests")).text


async def test_signing_in_goes_to_a_path_of_ours_only(world: World) -> None:
    browser = world.browser()
    wanted = await browser.get("/requests/new?reason=hello")
    assert (wanted.status_code, wanted.headers["location"]) == (303, "/sign-in")
    done = await browser.sign_in("alice@example.com", PASSWORD)
    assert (done.status_code, done.headers["location"]) == (303, "/requests/new?reason=hello")
    cookie = next(value for value in done.headers.get_list("set-cookie") if value.startswith("loglease="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    for evil in ("//evil.example/", "/\\evil.example", "https://evil.example", "/a\nb"):
        import base64

        other = world.browser()
        other.client.cookies.set("loglease-next", base64.urlsafe_b64encode(evil.encode()).decode())
        assert (await other.sign_in("alice@example.com", PASSWORD)).headers["location"] == "/"


async def test_a_wrong_password_says_nothing_about_the_account(world: World) -> None:
    known = await world.browser().sign_in("alice@example.com", "wrong")
    unknown = await world.browser().sign_in("nobody@example.com", "wrong")
    assert known.status_code == unknown.status_code == 401

    def without_names(text: str) -> str:
        return re.sub(r'value="[^"]*"|nonce="[^"]*"', "", text)

    assert without_names(known.text) == without_names(unknown.text)
    assert "wrong" not in re.findall(r'name="password"[^>]*value="([^"]*)"', known.text)


async def test_signing_out_ends_the_session_everywhere(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    kept = dict(alice.client.cookies)
    assert (await alice.send("/sign-out", {}, page="/")).status_code == 303
    alice.client.cookies.update(kept)
    assert (await alice.get("/")).headers["location"] == "/sign-in"


async def test_static_files_have_their_hash_in_the_address(world: World) -> None:
    browser = world.browser()
    page = await browser.get("/help")
    addresses = re.findall(r'"(/static/[^"]+)"', page.text)
    assert len(addresses) >= 4
    for address in addresses:
        got = await browser.get(address)
        assert got.status_code == 200
        assert "immutable" in got.headers["cache-control"]
        assert got.headers["x-content-type-options"] == "nosniff"
    assert (await browser.get("/static/loglease.000000000000.css")).status_code == 404
    assert (await browser.get("/static/..%2fsite.py")).status_code == 404


def test_all_scripts_and_styles_stay_small_and_are_what_was_vendored() -> None:
    import hashlib

    assert StaticFiles().total_compressed_bytes() <= 60 * 1024
    for line in (FOLDER / "vendor" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == digest
    for path in FOLDER.glob("*.js"):
        text = path.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text
        )


async def test_a_browser_that_calls_too_often_gets_a_page_that_says_how_long_to_wait(tmp_path: Path) -> None:
    world = await World.start(tmp_path, limits={"enforced": True, "address_per_s": 0.01, "address_burst": 1})
    browser = world.browser()
    try:
        assert (await browser.get("/help")).status_code == 200
        answer = await browser.get("/help", accept="text/html,*/*;q=0.8")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "100")
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"]
        assert "Wait 100 seconds, then try again." in answer.text
        assert 'href="">Load this page again' in answer.text
        assert 'class="brand"' in answer.text
        for path, accept in (("/api/v1/health", "text/html"), ("/help", "*/*"), ("/help", "application/json")):
            assert (await browser.get(path, accept=accept)).json()["code"] == "rate_limited"
        at_the_door = await browser.get("/g/grt_01JDC91T7K0000000000000000/logs", accept="text/html")
        assert at_the_door.status_code == 429
        assert "Wait 100 seconds" in at_the_door.text
        assert 'class="brand"' in at_the_door.text
    finally:
        await world.stop()


@pytest.mark.parametrize(
    ("path", "status"), [("/help?token=llp_0123456789", 400), ("/nothing", 404), (f"/help?{'x' * 9_000}", 413)]
)
async def test_whatever_stops_the_call_of_a_browser_is_a_page(world: World, path: str, status: int) -> None:
    answer = await world.browser().get(path, accept="text/html")
    assert answer.status_code == status
    assert "What to do next" in answer.text
    assert "llp_" not in answer.text
