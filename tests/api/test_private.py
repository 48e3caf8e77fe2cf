"""What people wrote, over REST: disclosed on the record, erased by two administrators, kept by holds, pruned."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.world import PASSWORD, SCOPE, World, world_in

from loglease.access.pruning import DELETED_AFTER_S, delete_pruned
from loglease.audit.checking import check_log
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.audit.proof import InclusionProof
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import after, instant_text
from loglease.model.principal import Role

REASON, COMMENT, REVOKED = "canary-reason-8101", "canary-comment-8102", "canary-revocation-8103"
WISH = {"scopes": [SCOPE], "reason": REASON, "ticket": "CANARY-8104"}
ERASING = {"comment": "she left and asked for it"}
Who = dict[str, str]
YEAR_S = 366 * 86_400


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, audit={"retain": "soc2"}) as found:
        yield found


async def office(world: World) -> tuple[Who, Who, Who]:
    """Return two administrators and an auditor; alice has asked, bob approved and revoked."""
    erin = await world.add("erin@example.com", roles=(Role.ADMIN,))
    frank = await world.add("frank@example.com", roles=(Role.ADMIN,))
    oscar = await world.add("oscar@example.com", roles=(Role.AUDITOR,))
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    given = {"verdict": "approve", "comment": COMMENT}
    review = await world.created(
        f"/requests/{request['id']}/reviews", given, bob, **{"If-Match": f'"{request["digest"]}"'}
    )
    revoked = await world.created(f"/grants/{review.json()['grant']}/revoke", {"reason": REVOKED}, bob)
    assert revoked.status_code < 300, revoked.text
    return erin, frank, oscar


async def entry_of(world: World, who: Who, type_: str) -> dict[str, Any]:
    items = (await world.client.get(f"/audit/entries?type={type_}", headers=who)).json()["items"]
    return dict(items[-1])


async def principal(world: World, who: Who, account: str) -> dict[str, Any]:
    items = (await world.client.get("/principals", headers=who)).json()["items"]
    return next(dict(one) for one in items if one["account"] == account)


async def disabled(world: World, who: Who, account: str) -> str:
    """Disable an account and return its subject."""
    one = await principal(world, who, account)
    path = f"/principals/{one['id']}"
    etag = (await world.client.get(path, headers=who)).headers["ETag"]
    done = await world.client.patch(path, json={"enabled": False}, headers={**who, "If-Match": etag})
    assert done.status_code == 200, done.text
    return str(one["subject"])


async def approved(world: World, who: Who, proposal: dict[str, Any], verdict: str = "approve") -> httpx2.Response:
    return await world.client.post(
        f"/proposals/{proposal['id']}/{verdict}",
        json={"comment": "seen"},
        headers={**who, "If-Match": f'"{proposal["digest"]}"'},
    )


async def report(world: World, who: Who, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tables and facts of a report, by name."""
    answer = await world.client.post(f"/audit/reports/{name}", json={}, headers=who)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    tables = {one["name"]: one["rows"] for one in found["tables"]}
    return tables, {one["name"]: one.get("value") for one in found["summary"]}


def bytes_of(world: World) -> bytes:
    folder = world.services.data_dir
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_a_text_is_disclosed_to_an_auditor_on_the_record(world: World) -> None:
    erin, _, oscar = await office(world)
    entry = await entry_of(world, oscar, "request.submitted")
    body = {
        "entry": entry["id"],
        "field": "reason_c",
        "to": (await principal(world, erin, "oscar@example.com"))["id"],
        "purpose": "canary-purpose-8105",
    }
    answer = await world.created("/audit/disclosures", body, erin)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["text"] == REASON
    salt, clear = b64decode(shown["salt"]), b64decode(shown["clear"])
    assert hashlib.sha256(salt + clear).hexdigest() == entry["data"]["reason_c"]
    assert entry["data"]["reason_c"].encode() in b64decode(shown["entry_bytes"])
    proof = InclusionProof.parse(shown["proof"].encode())
    assert proof.index == shown["index"] == entry["index"]
    assert proof.check(b64decode(shown["entry_bytes"]), world.services.publishing.verifiers).size > proof.index
    record = await entry_of(world, oscar, "log.disclosed")
    assert record["id"] == shown["recorded_as"]
    assert record["ref"] == {"entry": entry["id"]}
    assert record["data"]["to"] == (await principal(world, erin, "oscar@example.com"))["subject"]
    assert record["data"]["field"] == "reason_c"

    for wrong, code in (
        ({"to": (await principal(world, erin, "bob@example.com"))["id"]}, "not_permitted"),
        ({"to": f"prn_{'0' * 26}"}, "not_found"),
        ({"field": "comment_c"}, "not_found"),
        ({"entry": f"ent_{'0' * 26}"}, "not_found"),
        ({"purpose": " "}, "reason_required"),
    ):
        refused = await world.created("/audit/disclosures", {**body, **wrong}, erin)
        assert refused.json()["code"] == code, wrong


