"""Explanations: text says what the JSON says, and nobody learns of what is hidden from them."""

from __future__ import annotations

import json

import pytest
from tests.policy.world import (
    CATALOG,
    FLOOR,
    LEE,
    MARIA,
    ORGANISATION,
    PAYMENTS,
    SRE,
    bundle_of,
    decided,
    scope_of,
    wish_of,
)

from loglease.policy import Bundle, Viewer, explain

BUNDLE = bundle_of(*ORGANISATION)


def test_a_denial_says_which_step_failed_and_what_to_do() -> None:
    found = explain(decided(BUNDLE, wish_of(ticket=None, duration_s=28800)), Viewer.REQUESTER)
    assert found.data["outcome"] == "deny"
    assert found.data["next"] == ["attach_ticket"]
    assert found.text == (
        f"DENIED  bundle 418 sha256:{BUNDLE.hash[:12]}…\n"
        " asked       maria: debug and above of service pay-api in data_class internal in env prod from prod-logs, "
        "events 07:30:00 to 09:30:00 UTC on 2026-11-23, masked as the offer says, for 8h\n"
        " guardrails  duration at most 4h, at most 7d back, lines at most 1,000,000, bytes at most 2,000,000,000, "
        "redaction at least secrets (org-floor)\n"
        " payments-prod-debug\n"
        "   ok  who      group:payments-eng\n"
        "   ok  scope    entry 1\n"
        "   ok  profile  pii-default@7\n"
        "   no  ask      a ticket is missing  -> attach_ticket\n"
        "   ok  plan     1 approval\n"
        " staging-open\n"
        "   ok  who      group:engineering\n"
        "   no  scope    not inside one entry of the policy  -> narrow\n"
        "   ok  profile  pii-default@7\n"
        "   ok  ask\n"
        " because     A ticket is missing.\n"
        " next        attach_ticket"
    )


def test_offers_are_listed() -> None:
    found = explain(decided(BUNDLE), Viewer.REQUESTER)
    assert " offer 1     payments-prod-debug: 2h, 1 approval" in found.text
    assert found.data["outcome"] == "offer"
    assert found.data["next"] == []
    json.loads(json.dumps(found.data))


def test_narrower_forms_are_ready_to_submit() -> None:
    found = explain(decided(BUNDLE, wish_of(scope_of('{service="pay-api"}'))), Viewer.REQUESTER)
    narrow = found.data["narrow_to"]
    assert isinstance(narrow, list)
    assert narrow[0]["scopes"][0]["selector"] == '{data_class=~"internal|pii",env="prod",service="pay-api"}'
    assert " narrow to   " in found.text


HIDDEN = (
    SRE,
    SRE.replace("max: 1h", "max: 9h"),
    SRE.replace("id: sre-prod", "id: sre-prod\ntitle: Something else entirely"),
    SRE.replace("id: sre-prod", "id: aaa-first"),
    CATALOG.replace("id: main", "id: empty").partition("names")[0],  # the policy is not there at all
)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_hidden_policy_changes_no_byte_of_the_requesters_explanation(hidden: str) -> None:
    def seen(bundle: Bundle, *, granted: bool) -> tuple[bytes, str]:
        wish = wish_of() if granted else wish_of(scope_of(hours=100))
        found = explain(decided(bundle, wish, MARIA), Viewer.REQUESTER)
        data = {key: value for key, value in found.data.items() if key != "bundle"}
        return json.dumps(data, sort_keys=True).encode(), found.text.partition("\n")[2]

    with_it = bundle_of(*(one for one in ORGANISATION if one != SRE), hidden)
    for granted in (True, False):
        assert seen(with_it, granted=granted) == seen(BUNDLE, granted=granted)


def test_a_discoverable_policy_is_shown() -> None:
    shown = SRE.replace("id: sre-prod", "id: sre-prod\ndiscoverable: true")
    bundle = bundle_of(*(one for one in ORGANISATION if one != SRE), shown)
    assert "sre-prod" in explain(decided(bundle), Viewer.REQUESTER).text
    assert "sre-prod" not in explain(decided(BUNDLE), Viewer.REQUESTER).text


def test_auditors_see_all_and_approvers_what_was_offered() -> None:
    decision = decided(BUNDLE)
    policies = explain(decision, Viewer.AUDITOR).data["policies"]
    assert isinstance(policies, list)
    assert len(policies) == 3
    assert "policies/main.yaml:11:1" in explain(decision, Viewer.AUDITOR).text
    offered = explain(decision, Viewer.APPROVER).data["policies"]
    assert isinstance(offered, list)
    assert [one["id"] for one in offered] == ["payments-prod-debug"]


def test_observing_guardrails_are_for_auditors() -> None:
    bundle = bundle_of(
        CATALOG, PAYMENTS.replace("approvers:payments-approvers", "group:sre"), FLOOR + "mode: observe\n"
    )
    assert "org-floor" not in explain(decided(bundle), Viewer.REQUESTER).text
    assert "(org-floor, only observes)" in explain(decided(bundle), Viewer.AUDITOR).text


def test_auditors_are_told_which_guardrails_do_not_apply() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: staging\napplies: {labels: {env: staging}}\ndeny: true\n"
    bundle = bundle_of(*ORGANISATION, rail)
    assert " guardrails  denied (staging, does not apply)\n" in explain(decided(bundle), Viewer.AUDITOR).text
    assert "staging," not in explain(decided(bundle), Viewer.REQUESTER).text


def test_every_effect_of_a_guardrail_is_named() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nhelp: Ask security.\ndeny: true\n"
        "require: {stage: {all_of: [{from: [group:sre], need: 1}, {from: [group:privacy], need: 2}]}}\n"
    )
    text = explain(decided(bundle_of(*ORGANISATION, rail)), Viewer.REQUESTER).text
    assert " guardrails  denied, also 2 of group:privacy and 1 of group:sre (all)" in text


def test_automatic_offers_and_choices() -> None:
    wish = wish_of(scope_of('{env="dev",data_class="public"}', source="staging-logs"))
    assert "4h, automatic" in explain(decided(BUNDLE, wish_of(wish.scopes[0], duration_s=28800)), Viewer.REQUESTER).text
    both = decided(BUNDLE, wish_of(scope_of(level=None), duration_s=60), LEE)
    assert not both.offers


def test_hostile_names_do_not_break_the_text() -> None:
    found = explain(decided(BUNDLE, wish_of(scope_of('{service="a\\nb\u202e"}'))), Viewer.REQUESTER)
    assert "\u202e" not in found.text
