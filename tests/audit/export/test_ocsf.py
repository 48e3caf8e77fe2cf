from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit.drafts import draft, drafts
from tests.audit.export.branches import AT, full, of_type
from tests.audit.export.events import EMERGENCY, ORIGIN, SCHEDULED, SCOPE, event_for, stored
from tests.audit.export.schema import class_of, faults

from loglease import __version__
from loglease.audit.entry import entry_bytes
from loglease.audit.export.grants import facts_of
from loglease.audit.export.ocsf import line
from loglease.audit.interface import SYSTEM, Draft, EntryInvalid
from loglease.audit.merkle import leaf_hash
from loglease.audit.types import ENTRY_TYPES
from loglease.model.instant import parse_instant
from loglease.model.unsafe_text import is_unsafe

NAMES = list(ENTRY_TYPES)
MILLISECONDS = 1795399520123
"""`AT`, as another program computes it."""


def content_of(name: str, *, actor: str = "sub_somebody", via: str | None = None, **data: Any) -> bytes:
    kind = ENTRY_TYPES[name]
    ref = {field.name: f"{field.name}_1" for field in kind.ref}
    return entry_bytes(
        draft(1, type=name, actor=actor, via=via, ref=ref, data={**full(kind.data), **data}), parse_instant(AT)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_branch_of_every_type_is_valid(name: str) -> None:
    for content in of_type(ENTRY_TYPES[name]):
        for scheduled in (SCHEDULED, EMERGENCY, None):
            assert faults(event_for(content, scheduled=scheduled)) == [], content


@given(drafts(), st.sampled_from([SCHEDULED, EMERGENCY, None]))
def test_whatever_an_entry_says_its_event_is_valid_and_harmless(one: Draft, scheduled: dict[str, Any] | None) -> None:
    try:
        content = entry_bytes(one, parse_instant(AT))
    except EntryInvalid:
        return  # an id of another form, perhaps
    written = line(stored(content), origin=ORIGIN, grants=lambda _: scheduled)
    assert written.endswith(b"\n")
    text = written[:-1].decode()
    assert not any(map(is_unsafe, text))
    event = orjson.loads(text)
    assert faults(event) == []
    assert event["unmapped"] == {"data": one.data, "ref": one.ref, "leaf": leaf_hash(content).hex()}


def required_of(class_uid: int) -> list[set[str]]:
    """Return groups of attributes of which an event needs one at least; most have one member."""
    found = class_of(class_uid)
    required = [{name} for name, one in found["attributes"].items() if one["requirement"] == "required"]
    optional = [{name} for name, one in found["attributes"].items() if one.get("profiles")]
    return [one for one in required if one not in optional] + [
        set(one) for one in (found.get("constraints") or {}).values()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_corrupted_twin_is_not_valid(name: str) -> None:
    event = event_for(content_of(name))
    needed = required_of(event["class_uid"])
    assert {"metadata", "time", "type_uid", "severity_id", "activity_id", "class_uid"} <= set().union(*needed)
    twins = [{key: value for key, value in event.items() if key not in gone} for gone in needed]
    twins += [
        {**event, "invented": 1},
        {**event, "time": AT},
        {**event, "activity_id": 77},
        {**event, "severity_id": 7},
        {**event, "type_uid": event["type_uid"] + 10_000},
        {**event, "status_id": "1"},
        {**event, "class_uid": event["class_uid"] + 1},
        {**event, "unmapped": "text"},
        {**event, "actor": {}},
        {**event, "actor": {"user": {}}},
        {**event, "actor": {"user": {"uid": 1}}},
        {**event, "metadata": {**event["metadata"], "sequence": "7"}},
        {**event, "metadata": {**event["metadata"], "product": {}}},
        {**event, "metadata": {key: value for key, value in event["metadata"].items() if key != "version"}},
    ]
    if event["class_uid"] == 3003:
        twins.append({**event, "group": {"name": "both of what may be only one"}})
    if "action_id" in event:
        twins += [{**event, "action_id": 5}, {**event, "metadata": {**event["metadata"], "profiles": []}}]
    else:
        twins.append({**event, "action_id": 1})
    for twin in twins:
        assert faults(twin, event["class_uid"]), twin
    assert faults(copy.deepcopy(event)) == []


def test_metadata_names_the_entry_its_place_and_its_log() -> None:
    content = content_of("grant.activated")
    event = event_for(content, index=88_213)
    assert event["metadata"] == {
        "version": "1.8.0",
        "product": {"name": "LogLease", "vendor_name": "LogLease", "version": __version__},
        "uid": "ent_00000000000000000000000001",
        "sequence": 88_213,
        "log_name": ORIGIN,
        "log_version": "1",
        "event_code": "grant.activated",
        "logged_time": MILLISECONDS,
        "original_time": AT,
        "correlation_uid": "request_1",
    }
    assert event["time"] == MILLISECONDS
    assert event["message"] == "grant.activated grant_1 request_1"
    assert event["unmapped"]["leaf"] == leaf_hash(content).hex()


def test_the_time_is_when_it_happened_and_the_logged_time_when_it_was_recorded() -> None:
    earlier = "2026-11-23T02:05:19.000999Z"
    for name, key in (("grant.revoked", "effective_at"), ("elevation.raised", "happened_at")):
        event = event_for(content_of(name, **{key: earlier}))
        assert (event["time"], event["metadata"]["logged_time"]) == (MILLISECONDS - 1_123, MILLISECONDS)


def test_actors_are_subjects_the_system_is_an_application() -> None:
    assert event_for(content_of("grant.ended"))["actor"] == {"user": {"uid": "sub_somebody"}}
    assert event_for(content_of("grant.ended", actor=SYSTEM))["actor"] == {"app_name": "LogLease"}
    assert event_for(content_of("batch.served", via="sub_agent"))["actor"] == {
        "user": {"uid": "sub_somebody"},
        "app_uid": "sub_agent",
        "session": {"uid": "session_1"},
    }


def test_grants_are_told_with_holder_privileges_and_whether_it_was_an_emergency() -> None:
    for name in ("grant.activated", "grant.ended", "grant.revoked"):
        event = event_for(content_of(name))
        assert event["user"] == {"uid": "sub_holder"}
        assert event["privileges"] == ["logs:read:prod"]
        assert event["resources"] == [{"uid": "grant_1", "type": "grant"}]
        assert event["severity_id"] == (2 if name == "grant.revoked" else 1)
        emergency = event_for(content_of(name), scheduled=EMERGENCY)
        assert (emergency["severity_id"], emergency["severity"]) == (4, "High")
        unknown = event_for(content_of(name), scheduled=None)
        assert (unknown["user"], unknown["privileges"]) == ({"name": "unknown"}, ["unknown"])
    assert event_for(content_of("grant.scheduled", basis="break_glass"), scheduled=None)["severity_id"] == 4
    assert event_for(content_of("grant.scheduled", basis="reviews"), scheduled=EMERGENCY)["severity_id"] == 1


@pytest.mark.parametrize(
    ("changes", "privileges"),
    [
        ({}, ("logs:read:prod",)),
        ({"scopes": [{**SCOPE, "profiles": [{"name": "raw@1", "sha256": "0" * 64}]}]}, ("logs:read_unmasked:prod",)),
        ({"scopes": [{**SCOPE, "profiles": [{"name": "rawish@1", "sha256": "0" * 64}]}]}, ("logs:read:prod",)),
        ({"scopes": [{**SCOPE, "labels_only": True}]}, ("labels:read:prod",)),
        ({"scopes": [SCOPE, {**SCOPE, "source": "edge"}, SCOPE]}, ("logs:read:edge", "logs:read:prod")),
        ({"elevation": {"level": "debug"}}, ("logs:raise_level", "logs:read:prod")),
        ({"reveal": {"class": "email"}}, ("logs:reveal",)),
        ({"scopes": []}, ("unknown",)),
    ],
)
def test_privileges_say_what_a_grant_allows(changes: dict[str, Any], privileges: tuple[str, ...]) -> None:
    assert facts_of({**SCHEDULED, **changes}).privileges == privileges


def test_sessions_name_holder_and_end() -> None:
    opened = event_for(content_of("session.opened", address_c="ab" * 32))
    assert opened["session"] == {"uid": "session_1", "created_time": MILLISECONDS}
    assert opened["src_endpoint"] == {"uid": "ab" * 32}
    closed = event_for(content_of("session.closed", why="revoked"))
    assert closed["session"] == {"uid": "session_1", "expiration_reason": "revoked"}
    assert closed["src_endpoint"] == {"uid": "session_1"}
    assert (closed["activity_name"], closed["status_code"]) == ("Close", "revoked")
    for event in (opened, closed):
        assert event["user"] == {"uid": "sub_holder"}
        assert event["privileges"] == ["logs:read:prod"]
        assert "group" not in event


def test_reading_names_where_from_and_the_commitment_to_the_query() -> None:
    query = event_for(content_of("query.recorded", query=3, text_c="cd" * 32, scopes=[{**SCOPE, "source": "edge"}]))
    assert query["query_info"] == {"uid": "session_1/3", "query_string": "cd" * 32}
    assert query["databucket"] == {"type": "log source", "type_id": 99, "name": "edge"}
    batch = event_for(content_of("batch.served"))
    assert batch["databucket"]["name"] == "prod"
    assert batch["src_endpoint"] == {"uid": "session_1"}
    assert event_for(content_of("batch.served"), scheduled=None)["databucket"]["name"] == "unknown"
    disclosed = event_for(content_of("log.disclosed", field="reason_c"))
    assert disclosed["databucket"] == {"type": "private field", "type_id": 99, "uid": "entry_1", "name": "reason_c"}
    assert disclosed["src_endpoint"] == {"name": "undisclosed"}
    preview = event_for(content_of("preview.counted"))
    assert preview["databucket"] == {"type": "preview", "type_id": 99, "name": "preview", "uid": "request_1"}
    counted = event_for(content_of("exposure.counted", target="tgt_1"))
    assert counted["databucket"] == {"type": "target", "type_id": 99, "name": "tgt_1"}


def test_refusals_and_failed_sign_ins_are_failures_that_are_counted() -> None:
    counted = {"count": 12, "first_at": "2026-11-23T02:04:00.000000Z", "last_at": "2026-11-23T02:05:00.000000Z"}
    refused = event_for(content_of("access.refused", operation="list_grants", code="not_permitted", **counted))
    failed = event_for(content_of("signin.failed", error="wrong_password", method="password", **counted))
    for event in (refused, failed):
        assert (event["count"], event["end_time"] - event["start_time"]) == (12, 60_000)
        assert (event["status_id"], event["status"]) == (2, "Failure")
    assert refused["api"] == {"operation": "list_grants", "response": {"error": "not_permitted"}}
    assert {"uid": "grant_1", "type": "grant"} in refused["resources"]
    assert refused["status_code"] == "not_permitted"
    assert (failed["status_code"], failed["auth_protocol"]) == ("wrong_password", "password")


def test_sign_ins_name_method_factors_and_issuer() -> None:
    auth = {"method": "password", "mfa": True, "age_s": 0}
    event = event_for(content_of("signin.succeeded", auth=auth, issuer="local"))
    assert event["user"] == {"uid": "sub_somebody"}
    assert (event["is_mfa"], event["auth_protocol_id"], event["auth_protocol"]) == (True, 99, "password")
    assert (event["session"], event["service"]) == ({"issuer": "local"}, {"name": "LogLease"})
    ended = event_for(content_of("signin.ended", why="logout"))
    assert ended["session"] == {"uid": "token_1", "expiration_reason": "logout"}
    assert event_for(content_of("signin.failed", actor=SYSTEM))["user"] == {"name": "unknown"}


def test_findings_have_a_name_a_title_and_a_state() -> None:
    tamper = event_for(content_of("tamper.found", check="leaf", detail="bytes"))
    assert (tamper["severity_id"], tamper["severity"], tamper["is_alert"]) == (5, "Critical", True)
    assert tamper["finding_info"]["uid"] == tamper["metadata"]["uid"]
    assert (tamper["status"], tamper["status_detail"]) == ("New", "bytes")
    suspect, trusted = (event_for(content_of(name, replica="one")) for name in ("clock.suspect", "clock.trusted"))
    assert suspect["finding_info"]["uid"] == trusted["finding_info"]["uid"] == "clock/one"
    assert (suspect["status"], trusted["status"]) == ("New", "Resolved")
    found = [event_for(content_of(f"finding.{word}", finding="fnd_1")) for word in ("opened", "accepted", "closed")]
    assert {one["finding_info"]["uid"] for one in found} == {"fnd_1"}
    assert [one["status"] for one in found] == ["New", "Suppressed", "Resolved"]
    assert event_for(content_of("elevation.failed"))["finding_info"]["uid"] == "elevation_1"
    assert (
        event_for(content_of("elevation_agent.lost", agent="agt_1"))["finding_info"]["uid"] == "elevation_agent/agt_1"
    )


@pytest.mark.parametrize(
    ("name", "data", "entity"),
    [
        ("request.submitted", {}, {"uid": "request_1", "type_id": 99, "type": "access request"}),
        ("offer.made", {"offer": 2}, {"uid": "request_1/2", "type_id": 99, "type": "offer"}),
        ("review.given", {}, {"uid": "review_1", "type_id": 99, "type": "review"}),
        ("breakglass.reviewed", {}, {"uid": "grant_1", "type_id": 99, "type": "grant"}),
        ("lock.lifted", {"lock": "lck_1"}, {"uid": "lck_1", "type_id": 99, "type": "lock"}),
        ("policy.loaded", {"bundle_sha256": "ab" * 32}, {"uid": "ab" * 32, "type_id": 5, "type": "Policy"}),
        ("policy.reviewed", {}, {"uid": "proposal_1", "type_id": 99, "type": "proposal"}),
        (
            "stand_in.named",
            {"subject": "sub_a", "stand_in": "sub_b"},
            {"uid": "sub_a/sub_b", "type_id": 99, "type": "stand-in"},
        ),
        ("token.issued", {"token": "tok_1"}, {"uid": "tok_1", "type_id": 99, "type": "token"}),
        ("report.signed", {}, {"uid": "entry_1", "type_id": 99, "type": "report"}),
    ],
)
def test_entities_have_a_name_and_a_kind(name: str, data: dict[str, Any], entity: dict[str, Any]) -> None:
    assert event_for(content_of(name, **data))["entity"] == entity


def test_a_policy_that_could_not_be_read_has_no_digest() -> None:
    kind = ENTRY_TYPES["policy.refused"]
    content = entry_bytes(
        draft(1, type=kind.name, actor=SYSTEM, ref={}, data={"error": "policy_invalid"}), parse_instant(AT)
    )
    assert event_for(content)["entity"] == {"name": "policy", "type_id": 5, "type": "Policy"}


def test_the_audit_log_names_itself_in_what_happens_to_it() -> None:
    event = event_for(content_of("log.exported"))
    assert (event["log_name"], event["log_type"]) == (ORIGIN, "Application")


def test_accounts_have_their_kind() -> None:
    found = [
        event_for(content_of("principal.added", subject="sub_x", kind=kind)) for kind in ("human", "agent", "service")
    ]
    assert [one["user"] for one in found] == [
        {"uid": "sub_x", "type_id": 1, "type": "User"},
        {"uid": "sub_x", "type_id": 99, "type": "Agent"},
        {"uid": "sub_x", "type_id": 4, "type": "Service"},
    ]
    assert event_for(content_of("subject.erased", subject="sub_x"))["user"] == {"uid": "sub_x"}
