"""Tokens of one grant, suspect clocks, passwords that change under a sign-in, persons that may be the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import PASSWORD, WISH, World, world_in

from loglease.access.errors import ClockSuspect
from loglease.audit.interface import AuditUnavailable
from loglease.model.ids import PersonId, RequestId
from loglease.server.problems import NotAuthenticated


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as found:
        yield found


async def grant_and_token(world: World) -> tuple[str, dict[str, str], dict[str, str]]:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    body = {"kind": "grant", "label": "env", "grant": grant, "expires_in_s": 600}
    issued = (await world.created("/tokens", body, alice)).json()
    return grant, {"Authorization": f"Bearer {issued['secret']}"}, alice


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tokens"),
        ("DELETE", "/tokens/{token}"),
        ("POST", "/sign-out"),
        ("GET", "/principals/{me}"),
        ("GET", "/sources"),
        ("GET", "/grants"),
        ("GET", "/requests"),
        ("GET", "/events"),
        ("GET", "/locks"),
    ],
)
async def test_a_token_of_one_grant_opens_no_other_door(world: World, method: str, path: str) -> None:
    _, token, alice = await grant_and_token(world)
    body = {"kind": "personal", "label": "ci", "rights": ["requests.read"], "expires_in_s": 600}
    other = (await world.created("/tokens", body, alice)).json()["token"]["id"]
    me = (await world.client.get("/me", headers=alice)).json()["principal"]["id"]
    answer = await world.client.request(method, path.format(token=other, me=me), headers=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert other in [one["id"] for one in (await world.client.get("/tokens", headers=alice)).json()["items"]]


async def test_a_token_of_one_grant_shows_its_grant_and_sessions_and_whose_it_is(world: World) -> None:
    grant, token, _ = await grant_and_token(world)
    for path in (f"/grants/{grant}", f"/grants/{grant}/usage", f"/sessions?grant={grant}", "/me"):
        assert (await world.client.get(path, headers=token)).status_code == 200, path


@pytest.mark.parametrize("door", ["api", "page"])
async def test_nothing_activates_while_the_clock_is_suspect_or_a_revocation_unrecorded(world: World, door: str) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    watch = world.services.watch
    for error in (ClockSuspect, AuditUnavailable):
        watch.clock_suspect = error is ClockSuspect
        watch.unrecorded = {"rvk_1"} if error is AuditUnavailable else set()
        if door == "api":
            answer = await world.client.post(f"/grants/{grant}/activate", headers=alice)
        else:
            answer = await page_activates(world, grant)
        assert answer.status_code == 503, answer.text
        assert error.code in answer.text
    watch.unrecorded = set()
    assert (await world.client.get(f"/grants/{grant}", headers=alice)).json()["state"] == "scheduled"


async def page_activates(world: World, grant: str) -> Any:
    from loglease.server.identity.cookies import PLAIN_NAME, csrf_token

    session = await world.services.sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")
    cookie = session.cookie.text()
    return await world.client.post(
        f"http://127.0.0.1:8080/grants/{grant}/activate",
        data={"csrf": csrf_token(cookie)},
        headers={"Cookie": f"{PLAIN_NAME}={cookie}", "Origin": "http://127.0.0.1:8080"},
    )


async def test_a_sign_in_under_way_does_not_outlive_the_old_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.add("alice@example.com")
    sign_ins = world.services.sign_ins
    checked = sign_ins._checked
    changing = True

    async def slowly(account: str, password: str, address: str) -> Any:
        nonlocal changing
        local = await checked(account, password, address)
        if changing:
            changing = False
            body = {"password": PASSWORD, "new_password": "another battery staple"}
            assert (await world.client.post("/me/password", json=body, headers=alice)).status_code == 204
        return local

    monkeypatch.setattr(type(sign_ins), "_checked", lambda _self, *args: slowly(*args))
    with pytest.raises(NotAuthenticated):
        await sign_ins.sign_in("alice@example.com", PASSWORD, address="local")


async def test_who_may_be_the_same_person_sees_nothing_for_that(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()["id"]
    twin = await world.add("twin@example.com")
    me = (await world.client.get("/me", headers=twin)).json()["principal"]["id"]

    from dataclasses import replace

    from loglease.access.caller import Caller
    from loglease.access.permissions import may_see_request
    from loglease.model.ids import PrincipalId
    from loglease.model.review import Channel

    def query(tx: Any) -> bool:
        found = tx.requests.find(RequestId(request))
        login = tx.principals.find(PrincipalId(me))
        suspected = replace(found, persons=found.persons | {login.person, PersonId("per_x")})
        return may_see_request(tx, Caller(principal=login, channel=Channel.API), suspected)

    assert not await world.services.store.read(query)
