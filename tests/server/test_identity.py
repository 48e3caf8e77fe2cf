from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.world import PASSWORD, WISH, ShiftedClock, World, world_in

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.errors import StepUpRequired
from loglease.model.errors import InvalidField
from loglease.model.ids import GrantId
from loglease.model.instant import after
from loglease.model.principal import Role
from loglease.model.review import Channel
from loglease.policy.defaults import default_files
from loglease.server.clock import system_random
from loglease.server.identity import secrets
from loglease.server.identity.brake import FREE_FAILURES, MAX_DELAY_S, Brake
from loglease.server.identity.cookies import cookie_of, csrf_fits, csrf_token, set_cookie
from loglease.server.identity.names import checked_account, checked_name
from loglease.server.identity.passwords import COMMON, checked_password, generated_password
from loglease.server.identity.secrets import KINDS, new_secret, secret_of
from loglease.server.problems import NotAuthenticated, PasswordChangeRequired, RateLimited, TokenExpired


@given(st.sampled_from(sorted(KINDS)), st.binary(min_size=42, max_size=42))
def test_a_token_reads_back_as_itself_and_every_changed_letter_is_noticed(kind: str, drawn: bytes) -> None:
    taken = iter((drawn[:10], drawn[10:]))
    secret = new_secret(kind, lambda _: next(taken))
    text = secret.text()
    assert secret_of(text) == secret
    assert text not in repr(secret)
    for place in range(0, len(text), 7):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert secret_of(changed) is None


@given(st.text(max_size=90))
def test_what_is_no_token_is_none(text: str) -> None:
    found = secret_of(text)
    assert found is None or found.text() == text


def test_a_cut_or_lengthened_token_is_none() -> None:
    text = new_secret("llp", system_random).text()
    assert [secret_of(one) for one in (text[:-1], text + "A", text + "=", f" {text}", text.upper())] == [None] * 5


@pytest.mark.parametrize("name", ["alice", "alice@example.com", "älice", "x" * 128])
def test_plain_names_are_taken(name: str) -> None:
    assert checked_account(name.upper()) == checked_account(name)


@pytest.mark.attack("AU-05")
@pytest.mark.parametrize("name", ["", " alice", "al ice", "ﬁona", "a\u200bb", "ad\u0000min", "x" * 129, "ａlice"])
def test_names_that_look_like_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidField):
        checked_account(name)


def test_display_names_may_have_single_spaces() -> None:
    assert checked_name("Alice Example") == "Alice Example"
    for wrong in ("Alice  Example", "Alice\u202eExample", ""):
        with pytest.raises(InvalidField):
            checked_name(wrong)


def test_passwords_are_long_and_not_common_and_nothing_else() -> None:
    assert checked_password("correct horse battery", "alice") == "correct horse battery"
    assert len(COMMON) > 50
    assert all(len(one) >= 12 for one in COMMON)
    for wrong in ("short", "x" * 2_000, "PasswordPassword", "alice@example.com"):
        with pytest.raises(InvalidField):
            checked_password(wrong, "alice@example.com")


def test_generated_passwords_have_their_bits_and_can_be_typed() -> None:
    found = {generated_password(system_random) for _ in range(200)}
    assert len(found) == 200
    assert all(re.fullmatch(r"([a-z2-7]{6}-){3}[a-z2-7]{6}", one) for one in found)


def test_the_brake_slows_one_account_from_one_address_and_nobody_else() -> None:
    clock = ShiftedClock()
    brake = Brake(clock)
    waits = []
    for _ in range(20):
        brake.failed("alice", "192.0.2.1")
        waits.append(brake.wait_s("alice", "192.0.2.1"))
    assert waits[:FREE_FAILURES] == [0] * FREE_FAILURES
    assert waits == sorted(waits)
    assert waits[-1] == MAX_DELAY_S
    assert brake.wait_s("alice", "192.0.2.2") == brake.wait_s("bob", "192.0.2.1") == 0
    clock.later_s = MAX_DELAY_S
    assert brake.wait_s("alice", "192.0.2.1") == 0
    brake.succeeded("alice", "192.0.2.1")
    brake.failed("alice", "192.0.2.1")
    assert brake.wait_s("alice", "192.0.2.1") == 0


