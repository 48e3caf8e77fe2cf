"""What a policy test can want of a decision: each of it is compared, and told where it is different."""

from __future__ import annotations

import pytest
from tests.policy.test_facts import FACTS, PAYMENTS
from tests.policy.world import APPROVERS, CATALOG, FLOOR, SRE

from loglease.policy import Bundle, Problem, Severity, load, run_tests

CHANNELS = "api: loglease/v1\nkind: Catalog\nid: channels\nnames: {channels: [incident, security]}\n"
POLICY = (
    PAYMENTS.replace(
        "redaction: pii-default}",
        """redaction: pii-default, limits: {lines: 500, bytes: 5MB}, activate_within: 2h, idle_timeout: 10m, bind: [network]}""",
    ).replace(
        "    auto: true\n",
        "    auto: true\n    notify: [channel:incident]\n"
        "    after_review: {from: [approvers:payments-approvers], need: 1, within: 24h}\n",
    )
    + "pending_max: 1h\n"
)
RAIL = """\
api: loglease/v1
kind: Guardrail
id: no-staging
applies: {sources: [staging-logs]}
deny: true
help: Ask somebody.
"""
TEST = """\
api: loglease/v1
kind: PolicyTest
id: wants
now: 2026-11-23T09:30:00Z
people:
  maria: {groups: [payments-eng]}
  noor: {groups: [payments-leads]}
  priya: {groups: [privacy]}
facts:
  ctx.mfa_age: 5m
  ctx.net: corp
  ctx.on_call: false
  ctx.incident: {id: I9, severity: SEV1}
  ctx.ticket: {state: open}
  ctx.score: 10
scopes:
  api: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: internal}, from: -2h}
  staging: {source: staging-logs, all_streams: true, from: -2h}
cases:
  - it: waits
    ask: {as: maria, scope: api, for: 1h, ticket: PAY-7, reason: why, inputs: {urgent: false}}
    want: {outcome: review, WAITS}
  - it: is automatic
    ask: {as: maria, scope: api, for: 1h, ticket: PAY-7, reason: why, inputs: {urgent: false}, limits: {lines: 9}}
    facts: {ctx.on_call: true, ctx.net: other}
    want: {outcome: auto, AUTO}
  - it: lacks a ticket
    ask: {as: maria, scope: api, for: 1h, reason: why, inputs: {urgent: false}}
    want: {outcome: deny, DENY}
  - it: is banned
    ask: {as: maria, scope: staging, for: 1h, reason: why}
    want: {outcome: deny, BAN}
"""
RIGHT = {
    "WAITS": "route: 3, stages: 1, reviews: 1, after_review: false, notify: [], "
    "activate_within: 2h, idle_timeout: 10m, pending_max: 1h, single_use: false, pseudonyms: grant, bind: [network], limits: {lines: 500, bytes: 5MB}",
    "AUTO": "route: 1, stages: 0, reviews: 0, after_review: true, notify: ['channel:incident'], limits: {lines: 9}",
    "DENY": "policy: payments, code: ticket_required, rule: payments, next: [attach_ticket]",
    "BAN": "code: guardrail_denied, rule: no-staging",
}


def loaded(**wants: str) -> Bundle | list[Problem]:
    text = TEST
    for name, want in (RIGHT | wants).items():
        text = text.replace(name, want)
    documents = (CATALOG, CHANNELS, FACTS, POLICY, SRE, APPROVERS, FLOOR, RAIL)
    return load({"a.yaml": "---\n".join(documents).encode(), "a.test.yaml": text.encode()})


def different(**wants: str) -> list[tuple[str, ...]]:
    bundle = loaded(**wants)
    assert isinstance(bundle, Bundle), "\n".join(one.render() for one in bundle)
    return [one.differences for one in run_tests(bundle)]


def test_what_is_right_passes() -> None:
    assert different() == [(), (), (), ()]


@pytest.mark.parametrize(
    ("case", "want", "told"),
    [
        (0, "route: 2", "want route 2, got 3"),
        (0, "stages: 2", "want 2 stages, got 1"),
        (0, "reviews: 2", "want 2 reviews, got 1"),
        (0, "after_review: true", "want after_review true, got false"),
        (0, "notify: ['channel:security']", "want notify channel:security, got nobody"),
        (0, "activate_within: 1h", "want activate_within 1h, got 2h"),
        (0, "idle_timeout: 20m", "want idle_timeout 20m, got 10m"),
        (0, "pending_max: 4h", "want pending_max 4h, got 1h"),
        (0, "single_use: true", "want single_use true, got false"),
        (0, "pseudonyms: team-day", "want pseudonyms team-day, got grant"),
        (0, "bind: []", "want bind nothing, got network"),
        (0, "limits: {bytes: 4MB}", "want limits.bytes 4000000, got 5000000"),
        (0, "limits: {tails: 2}", "want limits.tails 2, got none"),
        (1, "notify: []", "want notify nobody, got channel:incident"),
        (1, "limits: {lines: 500}", "want limits.lines 500, got 9"),
        (2, "code: reason_required", "want code reason_required, got ticket_required"),
        (2, "rule: sre-prod", "want rule sre-prod, got payments"),
        (2, "next: [sign_in, attach_ticket]", "want next sign_in, got attach_ticket"),
        (3, "rule: org-floor", "want rule org-floor, got no-staging"),
    ],
)
def test_what_is_different_is_told(case: int, want: str, told: str) -> None:
    found = different(**{list(RIGHT)[case]: want})
    assert found.pop(case) == (told,)
    assert found == [(), (), ()]


@pytest.mark.parametrize(
    ("case", "want", "code"),
    [
        ("WAITS", "code: ticket_required", "P326"),
        ("WAITS", "next: [narrow]", "P326"),
        ("DENY", "duration: 1h", "P326"),
        ("DENY", "stages: 1", "P326"),
        ("DENY", "code: no_ticket", "P115"),
        ("DENY", "rule: nothing", "P302"),
        ("DENY", "next: [pray]", "P115"),
        ("DENY", "next: []", "P119"),
        ("WAITS", "notify: ['channel:none']", "P302"),
        ("WAITS", "route: 0", "P114"),
        ("WAITS", "single_use: maybe", "P114"),
        ("WAITS", "pseudonyms: team", "P115"),
    ],
)
def test_what_can_never_be_is_refused(case: str, want: str, code: str) -> None:
    found = loaded(**{case: want})
    assert isinstance(found, list)
    assert [one.code for one in found if one.severity is Severity.ERROR] == [code]
