"""Explanations: text says what the JSON says, and nobody learns of what is hidden from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.world import (
    CATALOG,
    DIRECTORY,
    EMERGENCY,
    EVERYONE,
    FLOOR,
    LEE,
    MARIA,
    NOW,
    ORGANISATION,
    PAYMENTS,
    RESTRICTED,
    SAM,
    SRE,
    STAGING,
    bundle_of,
    decided,
    person,
    scope_of,
    wish_of,
)
from tests.volume import volume

from loglease.model.access_request import Wish
from loglease.model.instant import MICROSECONDS, Instant, duration_text, iso_duration
from loglease.model.principal import Directory, directory_of
from loglease.policy import Viewer, explain
from loglease.policy.conditions import Fault
from loglease.policy.explanation_text import text_of
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.remedies import is_split
from loglease.policy.seen import in_words
from loglease.policy.trace import Decision, Fix

BUNDLE = bundle_of(*ORGANISATION)
FACTS = """\
api: loglease/v1
kind: Facts
id: facts
facts:
  ctx.mfa_age: {type: duration, from: identity}
  ctx.on_call: {type: bool, from: oncall, per: service, combine: all, max_age: 60s}
  ctx.score: {type: int, range: [0, 100], from: score, max_age: 60s}
risk:
  - {id: score, add: 20, if: ctx.score > 50, show: unusual}