async def test_unknown_account_wrong_password_and_disabled_account_are_one_answer(world: World) -> None:
    await world.add("alice@example.com")
    admin = await world.sign_in("admin", world.admin_password)
    answers = []
    for account, password in (("nobody", PASSWORD), ("alice@example.com", "wrong password!")):
        answers.append(await world.client.post("/sign-in", json={"account": account, "password": password}))
    await disable(world, admin, "alice@example.com")
    answers.append(await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD}))
    assert [one.status_code for one in answers] == [401] * 3
    assert len({(one.json()["code"], one.json()["detail"]) for one in answers}) == 1
    assert [one["type"] for one in await entries(world, "signin.failed")] == ["signin.failed"] * 2


async def entries(world: World, entry_type: str) -> list[dict[str, Any]]:
    rows = await world.services.store.read(lambda tx: tx.entries.page(types=frozenset({entry_type})))
    return [orjson.loads(row.content) for row in rows]


async def disable(world: World, admin: dict[str, str], account: str) -> None:
    found = await world.services.store.read(lambda tx: tx.principals.by_account("local", account))
    assert found is not None
    shown = await world.client.get(f"/principals/{found.id}", headers=admin)
    headers = {**admin, "If-Match": shown.headers["etag"]}
    done = await world.client.patch(f"/principals/{found.id}", json={"enabled": False}, headers=headers)
    assert done.status_code == 200, done.text


@pytest.mark.attack("AU-07")
async def test_disabling_ends_tokens_grants_and_requests_at_once(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    admin = await world.sign_in("admin", world.admin_password)
    grant = await world.approved(alice, bob)
    request = (await world.created("/requests", WISH, alice)).json()["id"]
    await disable(world, admin, "alice@example.com")
    assert (await world.client.get("/me", headers=alice)).status_code == 401
    ended = (await world.client.get(f"/grants/{grant}", headers=bob)).json()
    assert (ended["state"], ended["reason"]) == ("revoked", "the account was disabled")
    left = (await world.client.get(f"/requests/{request}", headers=bob)).json()
    assert (left["state"], left["cause"]) == ("cancelled", "deleted")


@pytest.mark.attack("AU-03")
async def test_an_access_token_ends_after_a_quarter_of_an_hour(world: World) -> None:
    alice = await world.add("alice@example.com")
    world.clock.later_s = 15 * 60
    answer = await world.client.get("/me", headers=alice)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_refresh_rotates_and_reuse_ends_the_chain(world: World) -> None:
    await world.add("alice@example.com")
    first = (await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})).json()
    second = (await world.client.post("/refresh", json={"refresh_token": first["refresh_token"]})).json()
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert (await world.client.get("/me", headers=headers)).status_code == 200
    stolen = await world.client.post("/refresh", json={"refresh_token": first["refresh_token"]})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "not_authenticated")
    assert (await world.client.get("/me", headers=headers)).status_code == 401
    ended = await world.client.post("/refresh", json={"refresh_token": second["refresh_token"]})
    assert ended.status_code == 401
    assert [one["data"]["cause"] for one in await entries(world, "token.revoked")] == ["refresh_reused"]


async def test_of_two_refreshes_at_once_one_wins(world: World) -> None:
    await world.add("alice@example.com")
    pair = (await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})).json()
    body = {"refresh_token": pair["refresh_token"]}
    answers = await asyncio.gather(*(world.client.post("/refresh", json=body) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]


@pytest.mark.attack("AU-03")
async def test_a_sign_in_lasts_twelve_hours_however_often_it_is_refreshed(world: World) -> None:
    await world.add("alice@example.com")
    pair = (await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})).json()
    world.clock.later_s = 11 * 3_600
    pair2 = (await world.client.post("/refresh", json={"refresh_token": pair["refresh_token"]})).json()
    assert pair2["refresh_expires_at"] == pair["refresh_expires_at"]
    world.clock.later_s = 12 * 3_600
    late = await world.client.post("/refresh", json={"refresh_token": pair2["refresh_token"]})
    assert late.status_code == 401


