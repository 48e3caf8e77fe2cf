"""Who saw what, over REST: with the real keys of real grants, and not a trace of the value that was asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import World
from tests.fakes.gateway import made_id
from tests.fakes.served import batch, crash, query, stream

from loglease.audit.interface import AuditUnavailable, Draft, Recorded
from loglease.model.digest import canonical_bytes, sha256_hex
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.principal import Role
from loglease.redaction import pseudonym
from loglease.server.reading import keys_of

EMAIL = "jane.doe@example.com"
ASKED = {"value": {"class": "email", "text": EMAIL}}


async def granted(world: World, account: str = "alice@example.com") -> Grant:
    """Return the grant of somebody, approved by bob, after something was read under it."""
    alice = await world.add(account)
    bob = (
        await world.sign_in("bob@example.com")
        if account != "alice@example.com"
        else await world.add("bob@example.com", groups=("approvers",))
    )
    grant_id = await world.approved(alice, bob)
    found = await world.services.store.read(lambda tx: tx.grants.find(GrantId(grant_id)))
    assert found is not None
    return found


def token_of(world: World, grant: Grant, value: str = EMAIL, cls: str = "pii.email", label: str = "email") -> str:
    keys = keys_of(world.services.pseudonym_key, grant)
    return pseudonym(value.encode(), cls=cls, label=label, key=keys.pseudonym)


async def recorded(world: World, grant: Grant, *drafts: Draft) -> list[int]:
    def work(tx: Any, _now: object) -> Recorded[int]:
        tx.grants.spend(grant.id, lines=1, size=1)
        return Recorded(tx.entries.size(), drafts)

    first = await world.services.log.commit(work)
    return list(range(first, first + len(drafts)))


async def read_once(world: World, grant: Grant, *pseudonyms: str) -> int:
    session = made_id("ses")
    indices = await recorded(
        world,
        grant,
        query(grant, session),
        batch(grant, session, [stream(1_000, 2_000, 41, service="pay-api")], pseudonyms),
    )
    return indices[-1]


async def asked(world: World, who: dict[str, str], body: Any) -> Any:
    found = await world.client.post("/audit/who-saw", json=body, headers=who)
    assert found.status_code == 200, found.text
    return found.json()


def all_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_value_is_found_by_its_pseudonym_under_each_key(world: World) -> None:
    grant, other = await granted(world), await granted(world, "carol@example.com")
    index = await read_once(world, grant, token_of(world, grant))
    await read_once(world, other, token_of(world, other, "somebody@example.com"))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    answer = (await asked(world, olga, ASKED))["answer"]
    (one,) = answer["grants"]
    assert (one["grant"], one["request"], one["profiles"]) == (grant.id, grant.request, ["pii-default@1"])
    assert one["principal"]["account"] == "alice@example.com"
    assert [person["account"] for person in one["approvers"]] == ["bob@example.com"]
    (found,) = one["found"]
    assert (found["how"], found["records"], found["lines"], found["indices"]) == ("served", 1, 41, [index])
    assert (found["first_ns"], found["last_ns"]) == ("1000", "2000")
    assert found["pseudonyms"] == [token_of(world, grant)]
    assert answer["unsearchable"] == []
    assert "not indexed" in answer["not_indexed"]
    # The same by the pseudonym, however it was copied, and by the class of the value in another spelling.
    token = token_of(world, grant)
    for text in (token, token.strip("⟦⟧")):
        by_token = (await asked(world, olga, {"pseudonym": {"grant": grant.id, "pseudonym": text}}))["answer"]
        assert by_token["grants"] == answer["grants"]
    spelled = {"value": {"class": "pii.email", "text": EMAIL.upper()}}
    assert (await asked(world, olga, spelled))["answer"]["grants"] == answer["grants"]
    narrowed = {**ASKED, "selector": '{service="shop"}'}
    assert (await asked(world, olga, narrowed))["answer"]["grants"] == []


@pytest.mark.answers_lost("who_saw_answer.record_answer")
async def test_the_question_is_on_the_record_and_the_value_nowhere(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    grant = await granted(world)
    await read_once(world, grant, token_of(world, grant))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    body = await asked(world, olga, {**ASKED, "since_ns": "0", "until_ns": "5000000000"})
    assert sha256_hex(canonical_bytes(body["answer"])) == body["sha256"]
    (entry,) = (await world.client.get("/audit/entries?type=report.made", headers=olga)).json()["items"]
    assert (entry["id"], entry["data"]["report"], entry["data"]["sha256"]) == (body["entry"], "who-saw", body["sha256"])
    assert entry["data"]["from_at"].startswith("1970-01-01T00:00:00")
    assert entry["data"]["to_at"].startswith("1970-01-01T00:00:05")
    for refused in (
        {"value": {"class": "no-such-class", "text": EMAIL}},
        {"value": {"class": "email", "text": EMAIL, "more": EMAIL}},
        {"value": {"class": EMAIL, "text": EMAIL}},
        {"value": {"class": "email", "text": [EMAIL]}},
        {"value": {"class": "email", "text": EMAIL + "x" * 5_000}},
        {**ASKED, "pseudonym": {"grant": grant.id, "pseudonym": "email:aaaaaaaaaa"}},
    ):
        found = await world.client.post("/audit/who-saw", json=refused, headers=olga)
        assert found.status_code == 422, found.text
        assert EMAIL not in found.text
    assert EMAIL not in caplog.text
    out, err = capfd.readouterr()
    assert EMAIL not in out + err
    kept = all_files(tmp_path)
    assert EMAIL.encode() not in kept
    assert b"pay-api" in kept  # so that files of the database are among them


async def test_nothing_leaves_where_it_cannot_be_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = await granted(world)
    await read_once(world, grant, token_of(world, grant))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))

    async def refuse(_log: object, _work: object) -> None:
        raise AuditUnavailable("The audit log does not answer.")

    monkeypatch.setattr(type(world.services.log), "commit", refuse)
    found = await world.client.post("/audit/who-saw", json=ASKED, headers=olga)
    assert (found.status_code, found.json()["code"]) == (503, "audit_unavailable")
    assert grant.id not in found.text


async def test_a_destroyed_key_makes_a_grant_unsearchable_by_value_alone(world: World) -> None:
    grant = await granted(world)
    token = token_of(world, grant)
    await read_once(world, grant, token)
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))

    def erase(group: Any) -> None:
        connection = group._connection
        document = json.loads(connection.exec_driver_sql("SELECT document FROM grants").scalar())
        connection.exec_driver_sql("DROP TRIGGER grants_terms")
        text = json.dumps({**document, "key_salt": ""})
        connection.exec_driver_sql("UPDATE grants SET document = ?", (text,))

    await world.services.store.group(erase)  # type: ignore[attr-defined]
    answer = (await asked(world, olga, ASKED))["answer"]
    assert answer["grants"] == []
    assert answer["unsearchable"] == [{"why": "key_destroyed", "profile": "pii-default@1", "grants": [grant.id]}]
    by_token = (await asked(world, olga, {"pseudonym": {"grant": grant.id, "pseudonym": token}}))["answer"]
    assert [one["grant"] for one in by_token["grants"]] == [grant.id]


async def test_classes_that_a_profile_does_not_show_as_pseudonyms_are_said_to_be_so(world: World) -> None:
    grant = await granted(world)
    await read_once(world, grant, token_of(world, grant))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    for cls, value, why, found in (
        ("pci.card", "4111111111111111", "class_masked", []),
        ("secret", "AKIAABCDEFGHIJKLMNOP", "class_masked", []),
        ("pii", EMAIL, "class_partly_masked", [grant.id]),
        ("field", "4bf92f3577b34da6a3ce929d0e0e4736", "class_absent", []),
    ):
        answer = (await asked(world, olga, {"value": {"class": cls, "text": value}}))["answer"]
        assert [(one["why"], one["grants"]) for one in answer["unsearchable"]] == [(why, [grant.id])]
        assert [one["grant"] for one in answer["grants"]] == found


async def test_a_crash_is_possible_and_parts_add_up(world: World) -> None:
    grant = await granted(world)
    session = made_id("ses")
    (_, first) = await recorded(world, grant, query(grant, session), crash(grant, session, 7))
    second = await read_once(world, grant, token_of(world, grant))
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    body = {"selector": '{service="pay-api"}'}
    (one,) = (await asked(world, olga, body))["answer"]["grants"]
    kinds = {found["how"]: (found.get("why"), found["lines"], found["indices"]) for found in one["found"]}
    assert kinds == {"possible": ("crash", 7, [first]), "served": (None, 41, [second])}
    part = (await asked(world, olga, {**body, "limit": 1}))["answer"]
    assert part["next_index"] == second
    rest = (await asked(world, olga, {**body, "first_index": second}))["answer"]
    assert "next_index" not in rest
    assert [found["indices"] for found in rest["grants"][0]["found"]] == [[second]]


async def test_questions_that_are_none_are_refused(world: World) -> None:
    olga = await world.add("olga@example.com", roles=(Role.AUDITOR,))
    grant = "grt_01JD8R0000000000000000000A"
    for body, code in (
        ({}, "invalid_field"),
        ({"selector": "{}"}, "invalid_field"),
        ({"selector": "{app"}, "scope_invalid"),
        ({"selector": '{app=~"a[bc]"}'}, "scope_undecidable"),
        ({"since_ns": "5", "until_ns": "5"}, "invalid_field"),
        ({"pseudonym": {"grant": grant, "pseudonym": "email:aaaaaaaaaa"}}, "not_found"),
        ({"pseudonym": {"grant": grant, "pseudonym": "email"}}, "invalid_field"),
    ):
        found = await world.client.post("/audit/who-saw", json=body, headers=olga)
        assert found.json()["code"] == code, body
