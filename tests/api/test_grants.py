from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.api.world import WISH, World

from loglease.model.principal import Role
from loglease.store.interface import StoreUnavailable


async def test_a_revocation_is_answered_within_a_second_and_again_with_the_same(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    body = {"on": f"grant:{grant}", "reason": "incident over"}
    headers = {**bob, "Idempotency-Key": "r"}
    started = world.clock.boot_ns()
    first = await world.client.post("/revocations", json=body, headers=headers)
    assert world.clock.boot_ns() - started < 1_500_000_000
    assert first.status_code == 201
    assert first.json()["durable"] is True
    assert (first.json()["grants"], first.json()["sessions_ending"]) == ([grant], [])
    again = await world.client.post("/revocations", json=body, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    later = await world.client.post(f"/grants/{grant}/revoke", json={"reason": "again"}, headers=bob)
    assert (later.status_code, later.json()["at"]) == (200, first.json()["at"])
    shown = await world.client.get(f"/revocations/{first.json()['id']}", headers=bob)
    assert shown.json()["grants"] == [grant]
    state = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
    assert (state["state"], state["reason"], state["ended_by"]["account"]) == (
        "revoked",
        "incident over",
        "bob@example.com",
    )
    used = await world.client.post(f"/grants/{grant}/activate", headers=alice)
    assert (used.status_code, used.json()["code"]) == (409, "grant_ended")


async def test_without_the_database_a_revocation_is_journalled_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)

    async def lost(*_args: object) -> None:
        raise StoreUnavailable("The disk is gone.")

    monkeypatch.setattr(type(world.services.store), "group", lost)
    answer = await world.client.post(f"/grants/{grant}/revoke", json={"reason": "now"}, headers=bob)
    assert (answer.status_code, answer.json()["durable"]) == (202, False)
    assert [one.grants for one in world.services.journal.records()] == [(grant,)]
    refused = await world.created("/requests", WISH, alice)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]


async def test_without_the_database_a_grant_is_suspended_and_an_account_is_locked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
    admin = await world.sign_in("admin", world.admin_password)
    grant = await world.approved(alice, bob)
    who = (await world.client.get("/principals", headers=admin)).json()["items"]
    (login,) = [one["id"] for one in who if one["account"] == "alice"]
    present = await world.client.get(f"/principals/{login}", headers=admin)

    async def lost(*_args: object) -> None:
        raise StoreUnavailable("The database failed.")

    monkeypatch.setattr(type(world.services.store), "group", lost)
    suspended = await world.client.post(f"/grants/{grant}/suspend", json={"reason": "odd"}, headers=bob)
    assert (suspended.status_code, suspended.json()["state"]) == (202, "suspended")
    refused = await world.client.patch(
        f"/principals/{login}", json={"enabled": False}, headers=admin | {"If-Match": present.headers["etag"]}
    )
    assert refused.status_code == 503
    assert "locked instead" in refused.json()["detail"]
    kinds = [record.kind for record in world.services.journal.records()]
    assert kinds == ["suspend", "lock", "revoke"]