async def test_sign_out_ends_the_chain(world: World) -> None:
    alice = await world.add("alice@example.com")
    assert (await world.client.post("/sign-out", headers=alice)).status_code == 204
    assert (await world.client.get("/me", headers=alice)).status_code == 401


async def test_no_long_lived_token_can_review_and_none_makes_tokens(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    rights = ["requests.read", "requests.write", "logs.read", "policy.read", "audit.read"]
    body = {"label": "ci", "rights": rights, "expires_in_s": 3_600}
    issued = (await world.created("/tokens", body, bob)).json()
    token = {"Authorization": f"Bearer {issued['secret']}"}
    assert issued["secret"].startswith("llp_")
    request = (await world.created("/requests", WISH, alice)).json()
    match = {"If-Match": f'"{request["digest"]}"'}
    review = await world.created(f"/requests/{request['id']}/reviews", {"verdict": "approve"}, token, **match)
    assert (review.status_code, review.json()["code"]) == (403, "reviewer_not_human")
    more = await world.created("/tokens", body, token)
    assert (more.status_code, more.json()["code"]) == (403, "not_permitted")
    listed = (await world.client.get("/tokens", headers=bob)).json()["items"]
    assert [one["id"] for one in listed] == [issued["token"]["id"]]
    assert "secret" not in str(listed)
    assert (await world.client.delete(f"/tokens/{issued['token']['id']}", headers=alice)).status_code == 404
    assert (await world.client.delete(f"/tokens/{issued['token']['id']}", headers=bob)).status_code == 204
    assert (await world.client.get("/me", headers=token)).status_code == 401
    assert {one["data"]["token"] for one in await entries(world, "token.issued")} == {issued["token"]["id"]}


async def test_a_token_does_only_what_it_carries(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    body = {"label": "reader", "rights": ["requests.read"], "expires_in_s": 3_600}
    token = {"Authorization": f"Bearer {(await world.created('/tokens', body, alice)).json()['secret']}"}
    assert (await world.client.get("/requests", headers=token)).status_code == 200
    refused = await world.created("/requests", WISH, token)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert (await world.client.get("/audit/entries", headers=token)).status_code == 403


async def test_reading_a_grant_takes_the_right_to_read_requests_or_its_lines(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    paths = (f"/grants/{grant}", f"/grants/{grant}/usage", f"/sessions?grant={grant}")

    async def statuses(who: dict[str, str], *rights: str) -> list[int]:
        body = {"label": "one right", "rights": rights, "expires_in_s": 3_600}
        issued = (await world.created("/tokens", body, who)).json()
        token = {"Authorization": f"Bearer {issued['secret']}"}
        return [(await world.client.get(path, headers=token)).status_code for path in paths]

    assert await statuses(alice, "requests.read") == [200] * 3
    assert await statuses(bob, "requests.read") == [200] * 3
    assert await statuses(alice, "logs.read") == [200] * 3
    assert await statuses(bob, "logs.read") == [404] * 3
    assert await statuses(bob, "logs.read", "requests.read") == [200] * 3
    for right in ("requests.write", "policy.read", "audit.read"):
        assert await statuses(alice, right) == await statuses(bob, right) == [403] * 3


async def test_an_act_of_revocation_and_the_log_are_read_with_their_own_rights(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    request = (await world.client.get(f"/grants/{grant}", headers=alice)).json()["request"]
    tokens = {}
    for right in ("requests.read", "requests.write", "audit.read"):
        body = {"label": right, "rights": [right], "expires_in_s": 3_600}
        tokens[right] = {"Authorization": f"Bearer {(await world.created('/tokens', body, bob)).json()['secret']}"}
    done = await world.created("/revocations", {"on": f"grant:{grant}", "reason": "over"}, tokens["requests.write"])
    assert (done.status_code, done.json()["grants"]) == (201, [grant])
    for path, rights in (
        (f"/revocations/{done.json()['id']}", {"requests.read", "requests.write"}),
        (f"/revocations/{grant}", {"requests.read"}),
        (f"/audit/entries?grant={grant}", {"audit.read"}),
        (f"/audit/entries?request={request}", {"audit.read"}),
    ):
        answers = {right: await world.client.get(path, headers=token) for right, token in tokens.items()}
        assert {right for right, answer in answers.items() if answer.status_code == 200} == rights, path
        assert {answer.status_code for answer in answers.values()} == {200, 403}


async def test_new_tokens_and_roles_need_a_fresh_sign_in(world: World) -> None:
    await world.add("alice@example.com")
    pair = (await world.client.post("/sign-in", json={"account": "admin", "password": world.admin_password})).json()
    world.clock.later_s = 20 * 60
    pair = (await world.client.post("/refresh", json={"refresh_token": pair["refresh_token"]})).json()
    admin = {"Authorization": f"Bearer {pair['access_token']}"}
    token = {"label": "ci", "rights": ["logs.read"], "expires_in_s": 60}
    role = {"account": "sam", "password": PASSWORD, "roles": ["auditor"]}
    for path, body in (("/tokens", token), ("/principals", role)):
        answer = await world.created(path, body, admin)
        assert (answer.status_code, answer.json()["code"]) == (401, "step_up_required")
        assert "max_age=900" in answer.headers["www-authenticate"]
    plain = {"account": "sam", "password": PASSWORD}
    assert (await world.created("/principals", plain, admin)).status_code == 201


async def test_an_approval_needs_a_sign_in_of_today(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    me = (await world.client.get("/me", headers=bob)).json()
    assert me["may_review_until"] > me["signed_in_at"]
    known = await world.services.credentials.bearer(bob["Authorization"].removeprefix("Bearer "), Channel.API)
    assert known.caller.rights is None
    assert known.caller.signed_in_at == known.token.signed_in_at
    assert request["eligible"][0]["account"] == "bob@example.com"


async def test_a_grant_token_reads_that_grant_and_nothing_else(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant, other = await world.approved(alice, bob), await world.approved(alice, bob)
    body = {"kind": "grant", "label": "env", "grant": grant, "expires_in_s": 86_400 * 30}
    issued = (await world.created("/tokens", body, alice)).json()
    assert issued["secret"].startswith("llg_")
    shown = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
    assert issued["token"]["expires_at"] > shown["activate_by"]
    token = {"Authorization": f"Bearer {issued['secret']}"}
    assert (await world.client.get(f"/grants/{grant}", headers=token)).status_code == 200
    assert (await world.client.get(f"/grants/{other}", headers=token)).status_code == 404
    assert (await world.client.get("/requests", headers=token)).status_code == 403
    assert (await world.created("/tokens", {**body, "grant": grant}, bob)).status_code == 404
    await world.created("/revocations", {"on": f"grant:{grant}", "reason": "over"}, bob)
    assert (await world.client.get(f"/grants/{grant}", headers=token)).status_code == 401


@pytest.mark.attack("AU-08")
async def test_a_viewer_code_works_once_with_its_cookie_and_grant_for_half_a_minute(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant, other = GrantId(await world.approved(alice, bob)), GrantId(await world.approved(alice, bob))
    sign_ins, tokens, credentials = world.services.sign_ins, world.services.tokens, world.services.credentials
    one = (await sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")).cookie.text()
    two = (await sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")).cookie.text()
    known = await credentials.cookie(one)

    async def code() -> str:
        return (await tokens.viewer_code(grant, caller=known.caller, cookie=known.token)).text()

    first = await code()
    admitted = await credentials.viewer(first, grant=grant, cookie=one)
    assert admitted.caller.only_grant == grant
    for wrong in (
        {"code": first, "grant": grant, "cookie": one},
        {"code": await code(), "grant": grant, "cookie": two},
        {"code": await code(), "grant": other, "cookie": one},
    ):
        with pytest.raises(NotAuthenticated):
            await credentials.viewer(**wrong)  # type: ignore[arg-type]
    late = await code()
    world.clock.later_s = 30
    with pytest.raises(TokenExpired):
        await credentials.viewer(late, grant=grant, cookie=one)
    with pytest.raises(NotAuthenticated):
        await credentials.bearer(await code(), Channel.API)


async def test_a_refresh_token_or_cookie_is_no_bearer_token(world: World) -> None:
    await world.add("alice@example.com")
    pair = (await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})).json()
    cookie = (await world.services.sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")).cookie
    for text in (pair["refresh_token"], cookie.text()):
        answer = await world.client.get("/me", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401


async def test_a_new_password_ends_everything_else(world: World) -> None:
    alice = await world.add("alice@example.com")
    other = await world.sign_in("alice@example.com")
    body = {"password": PASSWORD, "new_password": "an even better sentence"}
    wrong = await world.client.post("/me/password", json={**body, "password": "not the present one"}, headers=alice)
    assert wrong.status_code == 401
    weak = await world.client.post("/me/password", json={**body, "new_password": "short"}, headers=alice)
    assert (weak.status_code, weak.json()["code"]) == (422, "invalid_field")
    assert (await world.client.post("/me/password", json=body, headers=alice)).status_code == 204
    assert (await world.client.get("/me", headers=other)).status_code == 401
    await world.sign_in("alice@example.com", "an even better sentence")


async def test_a_generated_password_is_shown_once_and_is_to_be_changed(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    headers = {**admin, "Idempotency-Key": "add-bob"}
    added = await world.client.post("/principals", json={"account": "bob@example.com"}, headers=headers)
    again = await world.client.post("/principals", json={"account": "bob@example.com"}, headers=headers)
    assert again.json()["principal"] == added.json()["principal"]
    assert "password" not in again.json()
    signed = await world.client.post(
        "/sign-in", json={"account": "bob@example.com", "password": added.json()["password"]}
    )
    assert signed.json()["must_change_password"] is True


async def test_administrators_do_not_change_themselves_and_changes_name_what_they_saw(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    me = (await world.client.get("/me", headers=admin)).json()["principal"]["id"]
    path = f"/principals/{me}"
    etag = (await world.client.get(path, headers=admin)).headers["etag"]
    own = await world.client.patch(path, json={"roles": []}, headers={**admin, "If-Match": etag})
    assert (own.status_code, own.json()["code"]) == (403, "not_permitted")
    blind = await world.client.patch(path, json={"name": "Root"}, headers=admin)
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")
    stale = await world.client.patch(path, json={"name": "Root"}, headers={**admin, "If-Match": '"0123"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")


async def test_agents_have_an_owner_and_their_tokens_expire(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    owner = (await world.client.get("/me", headers=alice)).json()["principal"]["id"]
    admin = await world.sign_in("admin", world.admin_password)
    lonely = await world.created("/principals", {"account": "bot", "kind": "agent"}, admin)
    assert (lonely.status_code, lonely.json()["code"]) == (422, "invalid_field")
    body = {"account": "bot", "kind": "agent", "owner": owner}
    bot = (await world.created("/principals", body, admin)).json()["principal"]
    wanted = {"kind": "service", "label": "bot", "rights": ["requests.read", "requests.write"], "expires_in_s": 60}
    issued = await world.created("/tokens", {**wanted, "principal": bot["id"]}, alice)
    assert issued.json()["secret"].startswith("lls_")
    token = {"Authorization": f"Bearer {issued.json()['secret']}"}
    assert (await world.client.get("/me", headers=token)).json()["principal"]["kind"] == "agent"
    bobs = await world.sign_in("bob@example.com")
    for named in (bot["id"], "bot", "BOT", "alice@example.com", "nobody"):
        foreign = await world.created("/tokens", {**wanted, "principal": named}, bobs)
        assert (foreign.status_code, foreign.json()["code"]) == (422, "invalid_field")
        assert foreign.json()["detail"] == f"There is no agent or service {named!r} of yours."
    by_name = await world.created("/tokens", {**wanted, "principal": "Bot"}, alice)
    assert by_name.json()["token"]["kind"] == "service"
    by_admin = await world.created("/tokens", {**wanted, "principal": "bot"}, admin)
    assert by_admin.status_code == 201


async def test_until_a_generated_password_is_changed_nothing_else_can_be_done(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    password = (await world.created("/principals", {"account": "bob@example.com"}, admin)).json()["password"]
    bob = await world.sign_in("bob@example.com", password)
    refused = [
        await world.client.get("/requests", headers=bob),
        await world.client.get("/tokens", headers=bob),
        await world.client.get("/events", headers=bob),
        await world.created("/requests", WISH, bob),
        await world.created("/tokens", {"label": "x", "rights": ["logs.read"], "expires_in_s": 60}, bob),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "password_change_required")] * 5
    assert "--new-password" in refused[0].json()["next"][0]["text"]
    with pytest.raises(PasswordChangeRequired):
        await world.services.credentials.bearer(bob["Authorization"].removeprefix("Bearer "), Channel.API)
    assert (await world.client.get("/me", headers=bob)).json()["must_change_password"] is True
    assert (await world.client.post("/sign-out", headers=bob)).status_code == 204
    bob = await world.sign_in("bob@example.com", password)
    body = {"password": password, "new_password": PASSWORD}
    assert (await world.client.post("/me/password", json=body, headers=bob)).status_code == 204
    bob = await world.sign_in("bob@example.com")
    assert (await world.client.get("/requests", headers=bob)).status_code == 200


async def test_a_password_is_reset_by_an_administrator_and_all_sign_ins_end(world: World) -> None:
    alice = await world.add("alice@example.com")
    mallory = await world.add("mallory@example.com", roles=(Role.AUDITOR,))
    admin = await world.sign_in("admin", world.admin_password)
    me = (await world.client.get("/me", headers=alice)).json()["principal"]["id"]
    path = f"/principals/{me}/password"
    for who in (alice, mallory):
        assert (await world.client.post(path, json={}, headers=who)).json()["code"] == "not_permitted"
    done = await world.client.post(path, json={}, headers=admin)
    assert (done.status_code, done.json()["principal"]["id"]) == (200, me)
    assert (await world.client.get("/me", headers=alice)).status_code == 401
    old = await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})
    assert old.status_code == 401
    again = await world.sign_in("alice@example.com", done.json()["password"])
    assert (await world.client.get("/me", headers=again)).json()["must_change_password"] is True
    changes = [one["data"]["change"] for one in await entries(world, "principal.changed")]
    assert changes.count("password") == 1


async def test_whose_password_is_not_reset(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    me = (await world.client.get("/me", headers=admin)).json()["principal"]["id"]
    own = await world.client.post(f"/principals/{me}/password", json={}, headers=admin)
    assert (own.status_code, "--new-password" in own.json()["next"][0]["text"]) == (403, True)
    body = {"account": "bot", "kind": "service", "owner": me}
    bot = (await world.created("/principals", body, admin)).json()["principal"]["id"]
    none = await world.client.post(f"/principals/{bot}/password", json={}, headers=admin)
    assert (none.status_code, none.json()["detail"]) == (422, "bot has no password.")
    await world.add("alice@example.com")
    principals = (await world.services.store.read(lambda tx: tx.principals.directory())).principals.values()
    root, alice = (next(one for one in principals if one.account == name) for name in ("admin", "alice@example.com"))
    long_ago = after(world.services.clock.now(), -STEP_UP_S - 1)
    with pytest.raises(StepUpRequired):
        await world.services.accounts.reset_password(
            alice.id, caller=Caller(principal=root, channel=Channel.CLI, signed_in_at=long_ago)
        )


@pytest.mark.attack("AU-07")
async def test_disabling_a_person_ends_their_agents_until_somebody_answers_for_them(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    policy = default_files(["files"])["policy.yaml"].decode()
    policy = policy.replace("kinds: [human], any_of: [group:everybody]", "kinds: [agent], any_of: [group:bots]")
    (rules / "policy.yaml").write_text(policy.replace("groups: [approvers]", "groups: [approvers, bots]"))
    async with world_in(tmp_path, policy={"directory": str(rules)}) as world:
        alice = await world.add("alice@example.com")
        bob = await world.add("bob@example.com", groups=("approvers",))
        admin = await world.sign_in("admin", world.admin_password)
        owner = (await world.client.get("/me", headers=alice)).json()["principal"]["id"]
        body = {"account": "bot", "kind": "agent", "owner": owner, "groups": ["bots"]}
        bot = (await world.created("/principals", body, admin)).json()["principal"]["id"]
        rights = ["requests.read", "requests.write", "logs.read"]
        wanted = {"kind": "service", "label": "bot", "rights": rights, "expires_in_s": 600, "principal": bot}
        secret = (await world.created("/tokens", wanted, alice)).json()["secret"]
        token = {"Authorization": f"Bearer {secret}"}
        grant = await world.approved(token, bob)
        pending = (await world.created("/requests", WISH, token)).json()["id"]

        await disable(world, admin, "alice@example.com")

        assert (await world.client.get("/me", headers=token)).status_code == 401
        ended = (await world.client.get(f"/grants/{grant}", headers=bob)).json()
        assert (ended["state"], ended["reason"]) == ("revoked", "the account was disabled")
        assert (await world.client.get(f"/requests/{pending}", headers=bob)).json()["state"] == "cancelled"
        changes = [one["data"]["change"] for one in await entries(world, "principal.changed")]
        assert changes.count("disabled") == 2

        # Nobody answers for it, so it cannot be enabled, nor a new one be made.
        shown = await world.client.get(f"/principals/{bot}", headers=admin)
        headers = {**admin, "If-Match": shown.headers["etag"]}
        early = await world.client.patch(f"/principals/{bot}", json={"enabled": True}, headers=headers)
        assert (early.status_code, early.json()["code"]) == (403, "not_permitted")
        another = await world.created("/principals", {**body, "account": "bot2"}, admin)
        assert (another.status_code, another.json()["code"]) == (422, "invalid_field")
        shown = await world.client.get(f"/principals/{owner}", headers=admin)
        back = {**admin, "If-Match": shown.headers["etag"]}
        assert (await world.client.patch(f"/principals/{owner}", json={"enabled": True}, headers=back)).is_success
        assert (await world.client.patch(f"/principals/{bot}", json={"enabled": True}, headers=headers)).is_success
        assert (await world.client.get("/me", headers=token)).status_code == 401


async def test_failures_are_recorded_one_by_one_and_then_together(tmp_path: Path) -> None:
    async with world_in(tmp_path, limits={"failed_sign_ins_per_min": 10_000}) as world:
        sign_ins = world.services.sign_ins
        sign_ins.failed_per_min = None
        world.clock.later_s = 60 - (world.services.clock.now() // 1_000_000) % 60
        for number in range(25):
            with pytest.raises(NotAuthenticated):
                await sign_ins.sign_in(f"nobody{number}", PASSWORD, address="192.0.2.1")
        world.clock.later_s += 60
        with pytest.raises(NotAuthenticated):
            await sign_ins.sign_in("nobody", PASSWORD, address="192.0.2.2")
        counts = sorted(one["data"]["count"] for one in await entries(world, "signin.failed"))
        assert sum(counts) == 26
        assert counts[-1] == 15


async def test_an_address_has_so_many_failures_a_minute(tmp_path: Path) -> None:
    async with world_in(tmp_path, limits={"enforced": True, "failed_sign_ins_per_min": 3}) as world:
        sign_ins = world.services.sign_ins
        world.clock.later_s = 60 - (world.services.clock.now() // 1_000_000) % 60
        for number in range(3):
            with pytest.raises(NotAuthenticated):
                await sign_ins.sign_in(f"nobody{number}", PASSWORD, address="192.0.2.1")
        with pytest.raises(RateLimited) as refused:
            await sign_ins.sign_in("admin", world.admin_password, address="192.0.2.1")
        assert refused.value.retry_after_s > 0
        assert (await sign_ins.sign_in("admin", world.admin_password, address="192.0.2.9")).principal.account == "admin"


async def test_the_first_password_leaves_its_file_at_the_first_sign_in(world: World) -> None:
    path = world.services.data_dir / "admin-password"
    path.write_text(world.admin_password)
    await world.add("alice@example.com")
    assert path.exists()
    await world.sign_in("admin", world.admin_password)
    assert not path.exists()
    assert await world.services.accounts.first_admin() is None


async def test_the_first_admin_has_a_role_and_nobody_else_gets_it_by_name(world: World) -> None:
    found = await world.services.store.read(lambda tx: tx.principals.by_account("local", "admin"))
    assert found is not None
    assert found.roles == {Role.ADMIN}


def test_cookies_are_strict_under_tls_and_named_apart() -> None:
    plain, secure = set_cookie("v", tls=False, max_age_s=5), set_cookie("v", tls=True, max_age_s=5)
    assert plain == "loglease=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=5"
    assert secure == "__Host-loglease=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=5; Secure"
    assert cookie_of("a=1; loglease=x", tls=False) == "x"
    assert cookie_of("a=1; loglease=x", tls=True) is None
    assert cookie_of("loglease=x; loglease=y", tls=False) is None
    assert cookie_of(None, tls=False) is None


def test_the_form_token_belongs_to_one_session() -> None:
    one, two = new_secret(secrets.WEB, system_random).text(), new_secret(secrets.WEB, system_random).text()
    assert csrf_fits(one, csrf_token(one))
    assert not csrf_fits(one, csrf_token(two))
    assert not csrf_fits(one, None)


async def test_a_token_sees_and_ends_no_other_token_of_its_owner_but_may_end_itself(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    wanted = {"rights": ["logs.read"], "expires_in_s": 600}
    other = (await world.created("/tokens", {**wanted, "label": "other"}, admin)).json()["token"]["id"]
    issued = (await world.created("/tokens", {**wanted, "label": "ci"}, admin)).json()
    token = {"Authorization": f"Bearer {issued['secret']}"}
    refused = [
        await world.client.get("/tokens", headers=token),
        await world.client.delete(f"/tokens/{other}", headers=token),
    ]
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "not_permitted")] * 2
    assert (await world.client.delete(f"/tokens/{issued['token']['id']}", headers=token)).status_code == 204
    assert (await world.client.get("/me", headers=token)).status_code == 401
    listed = (await world.client.get("/tokens", headers=admin)).json()["items"]
    assert [one["id"] for one in listed] == [other]


async def test_a_token_with_the_right_admin_looks_after_tokens(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    wanted = {"expires_in_s": 600, "label": "x"}
    other = (await world.created("/tokens", {**wanted, "rights": ["logs.read"]}, admin)).json()["token"]["id"]
    issued = (await world.created("/tokens", {**wanted, "rights": ["admin"]}, admin)).json()
    token = {"Authorization": f"Bearer {issued['secret']}"}
    assert (await world.client.delete(f"/tokens/{other}", headers=token)).status_code == 204
    listed = (await world.client.get("/tokens", headers=token)).json()["items"]
    assert [one["id"] for one in listed] == [issued["token"]["id"]]
