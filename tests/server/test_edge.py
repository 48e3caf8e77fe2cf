from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.world import PASSWORD, WISH, ShiftedClock, World, world_in

from loglease.server import rates as rates_module
from loglease.server.clock import system_random
from loglease.server.identity.cookies import csrf_token
from loglease.server.identity.secrets import new_secret
from loglease.server.problems import NotAuthenticated, RateLimited
from loglease.server.rates import Rates
from loglease.server.settings import LimitSettings

ORIGIN = "http://127.0.0.1:8080"


async def browser(world: World, account: str) -> tuple[str, dict[str, str]]:
    """Return the cookie of a web session, and the headers that our own page sends with it."""
    done = await world.services.sign_ins.web_sign_in(account, PASSWORD, address="local")
    cookie = done.cookie.text()
    return cookie, {"Cookie": f"loglease={cookie}", "Origin": ORIGIN, "X-CSRF-Token": csrf_token(cookie)}


async def test_a_browser_of_ours_may_read_and_write(world: World) -> None:
    await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    _, headers = await browser(world, "alice@example.com")
    me = (await world.client.get("/me", headers=headers)).json()
    assert (me["channel"], me["interactive"]) == ("web", True)
    assert (await world.created("/requests", WISH, headers)).status_code == 201


@pytest.mark.attack("AU-09")
@pytest.mark.parametrize(
    "change",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Origin": None},
        {"X-CSRF-Token": None},
        {"X-CSRF-Token": "AAAA"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
async def test_a_cookie_without_the_signs_of_our_page_changes_nothing(world: World, change: dict[str, Any]) -> None:
    await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    _, headers = await browser(world, "alice@example.com")
    sent = {name: value for name, value in {**headers, **change}.items() if value is not None}
    answer = await world.created("/requests", WISH, sent)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


async def test_a_foreign_page_cannot_even_read_with_the_cookie(world: World) -> None:
    await world.add("alice@example.com")
    cookie, _ = await browser(world, "alice@example.com")
    for change in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example"}):
        answer = await world.client.get("/me", headers={"Cookie": f"loglease={cookie}", **change})
        assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_has_the_fixed_headers(world: World) -> None:
    for path in ("/health", "/me", "/nothing"):
        answer = await world.client.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


@pytest.mark.attack("AU-10")
async def test_a_credential_in_the_address_is_refused_and_not_repeated(world: World) -> None:
    alice = await world.add("alice@example.com")
    secret = alice["Authorization"].removeprefix("Bearer ")
    named = ("password", "auth_token", "%74oken", "ID_TOKEN")
    for query in (
        f"token={secret}",
        f"x={secret}",
        f"x={secret[:3]}%5F{secret[4:]}",
        *(f"{name}=hunter2" for name in named),
    ):
        answer = await world.client.get(f"/requests?{query}", headers=alice)
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
        assert secret not in answer.text
        assert "hunter2" not in answer.text


async def test_headers_have_a_size(world: World) -> None:
    answer = await world.client.get("/health", headers={"X-Long": "x" * 40_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_doubled_credential_is_refused(world: World) -> None:
    alice = await world.add("alice@example.com")
    pair = [("Authorization", alice["Authorization"]), ("Authorization", "Bearer other")]
    answer = await world.client.get("/me", headers=pair)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_fault_of_ours_is_a_problem_without_detail(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = await world.add("alice@example.com")

    async def broken(*_args: object) -> None:
        raise RuntimeError("secret text of a fault")

    monkeypatch.setattr(type(world.services.tokens), "mine", broken)
    answer = await world.client.get("/tokens", headers=alice)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret text" not in answer.text
    assert answer.json()["trace_id"]
    seen = capsys.readouterr()
    assert "secret text" not in seen.out + seen.err
    assert answer.json()["trace_id"] in seen.out + seen.err


async def test_rates_act_per_address_and_principal_and_leave_revocation_alone(tmp_path: Path) -> None:
    slow = {"enforced": True, "address_burst": 8, "address_per_s": 0.2, "principal_burst": 5, "principal_per_s": 0.1}
    async with world_in(tmp_path, limits=slow) as world:
        answers = [await world.client.get("/health") for _ in range(10)]
        assert [one.status_code for one in answers] == [200] * 8 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        world.clock.later_s += 60
        admin = await world.sign_in("admin", world.admin_password)
        answers = [await world.client.get("/me", headers=admin) for _ in range(7)]
        assert [one.status_code for one in answers][:5] == [200] * 5
        assert answers[-1].status_code == 429
        lock = await world.created("/locks", {"on": "source:files", "reason": "now"}, admin)
        assert lock.status_code == 201


def from_address(world: World, address: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=world.app, client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080/api/v1")


async def test_guessing_uses_up_the_guessers_address_and_keeps_out_nobody_with_a_valid_token(tmp_path: Path) -> None:
    limits = {"enforced": True, "address_burst": 6, "address_per_s": 0.1, "principal_burst": 100}
    async with world_in(tmp_path, limits=limits) as world:
        alice = await world.add("alice@example.com")
        cookie = (await world.services.sign_ins.web_sign_in("alice@example.com", PASSWORD, address="x")).cookie.text()
        seen = {"Authorization": f"Bearer {new_secret('lla', system_random).text()}"}
        assert (await world.client.get("/me", headers=alice)).status_code == 200
        world.clock.later_s += 60
        for name, value in (("Authorization", "Bearer {}"), ("Cookie", "loglease={}")):
            guesses = [{name: value.format(new_secret("lla", system_random).text())} for _ in range(9)]
            answers = [await world.client.get("/me", headers=one) for one in guesses]
            assert [one.status_code for one in answers] == [401] * 6 + [429] * 3
            assert int(answers[-1].headers["retry-after"]) >= 1
            # A token that was valid here before is not kept out; one that is new here has to wait.
            assert (await world.client.get("/me", headers=alice)).status_code == 200
            assert (await world.client.get("/me", headers=seen)).status_code == 429
            # And from elsewhere everything goes on, also with what was never seen there.
            async with from_address(world, "192.0.2.7") as other:
                assert (await other.get("/me", headers=alice)).status_code == 200
                assert (await other.get("/me", headers={"Cookie": f"loglease={cookie}"})).status_code == 200
            world.clock.later_s += 60


async def test_a_call_with_a_credential_that_nobody_looks_at_counts_as_one_without(tmp_path: Path) -> None:
    async with world_in(tmp_path, limits={"enforced": True, "address_burst": 5, "address_per_s": 0.1}) as world:
        for headers in ({"Authorization": "Bearer x"}, {"Cookie": "other=1"}, {"Cookie": "loglease=llw_x"}):
            answers = [await world.client.get("/health", headers=headers) for _ in range(7)]
            assert [one.status_code for one in answers] == [200] * 5 + [429] * 2, headers
            world.clock.later_s += 60


async def test_one_token_that_keeps_failing_is_refused_unseen_and_others_of_its_address_are_not(tmp_path: Path) -> None:
    limits = {"enforced": True, "failed_sign_ins_per_min": 4, "principal_burst": 100, "address_burst": 100}
    async with world_in(tmp_path, limits=limits) as world:
        alice = await world.add("alice@example.com")
        assert (await world.client.get("/me", headers=alice)).status_code == 200
        await world.client.post("/sign-out", headers=alice)
        answers = [await world.client.get("/me", headers=alice) for _ in range(6)]
        assert [one.status_code for one in answers] == [401] * 4 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        again = await world.sign_in("alice@example.com")
        assert (await world.client.get("/me", headers=again)).status_code == 200
        async with from_address(world, "192.0.2.7") as other:
            assert (await other.get("/me", headers=alice)).status_code == 401


def test_what_is_remembered_of_addresses_and_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates_module, "MAX_KEYS", 50)
    rates = Rates(clock=ShiftedClock(), settings=LimitSettings())
    for number in range(300):
        address, token = f"192.0.2.{number}", f"lla_{number:020}"
        rates.take_call(address, token)
        with pytest.raises(NotAuthenticated), rates.judging(address, token):
            raise NotAuthenticated("wrong")
        with rates.judging(address, f"llp_{number:020}"):
            pass
    assert {len(one._levels) for one in (rates._addresses, rates._failed)} == {50}
    assert len(rates._proven) == 50


def test_all_addresses_of_one_ipv6_network_are_one_caller() -> None:
    rates = Rates(clock=ShiftedClock(), settings=LimitSettings(address_burst=3, address_per_s=0.1))
    for number in range(3):
        rates.take_call(f"2001:db8:1:2::{number:x}", None)
    with pytest.raises(RateLimited):
        rates.take_call("2001:db8:1:2:ffff::9", None)
    rates.take_call("2001:db8:1:3::1", None)


async def test_submissions_have_a_number_an_hour(tmp_path: Path) -> None:
    limits = {"enforced": True, "submissions_per_h": 2, "principal_burst": 100, "address_burst": 100}
    async with world_in(tmp_path, limits=limits) as world:
        alice = await world.add("alice@example.com")
        await world.add("bob@example.com", groups=("approvers",))
        answers = [await world.created("/requests", WISH, alice) for _ in range(3)]
        assert [one.status_code for one in answers] == [201, 201, 429]
        world.clock.later_s += 3_600
        alice = await world.sign_in("alice@example.com")
        assert (await world.created("/requests", WISH, alice)).status_code == 201
