"""Reports over REST: who may have them, that they are recorded first, and that they say what the database says."""

from __future__ import annotations

import csv
import hashlib
import io
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import WISH, World, world_in
from tests.fakes.database import entries_of

from loglease.audit.interface import AuditUnavailable
from loglease.audit.report.catalogue import KINDS
from loglease.audit.report.folder import files_in
from loglease.audit.report.folder_check import check_folder
from loglease.model.principal import Role
from loglease.server import reporting
from loglease.server.databases import FILE

AUDITOR = "sam@example.com"


@pytest.fixture
async def auditor(world: World) -> dict[str, str]:
    return await world.add(AUDITOR, roles=(Role.AUDITOR,))


async def made(world: World, who: dict[str, str], name: str, **question: Any) -> dict[str, Any]:
    answer = await world.client.post(f"/audit/reports/{name}", json=question, headers=who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(document: dict[str, Any], table: str) -> list[dict[str, Any]]:
    return next(one["rows"] for one in document["tables"] if one["name"] == table)


def facts(document: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in document["summary"]}


def entries(world: World) -> list[dict[str, Any]]:
    """Read the log behind the server's back."""
    return [{**orjson.loads(content), "index": index} for index, content in entries_of(world.services.store)]


async def lived(world: World) -> dict[str, str]:
    """Let some people do what people do; return Alice's grants by what became of them."""
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    carol = await world.add("carol@example.com", groups=("approvers",))
    grants = {}
    for fate in ("used", "revoked", "unused"):
        grants[fate] = await world.approved(alice, bob)
    await world.approved(bob, carol)
    await world.approved(carol, bob)
    denied = (await world.created("/requests", WISH, alice)).json()
    match = {"If-Match": f'"{denied["digest"]}"'}
    answer = await world.created(
        f"/requests/{denied['id']}/reviews", {"verdict": "deny", "comment": "no"}, carol, **match
    )
    assert answer.status_code == 201, answer.text
    assert (await world.created("/requests", WISH, alice)).status_code == 201
    for fate in ("used", "revoked"):
        answer = await world.client.post(f"/grants/{grants[fate]}/activate", json={}, headers=alice)
        assert answer.status_code == 200, answer.text
    answer = await world.client.post(f"/grants/{grants['revoked']}/revoke", json={"reason": "enough"}, headers=bob)
    assert answer.status_code == 200, answer.text
    mallory = await world.add("mallory@example.com")
    for _ in range(3):
        assert (await world.client.get("/audit/reports", headers=mallory)).status_code == 403
    return grants


async def test_a_recount_over_the_stored_log_gives_the_same(world: World, auditor: dict[str, str]) -> None:
    await lived(world)
    found = await made(world, auditor, "population")
    stored = [one for one in entries(world) if one["at"] < found["to_at"]]
    counted = Counter(one["type"] for one in stored)
    assert {row["type"]: row["count"] for row in rows(found, "types")} == counted
    assert (facts(found)["entries"], facts(found)["first_index"]) == (len(stored), 0)
    assert facts(found)["last_index"] == stored[-1]["index"]
    assert facts(found)["dense"] is True
    for table, kind, key in (
        ("requests", "request.submitted", "request"),
        ("reviews", "review.given", "review"),
        ("grants", "grant.scheduled", "grant"),
        ("revocations", "grant.revoked", "grant"),
    ):
        expected = [one["ref"][key] for one in stored if one["type"] == kind]
        assert [row[key] for row in rows(found, table)] == expected, table
        assert expected, table
    for row in rows(found, "requests"):
        about = [one for one in stored if one["ref"].get("request") == row["request"]]
        assert row["requester"] == about[0]["actor"]
        ends = [one["type"].removeprefix("request.") for one in about if one["type"].startswith("request.")][1:]
        assert row["outcome"] == (ends[0] if ends else "open")
        assert row["reviews"] == sum(one["type"] == "review.given" for one in about)
    assert set(found["evidence"]) <= {one["index"] for one in stored}
    await _agree(world, auditor)


async def _agree(world: World, auditor: dict[str, str]) -> None:
    stored = entries(world)
    asked_by = {one["ref"]["request"]: one["actor"] for one in stored if one["type"] == "request.submitted"}
    approvals = [one for one in stored if one["type"] == "review.given" and one["data"]["verdict"] == "approve"]
    pairs = {(one["actor"], asked_by[one["ref"]["request"]]) for one in approvals}
    found = await made(world, auditor, "segregation")
    assert facts(found)["approvals"] == len(approvals)
    assert facts(found)["own_approvals"] == 0
    assert {(row["one"], row["other"]) for row in rows(found, "reciprocal_pairs")} == {
        (one, other) for one, other in pairs if (other, one) in pairs and one < other
    }
    assert facts(found)["quick_approvals"] == len(approvals)
    refused = await made(world, auditor, "refusals")
    calls = sum(one["data"]["count"] for one in entries(world) if one["type"] == "access.refused")
    assert facts(refused)["refused"] == calls == 3
    whole = await made(world, auditor, "integrity")
    assert facts(whole)["failing"] == 0
    assert {row["result"] for row in rows(whole, "checks")} == {"holds"}
    assert (facts(whole)["rules"], facts(whole)["rules_broken"]) == (27, 0), rows(whole, "breaches")


async def test_a_report_is_on_the_record_before_it_leaves(world: World, auditor: dict[str, str]) -> None:
    answer = await world.client.post("/audit/reports/population", json={"from_at": "2026-01-01"}, headers=auditor)
    entry = entries(world)[-1]
    assert entry["type"] == "report.made"
    assert entry["id"] == answer.json()["id"] == answer.headers["loglease-entry"]
    assert entry["data"]["sha256"] == hashlib.sha256(answer.content).hexdigest()
    assert (entry["data"]["report"], entry["data"]["from_at"]) == ("population", "2026-01-01T00:00:00.000000Z")
    assert entry["data"]["to_at"] == answer.json()["to_at"]
    assert "seed" not in entry["data"]
    drawn = await made(world, auditor, "population", sample=5)
    entry = entries(world)[-1]
    assert entry["data"]["seed"] == drawn["sample"]["seed"]


async def test_what_cannot_be_recorded_does_not_leave(
    world: World, auditor: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise AuditUnavailable("The disk is full.")

    monkeypatch.setattr(reporting, "record_report", refuse)
    for form in ("json", "csv", "html"):
        answer = await world.client.post("/audit/reports/population", json={"format": form}, headers=auditor)
        assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")


async def test_reports_are_for_auditors_and_admins(world: World, auditor: dict[str, str]) -> None:
    alice = await world.add("alice@example.com", groups=("approvers",))
    admin = await world.add("root@example.com", roles=(Role.ADMIN,))
    policy = await world.add("pat@example.com", roles=(Role.POLICY_ADMIN,))
    for who, status in ((alice, 403), (policy, 403), (auditor, 200), (admin, 200)):
        assert (await world.client.get("/audit/reports", headers=who)).status_code == status
        assert (await world.client.post("/audit/reports/refusals", json={}, headers=who)).status_code == status
    before = len(entries(world))
    answer = await world.client.post("/audit/reports/population", json={}, headers=alice)
    assert "alice" not in answer.text
    assert [one["type"] for one in entries(world)[before:]] == ["access.refused"]
    found = (await world.client.get("/audit/reports", headers=auditor)).json()
    assert [one["name"] for one in found["items"]] == list(KINDS)
    assert found["size"] == len(entries(world))


async def test_dossier_and_access_review(world: World, auditor: dict[str, str]) -> None:
    grants = await lived(world)
    found = await made(world, auditor, "dossier", grant=grants["revoked"])
    request = facts(found)["request"]
    stored = [one["index"] for one in entries(world) if one["ref"].get("request") == request]
    assert found["evidence"] == stored
    assert facts(found)["state"] == "revoked"
    assert "alice@example.com" in orjson.dumps(found["summary"]).decode()
    missing = await world.client.post("/audit/reports/dossier", json={"grant": "grt_" + "0" * 26}, headers=auditor)
    assert missing.status_code == 404
    await _review_rights(world, auditor, grants)


async def _review_rights(world: World, auditor: dict[str, str], grants: dict[str, str]) -> None:
    found = await made(world, auditor, "access-review")
    people = {row["subject_name"]: row for row in rows(found, "people")}
    bob = people["bob@example.com (bob@example.com)"]
    assert (bob["requests"], bob["reviews"], bob["enabled"], "last_sign_in_at" in bob) == (1, 4, True, True)
    assert {row["subject_name"] for row in rows(found, "may_review")} == {
        f"{name}@example.com ({name}@example.com)" for name in ("bob", "carol")
    }
    assert bob["groups"] == ["approvers"]
    assert {row["role"] for row in rows(found, "administers")} == {"admin", "auditor"}
    assert {row["grant"] for row in rows(found, "unused_grants")} >= {grants["unused"], grants["used"]}
    assert facts(found)["sign_off_overdue"] is True
    body = {"verdict": "accepted", "comment": "looked at every line of it"}
    signed = await world.created(f"/audit/reports/{found['id']}/sign", body, auditor)
    assert signed.status_code == 201, signed.text
    again = await made(world, auditor, "access-review")
    assert facts(again)["sign_off_overdue"] is False
    assert [row["report"] for row in rows(again, "signed")] == [found["id"]]


@pytest.mark.answers_lost("reports.record_report", "reports.sign_report")
async def test_a_sign_off_keeps_its_comment_beside_the_log(world: World, auditor: dict[str, str]) -> None:
    found = await made(world, auditor, "refusals")
    body = {"verdict": "objected", "comment": "canary: nobody looked"}
    path = f"/audit/reports/{found['id']}/sign"
    key = world.key()
    first, again = [await world.client.post(path, json=body, headers={**auditor, **key}) for _ in range(2)]
    assert first.json() == again.json()
    entry = entries(world)[-1]
    assert (entry["type"], entry["id"], entry["ref"]) == ("report.signed", first.json()["id"], {"entry": found["id"]})
    assert entry["data"]["verdict"] == "objected"
    assert "canary" not in orjson.dumps(entries(world)).decode()
    assert len(entry["data"]["comment_c"]) == 64


async def test_only_people_sign_and_only_reports(world: World, auditor: dict[str, str]) -> None:
    found = await made(world, auditor, "refusals")
    path = f"/audit/reports/{found['id']}/sign"
    accepted = {"verdict": "accepted"}
    alice = await world.add("alice@example.com")
    assert (await world.created(path, accepted, alice)).json()["code"] == "not_permitted"
    body = {"label": "ci", "rights": ["audit.read"], "expires_in_s": 600}
    token = (await world.created("/tokens", body, auditor)).json()["secret"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await made(world, bearer, "refusals"))["report"] == "refusals"
    assert (await world.created(path, accepted, bearer)).json()["code"] == "reviewer_not_human"
    assert (await world.created(path, {"verdict": "objected"}, auditor)).json()["code"] == "reason_required"
    other = next(one["id"] for one in entries(world) if one["type"] == "signin.succeeded")
    for wrong in (other, "ent_" + "0" * 26):
        assert (await world.created(f"/audit/reports/{wrong}/sign", accepted, auditor)).status_code == 404


async def test_a_question_without_sense_is_refused_and_leaves_no_record(world: World, auditor: dict[str, str]) -> None:
    before = len(entries(world))
    for name, question in (
        ("nothing", {}),
        ("dossier", {}),
        ("population", {"from_at": "2999-01-01"}),
        ("population", {"from_at": "2026-02-02", "to_at": "2026-02-01"}),
        ("population", {"from_at": "yesterday!"}),
        ("population", {"sample": 0}),
        ("population", {"seed": 3}),
        ("refusals", {"sample": 3}),
        ("population", {"format": "pdf"}),
        ("population", {"unknown": 1}),
    ):
        answer = await world.client.post(f"/audit/reports/{name}", json=question, headers=auditor)
        assert answer.status_code == 422, answer.text
    assert len(entries(world)) == before


async def test_names_of_people_run_nothing_in_any_form(world: World, auditor: dict[str, str]) -> None:
    await lived(world)
    admin = await world.sign_in("admin", world.admin_password)
    await world.client.post(
        "/me/password", json={"password": world.admin_password, "new_password": "another good password"}, headers=admin
    )
    admin = await world.sign_in("admin", "another good password")
    people = (await world.client.get("/principals", headers=admin)).json()["items"]
    alice = next(one["id"] for one in people if one["account"].startswith("alice"))
    shown = await world.client.get(f"/principals/{alice}", headers=admin)
    hostile = "=cmd|' /C calc'!A0 <script>alert(1)</script>"
    match = {"If-Match": shown.headers["etag"]}
    answer = await world.client.patch(f"/principals/{alice}", json={"name": hostile}, headers={**admin, **match})
    assert answer.status_code == 200, answer.text
    sheet = await world.client.post("/audit/reports/population", json={"format": "csv"}, headers=auditor)
    assert sheet.headers["content-type"].startswith("text/csv")
    fields = [field for row in csv.reader(io.StringIO(sheet.text, newline="")) for field in row]
    assert any(hostile in field for field in fields)
    assert not [field for field in fields if field.startswith(("=", "+", "-", "@"))]
    page = await world.client.post("/audit/reports/population", json={"format": "html"}, headers=auditor)
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert page.headers["content-security-policy"] == "sandbox"
    assert "attachment" in page.headers["content-disposition"]


async def test_a_folder_is_whole_and_stands_for_itself(world: World, auditor: dict[str, str]) -> None:
    await lived(world)
    answer = await world.client.post("/audit/reports/population", json={"format": "folder"}, headers=auditor)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    files = files_in(answer.content)
    checked = check_folder(files, [world.services.publishing.key])
    stored = {one["index"]: one for one in entries(world)}
    made_entry = stored[max(stored)]
    assert made_entry["data"]["sha256"] == checked.sha256
    assert made_entry["id"] == checked.id
    document = orjson.loads(files["report.json"])
    assert facts(document)["root_holds"] is True
    assert facts(document)["checkpoint_size"] == checked.checkpoint.size == facts(document)["log_size"]
    assert facts(document)["checkpoint_root"] == checked.checkpoint.root.hex()
    assert checked.entries == len(document["evidence"]) > 20
    for index in document["evidence"]:
        assert orjson.loads(files[f"entries/{index}.json"])["id"] == stored[index]["id"]
    # Entries stay pseudonymous; names are in the tables alone.
    inside = b"".join(content for path, content in files.items() if path.startswith("entries/"))
    assert b"alice" not in inside
    assert b"alice@example.com" in files["report.csv"]
    # The log goes on, and a later folder of an older time is proven against the newer head.
    later = await world.client.post(
        "/audit/reports/population", json={"format": "folder", "sample": 2}, headers=auditor
    )
    again = check_folder(files_in(later.content), [world.services.publishing.key])
    assert again.checkpoint.size > checked.checkpoint.size


async def test_sinks_are_listed_with_what_they_lack(tmp_path: Path) -> None:
    tape = {"sinks": {"tape": {"kind": "file", "path": str(tmp_path / "tape")}}}
    async with world_in(tmp_path, audit=tape) as world:
        auditor = await world.add(AUDITOR, roles=(Role.AUDITOR,))
        (sink,) = rows(await made(world, auditor, "integrity"), "sinks")
        assert (sink["sink"], sink["kind"], sink["required"]) == ("tape", "file", False)
        assert sink["behind"] == len(entries(world)) - 1, "nothing delivers to it in this test"


@pytest.mark.sqlite
async def test_a_log_that_was_changed_shows_and_gives_no_folder(world: World, auditor: dict[str, str]) -> None:
    await lived(world)
    whole = await made(world, auditor, "integrity")
    assert {row["result"] for row in rows(whole, "checks")} == {"holds"}
    database = sqlite3.connect(world.services.data_dir / FILE)
    with database:
        names = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entries'"
        ).fetchall()
        for (name,) in names:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute(
            "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), 'not_permitted', 'not_permittee') AS BLOB)"
        )
    database.close()
    broken = await made(world, auditor, "integrity")
    failing = {row["check"] for row in rows(broken, "checks") if row["result"] == "fails"}
    assert "every entry hashes to its leaf" in failing
    assert facts(broken)["failing"] >= 2
    answer = await world.client.post("/audit/reports/refusals", json={"format": "folder"}, headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
