"""What a policy offers to somebody who asks to see one masked value, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.policy.world import (
    APPROVERS,
    BOT,
    CATALOG,
    DIRECTORY,
    MARIA,
    NOW,
    PAYMENTS,
    PROFILES,
    STAGING,
    bundle_of,
    decided,
    wish_of,
)

from loglease.model.access_request import Wish
from loglease.model.digest import sha256_hex
from loglease.model.ids import GrantId
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.offer import Outcome
from loglease.model.reveal import Reveal
from loglease.policy import Bundle, Decision, load, run_tests
from loglease.policy.decision import Point
from loglease.policy.explain import Viewer, explain
from loglease.policy.recheck import redecide
from loglease.policy.trace import StepName

ROUTE = """\
  redaction: pii-default
"""
WITH = PAYMENTS.replace(
    ROUTE, ROUTE + "  reveal: {classes: [pii, secret.token], stages: [{from: [group:privacy], need: 1}]}\n"
)
BUNDLE = bundle_of(CATALOG, WITH, APPROVERS)


def wish(cls: str = "pii.email", policy: str = "payments-prod-debug", **changes: Any) -> Wish:
    at_ns = NOW * 1_000 - 3_600 * NANOSECONDS
    asked = wish_of()
    scope = replace(asked.scopes[0], window=EventWindow(at_ns, at_ns + 1), profile="pii-default@7")
    reveal = Reveal(
        grant=GrantId("grt_parent"),
        policy=policy,
        asked_at=changes.pop("asked_at", NOW),
        token="⟦email:abcdefghij⟧",
        cls=cls,
        source=scope.source,
        labels=(("service", "pay-api"),),
        event_ns=at_ns,
        line_sha256=sha256_hex(b"line"),
        span=1,
    )
    return replace(asked, scopes=(scope,), duration_s=None, reveal=reveal, **changes)


def refusal_of(decision: Decision) -> str:
    assert not decision.offers
    assert decision.refusal is not None
    return decision.refusal.message


def test_an_explanation_names_the_token_and_no_route() -> None:
    revealed: Any = explain(decided(BUNDLE, wish()), Viewer.REQUESTER).data
    assert revealed["asked"]["reveal"] == {"token": "⟦email:abcdefghij⟧", "class": "pii.email", "span": 1}
    assert "route" not in revealed["offers"][0]
    ordinary: Any = explain(decided(BUNDLE), Viewer.REQUESTER).data
    assert ordinary["offers"][0]["route"] == 1


def test_a_reveal_takes_the_stages_of_reveal_and_is_for_one_use() -> None:
    (offer,) = decided(BUNDLE, wish()).offers
    assert offer.outcome is Outcome.REVIEW
    assert [block.approvers for plan in offer.plans for stage in plan.stages for block in stage.blocks] == [
        ("group:privacy",)
    ]
    assert offer.shape.single_use
    assert offer.rule.endswith("reveal")


def test_a_policy_without_reveal_offers_none_and_says_so() -> None:
    bundle = bundle_of(CATALOG, PAYMENTS, APPROVERS)
    assert "reveals no single values" in refusal_of(decided(bundle, wish()))


@pytest.mark.parametrize(
    "cls", ["secret", "secret.webhook", "credential.password", "credential", "piix", "pi", "limit"]
)
def test_a_class_that_is_not_named_is_never_revealed(cls: str) -> None:
    assert f"none of {cls}" in refusal_of(decided(BUNDLE, wish(cls)))


@pytest.mark.parametrize("cls", ["pii", "pii.email", "secret.token"])
def test_a_named_class_and_what_is_below_it_can_be(cls: str) -> None:
    assert decided(BUNDLE, wish(cls)).offers


def test_another_policy_never_reveals_what_its_grant_did_not_show() -> None:
    assert not decided(bundle_of(CATALOG, WITH, APPROVERS, STAGING), wish(policy="staging")).offers


def test_nobody_but_another_person_can_complete_it() -> None:
    alone = WITH.replace("from: [group:privacy]", "from: ['user:maria']")
    found = decided(bundle_of(CATALOG, alone, APPROVERS), wish())
    assert found.refusal is not None
    assert found.refusal.code == "no_eligible_approver"


def test_an_agent_needs_a_policy_that_names_it() -> None:
    open_to_agents = WITH.replace("kinds: [human]", "kinds: [human, agent]")
    group_only = bundle_of(CATALOG, open_to_agents, APPROVERS)
    assert not decided(group_only, wish(), asks=BOT).offers
    named = open_to_agents.replace(
        "any_of: [group:payments-eng]", f"any_of: [group:payments-eng, 'agent:{BOT.account}']"
    )
    assert decided(bundle_of(CATALOG, named, APPROVERS), wish(), asks=BOT).offers


def test_lookbacks_count_from_the_request_of_the_grant() -> None:
    late = Instant(NOW + 30 * 3_600 * 1_000_000)
    asked = wish(asked_at=NOW)
    assert decided(BUNDLE, asked, now=late).offers
    assert not decided(BUNDLE, replace(asked, reveal=None), now=late).offers


def test_a_reveal_is_decided_again_and_ends_with_the_right_to_it() -> None:
    asked = wish()
    (offer,) = decided(BUNDLE, asked).offers
    for bundle, allowed in ((BUNDLE, True), (bundle_of(CATALOG, PAYMENTS, APPROVERS), False)):
        again = redecide(
            Point.SESSION_OPEN,
            offer,
            bundle,
            asked,
            MARIA,
            directory=DIRECTORY,
            now=NOW,
            submitted_at=NOW,
            profiles=PROFILES,
        )
        assert (again.refusal is None) is allowed


def test_an_explanation_names_the_step_and_proposes_nothing_smaller() -> None:
    found = decided(BUNDLE, wish("credential.password"))
    assert found.narrowed == ()
    shown = explain(found, Viewer.REQUESTER)
    assert f"no  {StepName.REVEAL}" in shown.text
    assert shown.data["asked"]["reveal"]["class"] == "credential.password"  # type: ignore[index,call-overload]


TESTS = """\
api: loglease/v1
kind: PolicyTest
id: reveals
now: 2026-11-23T09:30:00Z
people: {maria: {groups: [payments-eng]}, noor: {groups: [privacy]}}
scopes: {api: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: pii}, level_from: debug, from: -2h}}
cases:
  - it: privacy decides who sees an address
    ask: {as: maria, scope: api, ticket: PAY-7, reason: whose payment is it that fails,
          reveal: {policy: payments-prod-debug, class: pii.email}}
    want: {outcome: review, stages: 1}
  - it: nobody sees a password
    ask: {as: maria, scope: api, ticket: PAY-7, reason: whose payment is it that fails,
          reveal: {policy: payments-prod-debug, class: credential.password}}
    want: {outcome: deny}
"""


def test_policy_tests_can_ask_for_reveals() -> None:
    loaded = load({"a.yaml": f"{CATALOG}---\n{WITH}---\n{APPROVERS}".encode(), "a.test.yaml": TESTS.encode()})
    assert isinstance(loaded, Bundle), loaded
    assert [one.ok for one in run_tests(loaded)] == [True, True]
