"""More time over REST: the draft, what is refused, and how a grant says how it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.world import SCOPE, WISH, World

from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.policies import rules_of

LONGER = "the second node shows the same fault"


@pytest.fixture
async def people(world: World) -> tuple[dict[str, str], dict[str, str]]:
    """Let the policy extend grants, and return who asks and who approves."""
    services = world.services
    files = default_files(services.sources)
    policy = files[POLICY_FILE]
    assert b"extend:" not in policy
    files[POLICY_FILE] = policy.replace(
        b"  redaction: pii-default\n", b"  redaction: pii-default\n  extend: {times: 1, by: 20m}\n"
    )
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)
    await services.watch.poll()
    return await world.add("alice@example.com"), await world.add("bob@example.com", groups=("approvers",))


async def approved(world: World, request: dict[str, Any], who: dict[str, str]) -> str:
    answer = await world.created(
        f"/requests/{request['id']}/reviews", {"verdict": "approve"}, who, **{"If-Match": f'"{request["digest"]}"'}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["grant"])


async def test_an_extension_goes_from_draft_to_grant(world: World, people: Any) -> None:
    alice, bob = people
    grant = await world.approved(alice, bob)
    active = (await world.client.post(f"/grants/{grant}/activate", headers=alice)).json()
    assert active["extension"] == {"left": 1, "by_s": 1_200}
    draft = {"extends": grant, "reason": LONGER}
    offers = (await world.client.post("/offers", json=draft, headers=alice)).json()
    assert [(one["policy"], one["duration_s"]) for one in offers["offers"]] == [("default", 1_200)]
    request = (await world.created("/requests", draft, alice)).json()
    assert (request["state"], request["extends"]) == ("pending", grant)
    again = await world.created("/requests", draft, alice)
    assert (again.status_code, again.json()["code"]) == (409, "extension_exists")
    waiting = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
    assert waiting["extension"]["request"] == request["id"]
    extension = await approved(world, request, bob)
    shown = (await world.client.get(f"/grants/{extension}", headers=alice)).json()
    assert (shown["state"], shown["extends"], shown["starts_at"]) == ("scheduled", grant, active["valid_until"])
    early = await world.client.post(f"/grants/{extension}/activate", headers=alice)
    assert (early.status_code, early.json()["code"]) == (409, "grant_not_active")
    followed = (await world.client.get(f"/grants/{grant}", headers=bob)).json()["extension"]
    assert followed == {"left": 1, "by_s": 1_200, "grant": extension}
    preview = await world.client.get(f"/revocations/preview?on=grant:{grant}", headers=bob)
    assert {one["id"] for one in preview.json()["grants"]} == {grant, extension}
    world.clock.later_s += active["duration_s"]
    alice = await world.sign_in("alice@example.com")
    begun = (await world.client.post(f"/grants/{extension}/activate", headers=alice)).json()
    assert (begun["state"], begun["valid_from"]) == ("active", active["valid_until"])
    assert begun["extension"] == {"left": 0, "by_s": 1_200}
    more = await world.created("/requests", {"extends": extension, "reason": LONGER}, alice)
    assert (more.status_code, more.json()["code"]) == (403, "extension_not_allowed")
    assert "loglease request --like" in more.json()["next"][0]["text"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reason": ""}, 422, "reason_required"),
        ({"break_glass": True}, 422, "scope_invalid"),
        ({"extends": "grt_01JDC91T7KT9YV2K3R5W7X87XK"}, 404, "not_found"),
        ({"extends": "grt_1"}, 422, "invalid_field"),
        ({"scopes": [SCOPE | {"selector": '{service="pay-web"}'}]}, 422, "narrowing_not_subset"),
        ({"scopes": [SCOPE | {"window": {"lookback_s": 7_200}}]}, 422, "narrowing_not_subset"),
    ],
)
async def test_what_is_refused_says_why(
    world: World, people: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    alice, bob = people
    grant = await world.approved(alice, bob)
    await world.client.post(f"/grants/{grant}/activate", headers=alice)
    answer = await world.created("/requests", {"extends": grant, "reason": LONGER, **changes}, alice)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_without_a_word_of_policy_there_is_none(world: World) -> None:
    alice, bob = await world.add("alice@example.com"), await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    active = (await world.client.post(f"/grants/{grant}/activate", headers=alice)).json()
    assert "extension" not in active
    answer = await world.created("/requests", {"extends": grant, "reason": LONGER}, alice)
    assert (answer.status_code, answer.json()["code"]) == (403, "extension_not_allowed")


async def test_only_its_holder_extends_a_grant(world: World, people: Any) -> None:
    alice, bob = people
    grant = await world.approved(alice, bob)
    await world.client.post(f"/grants/{grant}/activate", headers=alice)
    answer = await world.created("/requests", {"extends": grant, "reason": LONGER}, bob)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_reveal_extends_nothing(world: World, people: Any) -> None:
    alice, bob = people
    grant = await world.approved(alice, bob)
    line = {"ts": "1", "labels": {}, "line": "⟦email:q3f7k2p9xa⟧ x"}
    reveal = {"grant": grant, "token": "⟦email:q3f7k2p9xa⟧", "line": line}
    answer = await world.created("/requests", {**WISH, "scopes": [], "reveal": reveal, "extends": grant}, alice)
    assert (answer.status_code, answer.json()["code"]) == (422, "scope_invalid")
