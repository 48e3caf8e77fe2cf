"""People who are made up: read from a file, or taken to be there so that an answer does not hang on a directory."""

from __future__ import annotations

from tests.policy.world import APPROVERS, CATALOG, NOW, PAYMENTS, SRE, bundle_of, wish_of

from loglease.model.ids import PrincipalId
from loglease.model.principal import Kind, directory_of
from loglease.policy import Bundle, Decision, catalog_profiles, decide, made_up, read_people, with_approvers
from loglease.policy.people import People
from loglease.policy.steps import TestPerson
from loglease.policy.supposed import somebody

BUNDLE = bundle_of(CATALOG, PAYMENTS, APPROVERS, SRE)


def payments(*, stage: str, approvers: str = APPROVERS) -> Bundle:
    return bundle_of(CATALOG, PAYMENTS.replace("{from: [approvers:payments-approvers], need: 1}", stage), approvers)


def decided_alone(bundle: Bundle, account: str = "maria") -> Decision:
    """Decide for somebody of whom alone is known, with approvers taken to be there."""
    asks = made_up([TestPerson(name=account, groups=frozenset({"payments-eng"}), kind=Kind.HUMAN)])
    principal = asks.principals[PrincipalId(account)]
    return decide(
        bundle, wish_of(), principal, directory=with_approvers(bundle, principal), now=NOW,
        profiles=catalog_profiles(bundle),
    )  # fmt: skip


def test_people_are_read_as_in_a_policy_test() -> None:
    found = read_people(BUNDLE, "people.yaml", b"maria: {groups: [payments-eng, sre]}\nbot: {kind: agent}\neve: {}\n")
    assert found == (
        TestPerson(name="maria", groups=frozenset({"payments-eng", "sre"}), kind=Kind.HUMAN),
        TestPerson(name="bot", groups=frozenset(), kind=Kind.AGENT),
        TestPerson(name="eve", groups=frozenset(), kind=Kind.HUMAN),
    )


def test_what_is_wrong_with_people_has_its_place() -> None:
    def problems(content: bytes) -> list[str]:
        found = read_people(BUNDLE, "people.yaml", content)
        assert isinstance(found, list)
        return [one.render().partition("\n")[0] for one in found]

    assert problems(b"maria: {groups: [payment-eng]}\n") == [
        "people.yaml:1:18: error[P302] group 'payment-eng' is not in the Catalog"
    ]
    assert problems(b"maria: {grups: [sre]}\n") == [
        "people.yaml:1:9: error[P110] unknown field 'grups' in person 'maria'"
    ]
    assert problems(b"") == ["people.yaml:1:1: error[P119] the file holds no documents, not one with people"]
    assert problems(b"a: {}\n---\nb: {}\n") == [
        "people.yaml:1:1: error[P119] the file holds 2 documents, not one with people"
    ]
    assert problems(b"a: [") == [
        "people.yaml:1:5: error[P100] this is not well-formed YAML: expected the node content, but found '<stream end>'"
    ]


def test_a_group_that_approves_is_never_too_small() -> None:
    for stage in (
        "{from: [group:privacy], need: 20}",
        "{all_of: [{from: [group:privacy], need: 3}, {from: [approvers:payments-approvers], need: 4}]}",
        "{any_of: [{from: [group:privacy, group:sre], need: 2}]}",
        "{from: [group:everybody], need: 5}",
        "{from: [user:noor], need: 1}",
    ):
        assert decided_alone(payments(stage=stage)).offers, stage


def test_nobody_who_asks_is_taken_for_an_approver() -> None:
    by_name = payments(stage="{from: [user:maria], need: 1}")
    assert decided_alone(by_name, "lee").offers
    alone = decided_alone(by_name)
    assert not alone.offers
    assert alone.refusal is not None
    assert alone.refusal.code == "no_eligible_approver"


def test_who_asks_stays_the_only_one_of_that_name() -> None:
    stage = "{from: [user:maria, group:privacy], need: 1}"
    named = PAYMENTS.replace("any_of: [group:payments-eng]", "any_of: [user:maria]").replace(
        "{from: [approvers:payments-approvers], need: 1}", stage
    )
    assert decided_alone(bundle_of(CATALOG, named)).offers
    assert not decided_alone(bundle_of(CATALOG, named), "lee").offers


def test_a_set_that_documents_leave_empty_stays_empty() -> None:
    emptied = APPROVERS.replace("none_of: [group:contractors]", "none_of: [group:payments-leads]")
    assert not decided_alone(
        payments(stage="{from: [approvers:payments-approvers], need: 1}", approvers=emptied)
    ).offers


def test_stages_of_guardrails_find_their_approvers() -> None:
    rail = (
        "api: loglease/v1\nkind: Guardrail\nid: all\napplies: {all_streams: true}\n"
        "require: {stage: {from: [group:privacy], need: 2}}\n"
    )
    (offer,) = decided_alone(bundle_of(CATALOG, PAYMENTS, APPROVERS, rail)).offers
    assert [plan.origin for plan in offer.plans] == ["payments-prod-debug", "all"]


def test_somebody_is_whom_a_name_means_and_no_more() -> None:
    for name, kind in (("user:bob", Kind.HUMAN), ("agent:bot", Kind.AGENT), ("service:ci", Kind.SERVICE)):
        asks = somebody(name)
        assert asks.kind is kind
        assert People(directory_of([asks])).is_named(name, asks)
        assert not asks.groups
    assert somebody("group:sre").groups == {"sre"}
    assert somebody("group:sre", Kind.AGENT).kind is Kind.AGENT