"""
ASKING = PAYMENTS.replace(
    "approve:\n",
    'when: ctx.mfa_age <= duration("15m") && ctx.risk < 60\napprove:\n  - {if: ctx.on_call, auto: true}\n',
)


def data_of(found: Decision, viewer: Viewer = Viewer.REQUESTER, **more: Any) -> dict[str, Any]:
    """Return an explanation as programs get it, over the wire."""
    explanation = explain(found, viewer, **more)
    data: dict[str, Any] = json.loads(json.dumps(explanation.data))
    assert text_of(data) == explanation.text
    return data


def policy_of(data: dict[str, Any], name: str = "payments-prod-debug") -> dict[str, Any]:
    return next(one for one in data["policies"] if one["id"] == name)


def with_facts(wish: Wish | None = None, **values: Any) -> Decision:
    bundle = bundle_of(CATALOG, FACTS, ASKING, *ORGANISATION[2:])
    known = {"ctx.mfa_age": 300 * MICROSECONDS, "ctx.on_call": False, "ctx.score": 60} | {
        f"ctx.{name}": value for name, value in values.items()
    }
    wish = wish or wish_of()
    facts = {
        key: replace(one, observed_at=Instant(NOW - 4 * MICROSECONDS))
        for key, one in supposed_facts(bundle, wish, known, NOW).items()
    }
    return decided(bundle, wish, facts=facts)


def test_a_denial_says_which_step_failed_and_what_to_do() -> None:
    found = explain(decided(BUNDLE, wish_of(ticket=None, duration_s=28800)), Viewer.REQUESTER)
    assert found.data["outcome"] == "deny"
    assert found.data["next"] == ["attach_ticket"]
    assert found.text == (
        f"DENIED  bundle 418 sha256:{BUNDLE.hash[:12]}…  engine 1\n"
        " asked       maria: debug and above of service pay-api in data_class internal in env prod from prod-logs, "
        "events 07:30:00 to 09:30:00 UTC on 2026-11-23, masked as the offer says, for 8h\n"
        " guardrails  duration at most 4h, at most 7d back, lines at most 1,000,000, bytes at most 2,000,000,000, "
        "redaction at least secrets (org-floor)\n"
        " payments-prod-debug\n"
        "   ok  who     group:payments-eng;  scope entry 1;  profile pii-default@7\n"
        "   no  ask     a ticket is missing  -> name a ticket of tickets like PAY-[0-9]{1,6}\n"
        "   --  plan    would be 1 of approvers:payments-approvers;  shape 2h (asked 8h, limit of the policy)\n"
        " staging-open\n"
        "   ok  who     group:engineering\n"
        "   no  scope   not inside one entry of the policy  -> ask for less\n"
        "   ok  profile pii-default@7\n"
        " because     A ticket is missing.\n"
        " next        attach_ticket"
    )


def test_programs_get_spans_of_time_as_iso_8601_and_facts_with_their_origin() -> None:
    data = data_of(with_facts(wish_of(duration_s=28800), mfa_age=52 * 60 * MICROSECONDS), Viewer.AUDITOR)
    assert data["outcome"] == "deny"
    assert data["engine"] == 1
    assert data["asked"]["by"] == "maria"
    assert data["asked"]["duration"] == "PT8H"
    floor = next(one for one in data["guardrails"] if one["id"] == "org-floor")
    assert floor["applies"] is True
    assert floor["caps"] == {"duration": "PT4H", "lookback": "P7D", "lines": 1_000_000, "bytes": 2_000_000_000}
    policy = policy_of(data)
    assert policy["at"].startswith("policies/main.yaml:")
    age, risk = (step for step in policy["steps"] if step["step"] == "when")
    assert age == {
        "step": "when",
        "ok": False,
        "text": 'ctx.mfa_age <= duration("15m")  does not hold',
        "leaf": 'ctx.mfa_age <= duration("15m")',
        "value": "PT52M",
        "provider": "identity",
        "age": "PT4S",
        "fix": "sign_in",
        "advice": "Sign in again, then repeat.",
    }
    assert (risk["ok"], risk["value"], risk["provider"]) == (True, "20: unusual 20", "risk")
    assert data["next"] == ["sign_in"]
    assert "_s" not in {key[-2:] for key in _keys(data)}


def _keys(data: Any) -> set[str]:
    match data:
        case dict():
            return set(data).union(*map(_keys, data.values()))
        case list():
            return set().union(*map(_keys, data))
        case _:
            return set()


def test_the_text_shows_each_part_of_a_condition_with_what_it_read() -> None:
    text = explain(with_facts(mfa_age=52 * 60 * MICROSECONDS), Viewer.REQUESTER).text
    assert (
        '   no  when    ctx.mfa_age <= duration("15m")   is 52m (identity, 4s old)  -> sign in again, then repeat\n'
        "   ok  when    ctx.risk < 60   is 20: unusual 20\n"
        "   --  plan    would be 1 of approvers:payments-approvers;  shape 2h\n"
        "   --  route 1: ctx.on_call   is false (oncall, 4s old)\n"
        "   ok  route 2\n"
    ) in text


def test_what_nobody_can_tell_is_a_fault_and_waits_for_its_source() -> None:
    bundle = bundle_of(CATALOG, FACTS, ASKING.replace("ctx.risk < 60", "ctx.score < 60"), *ORGANISATION[2:])
    known = {"ctx.mfa_age": 300 * MICROSECONDS, "ctx.on_call": False, "ctx.score": Fault("no answer")}
    data = data_of(decided(bundle, facts=supposed_facts(bundle, wish_of(), known, NOW)))
    assert data["next"] == ["wait_for_source"]
    (step,) = (one for one in policy_of(data)["steps"] if one["ok"] == "fault")
    assert (step["step"], step["leaf"], step["fix"]) == ("when", "ctx.score < 60", "wait_for_source")


def test_what_another_policy_lacks_is_no_advice_about_the_one_that_a_smaller_wish_suits() -> None:
    asking = ASKING.replace("id: payments-prod-debug", "id: fresh").replace("pay-, except: [pay-vault]", "till")
    bundle = bundle_of(CATALOG, FACTS, *ORGANISATION[1:], asking)
    wide = wish_of(scope_of('{service="pay-api"}'))
    known = {"ctx.mfa_age": 3600 * MICROSECONDS, "ctx.on_call": False, "ctx.score": 1}
    assert data_of(decided(bundle, wide, facts=supposed_facts(bundle, wide, known, NOW)))["next"] == ["narrow"]


def test_a_sign_in_comes_first_where_nothing_else_can_be_said_before_it() -> None:
    wide = wish_of(scope_of('{service="pay-api"}'))
    data = data_of(with_facts(wide, mfa_age=3600 * MICROSECONDS))
    assert (data["narrow_to"], data["next"]) == ([], ["sign_in"])
    assert data_of(with_facts(wide))["next"] == ["narrow"]


def test_a_part_that_reads_several_facts_names_them() -> None:
    asking = ASKING.replace("ctx.risk < 60", "(ctx.score < 60 || ctx.on_call)")
    bundle = bundle_of(CATALOG, FACTS, asking, *ORGANISATION[2:])
    known = {"ctx.mfa_age": 0, "ctx.on_call": False, "ctx.score": 70}
    found = decided(bundle, facts=supposed_facts(bundle, wish_of(), known, NOW))
    data = data_of(found)
    (step,) = (one for one in policy_of(data)["steps"] if one["ok"] is False)
    assert "value" not in step
    assert step["facts"] == [
        {"name": "ctx.on_call", "value": False, "provider": "oncall", "age": "PT0S"},
        {"name": "ctx.score", "value": 70, "provider": "score", "age": "PT0S"},
    ]
    assert "ctx.on_call is false (oncall, 0s old); ctx.score is 70 (score, 0s old)" in text_of(data)


def test_a_route_that_nobody_can_judge_says_why() -> None:
    found = with_facts(on_call=Fault("the rota is down"))
    text = explain(found, Viewer.REQUESTER).text
    assert "   --  route 1: ctx.on_call  cannot be told: the rota is down\n" in text
    assert policy_of(data_of(found))["routes"][0]["ok"] == "fault"


def test_a_ban_that_hangs_on_an_outage_waits_for_its_source() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: calm\napplies: {all_streams: true}\nif: ctx.score > 50\ndeny: true\n"
        "even_break_glass: false\n"
    )
    bundle = bundle_of(CATALOG, FACTS, *ORGANISATION[1:], rail)
    for value, following in ((Fault("down"), ["wait_for_source"]), (60, ["ask_owner"]), (10, [])):
        known = {"ctx.mfa_age": 0, "ctx.on_call": False, "ctx.score": value}
        found = decided(bundle, facts=supposed_facts(bundle, wish_of(), known, NOW))
        assert data_of(found)["next"] == following


def test_what_lines_must_hold_and_who_owns_a_policy_is_told() -> None:
    bundle = bundle_of(CATALOG, PAYMENTS.replace("title:", "owner: group:payments-leads\ntitle:"), *ORGANISATION[2:])
    data = data_of(decided(bundle, wish_of(scope_of(contains=("timeout",)))))
    assert data["asked"]["scopes"][0]["contains"] == ["timeout"]
    assert policy_of(data)["owner"] == "group:payments-leads"


def test_what_does_not_fit_on_a_line_gets_one_of_its_own() -> None:
    many = [f"sre-{number}" for number in range(12)]
    catalog = CATALOG.replace("sre-leads,", f"sre-leads, {', '.join(many)},")
    names = ", ".join(f"group:{one}" for one in many)
    policy = PAYMENTS.replace("approvers:payments-approvers", names)
    directory = directory_of([*EVERYONE, person("zoe", "sre-0")])
    found = decided(bundle_of(catalog, policy, *ORGANISATION[2:]), wish_of(ticket=None), directory=directory)
    text = explain(found, Viewer.REQUESTER).text
    listed = ", ".join(f"group:{one}" for one in sorted(many))
    assert f"   --  plan    would be 1 of {listed}\n   --  shape   2h\n" in text


def test_offers_are_listed() -> None:
    found = decided(BUNDLE)
    assert " offer 1     payments-prod-debug: 2h, 1 approval" in explain(found, Viewer.REQUESTER).text
    data = data_of(found)
    assert (data["outcome"], data["next"]) == ("offer", [])
    (offer,) = data["offers"]
    assert (offer["duration"], offer["redaction"], offer["route"]) == ("PT2H", "pii-default@7", 1)


def test_narrower_forms_are_ready_to_submit() -> None:
    found = explain(decided(BUNDLE, wish_of(scope_of('{service="pay-api"}'))), Viewer.REQUESTER)
    narrow = found.data["narrow_to"]
    assert isinstance(narrow, list)
    assert narrow[0]["scopes"][0]["selector"] == '{data_class=~"internal|pii",env="prod",service="pay-api"}'
    assert " narrow to   " in found.text
    assert found.data["next"] == ["narrow"]


def test_what_takes_several_policies_is_split() -> None:
    other = (
        SRE.replace("id: sre-prod", "id: dev-prod")
        .replace("env: prod", "env: dev")
        .replace("[group:sre]", "[group:payments-eng]")
    )
    bundle = bundle_of(*ORGANISATION, other.replace("level_from: info", "level_from: debug"))
    wish = wish_of(scope_of('{env=~"prod|dev",service="pay-api",data_class="internal"}'))
    data = data_of(decided(bundle, wish))
    assert data["next"] == ["split"]
    parts = [one["scopes"][0]["selector"] for one in data["narrow_to"]]
    assert sorted(parts) == [
        '{data_class="internal",env="dev",service="pay-api"}',
        '{data_class="internal",env="prod",service="pay-api"}',
    ]
    wider = wish_of(scope_of('{env=~"prod|dev|staging",service="pay-api",data_class="internal"}'))
    assert data_of(decided(bundle, wider))["next"] == ["narrow"]


def test_parts_are_a_split_only_if_nothing_is_lost() -> None:
    def part(selector: str, **more: Any) -> Wish:
        return wish_of(scope_of(selector, **more))

    whole, a, b = part('{env=~"a|b",x="1"}'), part('{env="a",x="1"}'), part('{env="b",x="1"}')
    assert is_split(whole, [a, b])
    assert is_split(whole, [b, part('{env=~"a|b",x="1"}', profile="strict")])
    assert not is_split(whole, [a])
    assert not is_split(whole, [a, part('{env="b",x="2"}')])
    assert not is_split(whole, [a, part('{env="b",x="1"}', hours=1)])
    assert not is_split(part('{env=~"a|b|c",x="1"}'), [a, b])
    assert not is_split(part('{env=~"a.*|b",x="1"}'), [a, b])
    two = replace(whole, scopes=(*a.scopes, *b.scopes))
    assert is_split(two, [a, b])


def test_what_is_denied_for_its_duration_says_which_would_do() -> None:
    bundle = bundle_of(
        CATALOG, PAYMENTS.replace("approve:\n", 'when: req.duration <= duration("1h")\napprove:\n'), *ORGANISATION[2:]
    )
    data = data_of(decided(bundle, wish_of(duration_s=7200)))
    assert (data["next"], data["shorten_to"]) == (["shorten"], "PT1H")
    assert " shorten to  1h\n" in text_of(data)
    assert data_of(decided(bundle, wish_of(duration_s=None)))["shorten_to"] == "PT1H"
    assert "shorten_to" not in data_of(decided(bundle, wish_of(duration_s=1800)))


def test_a_ban_on_long_requests_is_met_with_less_time() -> None:
    rail = 'api: loglease/v1\nkind: Guardrail\nid: short\napplies: {all_streams: true}\nif: req.duration > duration("1h")\ndeny: true\n'
    data = data_of(decided(bundle_of(*ORGANISATION, rail), wish_of(duration_s=7200)))
    assert (data["next"], data["shorten_to"]) == (["shorten"], "PT1H")


def test_the_glass_is_named_where_it_may_be_broken_for_what_was_asked() -> None:
    bundle = bundle_of(*ORGANISATION, EMERGENCY)
    asked = wish_of(scope_of(level=None), ticket=None)

    def following(asks: Any = LEE, wish: Wish = asked, **more: Any) -> list[str]:
        found: list[str] = data_of(decided(bundle, wish, asks, **more))["next"]
        return found

    debug = wish_of(ticket=None)
    assert following(wish=debug)[-1] == "break_glass"
    assert "break_glass" not in following()  # every line, and the document covers debug and above
    assert "break_glass" not in following(MARIA, debug)
    assert "break_glass" not in following(wish=debug, closed="the after-review of req_1 is late")
    assert "break_glass" not in following(wish=wish_of(scope_of('{data_class="restricted",env="prod"}')))
    assert "break_glass" not in following(wish=replace(debug, break_glass=True, reason=""))
    assert following(SAM, wish_of(scope_of(hours=3))) == ["ask_owner"]
    assert data_of(decided(bundle, wish_of(), LEE))["next"] == []


def test_what_leads_nowhere_is_not_proposed() -> None:
    data = data_of(decided(BUNDLE, wish_of(scope_of('{env="prod",service="vault"}'), ticket=None)))
    assert data["narrow_to"] == []
    assert data["next"] == ["ask_owner"]


OTHERS = ("sre", "privacy", "sre-leads", "contractors")
"""Groups that neither maria nor anybody who may approve what she asks is told of."""
names = st.sampled_from(["aaa", "main-2", "zzz", "payments-prod"])


@st.composite
def hidden_documents(draw: st.DrawFn) -> list[str]:
    """Draw policies, emergencies and guardrails that are nothing to maria."""
    policies = [
        f"api: loglease/v1\nkind: AccessPolicy\nid: {name}\ntitle: {draw(st.sampled_from(['x', 'Secret plan', 'maria']))}\n"
        f"owner: group:{draw(st.sampled_from(OTHERS))}\nwho: {{any_of: [group:{draw(st.sampled_from(OTHERS))}]}}\n"
        f"scopes: [{{sources: [{draw(st.sampled_from(['prod-logs', 'staging-logs']))}], all_streams: true, "
        f"level_from: {draw(st.sampled_from(['debug', 'info']))}, lookback: {draw(st.sampled_from(['1h', '30d']))}}}]\n"
        + draw(st.sampled_from(["", 'when: req.duration <= duration("1h")\n', "ask: {reason: {min: 9}}\n"]))
        + f"grant: {{duration: {{max: {draw(st.sampled_from(['1h', '9h']))}}}, redaction: pii-default}}\n"
        f"approve: [{{otherwise: true, stages: [{{from: [group:sre-leads], need: {draw(st.integers(1, 3))}}}]}}]\n"
        for name in draw(st.sets(names))
    ]
    rails = [
        f"api: loglease/v1\nkind: Guardrail\nid: hidden-rail\ntitle: Secret\napplies: {{all_streams: true}}\nif: req.live\nhelp: {text}\n"
        "deny: true\n"
        for text in draw(st.sets(st.sampled_from(["one", "two"]), max_size=1))
    ]
    observed = [
        "api: loglease/v1\nkind: Guardrail\nid: seen\napplies: {all_streams: true}\ndeny: true\nmode: observe\n"
    ]
    emergency = [EMERGENCY.replace("max: 30m", draw(st.sampled_from(["max: 30m", "max: 1h"])))]
    return [
        *policies,
        *rails,
        *(observed if draw(st.booleans()) else ()),
        *(emergency if draw(st.booleans()) else ()),
        *([SRE] if draw(st.booleans()) else ()),
    ]


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    """Draw the groups of people who are neither maria nor payments-leads."""
    fixed = [one for one in EVERYONE if one.account in ("maria", "noor", "omar")]
    others = [person(name, *draw(st.sets(st.sampled_from(OTHERS)))) for name in ("lee", "sam", "zoe")]
    return directory_of([*fixed, *draw(st.sets(st.sampled_from(others)))])


WISHES = (
    wish_of(),
    wish_of(ticket=None),
    wish_of(scope_of(hours=100)),
    wish_of(scope_of('{service="pay-api"}'), ticket=None),
    wish_of(scope_of('{env="prod",service="vault"}')),
    wish_of(scope_of(level=None), duration_s=None),
    wish_of(scope_of(source="staging-logs", selector='{env="staging"}')),
    wish_of(scope_of(profile="strict")),
    wish_of(scope_of(), break_glass=True),
)
VISIBLE = tuple(one for one in ORGANISATION if one != SRE)


def seen_by_maria(documents: Sequence[str], wish: Wish, directory: Directory = DIRECTORY) -> bytes:
    found = explain(decided(bundle_of(*documents), wish, MARIA, directory=directory), Viewer.REQUESTER)
    data = {key: value for key, value in found.data.items() if key != "bundle"}
    return (json.dumps(data, sort_keys=True) + found.text.partition("\n")[2]).encode()


@settings(max_examples=volume(20, 60), deadline=None)
@given(hidden_documents(), st.sampled_from(WISHES), directories(), st.randoms(use_true_random=False))
def test_what_is_hidden_changes_no_byte_of_the_requesters_explanation(
    hidden: list[str], wish: Wish, directory: Directory, order: Any
) -> None:
    documents = [*VISIBLE, *hidden]
    order.shuffle(documents)
    assert seen_by_maria(documents, wish, directory) == seen_by_maria(VISIBLE, wish)


def test_the_law_above_is_about_something() -> None:
    """What maria may see does change what she is shown, and wishes differ in what becomes of them."""
    assert len({seen_by_maria(VISIBLE, wish) for wish in WISHES}) == len(WISHES)
    for changed in (PAYMENTS.replace("max: 2h", "max: 1h"), PAYMENTS.replace("min: 20", "min: 90")):
        assert seen_by_maria([changed, *VISIBLE[:1], *VISIBLE[2:]], wish_of()) != seen_by_maria(VISIBLE, wish_of())


def test_a_discoverable_policy_is_shown() -> None:
    shown = SRE.replace("id: sre-prod", "id: sre-prod\ndiscoverable: true")
    bundle = bundle_of(*VISIBLE, shown)
    assert "sre-prod" in explain(decided(bundle), Viewer.REQUESTER).text
    assert "sre-prod" not in explain(decided(BUNDLE), Viewer.REQUESTER).text


def test_auditors_see_all_and_approvers_what_was_asked_for() -> None:
    asked = decided(bundle_of(*ORGANISATION, STAGING.replace("staging-open", "second")), wish_of(), LEE)
    data = data_of(asked, Viewer.AUDITOR)
    assert len(data["policies"]) == 4
    assert "policies/main.yaml:11:1" in text_of(data)
    approver = data_of(asked, Viewer.APPROVER, policy="payments-prod-debug")
    assert [one["id"] for one in approver["policies"]] == ["payments-prod-debug"]
    assert [one["policy"] for one in approver["offers"]] == ["payments-prod-debug"]
    assert not {"next", "narrow_to", "refusal", "shorten_to"} & set(approver)
    assert not data_of(asked, Viewer.APPROVER)["policies"]


def test_owners_see_what_is_theirs() -> None:
    asked = decided(BUNDLE, wish_of(ticket=None))
    data = data_of(asked, Viewer.OWNER, owned=["sre-prod"])
    assert [one["id"] for one in data["policies"]] == ["sre-prod"]
    assert not {"next", "narrow_to", "refusal"} & set(data)
    own = data_of(asked, Viewer.REQUESTER, owned=["sre-prod"])
    assert [one["id"] for one in own["policies"]] == ["payments-prod-debug", "staging-open", "sre-prod"]
    assert all("at" not in one for one in own["policies"])


def test_the_nearest_twenty_are_listed() -> None:
    many = [STAGING.replace("staging-open", f"open-{number:02}") for number in range(25)]
    shown = data_of(decided(bundle_of(*ORGANISATION, *many), wish_of(ticket=None)))["policies"]
    assert len(shown) == 20
    assert shown[0]["id"] == "open-00"


def test_observing_guardrails_are_for_auditors() -> None:
    bundle = bundle_of(
        CATALOG, PAYMENTS.replace("approvers:payments-approvers", "group:sre"), FLOOR + "mode: observe\n"
    )
    assert "org-floor" not in explain(decided(bundle), Viewer.REQUESTER).text
    assert "(org-floor, only observes)" in explain(decided(bundle), Viewer.AUDITOR).text


def test_auditors_are_told_which_guardrails_do_not_apply() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: staging\napplies: {labels: {env: staging}}\ndeny: true\nif: req.live\n"
    )
    bundle = bundle_of(*ORGANISATION, rail)
    assert " guardrails  denied (staging, does not apply)\n" in explain(decided(bundle), Viewer.AUDITOR).text
    assert "staging," not in explain(decided(bundle), Viewer.REQUESTER).text
    found = next(one for one in data_of(decided(bundle), Viewer.AUDITOR)["guardrails"] if one["id"] == "staging")
    assert (found["leaf"], found["deny"], found["applies"]) == ("req.live", True, False)


def test_the_condition_of_a_guardrail_is_no_business_of_the_requester() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nif: '!req.live'\ncaps: {lines: 5}\n"
    )
    shown = next(one for one in data_of(decided(bundle_of(*ORGANISATION, rail)))["guardrails"] if one["id"] == "all")
    assert shown == {"id": "all", "title": "all", "applies": True, "mode": "enforce", "caps": {"lines": 5}}


def test_every_effect_of_a_guardrail_is_named() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nhelp: Ask security.\ndeny: true\n"
        "require: {stage: {all_of: [{from: [group:sre], need: 1}, {from: [group:privacy], need: 2}]}}\n"
    )
    text = explain(decided(bundle_of(*ORGANISATION, rail)), Viewer.REQUESTER).text
    assert " guardrails  denied, also 2 of group:privacy and 1 of group:sre (all)" in text


def test_a_binding_is_told_with_offers_and_guardrails() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nadd: {bind: [network]}\n"
    found = explain(decided(bundle_of(*ORGANISATION, rail)), Viewer.REQUESTER)
    assert " offer 1     payments-prod-debug: 2h, 1 approval, only from the network that it is asked from" in found.text
    assert " guardrails  only from the network that it is asked from (all)" in found.text
    assert [one["bind"] for one in json.loads(json.dumps(found.data))["offers"]] == [["network"]]


def test_how_far_pseudonyms_reach_is_told_with_offers_and_guardrails() -> None:
    wide = [
        one.replace("  activate_within: 8h\n", "  activate_within: 8h\n  pseudonyms: deployment\n")
        for one in ORGANISATION
    ]
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nat_least: {pseudonyms: team-day}\n"
    )
    found = explain(decided(bundle_of(*wide, rail)), Viewer.REQUESTER)
    assert " offer 1     payments-prod-debug: 2h, 1 approval, pseudonyms reach over the team-day" in found.text
    assert " guardrails  pseudonyms reach over the team-day at most (all)" in found.text
    assert [one["pseudonyms"] for one in json.loads(json.dumps(found.data))["offers"]] == ["team-day"]


def test_a_stronger_record_is_told_with_offers_and_guardrails() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\nat_least: {audit: witnessed}\n"
    found = explain(decided(bundle_of(*ORGANISATION, rail)), Viewer.REQUESTER)
    assert (
        " offer 1     payments-prod-debug: 2h, 1 approval, nothing served before its record is witnessed" in found.text
    )
    assert " guardrails  nothing served before its record is witnessed (all)" in found.text
    assert [one["audit"] for one in json.loads(json.dumps(found.data))["offers"]] == ["witnessed"]


def test_automatic_offers_and_choices() -> None:
    wish = wish_of(scope_of('{env="dev",data_class="public"}', source="staging-logs"))
    assert "4h, automatic" in explain(decided(BUNDLE, wish_of(wish.scopes[0], duration_s=28800)), Viewer.REQUESTER).text
    both = bundle_of(*ORGANISATION, STAGING.replace("staging-open", "second"))
    data = data_of(decided(both, wish))
    assert [one["policy"] for one in data["offers"]] == ["second", "staging-open"]
    assert data["next"] == [Fix.CHOOSE_OFFER]


def test_hostile_names_do_not_break_the_text() -> None:
    hostile = replace(MARIA, name="ma\u202eria\n DENIED")
    found = explain(decided(BUNDLE, wish_of(scope_of('{service="a\\nb\u202e"}')), hostile), Viewer.REQUESTER)
    assert "\u202e" not in found.text
    assert "\n DENIED" not in found.text


@given(st.integers(0, 10 * 366 * 86_400))
def test_spans_of_time_are_the_same_in_json_and_in_words(seconds: int) -> None:
    text = iso_duration(seconds)
    assert text.startswith("P")
    assert text[-1] != "T"
    assert in_words(text) == duration_text(seconds)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        ("PT52M", "52m"),
        ("P", "P"),
        ("PT", "PT"),
        ("Peter", "Peter"),
        ("", ""),
    ],
)
def test_values_in_words(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_restricted_logs_say_why_and_whom_to_ask() -> None:
    data = data_of(decided(BUNDLE, wish_of(scope_of('{data_class="restricted",env="prod",service="pay-api"}'))))
    assert RESTRICTED
    assert data["guardrails"][0]["help"].startswith("Restricted logs are never served.")
    assert data["refusal"]["code"] == "guardrail_denied"
