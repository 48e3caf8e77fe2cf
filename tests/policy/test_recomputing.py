"""What the log has of an offer is held against what its record and its documents give; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from tests.fakes.world import DIGESTS, POLICY, PROFILES, bundle_of, principal, wish

from loglease.model.errors import Malformed
from loglease.model.instant import Instant
from loglease.model.principal import directory_of
from loglease.model.scope import Level
from loglease.policy.committed_records import committed_record, read_committed
from loglease.policy.decision import decide
from loglease.policy.decision_records import ENGINE
from loglease.policy.entry_shapes import offer_shape, profiles_of, scope_data, unknown_profile
from loglease.policy.recomputing import Undecidable, offer_fault

NOW = Instant(1_790_000_000_000_000)
ALICE, BOB = principal("alice"), principal("bob", groups=("approvers",))
ASKED = wish(contains=("pay",), level_from=Level.INFO, duration_s=1_200).at(NOW)
BUNDLE = bundle_of(POLICY)


class Salted:
    """Makes something of every text that looks like a commitment."""

    def to(self, name: str, text: str) -> str:
        return f"{name}={text}".encode().hex()


def case() -> dict[str, Any]:
    """Return what the log has of one offer, with its record."""
    found = decide(BUNDLE, ASKED, ALICE, directory=directory_of([ALICE, BOB]), now=NOW, profiles=PROFILES)
    (offer,) = found.offers
    record = committed_record(
        found, request="req_1", taken=offer, closed=None, zones="x", profiles=PROFILES, digests=DIGESTS
    )
    submitted = {
        "scopes": [scope_data(one, Salted(), unknown_profile) for one in ASKED.scopes],
        "limits": dict(ASKED.limits.named()),
        "duration_s": ASKED.duration_s,
    }
    made = {**offer_shape(offer, Salted(), profiles_of(PROFILES, DIGESTS)), "record_c": "x"}
    return {"made": orjson.loads(orjson.dumps(made)), "submitted": submitted, "record": orjson.loads(record)}


def fault_of(found: dict[str, Any], **changes: Any) -> str | None:
    given = {"request": "req_1", "subject": ALICE.subject, "bundle": BUNDLE, **changes}
    record = read_committed(orjson.dumps(found["record"]))
    return offer_fault(found["made"], found["submitted"], record=record, **given)


def test_the_same_offer_is_the_same() -> None:
    assert fault_of(case()) is None


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("made", lambda one: one.update(duration_s=1_201), "its duration_s: 1201 in the log, 1200 made again"),
    ("made", lambda one: one.update(bind=["network"]), "its bind: ['network'] in the log, nothing made again"),
    ("made", lambda one: one["plans"][0][0].update(need=2), "its plans"),
    ("made", lambda one: one["scopes"][0].update(live=False), "its scopes"),
    ("made", lambda one: one["scopes"][0]["rules_c"].pop(), "its scopes"),
    ("made", lambda one: one["scopes"][0]["profiles"][0].update(sha256="cd" * 32), "its scopes"),
    ("made", lambda one: one.update(offer=2), "its offer"),
    ("made", lambda one: one.update(outcome="auto"), "its outcome"),
    ("made", lambda one: one.update(policy="two-approvals"), "its record has no offer of policy two-approvals"),
    ("made", lambda one: one.update(revision=99), "its record names another bundle"),
    ("made", lambda one: one.update(bundle_sha256="cd" * 32), "its record names another bundle"),
    ("made", lambda one: one.update(reveal={"grant": "g", "class": "c"}), "about a masked value"),
    ("submitted", lambda one: one.update(duration_s=60), "the wish of its record has other duration_s"),
    ("submitted", lambda one: one["limits"].update(lines=1), "the wish of its record has other limits"),
    ("submitted", lambda one: one["scopes"][0].update(source="other"), "the wish of its record has other scopes"),
    ("submitted", lambda one: one["scopes"][0]["rules_c"].pop(), "the wish of its record has other scopes"),
    ("submitted", lambda one: one.update(extends="grt_1"), "the wish of its record has other extends"),
    ("submitted", lambda one: one.update(ticket_c="x"), "another ticket"),
    ("record", lambda one: one.update(subject="sub_bob"), "its record is of another request"),
    ("record", lambda one: one.update(request="req_2"), "its record is of another request"),
    ("record", lambda one: one["principal"].update(groups=[]), "its bundle makes no offer of policy one-approval"),
    ("record", lambda one: one.update(offers=["one-approval", "x"]), "its bundle makes no offer of policy x"),
    ("record", lambda one: one["asked"].update(reason_length=1), "its bundle makes no offer of policy one-approval"),
]


@pytest.mark.parametrize(("part", "change", "told"), CHANGES)
def test_whatever_is_different_is_told(part: str, change: Callable[[dict[str, Any]], object], told: str) -> None:
    found = case()
    change(found[part])
    assert told in (fault_of(found) or "")


def test_other_documents_under_the_same_hash_would_be_found() -> None:
    other = replace(bundle_of(POLICY.replace(b"max: 1h", b"max: 10m")), hash=BUNDLE.hash)
    assert "its duration_s: 1200 in the log, 600 made again" in (fault_of(case(), bundle=other) or "")


def test_another_version_of_the_rules_of_deciding_tells_nothing() -> None:
    found = case()
    found["record"]["engine"] = ENGINE + 1
    with pytest.raises(Undecidable, match="rules of deciding"):
        fault_of(found)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"record":2}', b'{"record":1}', b'{"bundle_sha256":"x"}'])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_committed(content)
