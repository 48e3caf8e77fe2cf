"""Sources, locks, tokens, audit entries, accounts: each command sends what its words say and shows what comes back."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import Call, FakeServer, Reply
from tests.cli.resources import ALICE, BOB, GRANT, LOCK, TOKEN, grant_shown

from loglease.model.instant import parse_instant

AT = "2026-11-23T09:42:10.000000Z"
NOW = {"Date": "Mon, 23 Nov 2026 09:42:10 GMT"}
SOURCE = {
    "id": "files",
    "kind": "files",
    "follow": True,
    "ok": True,
    "description": "Logs of the shop",
    "labels": ["service"],
}
LOCKED: dict[str, Any] = {
    "id": LOCK,
    "on": "person:dave",
    "reason": "left",
    "added_by": BOB,
    "added_at": AT,
    "in_force": True,
    "sessions_ended": [],
    "sessions_ending": [],
}
ISSUED = {"id": TOKEN, "kind": "personal", "label": "ci", "rights": ["logs.read"], "created_at": AT, "expires_at": AT}
PERSON = {
    **ALICE,
    "subject": "sub_abcdefghijklmnopqrstuvwxyz",
    "issuer": "local",
    "person": "per_1",
    "groups": ["leads"],
    "roles": [],
    "enabled": True,
}


def test_sources_are_listed_shown_and_asked_for_labels(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/sources", {"items": [SOURCE, {**SOURCE, "id": "gone", "ok": False}]})
    server.on("GET", "/sources/files", SOURCE)
    labels = [{"name": "service", "values": ["pay-api", "bil\x1bling"], "open": False}]
    server.on("GET", "/sources/files/labels", {"items": labels})
    assert "fail" in cli("sources", "list").out
    assert "Logs of the shop" in cli("sources", "show", "files").out
    assert "pay-api, bil\\x1bling" in cli("sources", "labels", "files", "service").out
    assert server.sent("GET", "/sources/files/labels")[0].query == {"name": "service"}
    assert json.loads(cli("sources", "list", "--output", "json").out)["items"][0] == SOURCE


def test_where_policy_names_no_values_that_is_said(cli: Cli, server: FakeServer) -> None:
    some = {"name": "env", "values": ["prod"], "open": True}
    server.on("GET", "/sources/files/labels", {"items": [{"name": "service", "values": [], "open": True}, some]})
    found = cli("sources", "labels", "files")
    assert "service  any; the policy names none" in found.out
    assert "env      prod, others" in found.out
    assert "takes a grant" in found.err
    server.on("GET", "/sources/files/labels", {"items": []})
    assert cli("sources", "labels", "files").err == "No policy lets you ask for labels of this source.\n"


def test_a_sources_name_cannot_leave_its_place_in_the_path(cli: Cli, server: FakeServer) -> None:
    assert cli("sources", "show", "../tokens?x=1").code == 7
    assert server.calls[-1].path == "/sources/..%2Ftokens%3Fx%3D1"


def test_a_lock_is_added_listed_and_lifted(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/locks", Reply(LOCKED, 201))
    server.on("GET", "/locks", {"items": [LOCKED]})
    server.on("POST", f"/locks/{LOCK}/lift", {**LOCKED, "in_force": False})
    assert cli("lock", "add", "person:dave", "--reason", "left", "--revoke").code == 0
    assert server.sent("POST", "/locks")[0].body == {"on": "person:dave", "reason": "left", "revoke": True}
    assert "in force" in cli("lock", "list").out
    assert cli("lock", "lift", LOCK[-6:], "--reason", "back").out == f"Lifted the lock on person:dave   ({LOCK})\n"


def test_a_lock_may_end_by_itself(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/health", Reply({}, headers=NOW))
    server.on("POST", "/locks", Reply(LOCKED, 201))
    cli("lock", "add", "person:dave", "--reason", "left", "--until", "2h")
    cli("lock", "add", "person:dave", "--reason", "left", "--until", "2026-12-01T00:00:00Z")
    first, second = (call.body["until"] for call in server.sent("POST", "/locks"))
    assert 7_200 <= (parse_instant(first) - parse_instant(AT)) / 1_000_000 < 7_260
    assert second == "2026-12-01T00:00:00.000000Z"


def test_everything_is_not_locked_by_accident(cli: Cli, server: FakeServer) -> None:
    assert cli("lock", "add", "everything", "--reason", "fire", stdin="n\n", terminal=True).code == 1
    assert not server.sent("POST", "/locks")


def test_a_local_lock_asks_the_server_of_this_machine_and_no_other(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def lock_add(**call: Any) -> dict[str, Any]:
        asked.append(call)
        return {"id": LOCK, "on": call["on"], "added_at": AT, "durable": False}

    monkeypatch.setattr("loglease.server.local_door.lock_add", lock_add)
    done = cli("lock", "add", "everything", "--local", "--data-dir", str(tmp_path), "--reason", "fire")
    assert (done.code, asked) == (0, [{"on": "everything", "reason": "fire", "data_dir": tmp_path}])
    assert "Locked everything" in done.out
    assert "Journalled on this machine" in done.err
    assert cli("lock", "add", "everything", "--local", "--revoke", "--reason", "fire").code == 2
    assert not server.calls


def test_a_tokens_secret_is_all_that_stdout_gets(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/tokens", Reply({"token": ISSUED, "secret": "llp_secret"}, 201))
    found = cli("token", "create", "ci", "--right", "logs.read", "--right", "audit.read", "--expires", "7d")
    assert found.out == "llp_secret\n"
    assert server.sent("POST", "/tokens")[0].body == {
        "label": "ci",
        "rights": ["logs.read", "audit.read"],
        "expires_in_s": 604_800,
    }


def test_a_token_needs_a_right(cli: Cli, server: FakeServer) -> None:
    found = cli("token", "create", "ci")
    assert (found.code, "Give --right: requests.read" in found.err) == (2, True)
    assert not server.sent("POST", "/tokens")


def test_tokens_for_services_and_grants(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("POST", "/tokens", Reply({"token": ISSUED, "secret": "x"}, 201))
    cli("token", "create", "ci", "--service", "ci-bot", "--right", "logs.read")
    cli("token", "create", "ci", "--grant", "@last")
    first, second = (call.body for call in server.sent("POST", "/tokens"))
    assert (first["kind"], first["principal"]) == ("service", "ci-bot")
    assert (second["kind"], second["grant"]) == ("grant", GRANT)


def test_tokens_are_listed_and_deleted(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/tokens", {"items": [ISSUED]})
    server.on("DELETE", f"/tokens/{TOKEN}", Reply(status=204))
    assert "never" in cli("token", "list").out
    assert cli("token", "delete", "@last").err == f"{TOKEN} works no more.\n"


def test_audit_entries_are_filtered_by_what_they_are_about(cli: Cli, server: FakeServer) -> None:
    entry = {
        "index": 7,
        "id": "ent_1",
        "type": "grant.revoked",
        "at": AT,
        "actor": "sub_1",
        "ref": {"grant": GRANT},
        "data": {"reason_c": "ab", "x": "\x1b"},
    }
    server.on("GET", "/audit/entries", {"items": [entry]})
    found = cli("audit", "list", "--type", "grant.revoked", "--grant", GRANT, "--limit", "5")
    assert server.calls[-1].query == {"limit": "5", "type": "grant.revoked", "grant": GRANT}
    assert f'7      2026-11-23 09:42:10  grant.revoked  sub_1  {GRANT}  {{"reason_c":"ab","x":"\\u001b"}}' in found.out
    assert json.loads(cli("audit", "list", "--output", "json").out)["items"] == [entry]


def test_an_account_is_added_and_its_password_shown_once(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/principals", Reply({"principal": PERSON, "password": "generated"}, 201))
    server.on("GET", "/principals", {"items": [{**PERSON, "account": "bob", "id": "prn_2"}]})
    words = ["--name", "Alice", "--group", "leads", "--role", "auditor", "--kind", "agent", "--owner", "bob"]
    found = cli("admin", "user", "add", "alice", *words)
    assert found.out == "generated\n"
    assert server.sent("POST", "/principals")[0].body == {
        "account": "alice",
        "kind": "agent",
        "groups": ["leads"],
        "roles": ["auditor"],
        "name": "Alice",
        "owner": "prn_2",
    }
    given = cli("admin", "user", "add", "alice", "--password-stdin", stdin="long enough password\n")
    assert given.code == 0
    assert server.sent("POST", "/principals")[1].body["password"] == "long enough password"


@pytest.mark.parametrize(("command", "enabled"), [("disable", False), ("enable", True)])
def test_an_account_is_changed_only_as_it_was_seen(cli: Cli, server: FakeServer, command: str, enabled: bool) -> None:
    path = f"/principals/{ALICE['id']}"
    server.on("GET", "/principals", {"items": [PERSON]})
    server.on("GET", path, Reply(PERSON, headers={"ETag": '"v7"'}))
    server.on("PATCH", path, {**PERSON, "enabled": enabled})
    assert cli("admin", "user", command, "alice@example.com").out == f"alice@example.com is {command}d.\n"
    (call,) = server.sent("PATCH", path)
    assert (call.body, call.headers["if-match"]) == ({"enabled": enabled}, '"v7"')
    assert cli("admin", "user", command, "nobody").code == 7
    assert "leads" in cli("admin", "user", "list").out


@pytest.fixture
def _carol(server: FakeServer) -> None:
    """Two accounts, of which one is in a group and has a role."""
    carol = {**PERSON, "id": BOB["id"], "account": "carol", "groups": [], "roles": ["auditor"]}
    server.on("GET", "/principals", {"items": [PERSON, carol]})
    for one in (PERSON, carol):
        path = f"/principals/{one['id']}"
        server.on("GET", path, Reply(one, headers={"ETag": '"v7"'}))
        server.on("PATCH", path, partial(_patched, one))


def _patched(one: dict[str, Any], call: Call) -> dict[str, Any]:
    return {**one, **call.body}


@pytest.mark.usefixtures("_carol")
def test_groups_roles_and_names_are_changed_one_by_one(cli: Cli, server: FakeServer) -> None:
    words = ["--name", "Carol", "--add-group", "approvers", "--add-role", "admin", "--remove-role", "auditor"]
    found = cli("admin", "user", "change", "Carol", *words)
    assert found.out == "carol (Carol): groups approvers; roles admin\n"
    (call,) = server.sent("PATCH", f"/principals/{BOB['id']}")
    assert call.body == {"name": "Carol", "groups": ["approvers"], "roles": ["admin"]}
    assert call.headers["if-match"] == '"v7"'
    left = cli("admin", "user", "change", "alice@example.com", "--remove-group", "leads")
    assert "groups none" in left.out
    assert cli("admin", "user", "change", "carol").code == 2
    assert "auditor" in cli("admin", "user", "show", "carol").out


@pytest.mark.usefixtures("_carol")
def test_several_people_join_and_leave_a_group(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/groups", {"items": [{"name": "leads", "members": [ALICE]}]})
    assert "alice@example.com" in cli("admin", "group", "list").out
    joined = cli("admin", "group", "add", "approvers", "alice@example.com", "carol")
    assert joined.out.splitlines() == [
        "alice@example.com (Alice): groups approvers, leads; roles none",
        "carol (Alice): groups approvers; roles auditor",
    ]
    assert "groups none" in cli("admin", "group", "remove", "leads", "alice@example.com").out
    assert cli("admin", "group", "add", "approvers").code == 2
    assert cli("admin", "group", "add", "approvers", "carol", "nobody").code == 7
    assert len(server.sent("PATCH", f"/principals/{BOB['id']}")) == 1, "nobody is changed if one is not known"


@pytest.mark.usefixtures("_carol")
def test_a_new_password_is_all_that_stdout_gets(cli: Cli, server: FakeServer) -> None:
    server.on(
        "POST", f"/principals/{BOB['id']}/password", {"principal": {**PERSON, "account": "carol"}, "password": "x"}
    )
    found = cli("admin", "user", "reset-password", "carol")
    assert (found.out, "carol, shown this once" in found.err) == ("x\n", True)


def test_managers_are_named_and_listed(cli: Cli, server: FakeServer) -> None:
    alice = {"id": "per_1", "principals": [ALICE], "manager": "per_2"}
    bob = {"id": "per_2", "principals": [BOB]}
    server.on("GET", "/persons", {"items": [alice, bob]})
    server.on("PATCH", "/persons/per_1", alice)
    server.on("PATCH", "/persons/per_2", bob)
    listed = cli("admin", "person", "list").out.splitlines()
    assert listed[1].split() == [ALICE["account"], BOB["account"], "per_1"]
    changed = cli("admin", "person", "change", ALICE["account"], "--manager", BOB["account"])
    assert changed.out == f"{ALICE['account']}: manager {BOB['account']}\n"
    assert server.sent("PATCH", "/persons/per_1")[0].body == {"manager": "per_2"}
    assert cli("admin", "person", "change", "per_2", "--no-manager").out == f"{BOB['account']}: manager nobody\n"
    assert server.sent("PATCH", "/persons/per_2")[0].body == {"manager": None}
    assert cli("admin", "person", "change", "per_2").code == 2
    assert cli("admin", "person", "change", "nobody", "--no-manager").code == 7
    assert json.loads(cli("admin", "person", "list", "--output", "json").out)["items"][0] == alice


def test_stand_ins_are_named_listed_and_ended(cli: Cli, server: FakeServer) -> None:
    one = {"person": "per_1", "member": ALICE, "stand_in": BOB, "since": AT, "until": AT}
    server.on("POST", "/stand-ins", one)
    server.on("GET", "/stand-ins", {"items": [one]})
    server.on("GET", "/me", {"principal": ALICE})
    server.on("DELETE", "/stand-ins/per_1", Reply({}, 204))
    given = cli("stand-in", "name", BOB["account"], "--for", "7d")
    assert given.out.startswith(f"{BOB['account']} reviews in your place until ")
    assert server.sent("POST", "/stand-ins")[0].body == {"stand_in": BOB["account"], "for_s": 604_800}
    assert cli("stand-in", "list").out.splitlines()[1].split()[:2] == [ALICE["account"], BOB["account"]]
    assert f"{BOB['account']} stands in for {ALICE['account']} no longer." in cli("stand-in", "end").err
    assert cli("stand-in", "end", ALICE["account"]).code == 0
    assert len(server.sent("DELETE", "/stand-ins/per_1")) == 2
    assert cli("stand-in", "end", "carol").code == 7
    for command in (("name", BOB["account"], "--for", "7d"), ("list",)):
        assert json.loads(cli("stand-in", *command, "--output", "json").out)
