"""Whom a wish would be offered to: what each policy says to those whom it is for."""

from __future__ import annotations

from tests.policy.world import (
    CATALOG,
    EMERGENCY,
    NOW,
    ORGANISATION,
    RESTRICTED,
    SRE,
    STAGING,
    bundle_of,
    scope_of,
    wish_of,
)

from loglease.model.access_request import Wish
from loglease.model.principal import Kind
from loglease.model.scope import Level
from loglease.policy import Answer, Bundle, catalog_profiles, who_can, who_can_data

BUNDLE = bundle_of(*ORGANISATION)


def asked(bundle: Bundle = BUNDLE, wish: Wish | None = None) -> tuple[Answer, ...]:
    return who_can(bundle, wish or wish_of(), now=NOW, profiles=catalog_profiles(bundle))


def words(answers: tuple[Answer, ...]) -> list[tuple[str, tuple[str, ...], str, str]]:
    return [(one.policy.id, one.names, str(one.outcome), one.words) for one in answers]


def test_each_policy_answers_and_offers_come_first() -> None:
    outside = "scope: not inside one entry of the policy"
    assert words(asked()) == [
        ("payments-prod-debug", ("group:payments-eng",), "review", "1 of approvers:payments-approvers"),
        ("sre-prod", ("group:sre",), "deny", outside),
        ("staging-open", ("group:engineering",), "deny", outside),
    ]


def test_reason_ticket_and_approvers_are_left_aside() -> None:
    bare = asked(wish=wish_of(ticket=None, reason=""))
    assert words(bare) == words(asked())


def test_offers_are_in_the_order_of_a_decision() -> None:
    longer = SRE.replace("sre-prod", "a-longer").replace("max: 1h", "max: 90m")
    both = SRE.replace("sre-prod", "a-both").replace("need: 1", "need: 2")
    shorter = SRE.replace("sre-prod", "a-shorter").replace("max: 1h", "max: 30m")
    wish = wish_of(scope_of(level=Level.INFO), duration_s=7200)
    found = asked(bundle_of(CATALOG, SRE, longer, both, shorter, STAGING), wish)
    assert [one.policy.id for one in found] == ["a-longer", "sre-prod", "a-shorter", "a-both", "staging-open"]


def test_names_that_get_different_answers_are_told_apart() -> None:
    policy = STAGING.replace(
        "who: {any_of: [group:engineering]}",
        "who: {kinds: [human, agent], any_of: [group:engineering, group:sre, user:bob, agent:bot]}\n"
        'when: \'"sre" in who.groups || who.kind == "agent" || who.id == "bob"\'',
    )
    wish = wish_of(scope_of('{env="dev"}', source="staging-logs"))
    found = asked(bundle_of(CATALOG, policy), wish)
    assert {(one.names, one.kind, str(one.outcome)) for one in found} == {
        (("group:sre", "user:bob"), Kind.HUMAN, "auto"),
        (("agent:bot", "group:engineering", "group:sre"), Kind.AGENT, "auto"),
        (("group:engineering",), Kind.HUMAN, "deny"),
    }
    assert [one.words for one in found] == ["automatic", "automatic", found[-1].words]
    assert found[-1].words.startswith("when: ")


def test_a_name_that_the_policy_excludes_again_is_told_nothing_else() -> None:
    policy = SRE.replace("{any_of: [group:sre]}", "{any_of: [group:sre], none_of: [group:sre]}")
    (found,) = asked(bundle_of(CATALOG, policy))
    assert found.words == "who: is not for this principal"


def test_guardrails_and_exclusive_policies_have_their_say() -> None:
    banned = asked(wish=wish_of(scope_of('{env="prod",service="pay-api",data_class="restricted"}')))
    assert {str(one.outcome) for one in banned} == {"deny"}
    assert all("guardrail: Restricted logs: denied." in one.words for one in banned)
    alone = SRE.replace("id: sre-prod", "id: sre-alone\nexclusive: true")
    found = asked(bundle_of(CATALOG, SRE, alone), wish_of(scope_of(level=Level.INFO)))
    assert [(one.policy.id, str(one.outcome)) for one in found] == [("sre-alone", "review"), ("sre-prod", "deny")]
    assert found[1].words == "exclusive: left to: sre-alone"


def test_every_stage_of_every_plan_is_named() -> None:
    rail = RESTRICTED.replace("deny: true\n", "require: {stage: {from: [group:privacy], need: 1}}\n").replace(
        "data_class: restricted", "env: prod"
    )
    staged = SRE.replace("need: 1}]", "need: 1}, {from: [group:privacy], need: 2}]")
    (found,) = asked(bundle_of(CATALOG, staged, rail), wish_of(scope_of(level=Level.INFO)))
    assert found.words == "1 of group:sre-leads then 2 of group:privacy; 1 of group:privacy"


def test_those_who_look_at_it_afterwards_are_named() -> None:
    wish = wish_of(reason="production is on fire and nobody of the leads answers", break_glass=True)
    (glass,) = asked(bundle_of(*ORGANISATION, EMERGENCY), wish)
    assert (str(glass.outcome), glass.words) == ("break_glass", "afterwards 1 of group:sre-leads")
    after = "auto: true, after_review: {from: [group:privacy], need: 2, within: 24h}"
    policy = STAGING.replace("auto: true", after)
    (auto,) = asked(bundle_of(CATALOG, policy), wish_of(scope_of('{env="dev"}', source="staging-logs")))
    assert (str(auto.outcome), auto.words) == ("auto", "afterwards 2 of group:privacy")


def test_programs_get_the_same() -> None:
    wish = wish_of()
    data = who_can_data(BUNDLE, wish, asked())
    assert data["bundle"] == {"revision": 418, "hash": f"sha256:{BUNDLE.hash}"}
    policies = data["policies"]
    assert isinstance(policies, list)
    assert policies[0] == {
        "id": "payments-prod-debug",
        "title": "Debug logs of payment services in production",
        "at": "policies/main.yaml:11:1",
        "for": ["group:payments-eng"],
        "kind": "human",
        "outcome": "review",
        "duration": "PT2H",
        "redaction": "pii-default",
        "approvals": 1,
        "plans": [{"origin": "payments-prod-debug", "stages": ["1 of approvers:payments-approvers"]}],
    }
    assert policies[1]["why"] == [{"step": "scope", "text": "not inside one entry of the policy"}]


def test_nothing_is_answered_where_there_is_no_policy() -> None:
    assert asked(bundle_of(CATALOG)) == ()
