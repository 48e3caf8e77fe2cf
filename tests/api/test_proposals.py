"""A managed policy: proposed by one person, approved by others, in force from the last approval on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from tests.api.world import PASSWORD, WISH, World, world_in

from loglease.access.propose_policy import MAX_PENDING
from loglease.model.principal import Role
from loglease.server import bundles, managed
from loglease.server.managed import follow
from loglease.server.reload import reload_rules
from loglease.server.services import TRIED_AT_ONCE, Services

ADMIN = (Role.POLICY_ADMIN,)
MANAGED = {"trust": "managed"}
Who = dict[str, str]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, policy=MANAGED) as found:
        yield found


async def people(world: World) -> tuple[Who, Who, Who]:
    """Return three people who may change the policy."""
    pam = await world.add("pam@example.com", roles=ADMIN)
    return pam, await world.add("quinn@example.com", roles=ADMIN), await world.add("ruth@example.com", roles=ADMIN)


async def in_force(world: World, who: Who) -> dict[str, Any]:
    answer = await world.client.get("/policies", headers=who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def files(world: World, who: Who) -> dict[str, str]:
    revision = (await in_force(world, who))["revision"]
    return dict((await world.client.get(f"/policies/bundles/{revision}", headers=who)).json()["files"])


def edited(documents: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert any(old in text for text in documents.values())
    return {path: text.replace(old, new) for path, text in documents.items()}


async def narrowed(world: World, who: Who) -> dict[str, str]:
    """Return the documents in force with fewer lines to be had: one approval is enough."""
    return edited(await files(world, who), "lines: 200000", "lines: 100")


async def widened(world: World, who: Who) -> dict[str, str]:
    return edited(await files(world, who), "lines: 200000", "lines: 900000")


async def tried(world: World, who: Who, documents: dict[str, str], comment: str = "fewer lines") -> httpx2.Response:
    return await world.created("/policies/bundles", {"files": documents, "comment": comment}, who)


async def proposed(world: World, who: Who, documents: dict[str, str], comment: str = "fewer lines") -> dict[str, Any]:
    answer = await tried(world, who, documents, comment)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/proposals/{answer.json()['id']}"
    return dict(answer.json())


async def decided(
    world: World, who: Who, proposal: dict[str, Any], verdict: str = "approve", comment: str = "seen", digest: str = ""
) -> httpx2.Response:
    return await world.client.post(
        f"/proposals/{proposal['id']}/{verdict}",
        json={"comment": comment},
        headers={**who, "If-Match": f'"{digest or proposal["digest"]}"'},
    )


async def entries(world: World, *kinds: str) -> list[dict[str, Any]]:
    def query(tx: Any) -> list[dict[str, Any]]:
        return [orjson.loads(one.content) for one in reversed(tx.entries.page(types=frozenset(kinds)))]

    return await world.services.store.read(query)


def refused(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_server_begins_with_the_policy_that_ships(world: World) -> None:
    pam, _, _ = await people(world)
    shown = await in_force(world, pam)
    assert (shown["trust"], shown["revision"]) == ("managed", 1)
    assert [one["id"] for one in shown["policies"]] == ["default"]
    [first] = (await world.client.get("/policies/bundles", headers=pam)).json()["items"]
    assert (first["revision"], first["bundle_sha256"], first["in_force"]) == (1, shown["bundle_sha256"], True)
    assert "proposal" not in first
    assert "files" not in first
    assert sorted(await files(world, pam)) == ["policy.test.yaml", "policy.yaml"]


async def test_one_other_person_is_enough_where_nobody_gets_more(world: World) -> None:
    pam, quinn, _ = await people(world)
    made = await proposed(world, pam, await narrowed(world, pam))
    assert (made["state"], made["verdict"], made["needed"], made["approvals"]) == ("pending", "NARROWS", 1, 0)
    assert [one["text"] for one in made["changes"]] == ["grant.limits.lines 200,000 -> 100"]
    assert (await in_force(world, pam))["revision"] == 1
    done = await decided(world, quinn, made)
    assert (done.json()["state"], done.json()["revision"], done.json()["approvals"]) == ("accepted", 2, 1)
    shown = await in_force(world, pam)
    assert (shown["revision"], shown["bundle_sha256"]) == (2, made["bundle_sha256"])
    await world.add("bob@example.com", groups=("approvers",))
    offer = await world.client.post("/offers", json=WISH, headers=quinn)
    assert offer.json()["offers"][0]["limits"]["lines"] == 100


async def test_who_proposed_and_who_approved_is_on_the_record_in_order(world: World) -> None:
    pam, quinn, ruth = await people(world)
    made = await proposed(world, pam, await widened(world, pam), "the shop logs more now")
    await decided(world, quinn, made)
    assert (await decided(world, ruth, made)).json()["state"] == "accepted"
    names = ("policy.proposed", "policy.reviewed", "policy.loaded")
    found = (await entries(world, *names))[1:]
    assert [one["type"] for one in found] == [names[0], names[1], names[1], names[2]]
    assert {one["ref"]["proposal"] for one in found} == {made["id"]}
    first, *reviews, loaded = found
    assert first["data"]["digest_sha256"] == made["digest"] == reviews[0]["data"]["digest_sha256"]
    assert (loaded["data"]["trust"], loaded["data"]["revision"]) == ("managed", 2)
    assert (loaded["data"]["needed"], loaded["data"]["widens"]) == (2, True)
    assert loaded["data"]["author"] == first["actor"]
    assert loaded["data"]["reviewers"] == [one["actor"] for one in reviews]
    assert len({first["actor"], *loaded["data"]["reviewers"]}) == 3
    assert "the shop logs more now" not in str(found)


async def taken(world: World, author: Who, *approvers: Who, documents: dict[str, str]) -> None:
    made = await proposed(world, author, documents)
    for one in approvers:
        await decided(world, one, made)


@pytest.mark.attack("PO-01")
async def test_one_approval_is_not_enough_where_somebody_may_get_more(world: World) -> None:
    pam, quinn, ruth = await people(world)
    made = await proposed(world, pam, await widened(world, pam))
    assert (made["verdict"], made["needed"]) == ("WIDENS", 2)
    waiting = (await decided(world, quinn, made)).json()
    assert (waiting["state"], waiting["approvals"]) == ("pending", 1)
    # Saying it twice adds nothing.
    again = (await decided(world, quinn, made)).json()
    assert (again["state"], again["approvals"], len(again["reviews"])) == ("pending", 1, 1)
    assert (await in_force(world, pam))["revision"] == 1
    assert (await decided(world, ruth, made)).json()["state"] == "accepted"
    assert (await in_force(world, pam))["revision"] == 2


async def test_what_cannot_be_proved_needs_two_like_what_gives_more(world: World) -> None:
    pam, quinn, ruth = await people(world)
    text = (await files(world, pam))["policy.yaml"]
    documents = edited({"policy.yaml": text}, "\ngrant:\n", "\nwhen: '!req.live'\ngrant:\n")
    await taken(world, pam, quinn, ruth, documents=documents)
    assert (await in_force(world, pam))["revision"] == 2
    documents = edited(documents, "!req.live", '!(req.live && "files" in req.sources)')
    made = await proposed(world, pam, documents)
    assert (made["verdict"], made["needed"]) == ("UNDECIDED", 2)
    assert (await decided(world, quinn, made)).json()["state"] == "pending"
    assert (await decided(world, ruth, made)).json()["revision"] == 3


async def test_a_change_of_tests_alone_is_a_revision_with_the_same_hash(world: World) -> None:
    pam, quinn, _ = await people(world)
    before = await in_force(world, pam)
    made = await proposed(world, pam, edited(await files(world, pam), "an hour is the most", "one hour at most"))
    assert (made["verdict"], made["needed"], made["changes"]) == ("SAME", 1, [])
    assert (await decided(world, quinn, made)).json()["revision"] == 2
    after = await in_force(world, pam)
    assert (after["revision"], after["bundle_sha256"]) == (2, before["bundle_sha256"])


@pytest.mark.attack("PO-01")
async def test_nobody_approves_their_own_change(world: World) -> None:
    pam, _, _ = await people(world)
    made = await proposed(world, pam, await narrowed(world, pam))
    assert made["may_review"] is False
    assert refused(await decided(world, pam, made)) == (403, "self_review")
    assert refused(await decided(world, pam, made, "deny")) == (403, "self_review")
    assert (await in_force(world, pam))["revision"] == 1


@pytest.mark.attack("PO-01")
async def test_another_login_of_the_author_does_not_approve_either(world: World) -> None:
    pam, quinn, _ = await people(world)
    admin = await world.sign_in("admin", world.admin_password)
    for account, email in (("pia@example.com", "p@example.com"), ("pia-two", "p@example.com")):
        body = {"account": account, "email": email, "password": PASSWORD, "roles": ["policy_admin"]}
        assert (await world.created("/principals", body, admin)).status_code == 201
    pia, twin = await world.sign_in("pia@example.com"), await world.sign_in("pia-two")
    made = await proposed(world, pia, await narrowed(world, pia))
    assert refused(await decided(world, twin, made)) == (403, "same_person")
    # Nor do the two count as two.
    made = await proposed(world, pam, await widened(world, pam))
    assert (await decided(world, pia, made)).json()["approvals"] == 1
    assert (await decided(world, twin, made)).json()["state"] == "pending"
    assert (await in_force(world, pam))["revision"] == 1
    assert (await decided(world, quinn, made)).json()["state"] == "accepted"


async def test_an_approver_who_loses_the_role_counts_no_more(world: World) -> None:
    pam, quinn, ruth = await people(world)
    made = await proposed(world, pam, await widened(world, pam))
    assert (await decided(world, quinn, made)).json()["approvals"] == 1
    admin = await world.sign_in("admin", world.admin_password)
    me = (await world.client.get("/me", headers=quinn)).json()["principal"]["id"]
    etag = (await world.client.get(f"/principals/{me}", headers=admin)).headers["etag"]
    changed = await world.client.patch(f"/principals/{me}", json={"roles": []}, headers={**admin, "If-Match": etag})
    assert changed.status_code == 200, changed.text
    assert (await decided(world, ruth, made)).json()["state"] == "pending"
    assert (await in_force(world, ruth))["revision"] == 1


async def test_only_who_looks_after_policy_sees_and_changes_it(world: World) -> None:
    pam, _, _ = await people(world)
    alice, sam = await world.add("alice@example.com"), await world.add("sam@example.com", roles=(Role.AUDITOR,))
    documents = await narrowed(world, pam)
    made = await proposed(world, pam, documents)
    for path in ("/policies", "/policies/bundles", "/policies/bundles/1", "/proposals", f"/proposals/{made['id']}"):
        assert refused(await world.client.get(path, headers=alice)) == (403, "not_permitted")
        assert (await world.client.get(path, headers=sam)).status_code == 200
    assert refused(await tried(world, alice, documents)) == (403, "not_permitted")
    assert refused(await tried(world, sam, documents)) == (403, "not_permitted")
    assert refused(await decided(world, sam, made)) == (403, "reviewer_not_eligible")
    assert refused(await decided(world, alice, made)) == (403, "not_permitted")


async def test_a_token_proposes_and_never_approves(world: World) -> None:
    pam, quinn, _ = await people(world)
    documents = await narrowed(world, pam)
    secrets = {}
    for rights in (["policy.write", "policy.read"], ["policy.read"]):
        body = {"label": "ci", "rights": rights, "expires_in_s": 600}
        for who in (pam, quinn):
            answer = await world.created("/tokens", body, who)
            secrets[who["Authorization"], len(rights)] = {"Authorization": f"Bearer {answer.json()['secret']}"}
    assert refused(await tried(world, secrets[pam["Authorization"], 1], documents)) == (403, "not_permitted")
    made = await proposed(world, secrets[pam["Authorization"], 2], documents)
    assert refused(await decided(world, secrets[quinn["Authorization"], 2], made)) == (403, "reviewer_not_human")


async def test_what_was_decided_about_is_named(world: World) -> None:
    pam, quinn, _ = await people(world)
    made = await proposed(world, pam, await narrowed(world, pam))
    bare = await world.client.post(f"/proposals/{made['id']}/approve", json={}, headers=quinn)
    assert refused(bare) == (428, "precondition_required")
    assert refused(await decided(world, quinn, made, digest="0" * 64)) == (412, "digest_mismatch")
    assert (await in_force(world, pam))["revision"] == 1


async def test_a_proposal_about_an_older_policy_is_superseded(world: World) -> None:
    pam, quinn, ruth = await people(world)
    first = await proposed(world, pam, await narrowed(world, pam))
    second = await proposed(world, quinn, await widened(world, pam))
    assert (await decided(world, ruth, first)).json()["state"] == "accepted"
    shown = (await world.client.get(f"/proposals/{second['id']}", headers=pam)).json()
    assert (shown["state"], shown["may_review"]) == ("superseded", False)
    assert refused(await decided(world, ruth, second)) == (409, "bundle_stale")
    assert (await in_force(world, pam))["revision"] == 2
    [entry] = await entries(world, "policy.withdrawn")
    assert (entry["actor"], entry["data"], entry["ref"]) == (
        "system",
        {"why": "superseded"},
        {"proposal": second["id"]},
    )


async def test_an_old_content_comes_back_under_a_new_revision(world: World) -> None:
    pam, quinn, ruth = await people(world)
    before = await files(world, pam)
    made = await proposed(world, pam, await narrowed(world, pam))
    await decided(world, quinn, made)
    back = await proposed(world, pam, before, "we need the lines after all")
    assert (back["verdict"], back["needed"]) == ("WIDENS", 2)
    await decided(world, quinn, back)
    assert (await decided(world, ruth, back)).json()["revision"] == 3
    shown = (await world.client.get("/policies/bundles", headers=pam)).json()["items"]
    assert [one["revision"] for one in shown] == [3, 2, 1]
    assert shown[0]["bundle_sha256"] == shown[2]["bundle_sha256"] != shown[1]["bundle_sha256"]


async def test_broken_documents_are_refused_where_they_are_broken(world: World) -> None:
    pam, _, _ = await people(world)
    documents = edited(await files(world, pam), "lines: 200000", "liness: 200000")
    answer = await tried(world, pam, documents)
    assert refused(answer) == (422, "policy_invalid")
    [fault] = answer.json()["errors"]
    line = next(n for n, text in enumerate(documents["policy.yaml"].split("\n"), 1) if "liness" in text)
    column = documents["policy.yaml"].split("\n")[line - 1].index("liness") + 1
    assert fault["pointer"] == f"policy.yaml:{line}:{column}"
    assert fault["code"] == "P110"
    assert (await world.client.get("/proposals", headers=pam)).json()["items"] == []


async def test_a_policy_test_that_fails_stops_a_proposal(world: World) -> None:
    pam, _, _ = await people(world)
    documents = edited(await files(world, pam), "duration: 30m, redaction", "duration: 31m, redaction")
    answer = await tried(world, pam, documents)
    assert refused(answer) == (422, "policy_invalid")
    [fault] = answer.json()["errors"]
    assert fault["pointer"].startswith("policy.test.yaml:")
    assert fault["code"] == "P512"
    checked = await world.client.post("/policies/check", json={"files": documents}, headers=pam)
    assert refused(checked) == (422, "policy_invalid")


async def test_documents_are_checked_without_a_proposal(world: World) -> None:
    pam, _, _ = await people(world)
    answer = await world.client.post("/policies/check", json={"files": await widened(world, pam)}, headers=pam)
    shown = answer.json()
    assert (shown["verdict"], shown["needed"], shown["base_revision"], shown["tests"]) == ("WIDENS", 2, 1, 6)
    assert [one["verdict"] for one in shown["changes"]] == ["WIDENS"]
    assert (await world.client.get("/proposals", headers=pam)).json()["items"] == []


async def test_documents_that_take_long_leave_threads_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pam, _, _ = await people(world)
    documents = await widened(world, pam)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(TRIED_AT_ONCE + 1))
    let_go, enough, begun = threading.Event(), asyncio.Event(), list[object]()

    def long(*_: object) -> None:
        begun.append(None)
        if len(begun) == TRIED_AT_ONCE:
            loop.call_soon_threadsafe(enough.set)
        let_go.wait(60)

    monkeypatch.setattr(managed, "require_passing", long)
    check = {"files": documents}
    async with asyncio.TaskGroup() as group:
        checks = [
            group.create_task(world.client.post("/policies/check", json=check, headers=pam))
            for _ in range(TRIED_AT_ONCE + 3)
        ]
        try:
            async with asyncio.timeout(30):
                await enough.wait()
                await world.sign_in("quinn@example.com")
            assert len(begun) == TRIED_AT_ONCE
        finally:
            let_go.set()
    assert {one.result().status_code for one in checks} == {200}


async def test_two_sets_of_documents_are_compared_by_what_they_mean(world: World) -> None:
    pam, _, _ = await people(world)
    now, wider, tighter = await files(world, pam), await widened(world, pam), await narrowed(world, pam)

    async def compared(body: dict[str, object]) -> httpx2.Response:
        return await world.client.post("/policies/diff", json=body, headers=pam)

    there = (await compared({"base": now, "files": wider})).json()
    assert (there["verdict"], there["needed"], len(there["changes"])) == ("WIDENS", 2, 1)
    back = (await compared({"base": wider, "files": now})).json()
    assert (back["verdict"], back["base_sha256"]) == ("NARROWS", there["bundle_sha256"])
    assert (await compared({"files": tighter})).json()["verdict"] == "NARROWS"
    same = (await compared({"base": wider, "files": wider})).json()
    assert (same["verdict"], same["changes"]) == ("SAME", [])
    for side, body in {
        "base": {"base": {"a.yaml": "kind: x"}, "files": now},
        "files": {"files": {"a.yaml": "x"}},
    }.items():
        wrong = await compared(body)
        assert refused(wrong) == (422, "policy_invalid")
        assert wrong.json()["detail"].startswith(f"In {side}: ")


async def test_tests_that_never_end_stop_a_proposal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pam, _, _ = await people(world)
    documents = await narrowed(world, pam)
    monkeypatch.setattr(bundles, "TESTS_WITHIN_S", -1.0)
    assert refused(await tried(world, pam, documents)) == (422, "policy_invalid")


async def test_what_is_in_force_already_is_no_proposal(world: World) -> None:
    pam, _, _ = await people(world)
    assert refused(await tried(world, pam, await files(world, pam))) == (422, "invalid_field")


@pytest.mark.parametrize("path", ["../policy.yaml", "/etc/policy.yaml", "policy.txt", "a//b.yaml", ".hidden.yaml"])
async def test_paths_stay_inside_of_the_bundle(world: World, path: str) -> None:
    pam, _, _ = await people(world)
    assert refused(await tried(world, pam, {path: "api: loglease/v1"}))[0] == 422


async def test_one_denial_ends_a_proposal_and_says_why(world: World) -> None:
    pam, quinn, ruth = await people(world)
    made = await proposed(world, pam, await widened(world, pam))
    await decided(world, quinn, made)
    assert refused(await decided(world, ruth, made, "deny", comment=" ")) == (422, "reason_required")
    denied = (await decided(world, ruth, made, "deny", comment="too many")).json()
    assert (denied["state"], denied["decided_by"]["account"]) == ("denied", "ruth@example.com")
    assert refused(await decided(world, quinn, made, "deny"))[0] == 409
    assert (await in_force(world, pam))["revision"] == 1


async def test_who_denies_what_they_approved_cannot_go_back(world: World) -> None:
    pam, quinn, _ = await people(world)
    made = await proposed(world, pam, await widened(world, pam))
    await decided(world, quinn, made)
    for _ in range(2):
        assert (await decided(world, quinn, made, "deny", comment="too many")).json()["state"] == "denied"
    assert refused(await decided(world, quinn, made)) == (409, "already_reviewed")


async def test_an_author_withdraws_and_nobody_else_does(world: World) -> None:
    pam, quinn, _ = await people(world)
    made = await proposed(world, pam, await narrowed(world, pam))
    path = f"/proposals/{made['id']}/withdraw"
    assert refused(await world.client.post(path, headers=quinn)) == (403, "not_permitted")
    for _ in range(2):
        assert (await world.client.post(path, headers=pam)).json()["state"] == "withdrawn"
    assert refused(await decided(world, quinn, made)) == (409, "proposal_not_pending")
    [entry] = await entries(world, "policy.withdrawn")
    assert entry["data"] == {"why": "author"}


async def test_a_change_that_nobody_could_approve_is_refused_at_once(world: World) -> None:
    pam = await world.add("pam@example.com", roles=ADMIN)
    documents = await narrowed(world, pam)
    assert refused(await tried(world, pam, documents)) == (422, "no_eligible_approver")
    await world.add("quinn@example.com", roles=ADMIN)
    assert (await tried(world, pam, documents)).status_code == 202
    assert refused(await tried(world, pam, await widened(world, pam))) == (422, "no_eligible_approver")


async def test_so_many_proposals_wait_and_no_more(world: World) -> None:
    pam, _, _ = await people(world)
    documents = await narrowed(world, pam)
    for number in range(MAX_PENDING):
        await proposed(world, pam, edited(documents, "lines: 100", f"lines: {number + 10}"))
    assert refused(await tried(world, pam, documents)) == (429, "too_many_pending")
    page = (await world.client.get("/proposals?limit=7", headers=pam)).json()
    rest = (await world.client.get(f"/proposals?limit=7&cursor={page['next']}", headers=pam)).json()
    assert (len(page["items"]), len(rest["items"])) == (7, 3)


async def test_a_repeated_call_makes_one_proposal(world: World) -> None:
    pam, _, _ = await people(world)
    body = {"files": await narrowed(world, pam), "comment": "fewer lines"}
    first, second = [
        await world.client.post("/policies/bundles", json=body, headers={**pam, "Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"


async def test_an_old_sign_in_denies_and_does_not_approve(world: World) -> None:
    pam, _, _ = await people(world)
    made = await proposed(world, pam, await narrowed(world, pam))
    body = {"account": "quinn@example.com", "password": PASSWORD}
    signed_in = (await world.client.post("/sign-in", json=body)).json()
    world.clock.later_s = 16 * 60
    again = await world.client.post("/refresh", json={"refresh_token": signed_in["refresh_token"]})
    quinn = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert refused(await decided(world, quinn, made)) == (401, "step_up_required")
    assert (await decided(world, quinn, made, "deny")).json()["state"] == "denied"


async def test_a_started_server_goes_on_with_what_was_accepted(tmp_path: Path) -> None:
    async with world_in(tmp_path, policy=MANAGED) as world:
        pam, quinn, _ = await people(world)
        made = await proposed(world, pam, await narrowed(world, pam))
        await decided(world, quinn, made)
    async with world_in(tmp_path, policy=MANAGED) as again:
        assert again.services.rules.current.revision == 2
        assert again.services.rules.current.bundle_sha256 == made["bundle_sha256"]
        assert len(await entries(again, "policy.loaded")) == 2


async def test_what_another_process_accepted_is_taken_up(tmp_path: Path) -> None:
    async with world_in(tmp_path, policy=MANAGED) as world:
        pam, quinn, _ = await people(world)
        services: Services = world.services
        old = services.rules.current
        made = await proposed(world, pam, await narrowed(world, pam))
        await decided(world, quinn, made)
        services.rules.current = old
        await follow(services)
        assert services.rules.current.bundle_sha256 == made["bundle_sha256"]
        # Reading packs and profiles again leaves the policy as it is, and records nothing.
        assert await reload_rules(services)
        assert services.rules.current.revision == 2
        assert len(await entries(world, "policy.loaded")) == 2


async def test_a_directory_is_only_what_a_managed_policy_begins_with(tmp_path: Path) -> None:
    async with world_in(tmp_path, policy=MANAGED) as world:
        pam, _, _ = await people(world)
        documents = await narrowed(world, pam)
    own = tmp_path / "other"
    folder = own / "data" / "policy"
    folder.mkdir(parents=True)
    (own / "data").chmod(0o700)
    for path, text in documents.items():
        (folder / path).write_text(text)
    async with world_in(own, policy=MANAGED) as world:
        pam, quinn, ruth = await people(world)
        assert await files(world, pam) == documents
        made = await proposed(world, pam, await edited_back(documents))
        await decided(world, quinn, made)
        await decided(world, ruth, made)
    async with world_in(own, policy=MANAGED) as world:
        assert world.services.rules.current.revision == 2


async def edited_back(documents: dict[str, str]) -> dict[str, str]:
    return edited(documents, "lines: 100", "lines: 200000")


async def test_elsewhere_policy_is_not_changed_by_proposals(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        pam, quinn, _ = await people(world)
        assert (await in_force(world, pam))["trust"] == "local"
        documents = {"policy.yaml": "api: loglease/v1\n"}
        assert refused(await tried(world, pam, documents)) == (409, "policy_not_managed")
        gone = {"id": "prp_" + "0" * 26, "digest": "0" * 64}
        assert refused(await decided(world, quinn, gone)) == (409, "policy_not_managed")