@pytest.mark.sqlite
async def test_a_person_is_erased_from_all_files_by_two_administrators(world: World) -> None:
    erin, frank, oscar = await office(world)
    content = bytes_of(world)
    assert all(text.encode() in content for text in (REASON, COMMENT, REVOKED, "CANARY-8104"))
    alone = await world.created("/audit/erasures", {"subject": "sub_" + "a" * 26, **ERASING}, erin)
    assert alone.json()["code"] == "not_found"
    subject = (await principal(world, erin, "bob@example.com"))["subject"]
    early = await world.created("/audit/erasures", {"subject": subject, **ERASING}, erin)
    assert (early.status_code, early.json()["code"]) == (409, "still_needed")

    for account, gone, left in (
        ("bob@example.com", (COMMENT, REVOKED), (REASON,)),
        ("alice@example.com", (REASON, "CANARY-8104"), ()),
    ):
        subject = await disabled(world, erin, account)
        answer = await world.created("/audit/erasures", {"subject": subject, **ERASING}, erin)
        assert answer.status_code == 202, answer.text
        proposal = answer.json()
        assert (proposal["kind"], proposal["act"]["person"]["account"]) == ("erase", account)
        assert proposal["act"]["texts"] >= 2
        assert answer.headers["Location"] == f"/api/v1/proposals/{proposal['id']}"
        assert (await approved(world, erin, proposal)).json()["code"] == "self_review"
        listed = (await world.client.get("/proposals", headers=frank)).json()["items"][0]
        assert (listed["id"], listed["may_review"], listed["needed"]) == (proposal["id"], True, 1)
        done = (await approved(world, frank, proposal)).json()
        assert (done["state"], done["approvals"], done["decided_by"]["account"]) == ("accepted", 1, "frank@example.com")
        assert "person" not in done["act"]
        content = bytes_of(world)
        assert not [text for text in gone if text.encode() in content]
        assert account.encode() not in content, "neither in the files nor in the journal"
        assert all(text.encode() in content for text in left)

    erased = await entry_of(world, oscar, "subject.erased")
    assert erased["data"]["approved_by"] == (await principal(world, erin, "frank@example.com"))["subject"]
    assert await check_log(world.services.store)
    page = (await world.client.get("/requests", headers=erin)).json()["items"][0]
    assert (page["reason"], page["requester"]["account"].startswith("erased-")) == ("[erased]", True)
    again = await world.client.post("/sign-in", json={"account": "alice@example.com", "password": PASSWORD})
    assert again.status_code == 401
    tables, facts = await report(world, oscar, "population")
    assert {row["requester_name"] for row in tables["requests"]} == {"erased"}
    assert {row["reviewer_name"] for row in tables["reviews"]} == {"erased"}
    assert facts["root_holds"] is True
    tables, facts = await report(world, oscar, "integrity")
    assert (facts["failing"], facts["rules_broken"], facts["retain_s"]) == (0, 0, YEAR_S), tables["breaches"]
    assert [row["by_name"] for row in tables["acts"] if row["type"] == "subject.erased"] == [
        "erin@example.com (erin@example.com)"
    ] * 2


