"""Which facts somebody is asked for, at each point of a request; and what files of facts may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.policy.test_facts import BUNDLE, FACTS, GOOD, PAYMENTS, WISH
from tests.policy.world import APPROVERS, CATALOG, FLOOR, LEE, MARIA, NOOR, NOW, SRE, bundle_of, codes

from loglease.model.instant import MICROSECONDS
from loglease.policy import Point
from loglease.policy.conditions import ABSENT
from loglease.policy.documents import AccessPolicy
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.observed import Question
from loglease.policy.questions import facts_wanted, questions_again, questions_for_review, questions_of
from loglease.policy.reviewing import approver_refusal, keep_refusal
from loglease.policy.supposed import read_facts

LATER = PAYMENTS.replace("redaction: pii-default}", "redaction: pii-default, keep: {when: ctx.score < 80}}")
LATER += 'approver_when: approver.age < duration("1h") && ctx.score < 90\n'
KEPT = bundle_of(
    CATALOG,
    FACTS.replace("risk:\n", "  approver.age: {type: duration, from: rota, max_age: 60s}\nrisk:\n"),
    LATER, SRE, APPROVERS, FLOOR,
)  # fmt: skip
PLAIN = bundle_of(CATALOG, SRE)


def policy_of(name: str) -> AccessPolicy:
    return next(one for one in KEPT.policies if one.id == name)


def names(questions: tuple[Question, ...]) -> list[str]:
    return [one.rule.name for one in questions]


def test_a_bundle_without_facts_asks_nobody() -> None:
    assert questions_of(PLAIN, WISH, LEE) == ()
    assert facts_wanted(PLAIN, WISH, LEE) == frozenset()
    assert questions_again(PLAIN, "sre-prod", WISH, LEE, Point.ACTIVATION) == ()


def test_at_a_session_only_what_has_to_stay_true_is_asked() -> None:
    assert names(questions_again(KEPT, "payments", WISH, MARIA, Point.SESSION_OPEN)) == ["ctx.score"]
    assert names(questions_again(KEPT, "sre-prod", WISH, MARIA, Point.SESSION_OPEN)) == []
    assert names(questions_again(KEPT, "gone", WISH, MARIA, Point.SESSION_OPEN)) == []


def test_at_other_points_everything_is_asked_again_but_what_the_call_says() -> None:
    asked = names(questions_again(KEPT, "payments", WISH, MARIA, Point.ACTIVATION))
    assert asked == ["ctx.incident", "ctx.on_call", "ctx.score", "ctx.ticket"]


def test_whoever_reviews_is_asked_about_and_so_is_the_request() -> None:
    asked = questions_for_review(KEPT, policy_of("payments"), WISH, requester=MARIA, reviewer=NOOR)
    assert [(one.rule.name, one.account) for one in asked] == [("ctx.score", "maria"), ("approver.age", "noor")]
    assert questions_for_review(KEPT, policy_of("sre-prod"), WISH, requester=MARIA, reviewer=NOOR) == ()


@pytest.mark.parametrize(
    ("score", "age_s", "keeps", "approves"), [(10, 60, True, True), (85, 60, False, True), (10, 3600, True, False)]
)
def test_what_has_to_hold_later_is_refused_where_it_does_not(
    score: int, age_s: int, *, keeps: bool, approves: bool
) -> None:
    values = {**GOOD, "ctx.score": score, "approver.age": age_s * MICROSECONDS}
    facts = supposed_facts(KEPT, WISH, values, NOW)
    policy = policy_of("payments")
    kept = keep_refusal(policy, KEPT, WISH, MARIA, facts, submitted_at=NOW, now=NOW)
    assert (kept is None) is keeps
    approved = approver_refusal(policy, KEPT, WISH, MARIA, facts, submitted_at=NOW, now=NOW)
    assert (approved is None) is approves
    assert approver_refusal(policy_of("sre-prod"), KEPT, WISH, MARIA, facts, submitted_at=NOW, now=NOW) is None


def test_facts_are_read_from_a_file() -> None:
    text = (
        b"ctx.on_call: true\nctx.mfa_age: 0s\nctx.incident: {id: I9, severity: SEV1}\nctx.pages: []\nctx.score: 100\n"
    )
    assert read_facts(BUNDLE, "facts.yaml", text) == {
        "ctx.on_call": True, "ctx.mfa_age": 0, "ctx.incident": {"id": "I9", "severity": "SEV1"}, "ctx.pages": (),
        "ctx.score": 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "P119"),
        (b"ctx.on_call: true\n---\nctx.score: 1\n", "P119"),
        (b"ctx.on_call: [", "P100"),
        (b"ctx.nothing: true\n", "P302"),
        (b"ctx.score: 101\n", "P325"),
        (b"ctx.pages: [a, b, c]\n", "P325"),
        (b"ctx.incident: {id: I9}\n", "P325"),
        (b"ctx.incident: {id: I9, severity: SEV1, colour: red}\n", "P110"),
        (b"ctx.net: nowhere\n", "P115"),
        (b"ctx.on_call: perhaps\n", "P114"),
    ],
)
def test_what_a_file_of_facts_cannot_say(text: bytes, code: str) -> None:
    found = read_facts(BUNDLE, "facts.yaml", text)
    assert isinstance(found, list)
    assert codes(found) == [code]


def test_a_fact_of_an_open_label_is_supposed_of_nothing() -> None:
    scope = replace(WISH.scopes[0], selector=type(WISH.scopes[0].selector)())
    facts = supposed_facts(BUNDLE, replace(WISH, scopes=(scope,)), {"ctx.on_call": True, "ctx.ticket": ABSENT}, NOW)
    assert list(facts) == [("ctx.ticket", None)]
