"""Live grants and documents that would not give them any more, or with less."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.policy.world import CATALOG, FLOOR, MARIA, NOW, ORGANISATION, RESTRICTED, bundle_of, person

from loglease.model.errors import Malformed
from loglease.model.instant import instant_text
from loglease.model.key_scope import KeyScope
from loglease.model.principal import directory_of
from loglease.policy import Bundle
from loglease.policy.live import affected, read_live

HOUR_NS = 3_600 * 10**9
GRANT: dict[str, Any] = {
    "id": "grt_1",
    "state": "active",
    "holder": {"id": str(MARIA.id), "account": "maria", "name": "Maria", "kind": "human"},
    "policy": "payments-prod-debug",
    "scopes": [
        {
            "source": "prod-logs", "selector": '{env="prod",service="pay-api",data_class="internal"}', "all_streams": False,
            "window": {"from_ns": str(NOW * 1_000 - 24 * HOUR_NS), "to_ns": None, "live": True}, "level_from": "debug",
            "contains": [], "profile": "pii-default@7", "words": "",
        }
    ],
    "duration_s": 7200,
    "limits": {"lines": 200_000, "bytes": 500_000_000},
    "submitted_at": instant_text(NOW),
}  # fmt: skip


def lines(*items: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, items)).encode()


def with_change(old: str, new: str) -> Bundle:
    text = "---\n".join(ORGANISATION)
    assert text.count(old) == 1
    return bundle_of(*text.replace(old, new).split("---\n"))


def fate(bundle: Bundle, **changes: object) -> list[tuple[bool, str]]:
    return [(one.refused, one.why) for one in affected(bundle, read_live(lines(GRANT | changes)))]


def test_grants_are_read_as_one_list_or_as_lines() -> None:
    other = GRANT | {"id": "grt_2"}
    one = read_live(json.dumps({"items": [GRANT, other]}).encode())
    assert (
        one
        == read_live(lines(GRANT, other) + b"\n\n")
        == read_live(json.dumps({"items": [GRANT, other]}, indent=2).encode())
    )
    assert [grant.id for grant in one] == ["grt_1", "grt_2"]
    assert read_live(lines(GRANT)) == one[:1]
    assert read_live(b"") == ()


def test_what_has_ended_and_reveals_are_left_out() -> None:
    assert (
        read_live(lines(GRANT | {"state": "ended"}, GRANT | {"state": "revoked"}, GRANT | {"reveal": {"token": "x"}}))
        == ()
    )


@pytest.mark.parametrize(
    "content",
    [b"{", b"[" * 100_000, b"1", lines(GRANT | {"holder": None}), lines(GRANT | {"duration_s": "x"}), lines(GRANT | {"scopes": [{}]}),
     lines(GRANT | {"submitted_at": "today"}), lines(GRANT | {"limits": {"miles": 3}}), lines({"state": "active"}),
     lines(GRANT | {"holder": {"id": "prn_1", "account": "x", "kind": "robot"}})],
)  # fmt: skip
def test_what_is_no_list_of_grants_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_live(content)
    assert refused.value.next_step is not None


def test_a_grant_that_would_be_given_again_is_not_named() -> None:
    assert fate(bundle_of(*ORGANISATION)) == []
    longer = with_change("duration: {default: 30m, max: 2h}", "duration: {default: 30m, max: 3h}")
    assert fate(longer) == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("id: payments-prod-debug", "id: payments-debug", "the policy is gone"),
        ("{prefix: pay-, except: [pay-vault]}", "{prefix: pay-, except: [pay-api]}", "not inside one entry of the policy"),
        ("lookback: 24h\n", "lookback: 23h\n", "not inside one entry of the policy"),
        ("applies: {labels: {data_class: restricted}}", "applies: {labels: {data_class: [restricted, internal]}}",
         "Restricted logs: denied. Restricted logs are never served. Ask the data owner for an extract."),
        ("lookback: 7d, lines", "lookback: 20h, lines", "org-floor: events of the last 20h at most"),
        ("bytes: 500MB}\n  redaction: pii-default", "bytes: 500MB}\n  redaction: strict", "gives strict, which masks more than was asked"),
        ("id: staging-open\n", "id: staging-open\nexclusive: true\n", None),
    ],
)  # fmt: skip
def test_what_could_not_be_issued(old: str, new: str, why: str | None) -> None:
    assert fate(with_change(old, new)) == ([] if why is None else [(True, why)])


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("duration: {default: 30m, max: 2h}", "duration: {max: 1h}", "duration 2h -> 1h"),
        ("caps: {duration: 4h", "caps: {duration: 90m", "duration 2h -> 1h30m"),
        ("limits: {lines: 200000, bytes: 500MB}", "limits: {lines: 1000, bytes: 1GB, tails: 2}", "lines 200000 -> 1000; tails none -> 2"),
        ("lines: 1000000", "lines: 1000", "lines 200000 -> 1000"),
        ("at_least: {redaction: secrets}", "at_least: {redaction: strict}", "redaction pii-default -> strict"),
        ("  activate_within: 8h\n", "  activate_within: 8h\n  bind: [network]\n", "bound to the network that it was asked for from"),
        ("  activate_within: 8h\n", "  activate_within: 8h\n  audit: published\n", "nothing served before its record is published"),
        ("at_least: {redaction: secrets}", "at_least: {audit: witnessed}", "nothing served before its record is witnessed"),
        ("at_least: {redaction: secrets}", "add: {bind: [network]}", "bound to the network that it was asked for from"),
    ],
)  # fmt: skip
def test_what_would_be_less(old: str, new: str, why: str) -> None:
    assert fate(with_change(old, new)) == [(False, why)]


def test_pseudonyms_that_reach_too_far_are_named() -> None:
    assert fate(bundle_of(*ORGANISATION), pseudonyms=KeyScope.TEAM_DAY) == [(False, "pseudonyms team-day -> grant")]
    wide = with_change("  activate_within: 8h\n", "  activate_within: 8h\n  pseudonyms: deployment\n")
    assert fate(wide, pseudonyms=KeyScope.TEAM_DAY) == []


def test_what_is_bound_already_is_not_less_for_it() -> None:
    bound = with_change("at_least: {redaction: secrets}", "add: {bind: [network]}")
    assert fate(bound, network_bound=True) == []


def test_a_guardrail_that_only_observes_changes_nothing() -> None:
    assert (
        fate(
            bundle_of(
                *ORGANISATION[:-2],
                FLOOR.replace("caps: {duration: 4h", "mode: observe\ncaps: {duration: 1h"),
                RESTRICTED,
            )
        )
        == []
    )


def test_who_is_asked_with_a_directory_only() -> None:
    narrower = with_change("any_of: [group:payments-eng], none_of", "any_of: [group:sre], none_of")
    grants = read_live(lines(GRANT))
    assert affected(narrower, grants) == ()
    (gone,) = affected(narrower, grants, directory_of([MARIA]))
    assert gone.as_json() == {
        "grant": "grt_1", "holder": "maria", "policy": "payments-prod-debug", "refused": True, "why": "is not for this principal"
    }  # fmt: skip
    assert affected(bundle_of(*ORGANISATION), grants, directory_of([MARIA])) == ()
    (unknown,) = affected(bundle_of(*ORGANISATION), grants, directory_of([person("lee")]))
    assert unknown.why == "the directory does not know the holder"


def test_an_empty_bundle_gives_nothing() -> None:
    assert fate(bundle_of(CATALOG)) == [(True, "the policy is gone")]