@pytest.mark.sqlite
async def test_one_text_is_erased_unless_a_hold_covers_it(world: World) -> None:
    erin, frank, oscar = await office(world)
    entry = await entry_of(world, oscar, "request.submitted")
    hold = (await world.created("/audit/holds", {"reason": "case 7"}, oscar)).json()
    assert (hold["in_force"], hold["to_at"]) == (True, "9999-12-31T23:59:59.000000Z")
    body = {"entry": entry["id"], "field": "ticket_c", **ERASING}
    held = await world.created("/audit/erasures", body, erin)
    assert (held.status_code, held.json()["code"]) == (409, "under_hold")
    released = await world.client.post(f"/audit/holds/{hold['id']}/release", headers=frank)
    assert released.json()["in_force"] is False
    assert [one["id"] for one in (await world.client.get("/audit/holds", headers=erin)).json()["items"]] == [hold["id"]]
    answer = await world.created("/audit/erasures", body, erin)
    assert (await approved(world, frank, answer.json())).status_code == 200
    assert b"CANARY-8104" not in bytes_of(world)
    assert REASON.encode() in bytes_of(world)
    kept = [one["data"]["state"] for one in [await entry_of(world, oscar, "hold.changed")]]
    assert kept == ["set"], "the oldest"


async def test_who_set_a_hold_does_not_release_it(world: World) -> None:
    erin, frank, _ = await office(world)
    hold = (await world.created("/audit/holds", {"reason": "case 7"}, erin)).json()
    own = await world.client.post(f"/audit/holds/{hold['id']}/release", headers=erin)
    assert own.json()["code"] == "not_permitted"
    for _ in range(2):
        done = await world.client.post(f"/audit/holds/{hold['id']}/release", headers=frank)
        assert done.json()["released_by"]["account"] == "frank@example.com"


@pytest.mark.sqlite
async def test_a_proposal_is_denied_withdrawn_and_repeated(world: World) -> None:
    erin, frank, _ = await office(world)
    subject = await disabled(world, erin, "alice@example.com")
    body = {"subject": subject, **ERASING}
    key = world.key()
    first = await world.client.post("/audit/erasures", json=body, headers={**erin, **key})
    again = await world.client.post("/audit/erasures", json=body, headers={**erin, **key})
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    done = (await approved(world, frank, first.json(), "deny")).json()
    assert (done["state"], done["answer"]) == ("denied", "seen")
    other = (await world.created("/audit/erasures", body, erin)).json()
    assert (await world.client.post(f"/proposals/{other['id']}/withdraw", headers=frank)).status_code == 403
    gone = await world.client.post(f"/proposals/{other['id']}/withdraw", headers=erin)
    assert gone.json()["state"] == "withdrawn"
    assert REASON.encode() in bytes_of(world)


@pytest.mark.sqlite
async def test_what_is_old_enough_is_pruned_and_deleted_a_month_later(world: World) -> None:
    erin, frank, oscar = await office(world)
    for number in range(300):
        await world.services.log.commit(_refused(world, number))
    too_new = {"before": "2999-01-01T00:00:00Z", "comment": "old"}
    assert (await world.created("/audit/prunings", too_new, erin)).json()["code"] == "invalid_field"
    first = (await world.client.get("/audit/entries?type=service.started", headers=oscar)).json()["items"][-1]
    assert first["index"] == 0

    world.clock.later_s += YEAR_S + 3_600
    erin, frank, oscar = [await world.sign_in(f"{name}@example.com") for name in ("erin", "frank", "oscar")]
    before = {"before": _ago(world, YEAR_S + 60), "comment": "older than a year"}
    proposal = (await world.created("/audit/prunings", before, erin)).json()
    assert (proposal["kind"], proposal["act"]["min_index"]) == ("prune", 256)
    done = await approved(world, frank, proposal)
    assert done.json()["state"] == "accepted", done.text
    items = (await world.client.get("/audit/entries?type=log.pruned", headers=oscar)).json()["items"]
    assert items[0]["data"]["min_index"] == 256
    assert (await world.client.get("/audit/entries?type=service.started", headers=oscar)).json()["items"] == []
    assert await check_log(world.services.store)

    assert await delete_pruned(log=world.services.log) == 0, "not before a month is over"
    world.clock.later_s += DELETED_AFTER_S + 60
    assert REASON.encode() in bytes_of(world)
    assert await delete_pruned(log=world.services.log) == 256
    assert await check_log(world.services.store)
    stored = await world.services.store.read(lambda tx: tx.prunings.first_stored())
    assert stored == 256


def _ago(world: World, seconds: int) -> str:
    return instant_text(after(world.services.clock.now(), -seconds))


def _refused(world: World, number: int) -> Any:
    data = {"target": f"target-{number}"}
    entry = Draft(id=EntryId(world.services.new_id(ENTRY)), type="target.frozen", actor=SYSTEM, data=data)
    return lambda _tx, _now: Recorded(None, (entry,))
