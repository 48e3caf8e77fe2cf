"""Explanations over REST: of drafts and of requests, to whom they are told, and that looking at others is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.world import SCOPE, WISH, World, world_in

from loglease.model.principal import Role
from loglease.policy.explanation_text import text_of
from loglease.server.policies import rules_of

OWNED = """\
api: loglease/v1
kind: AccessPolicy
id: vault
title: Vault logs
owner: group:vault-owners
who: {any_of: [group:vault-team]}
scopes: [{sources: [files], labels: {service: vault}, lookback: 1h}]
when: req.duration <= duration("10m")
grant: {duration: {max: 1h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:approvers], need: 1}]}]
"""
OPEN = """\
api: loglease/v1
kind: Catalog
id: main
names:
  groups: [approvers, vault-team, vault-owners]
  sources: [files]
labels: {service: string}
redaction: {secrets: [], pii-default: [secrets]}
---
api: loglease/v1
kind: AccessPolicy
id: everyday
title: Everyday debugging
who: {any_of: [group:everybody]}
scopes: [{sources: [files], labels: {service: [pay-api, pay-web]}, lookback: 6h, live: true}]
ask: {reason: {min: 10}}
grant: {duration: {default: 30m, max: 1h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:approvers], need: 1}]}]
"""
LONG: dict[str, Any] = {**WISH, "scopes": [{**SCOPE, "window": {"lookback_s": 30_000}}]}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        put_in_force(made, OPEN, OWNED)
        yield made


def put_in_force(world: World, *documents: str, revision: int = 7) -> None:
    services = world.services
    files = {"policies.yaml": "---\n".join(documents).encode()}
    services.rules.current = rules_of(
        files, services.sources, library=services.library.current, revision=revision, settings=services.settings
    )


async def asked(world: World, who: dict[str, str], body: dict[str, Any] = WISH, **more: Any) -> httpx2.Response:
    return await world.client.post("/policies/explain", json={**body, **more}, headers=who)


async def test_an_own_draft_is_explained_with_what_would_help(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    found = (await asked(world, alice, LONG)).json()
    assert (found["outcome"], found["next"]) == ("deny", ["narrow"])
    assert found["narrow_to"][0]["scopes"][0]["selector"] == '{service="pay-api"}'
    assert [one["id"] for one in found["policies"]] == ["everyday"]
    assert "at" not in found["policies"][0]
    assert text_of(found).startswith("DENIED  bundle 7 sha256:")
    offered = (await asked(world, alice, duration_s=7_200)).json()
    assert offered["asked"]["duration"] == "PT2H"
    assert [(one["policy"], one["duration"]) for one in offered["offers"]] == [("everyday", "PT1H")]


async def test_what_is_hidden_changes_no_byte_of_it(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))

    async def seen(body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await asked(world, alice, body)).json()
        found.pop("bundle")
        for one in [found["asked"], *found.get("narrow_to", [])]:
            for scope in one["scopes"]:
                assert scope.pop("from_ns")
                scope.pop("to_ns", None)
                scope.pop("words")
        return found

    before = [await seen(WISH), await seen(LONG)]
    put_in_force(world, OWNED.replace("Vault logs", "Secret vault").replace("10m", "5m"), OPEN, revision=8)
    await world.add("carol@example.com", groups=("vault-team",))
    assert [await seen(WISH), await seen(LONG)] == before
    put_in_force(world, OPEN, revision=9)
    assert [await seen(WISH), await seen(LONG)] == before


@pytest.mark.answers_lost("explaining.record_look")
async def test_others_are_explained_to_those_who_look_after_policy_and_that_is_recorded(world: World) -> None:
    await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    for account, role in (("olga@example.com", Role.AUDITOR), ("pat@example.com", Role.POLICY_ADMIN)):
        looker = await world.add(account, roles=(role,))
        found = await asked(world, looker, principal="alice@example.com")
        assert found.status_code == 200, found.text
        assert found.json()["asked"]["by"] == "alice@example.com"
        assert [one["id"] for one in found.json()["policies"]] == ["everyday", "vault"]
        assert all(one["at"].startswith("policies.yaml:") for one in found.json()["policies"])
    admin = await world.sign_in("admin", world.admin_password)
    entries = (await world.client.get("/audit/entries?type=report.made", headers=admin)).json()["items"]
    assert [one["data"]["report"] for one in entries] == ["explanation", "explanation"]
    assert all("question_c" in one["data"] for one in entries)


async def test_own_looks_are_not_recorded(world: World) -> None:
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    assert (await asked(world, olga, principal="olga@example.com")).status_code == 200
    assert (await asked(world, olga)).json()["policies"][1]["id"] == "vault"
    entries = (await world.client.get("/audit/entries?type=report.made", headers=olga)).json()["items"]
    assert entries == []


async def test_nothing_is_told_of_others_where_it_cannot_be_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loglease.audit.interface import AuditUnavailable

    await world.add("alice@example.com")
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))

    async def refuse(_log: object, _work: object) -> None:
        raise AuditUnavailable("The audit log does not answer.")

    monkeypatch.setattr(type(world.services.log), "commit", refuse)
    found = await asked(world, olga, principal="alice@example.com")
    assert (found.status_code, found.json()["code"]) == (503, "audit_unavailable")
    assert "policies" not in found.json()
    assert (await asked(world, olga)).status_code == 200


async def test_an_owner_sees_of_others_what_is_theirs(world: World) -> None:
    await world.add("alice@example.com")
    owner = await world.add("vera@example.com", groups=("vault-owners",))
    found = (await asked(world, owner, principal="alice@example.com")).json()
    assert [one["id"] for one in found["policies"]] == ["vault"]
    assert not {"next", "narrow_to", "refusal"} & set(found)
    own = (await asked(world, owner)).json()
    assert [one["id"] for one in own["policies"]] == ["everyday", "vault"]


async def test_nobody_else_learns_of_others_not_even_whether_they_exist(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    for name in ("bob@example.com", "nobody@example.com"):
        found = await asked(world, alice, principal=name)
        assert (found.status_code, found.json()["code"]) == (403, "not_permitted")
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    found = await asked(world, olga, principal="nobody@example.com")
    assert (found.status_code, found.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "scope_invalid"),
        ({"scopes": []}, "scope_invalid"),
        ({"scopes": [SCOPE], "principal": ""}, "invalid_field"),
        ({"scopes": [SCOPE], "principal": "a\u0000b"}, "malformed"),
        ({"scopes": [SCOPE], "viewer": "auditor"}, "unknown_field"),
        ({"scopes": [{**SCOPE, "source": "nowhere"}]}, "scope_invalid"),
        ({"scopes": [{**SCOPE, "selector": '{service=~"(a+)+$"}'}]}, "scope_undecidable"),
        ({"scopes": [{**SCOPE, "selector": '{pod="x"}'}]}, "label_not_requestable"),
        ({"scopes": [SCOPE], "duration_s": 0}, "invalid_field"),
        ({"scopes": [SCOPE], "duration_s": 10**13}, "invalid_field"),
        (
            {
                "reveal": {
                    "grant": f"grt_{'0' * 26}",
                    "token": "⟦email:q3f7k2p9xa⟧",
                    "line": {"ts": "1", "labels": {}, "line": "x"},
                }
            },
            "scope_invalid",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/policies/explain", "/policies/who-can"])
async def test_hostile_drafts_are_refused(world: World, path: str, body: dict[str, Any], code: str) -> None:
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    if path.endswith("who-can") and "principal" in body:
        code = "malformed" if code == "malformed" else "unknown_field"
    found = await world.client.post(path, json=body, headers=olga)
    assert found.json()["code"] == code, found.text
    assert found.status_code in (400, 422)


async def test_who_can_says_to_whom_a_scope_would_be_offered(world: World) -> None:
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    found = (await world.client.post("/policies/who-can", json=WISH, headers=olga)).json()
    assert [(one["id"], one["for"], one["outcome"]) for one in found["policies"]] == [
        ("everyday", ["group:everybody"], "review"),
        ("vault", ["group:vault-team"], "deny"),
    ]
    assert found["policies"][0]["duration"] == "PT30M"
    alice = await world.add("alice@example.com")
    refused = await world.client.post("/policies/who-can", json=WISH, headers=alice)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


async def test_a_request_is_explained_to_each_as_far_as_they_may_know(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    mallory = await world.add("mallory@example.com")
    request = (await world.created("/requests", WISH, alice)).json()

    async def told(who: dict[str, str]) -> httpx2.Response:
        return await world.client.get(f"/requests/{request['id']}/explain", headers=who)

    own = (await told(alice)).json()
    assert own["policy"] == "everyday"
    assert own["explained"]["outcome"] == "offer"
    assert own["explained"]["next"] == []
    assert [one["id"] for one in own["explained"]["policies"]] == ["everyday"]
    approver = (await told(bob)).json()["explained"]
    assert [one["policy"] for one in approver["offers"]] == ["everyday"]
    assert "next" not in approver
    auditor = (await told(olga)).json()["explained"]
    assert [one["id"] for one in auditor["policies"]] == ["everyday", "vault"]
    assert (await told(mallory)).status_code == 404


async def test_a_request_is_explained_by_what_was_known_when_it_was_submitted(world: World) -> None:
    alice = await world.add("alice@example.com", groups=("vault-team",))
    await world.add("bob@example.com", groups=("approvers",))
    body = {**WISH, "scopes": [{**SCOPE, "selector": '{service="vault"}'}], "duration_s": 600}
    request = (await world.created("/requests", body, alice)).json()
    admin = await world.sign_in("admin", world.admin_password)
    found = (await world.client.get("/principals", headers=admin)).json()["items"]
    me = next(one for one in found if one["account"] == "alice@example.com")
    tag = (await world.client.get(f"/principals/{me['id']}", headers=admin)).headers["etag"]
    changed = await world.client.patch(
        f"/principals/{me['id']}", json={"groups": []}, headers={**admin, "If-Match": tag}
    )
    assert changed.status_code == 200, changed.text
    world.clock.later_s = 7 * 3_600
    alice = await world.sign_in("alice@example.com")
    told = (await world.client.get(f"/requests/{request['id']}/explain", headers=alice)).json()["explained"]
    assert [(one["policy"], one["duration"]) for one in told["offers"]] == [("vault", "PT10M")]
    (step,) = (one for one in told["policies"][0]["steps"] if one["step"] == "when")
    assert (step["ok"], step["leaf"]) == (True, 'req.duration <= duration("10m")')
