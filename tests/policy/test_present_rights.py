"""Who may ask and who may decide now: for a review of rights, held against a naive search over names."""

from __future__ import annotations

from dataclasses import replace

from tests.policy.world import APPROVERS, CATALOG, DIRECTORY, EMERGENCY, NOW, ORGANISATION, PAYMENTS, SRE, bundle_of

from loglease.model.ids import PrincipalId
from loglease.model.principal import Directory, Kind, directory_of
from loglease.policy import Bundle, People
from loglease.policy.present_rights import PresentRights

MANAGED = """\
api: loglease/v1
kind: AccessPolicy
id: managed
who: {kinds: [human, agent], any_of: [group:engineering]}
scopes: [{sources: [staging-logs], all_streams: true, lookback: 1h}]
grant: {duration: {max: 1h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [relation:manager], need: 1}]}]
"""
RAIL = """\
api: loglease/v1
kind: Guardrail
id: asks-privacy
applies: {all_streams: true}
require: {stage: {from: [group:privacy], need: 1}}
"""


def found(
    bundle: Bundle, directory: Directory = DIRECTORY
) -> tuple[set[tuple[str, str, str]], set[tuple[str, str, str]]]:
    rights = PresentRights(bundle, directory, NOW)
    return (
        {(one.principal.id, one.document, one.by) for one in rights.requesters()},
        {(one.principal.id, one.document, one.by) for one in rights.reviewers()},
    )


def test_who_may_ask_is_who_fits_each_policy() -> None:
    bundle = bundle_of(*ORGANISATION, EMERGENCY)
    requesters, _ = found(bundle)
    people = People(DIRECTORY, bundle.approver_sets, now=NOW)
    expected = {
        (one.id, policy.id, name)
        for policy in bundle.every_policy
        for one in DIRECTORY.principals.values()
        for name in policy.who.any_of
        if people.fits(policy.who, one) and people.is_named(name, one)
    }
    assert requesters == expected
    assert len({document for _, document, _ in expected}) == len(bundle.every_policy), "each policy is for somebody"


def test_who_may_decide_is_named_by_a_stage_a_guardrail_or_an_after_review() -> None:
    bundle = bundle_of(*ORGANISATION, EMERGENCY, RAIL)
    _, reviewers = found(bundle)
    people = People(DIRECTORY, bundle.approver_sets, now=NOW)
    for one, _, name in reviewers:
        assert people.may_approve([name], DIRECTORY.principals[PrincipalId(one)])
    documents = {document for _, document, _ in reviewers}
    assert {"asks-privacy", "payments-prod-debug", *(one.id for one in bundle.emergencies)} <= documents
    assert "staging-open" not in documents, "nobody decides on what is automatic"
    humans = {one.id for one in DIRECTORY.principals.values() if one.kind is Kind.HUMAN}
    assert {one for one, _, _ in reviewers} <= humans


def test_a_set_means_its_members_less_those_who_are_left_out() -> None:
    _, reviewers = found(bundle_of(CATALOG, APPROVERS, PAYMENTS))
    leads = {one.id for one in DIRECTORY.humans() if "payments-leads" in one.groups and "contractors" not in one.groups}
    assert {one for one, _, _ in reviewers} == leads
    assert leads


def test_managers_may_decide_wherever_somebody_has_one() -> None:
    humans = list(DIRECTORY.humans())
    boss, worker = humans[0], humans[1]
    changed = directory_of(
        replace(one, manager=boss.person) if one.id == worker.id else replace(one, manager=None)
        for one in DIRECTORY.principals.values()
    )
    bundle = bundle_of(CATALOG, APPROVERS, MANAGED)
    _, reviewers = found(bundle, changed)
    assert {one for one, _, _ in reviewers} == {one.id for one in changed.humans() if one.person == boss.person}
    nobody = directory_of(replace(one, manager=None) for one in DIRECTORY.principals.values())
    assert found(bundle, nobody)[1] == set()


def test_who_is_disabled_may_nothing() -> None:
    off = directory_of(replace(one, enabled=False) for one in DIRECTORY.principals.values())
    assert found(bundle_of(CATALOG, APPROVERS, PAYMENTS, SRE), off) == (set(), set())