async def test_a_preview_names_what_a_revocation_ends_and_is_refused_like_it(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    sam = await world.add("sam@example.com", roles=(Role.AUDITOR,))
    admin = await world.sign_in("admin", world.admin_password)
    grant = await world.approved(alice, bob)
    pending = (await world.created("/requests", WISH, alice)).json()["id"]

    async def preview(on: str, who: dict[str, str]) -> Any:
        return (await world.client.get("/revocations/preview", params={"on": on}, headers=who)).json()

    for on in ("person:alice@example.com", "person:nobody", "group:approvers", "source:files", "everything"):
        for who in (alice, bob, sam):
            assert (await preview(on, who))["code"] == "not_permitted"
    assert (await preview(f"grant:{grant}", sam))["code"] == "not_permitted"
    assert (await preview("person:nobody", admin))["code"] == "not_found"
    found = await preview("person:alice@example.com", admin)
    assert ([one["id"] for one in found["grants"]], found["requests"]) == ([grant], [pending])
    assert found["on"].startswith("person:per_")
    assert [one["id"] for one in (await preview("source:files", admin))["grants"]] == [grant]
    assert (await preview("group:approvers", admin))["grants"] == []
    assert [one["id"] for one in (await preview(f"grant:{grant}", bob))["grants"]] == [grant]
    assert (await preview(f"request:{pending}", bob))["requests"] == [pending]
    shown = await world.client.get(f"/grants/{grant}", headers=alice)
    assert shown.json()["state"] == "scheduled", "nothing was taken away"


async def test_a_suspended_grant_is_resumed_by_somebody_else(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    held = await world.client.post(f"/grants/{grant}/suspend", json={"reason": "look"}, headers=bob)
    assert (held.json()["state"], held.json()["holds"][0]["reason"]) == ("suspended", "look")
    shown = await world.client.get(f"/grants/{grant}", headers=alice)
    assert shown.json()["holds"][0]["by"]["account"] == "bob@example.com"
    used = await world.client.post(f"/grants/{grant}/activate", headers=alice)
    assert (used.status_code, used.json()["code"]) == (409, "grant_not_active")
    own = await world.client.post(f"/grants/{grant}/resume", json={"reason": "mine"}, headers=alice)
    assert (own.status_code, own.json()["code"]) == (403, "not_permitted")
    resumed = await world.client.post(f"/grants/{grant}/resume", json={"reason": "it was right"}, headers=bob)
    assert resumed.json()["state"] == "scheduled"


async def test_a_locked_person_can_do_nothing_until_it_is_lifted(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    admin = await world.sign_in("admin", world.admin_password)
    lock = await world.created("/locks", {"on": "person:alice@example.com", "reason": "left"}, admin)
    assert (lock.status_code, lock.json()["in_force"]) == (201, True)
    assert (await world.client.get("/me", headers=alice)).status_code == 401
    again = await world.client.post(
        "/sign-in", json={"account": "alice@example.com", "password": "correct horse battery staple"}
    )
    assert (again.status_code, again.json()["code"]) == (403, "locked")
    assert (await world.client.get(f"/grants/{grant}", headers=bob)).json()["state"] == "suspended"
    lifted = await world.client.post(f"/locks/{lock.json()['id']}/lift", json={"reason": "mistake"}, headers=admin)
    assert lifted.json()["in_force"] is False
    back = await world.sign_in("alice@example.com")
    assert (await world.client.get(f"/grants/{grant}", headers=back)).json()["state"] == "scheduled"


async def test_requests_and_grants_end_by_the_clock_without_a_sweeper(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    request = (await world.created("/requests", WISH, alice)).json()
    world.clock.later_s = 9 * 3_600
    bob = await world.sign_in("bob@example.com")
    assert (await world.client.get(f"/grants/{grant}", headers=bob)).json()["state"] == "ended"
    assert (await world.client.get(f"/requests/{request['id']}", headers=bob)).json()["state"] == "expired"
    late = await world.created(
        f"/requests/{request['id']}/reviews", {"verdict": "approve"}, bob, **{"If-Match": f'"{request["digest"]}"'}
    )
    assert (late.status_code, late.json()["code"]) == (409, "request_not_pending")


@pytest.mark.attack("AP-06")
async def test_racing_approvals_make_one_grant(world: World) -> None:
    alice = await world.add("alice@example.com")
    people = [await world.add(f"bob{number}@example.com", groups=("approvers",)) for number in range(4)]
    request = (await world.created("/requests", WISH, alice)).json()
    path, match = f"/requests/{request['id']}/reviews", {"If-Match": f'"{request["digest"]}"'}
    answers = await asyncio.gather(*(world.created(path, {"verdict": "approve"}, one, **match) for one in people))
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409]
    grants = (await world.client.get("/grants", headers=alice)).json()["items"]
    assert len(grants) == 1
