"""Who somebody is: tokens, names, headers, codes, forms of foreign pages. Rows AU of the attack catalogue."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.attacks.doors import Browser, answered, head, sent, statuses
from tests.fakes.stack import Person, Refused, Stack
from tests.promises.shared import Following, changed, crowd, granted, quick, wire
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from loglease.gateway.routes import Action
from loglease.server.identity.secrets import KINDS, secret_of

PLAIN_TAIL = "/loki/api/v1/tail?query=%7Bservice%3D%22shop%22%7D"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _claims(header: dict[str, Any], signature: str = "") -> str:
    body = {"iss": "loglease", "sub": "admin", "aud": "loglease", "exp": 4_102_444_800, "roles": ["admin"]}
    return f"{_encoded(header)}.{_encoded(body)}.{signature}"


def forged(own: str) -> Iterator[str]:
    """Yield what is no token of ours, though it may look like one."""
    for algorithm in ("none", "None", "nOnE", "", "HS256"):
        yield _claims({"alg": algorithm, "typ": "JWT"})
        yield _claims({"alg": algorithm, "jku": "https://evil.example/keys", "kid": "../../etc/passwd"}, "AAAA")
    # Whoever knows how tokens are written, and the part by which one is found, lacks the secret part.
    known = secret_of(own)
    assert known is not None
    for secret in (bytes(32), known.secret[:-1] + bytes([known.secret[-1] ^ 1]), known.secret[::-1]):
        yield replace(known, secret=secret).text()
    yield replace(known, lookup="00" * 10).text()
    yield from (replace(known, kind=kind).text() for kind in sorted(KINDS - {known.kind}))
    yield own[:-1]
    yield own[:-1] + ("A" if own[-1] != "A" else "B")
    yield own + "A"
    yield own.upper()
    yield own[: len(own) // 2] + own[len(own) // 2 + 1 :]
    yield own.partition("_")[0] + "_" + "A" * (len(own.partition("_")[2]))
    yield own + "," + own
    yield "null"


def signed_in_status(server: Stack, token: str) -> list[int]:
    """Return how the doors for tokens answer: REST, gateway, pages and a tail in a WebSocket."""
    headers = {"authorization": f"Bearer {token}"}
    found = [wire().get(f"{server.url}{path}", headers=headers).status_code for path in ("/api/v1/me", "/logs")]
    try:
        with connect(f"{server.url.replace('http', 'ws')}{PLAIN_TAIL}", additional_headers=headers, proxy=None):
            found.append(101)
    except InvalidStatus as refused:
        found.append(refused.response.status_code)
    return found


@pytest.mark.attack("AU-01")
def test_what_only_looks_like_a_token_opens_no_door(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    assert signed_in_status(server, alice.token)[0] == 200
    for token in forged(alice.token):
        assert signed_in_status(server, token) == [401, 401, 401], token
    told = people["sam"].call("GET", "/audit/entries?type=access.refused&limit=200")["items"]
    assert "not_authenticated" in [one["data"]["code"] for one in told]
    log = (server.folder / "stderr.log").read_text()
    assert alice.token[:-1] not in log


@pytest.mark.attack("AU-04")
def test_an_address_gives_nothing_of_whoever_else_has_it(server: Stack) -> None:
    people = crowd(server)
    alice, admin = people["alice"], people["admin"]
    for number, address in enumerate(("bob@example.com", "BOB@example.com", "bob@EXAMPLE.com")):
        name = f"namesake-{number}"
        server.passwords[name] = f"{name}: of this test only"
        admin.create("/principals", {"account": name, "email": address, "password": server.passwords[name]})
        request = alice.ask()
        namesake = quick(server.sign_in(name))
        for act in (
            lambda one, request=request: one.decide(request),
            lambda one, request=request: one.call("GET", f"/requests/{request['id']}"),
        ):
            with pytest.raises(Refused) as refused:
                act(namesake)
            assert refused.value.status in (403, 404)
        # Nor does it make two people of one: what either of them asked for, the other one does not decide.
        own = namesake.ask()
        with pytest.raises(Refused) as refused:
            people["bob"].decide(own)
        assert refused.value.status in (403, 404)
        namesake.call("POST", f"/requests/{own['id']}/cancel")


@pytest.mark.attack("AU-05")
@pytest.mark.parametrize("name", ["Bob", "bob ", " bob", "ｂｏｂ", "bo\u200bb", "bob\u0000", "BOB", "b\u00adob"])
def test_a_name_that_could_be_bobs_is_no_second_account(server: Stack, name: str) -> None:
    admin = crowd(server)["admin"]
    body = {"account": name, "email": "x@example.com", "password": "look-alike: of this test only"}
    accounts = [one["account"] for one in admin.call("GET", "/principals")["items"]]
    with pytest.raises(Refused) as refused:
        admin.create("/principals", body)
    assert "/account" in str(refused.value) or "\0" in name, "it was refused for another reason"
    assert [one["account"] for one in admin.call("GET", "/principals")["items"]] == accounts
    answer = wire().post(f"{server.url}/api/v1/sign-in", json={"account": name, "password": body["password"]})
    assert answer.status_code in (400, 401, 422)


def deciding(request: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return f"/requests/{request['id']}/reviews", {"verdict": "approve", "comment": "seen"}


@pytest.mark.attack("AU-05")
@pytest.mark.parametrize("name", ["b\u043eb", "bo\u1e03", "b\u00f8b", "bob-", "b0b"], ids=ascii)
def test_a_name_that_resembles_bobs_is_a_stranger(server: Stack, name: str) -> None:
    people = crowd(server)
    body = {"account": name, "email": "y@example.com", "password": "look-alike: of this test only"}
    people["admin"].create("/principals", body)
    server.passwords[name] = body["password"]
    stranger = server.sign_in(name)
    request = people["alice"].ask()
    with pytest.raises(Refused) as refusing:
        stranger.create(*deciding(request), if_match=f'"{request["digest"]}"', key=f"look-alike-{ord(name[1])}")
    assert refusing.value.status == 404
    assert stranger.call("GET", "/requests")["items"] == []
    assert stranger.call("GET", "/me")["principal"]["id"] != people["bob"].call("GET", "/me")["principal"]["id"]


WHO_HEADERS = (
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Groups",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-Request-User",
    "X-WEBAUTH-USER",
    "X-Grafana-User",
    "X-Id-Token",
    "x_forwarded_user",
    "Forwarded",
)


@pytest.mark.attack("AU-06")
@pytest.mark.parametrize("name", WHO_HEADERS)
def test_no_header_says_who_somebody_is(server: Stack, name: str) -> None:
    people = crowd(server)
    mallory = people["mallory"]
    own = mallory.call("GET", "/me")["principal"]["id"]
    bare = f"Host: {server.url.removeprefix('http://')}"
    claims = (f"{name}: bob",), (f"{name}: bob", f"{name}: admin"), (f"{name}: bob", f"Connection: close, {name}")
    for lines in claims:
        for path in ("/api/v1/me", "/logs", "/api/v1/requests"):
            bare_head = [f"GET {path} HTTP/1.1", bare, *lines, "Connection: close", "", ""]
            raw = answered(server, "\r\n".join(bare_head).encode())
            assert statuses(raw) in ([401], [400]), (path, lines)
        raw = answered(server, head(mallory, "GET /api/v1/me HTTP/1.1", *lines, "Connection: close"))
        assert statuses(raw) in ([200], [400])
        assert statuses(raw) == [400] or own.encode() in raw
        raw = answered(server, head(mallory, "GET /api/v1/principals HTTP/1.1", *lines, "Connection: close"))
        assert statuses(raw) in ([403], [400])


@pytest.mark.attack("AU-07")
def test_who_left_is_gone_by_every_door_and_stays_gone(server: Stack) -> None:
    people = crowd(server)
    admin = people["admin"]
    name = "dave"
    server.passwords[name] = f"{name}: of this test only"
    made = admin.create(
        "/principals", {"account": name, "email": "dave@example.com", "password": server.passwords[name]}
    )
    account = made["principal"]["id"]
    pair = (
        wire().post(f"{server.url}/api/v1/sign-in", json={"account": name, "password": server.passwords[name]}).json()
    )
    dave = quick(Person(server.url, name, pair["access_token"]))
    grant = granted(dave, people["bob"])
    body = {"label": "x", "rights": ["logs.read", "requests.read"], "expires_in_s": 3_600}
    personal = quick(Person(server.url, name, dave.create("/tokens", body)["secret"]))
    of_grant = {"kind": "grant", "label": "x", "grant": grant, "expires_in_s": 600}
    bound = quick(Person(server.url, name, dave.create("/tokens", of_grant)["secret"]))
    with Browser(server, name) as browser:
        assert browser.client.get("/grants").status_code == 200
        tail = Following.opened(dave, grant)
        changed(admin, account, enabled=False)
        assert tail.end() in ("revoked", "locked")
        received = len(tail.texts)

        def closed() -> None:
            assert browser.client.get("/grants").status_code in (303, 401, 403)
            for one in (dave, personal, bound):
                assert signed_in_status(server, one.token) == [401, 401, 401]
                assert sent(one, "GET", f"/g/{grant}/logs?since=1h").status_code == 401
            again = {"refresh_token": pair["refresh_token"]}
            assert wire().post(f"{server.url}/api/v1/refresh", json=again).status_code == 401
            with pytest.raises(Refused) as refused:
                server.sign_in(name)
            assert refused.value.status == 401

        closed()
    # Whoever comes back starts anew: nothing that was ended lives on.
    changed(admin, account, enabled=True)
    for one in (dave, personal, bound):
        assert signed_in_status(server, one.token)[0] == 401
    back = quick(server.sign_in(name))
    assert back.call("GET", f"/grants/{grant}")["state"] == "revoked"
    assert sent(back, "GET", f"/g/{grant}/logs?since=1h").status_code == 403
    assert len(tail.texts) == received
    changed(admin, account, enabled=False)


def _viewer_code(browser: Browser, grant: str) -> str:
    page = browser.client.get(f"/grants/{grant}/logs").text
    csrf = (
        page.partition('csrf" value="')[2].partition('"')[0] or page.partition('csrf" content="')[2].partition('"')[0]
    )
    headers = {"origin": browser.url, "x-csrf-token": csrf}
    answer = browser.client.post(f"/grants/{grant}/viewer-code", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["code"])


@pytest.mark.attack("AU-08")
def test_a_code_opens_one_stream_of_one_browser_for_one_grant(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant, other = granted(alice, bob), granted(alice, bob, '{service="web"}')

    def opened(browser: Browser, code: str, which: str) -> int:
        headers = {"authorization": f"Bearer {code}", "sec-fetch-site": "same-origin"}
        answer = browser.client.get(f"/g/{which}/logs?since=1h&limit=1", headers=headers)
        assert ('"type":"line"' in answer.text) == (answer.status_code == 200)
        return answer.status_code

    with Browser(server, "alice") as browser, Browser(server, "mallory") as thief, Browser(server, "alice") as second:
        for _ in range(3):
            code = _viewer_code(browser, grant)
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda _, code=code: opened(browser, code, grant), range(8)))
            assert sorted(found) == [200] + [401] * 7
        for stranger in (thief, second):
            assert opened(stranger, _viewer_code(browser, grant), grant) in (401, 403)
        assert opened(browser, _viewer_code(browser, grant), other) in (401, 403, 404)
        code = _viewer_code(browser, grant)
        bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
        assert opened(browser, code, grant) in (401, 403)
        left = _viewer_code(browser, other)
        browser.send("/sign-out", {}, page="/settings")
        assert opened(browser, left, other) in (401, 403)


@pytest.mark.attack("AU-08")
def test_of_many_refreshes_at_once_one_wins_and_reuse_ends_all(server: Stack) -> None:
    crowd(server)
    pair = (
        wire()
        .post(f"{server.url}/api/v1/sign-in", json={"account": "mallory", "password": server.passwords["mallory"]})
        .json()
    )

    def again(_: int) -> httpx2.Response:
        return wire().post(f"{server.url}/api/v1/refresh", json={"refresh_token": pair["refresh_token"]})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(again, range(8)))
    won = [one for one in answers if one.status_code == 200]
    assert len(won) <= 1
    assert {one.status_code for one in answers} <= {200, 401}
    for token in (pair["access_token"], *(one.json()["access_token"] for one in won)):
        assert signed_in_status(server, token)[0] == 401


@pytest.mark.attack("AU-09")
def test_a_foreign_page_decides_ends_and_publishes_nothing(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    request, grant = alice.ask(), granted(alice, bob)
    decide = {"verdict": "approve", "digest": request["digest"], "step": "decide", "comment": "mine"}
    acts: list[tuple[str, str, dict[str, str]]] = [
        (f"/requests/{request['id']}/decide", f"/api/v1/requests/{request['id']}/reviews", decide),
        (f"/grants/{grant}/revoke", f"/api/v1/grants/{grant}/revoke", {"reason": "over"}),
        ("/requests/new", "/api/v1/policies/bundles", {"comment": "x"}),
        ("/sign-out", "/api/v1/sign-out", {}),
        ("/settings", "/api/v1/tokens", {"label": "x"}),
    ]
    with Browser(server, "bob") as browser:
        page = browser.client.get("/settings").text
        csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
        assert csrf
        for form, call, fields in acts:
            for headers in (
                {"origin": "https://evil.example"},
                {"origin": "null"},
                {"origin": server.url, "sec-fetch-site": "cross-site"},
                {"referer": "https://evil.example/"},
                {"origin": server.url, "sec-fetch-site": "same-origin"},  # as of our page, but without its token
                {},
            ):
                assert browser.client.post(form, data=fields, headers=headers).status_code in (400, 403)
                # Who knows the token of the form but sends it from elsewhere gets no further.
                if headers.get("origin", server.url) != server.url or headers.get("sec-fetch-site") == "cross-site":
                    known = browser.client.post(form, data={**fields, "csrf": csrf}, headers=headers)
                    assert known.status_code in (400, 403), (form, headers)
                told = {**headers, "content-type": "application/json", "if-match": f'"{request["digest"]}"'}
                assert browser.client.post(call, json=fields, headers=told).status_code == 403, (call, headers)
                for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                    told = {**headers, "content-type": kind, "if-match": f'"{request["digest"]}"'}
                    plain = browser.client.post(call, content=json.dumps(fields), headers=told)
                    assert plain.status_code in (400, 401, 403, 415), (call, kind, headers)
            for path in (form, call):
                for more in ("?" + "&".join(f"{name}={value}" for name, value in fields.items()), ""):
                    browser.client.get(path + more, headers={"sec-fetch-dest": "image", "sec-fetch-site": "cross-site"})
        assert browser.client.get("/grants").status_code == 200
    assert alice.call("GET", f"/requests/{request['id']}/reviews")["items"] == []
    assert alice.call("GET", f"/requests/{request['id']}")["state"] == "pending"
    assert alice.call("GET", f"/grants/{grant}")["state"] in ("scheduled", "active")


SECRET_NAMES = (
    "token",
    "access_token",
    "auth_token",
    "refresh_token",
    "api_key",
    "ACCESS_TOKEN",
    "to%6ben",
    "id_token",
)


def _addresses(grant: str) -> Iterator[str]:
    for action in Action:
        path = action.value.format(name="service")
        for prefix in ("", f"/g/{grant}"):
            yield prefix + ("/logs" if action is Action.LOGS else f"/loki/api/v1/{path}")
    yield from ("/", "/grants", f"/grants/{grant}/logs", "/sign-in", "/help", "/static/x", "/nothing/here")
    yield from ("/api/v1/me", "/api/v1/requests", f"/api/v1/grants/{grant}", "/api/v1/audit/entries", "/api/v1/nothing")


@pytest.mark.attack("AU-10")
def test_a_credential_in_any_address_is_refused_and_kept_nowhere(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    secret = alice.token
    for address in _addresses(grant):
        for name in SECRET_NAMES if address in ("/logs", "/", "/api/v1/me", f"/g/{grant}/logs") else SECRET_NAMES[:3]:
            answer = wire().get(f"{server.url}{address}?{name}={secret}")
            assert answer.status_code in (400, 401, 404), (address, name)
            assert secret not in answer.text
            other = wire().get(f"{server.url}{address}?{name}=of-this-test-4711")
            assert other.status_code in (400, 401, 404), (address, name)
            signed = sent(alice, "GET", f"{address}?{name}=of-this-test-4711")
            assert signed.status_code in (400, 404), (address, name)
            assert "of-this-test-4711" not in other.text
    for kept in (server.folder / "stderr.log", *(server.folder / "data").rglob("*")):
        if kept.is_file():
            content = kept.read_bytes()
            assert secret.encode() not in content, kept
            assert b"of-this-test-4711" not in content, kept
