"""Route by verb by role: for every operation of the document, who gets past the door.

The table is complete: a new operation without a row fails.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.test_openapi import COMMITTED, OPEN, operations
from tests.api.world import PASSWORD, SCOPE, WISH, World

from loglease.model.principal import Role

ROLES = ("nobody", "reader", "engineer", "auditor", "admin")

# What somebody of each role is refused with, of the codes of permission; "" is past the door.
# nobody: no credential. reader: a token with the right logs.read only. engineer: a sign-in without a role.
EVERYBODY = {"reader": "", "engineer": "", "auditor": "", "admin": ""}
SIGNED_IN = {**EVERYBODY, "reader": "not_permitted"}
OVERSEERS = {"reader": "not_permitted", "engineer": "not_permitted", "auditor": "", "admin": ""}
ADMINS = {**OVERSEERS, "auditor": "not_permitted"}

MATRIX: dict[str, dict[str, str]] = {
    "show_me": EVERYBODY,
    "sign_out": EVERYBODY,
    "change_password": EVERYBODY,
    "list_tokens": SIGNED_IN,
    "delete_token": SIGNED_IN,
    "create_token": SIGNED_IN,
    "make_offers": SIGNED_IN,
    "list_requests": SIGNED_IN,
    "create_request": SIGNED_IN,
    "find_request": SIGNED_IN,
    "find_request_terms": SIGNED_IN,
    "find_request_timeline": SIGNED_IN,
    "explain_request": SIGNED_IN,
    "list_reviews": SIGNED_IN,
    "cancel_pending_request": SIGNED_IN,
    "create_review": {**SIGNED_IN, "reader": "reviewer_not_human"},
    "list_after_reviews": SIGNED_IN,
    "find_exposure": SIGNED_IN,
    "create_after_review": {**SIGNED_IN, "reader": "reviewer_not_human"},
    "list_grants": SIGNED_IN,
    # A token that reads logs may look at and use what it reads; what is not there is not found.
    "find_grant": EVERYBODY,
    "find_grant_usage": EVERYBODY,
    "activate_scheduled_grant": EVERYBODY,
    "return_live_grant": SIGNED_IN,
    "suspend_live_grant": EVERYBODY,
    "resume_suspended_grant": EVERYBODY,
    "revoke_grant": EVERYBODY,
    "create_revocation": ADMINS,
    "preview_revocation": ADMINS,
    "find_revocation": SIGNED_IN,
    "list_sessions": EVERYBODY,
    "find_session": EVERYBODY,
    "list_sources": SIGNED_IN,
    "find_source": SIGNED_IN,
    "list_labels": SIGNED_IN,
    "list_locks": OVERSEERS,
    "create_lock": ADMINS,
    "find_lock": OVERSEERS,
    "lift_present_lock": ADMINS,
    "list_notices": OVERSEERS,
    "retry_dead_notices": ADMINS,
    "test_channel": ADMINS,
    "list_entries": OVERSEERS,
    "list_reports": OVERSEERS,
    "make_report": OVERSEERS,
    "sign_made_report": OVERSEERS,
    "export_entries": OVERSEERS,
    "find_entry": SIGNED_IN,
    "prove_entry": SIGNED_IN,
    "prove_consistency": OVERSEERS,
    "ask_who_saw": OVERSEERS,
    "read_log_file": OVERSEERS,
    "disclose_text": ADMINS,
    "propose_erasing": ADMINS,
    "propose_log_pruning": ADMINS,
    "list_holds": OVERSEERS,
    "create_hold": OVERSEERS,
    "release_present_hold": ADMINS,
    "list_principals": OVERSEERS,
    "create_principal": ADMINS,
    "find_principal": OVERSEERS,
    "change_principal": ADMINS,
    "reset_password": ADMINS,
    "list_persons": OVERSEERS,
    "change_person": ADMINS,
    "list_groups": OVERSEERS,
    "show_policy": OVERSEERS,
    "check_policy": OVERSEERS,
    "compare_policies": OVERSEERS,
    "explain_wish": SIGNED_IN,
    "list_who_can": OVERSEERS,
    "simulate_policy": OVERSEERS,
    "list_bundles": OVERSEERS,
    "list_documents": OVERSEERS,
    "find_documents": OVERSEERS,
    "list_decisions": OVERSEERS,
    "find_bundle": OVERSEERS,
    "propose_bundle": dict.fromkeys(EVERYBODY, "not_permitted"),  # it takes the role policy_admin
    "list_proposals": OVERSEERS,
    "find_proposal": OVERSEERS,
    "approve_proposal": OVERSEERS,
    "deny_proposal": OVERSEERS,
    "withdraw_proposal": OVERSEERS,
    "list_stand_ins": SIGNED_IN,
    "name_own_stand_in": {**SIGNED_IN, "reader": "reviewer_not_human"},
    "end_present_stand_in": SIGNED_IN,
}
STREAMING = {"follow_events"}
MISSING = "0" * 26
BODIES: dict[str, Any] = {
    "make_offers": WISH,
    "create_request": WISH,
    "create_review": {"verdict": "approve"},
    "create_after_review": {"verdict": "justified"},
    "suspend_live_grant": {"reason": "x"},
    "resume_suspended_grant": {"reason": "x"},
    "revoke_grant": {"reason": "x"},
    "create_revocation": {"on": "source:nowhere", "reason": "x"},
    "create_lock": {"on": "source:nowhere", "reason": "x"},
    "lift_present_lock": {"reason": "x"},
    "retry_dead_notices": {},
    "test_channel": {"channel": "nowhere"},
    "make_report": {},
    "sign_made_report": {"verdict": "accepted"},
    "create_token": {"label": "x", "rights": ["logs.read"], "expires_in_s": 60},
    "create_principal": {"account": "somebody", "password": PASSWORD},
    "change_principal": {"name": "x"},
    "change_person": {"manager": None},
    "name_own_stand_in": {"stand_in": "nobody", "for_s": 60},
    "change_password": {"password": "wrong", "new_password": "wrong"},
    "check_policy": {"files": {"policy.yaml": "x"}},
    "compare_policies": {"files": {"policy.yaml": "x"}},
    "explain_wish": WISH,
    "list_who_can": WISH,
    "simulate_policy": {"files": {"policy.yaml": "x"}},
    "ask_who_saw": {"selector": '{service="a"}'},
    "propose_bundle": {"files": {"policy.yaml": "x"}, "comment": "x"},
    "disclose_text": {"entry": f"ent_{MISSING}", "field": "reason_c", "to": f"prn_{MISSING}", "purpose": "x"},
    "propose_erasing": {"subject": "sub_" + "a" * 26, "comment": "x"},
    "propose_log_pruning": {"before": "2020-01-01T00:00:00Z", "comment": "x"},
    "create_hold": {"reason": "x"},
    "approve_proposal": {},
    "deny_proposal": {},
}
PREFIXES = {
    "request_id": "req",
    "grant_id": "grt",
    "session_id": "ses",
    "revocation_id": "rvk",
    "principal_id": "prn",
    "person_id": "per",
    "token_id": "tok",
    "lock_id": "lck",
    "proposal_id": "prp",
    "entry_id": "ent",
    "hold_id": "hld",
}
DOOR = {"not_authenticated", "not_permitted", "reviewer_not_human", "token_expired", "locked", "csrf_failed"}


def address(path: str, operation: dict[str, Any]) -> str:
    path = (
        path.removeprefix("/api/v1")
        .replace("{source_id}", "files")
        .replace("{revision}", "1")
        .replace("{sha256}", "0" * 64)
        .replace("{entry}", "999999")
        .replace("{report}", "refusals")
        .replace("{path}", "checkpoint")
    )
    for name, prefix in PREFIXES.items():
        path = path.replace(f"{{{name}}}", f"{prefix}_{MISSING}")
    queries = {
        "list_sessions": f"?grant=grt_{MISSING}",
        "preview_revocation": "?on=source:nowhere",
        "list_decisions": "?since=2026-01-01T00:00:00Z",
        "export_entries": "?format=ndjson",
        "prove_consistency": "?from=1&to=1",
    }
    return path + queries.get(operation["operationId"], "")


async def test_the_matrix_has_a_row_for_every_operation() -> None:
    names = {operation["operationId"] for _, _, operation in operations(json.loads(COMMITTED.read_text()))}
    assert names - OPEN - STREAMING == set(MATRIX)


@pytest.mark.attack("AP-08")
async def test_every_role_gets_where_it_may_and_nowhere_else(world: World) -> None:
    engineer = await world.add("alice@example.com")
    body = {"label": "reader", "rights": ["logs.read"], "expires_in_s": 600}
    token = (await world.created("/tokens", body, engineer)).json()["secret"]
    people = {
        "nobody": {},
        "reader": {"Authorization": f"Bearer {token}"},
        "engineer": engineer,
        "auditor": await world.add("sam@example.com", roles=(Role.AUDITOR,)),
        "admin": await world.add("root@example.com", roles=(Role.ADMIN,), groups=("approvers",)),
    }
    found: dict[str, dict[str, str]] = {}
    every = [one for one in operations(json.loads(COMMITTED.read_text())) if one[2]["operationId"] in MATRIX]
    # Whatever ends a sign-in comes last.
    every.sort(key=lambda one: one[2]["operationId"] == "sign_out")
    for method, path, operation in every:
        name = operation["operationId"]
        for role in ROLES:
            headers = {**people[role], **world.key(), "If-Match": '"0000"'}
            answer = await world.client.request(
                method, address(path, operation), json=BODIES.get(name), headers=headers
            )
            assert answer.status_code < 500, (name, role, answer.text)
            code = answer.json()["code"] if answer.status_code >= 400 else ""
            found.setdefault(name, {})[role] = code if code in DOOR else ""
    # A wrong present password is answered like a wrong sign-in, whoever asks.
    expected = {name: {"nobody": "not_authenticated", **row} for name, row in MATRIX.items()}
    expected["change_password"] = dict.fromkeys(ROLES, "not_authenticated")
    assert found == expected


async def test_the_audit_log_is_open_to_people_about_their_own(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    mallory = await world.add("mallory@example.com")
    grant = await world.approved(alice, bob)
    request = (await world.client.get(f"/grants/{grant}", headers=alice)).json()["request"]
    for who in (alice, bob):
        items = (await world.client.get(f"/audit/entries?request={request}", headers=who)).json()["items"]
        assert {"request.submitted", "review.given", "grant.scheduled"} <= {one["type"] for one in items}
    foreign = await world.client.get(f"/audit/entries?request={request}", headers=mallory)
    assert foreign.status_code == 404


async def test_refused_calls_are_on_the_record(world: World) -> None:
    mallory = await world.add("mallory@example.com")
    await world.client.get("/principals", headers=mallory)
    await world.created("/requests", {**WISH, "scopes": [{**SCOPE, "window": {"lookback_s": 90_000}}]}, mallory)
    admin = await world.sign_in("admin", world.admin_password)
    items = (await world.client.get("/audit/entries?type=access.refused", headers=admin)).json()["items"]
    assert [(one["data"]["operation"], one["data"]["code"]) for one in items[::-1]] == [
        ("list_principals", "not_permitted"),
        ("create_request", items[0]["data"]["code"]),
    ]
