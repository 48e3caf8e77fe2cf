"""Recorded decisions: they are read again as they were, and decided again by the same documents nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.test_facts import BUNDLE, FACTS, GOOD, PAYMENTS, VALUES, WISH
from tests.policy.world import APPROVERS, CATALOG, FLOOR, LEE, MARIA, NOW, SRE, bundle_of, decided, scope_of, wish_of

from loglease.model.access_request import Wish
from loglease.model.errors import Malformed
from loglease.model.principal import Directory, Principal
from loglease.policy import Bundle
from loglease.policy.conditions import Fault
from loglease.policy.conditions.values import Value
from loglease.policy.decision_records import RecordedDecision, decision_data, read_decision
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.simulation import Change, Replayed, Simulation, Summary, answer_words
from loglease.policy.supposed import with_approvers


def recorded(
    values: Mapping[str, Value] = GOOD, wish: Wish = WISH, asks: Principal = MARIA, bundle: Bundle = BUNDLE
) -> RecordedDecision:
    decision = decided(bundle, wish, asks, facts=supposed_facts(bundle, wish, values, NOW))
    data = decision_data(decision, request="req_1" if decision.offers else None, taken=None, closed=None, zones="z")
    return read_decision(orjson.dumps(data), 7)


def replayed(record: RecordedDecision, *documents: str) -> Replayed:
    (found,) = Simulation(bundle_of(*documents)).replay([record])
    return found


SAME = (CATALOG, FACTS, PAYMENTS, SRE, APPROVERS, FLOOR)


@given(
    values=VALUES,
    out=st.sets(st.sampled_from(sorted(GOOD))),
    wish=st.sampled_from(
        [
            WISH,
            replace(WISH, inputs={}),
            replace(WISH, ticket=None),
            replace(WISH, reason="", duration_s=None),
            wish_of(scope_of('{env="prod",service="pay-api",data_class="pii"}', live=True)),
            wish_of(scope_of('{env=~"prod|dev",service=~"pay-.*"}', profile="strict", contains=("x",))),
            wish_of(scope_of('{env="prod",data_class="internal"}', level=None), ticket=None),
        ]
    ),
    asks=st.sampled_from([MARIA, LEE]),
)
def test_the_documents_that_decided_decide_the_same_again(
    values: dict[str, Value], out: set[str], wish: Wish, asks: Principal
) -> None:
    record = recorded({**values, **dict.fromkeys(out, Fault("down"))}, wish, asks)
    (again,) = Simulation(BUNDLE).replay([record])
    assert again.undecided is None
    assert again.changes == ()
    assert again.answer == replace(record.answer, code=None)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("ctx.risk < 60", "ctx.risk < 0", {Change.NEWLY_DENIED}),
        ("auto: true\n", "stages: [{from: [group:privacy], need: 1}]\n", {Change.MORE_REVIEWS}),
        ("grant: {duration: {max: 1h}}", "grant: {duration: {max: 30m}}", {Change.SHORTER}),
        ("grant: {duration: {max: 1h}}", "grant: {duration: {max: 90m}}", {Change.LONGER}),
        ("redaction: pii-default", "redaction: strict", {Change.MORE_REDACTION}),
        ("redaction: pii-default", "redaction: secrets", {Change.LESS_REDACTION}),
        ("redaction: pii-default", "redaction: pii-default, pseudonyms: team-day", {Change.LESS_REDACTION}),
        ("redaction: pii-default", "redaction: strict, pseudonyms: team-day", {Change.LESS_REDACTION}),
        ("id: payments\n", "id: payments-two\n", {Change.OTHER_POLICY}),
        ("pending_max", "pending_max", set()),
    ],
)
def test_what_is_different_is_named(old: str, new: str, changes: set[Change]) -> None:
    found = replayed(recorded(), CATALOG, FACTS, PAYMENTS.replace(old, new), SRE, APPROVERS, FLOOR)
    assert set(found.changes) == changes


def test_who_was_refused_and_would_not_be() -> None:
    record = recorded({**GOOD, "ctx.net": "other", "ctx.score": 60})
    assert record.answer.policy is None
    found = replayed(record, CATALOG, FACTS, PAYMENTS.replace("ctx.risk < 60", "ctx.risk < 90"), SRE, APPROVERS, FLOOR)
    assert found.changes == (Change.NEWLY_ALLOWED,)


def test_what_was_not_recorded_is_not_guessed() -> None:
    facts = FACTS.replace("risk:\n", "  ctx.device: {type: bool, from: mdm, max_age: 1h}\nrisk:\n")
    found = replayed(recorded(), CATALOG, facts, PAYMENTS.replace("ctx.risk < 60", "ctx.device"), SRE, APPROVERS, FLOOR)
    assert (found.undecided, found.changes) == ("ctx.device was not recorded", ())
    nobody = recorded()
    nobody = replace(nobody, answer=replace(nobody.answer, policy=None, code="no_eligible_approver"))
    assert replayed(nobody, *SAME).undecided == "who could approve was not recorded"


def test_the_summary_counts_by_kind_and_group_and_shows_a_case() -> None:
    summary = Summary()
    documents = (CATALOG, FACTS, PAYMENTS.replace("auto: true\n", "stages: [{from: [group:privacy], need: 1}]\n"))
    simulation = Simulation(bundle_of(*documents, SRE, APPROVERS, FLOOR))
    for one in simulation.replay([recorded(), recorded(), recorded({**GOOD, "ctx.on_call": False})]):
        summary.add(one)
    assert [*summary.lines()] == [
        "3 replayed: 1 same, 2 changed",
        (
            "more reviews        2  group:engineering        e.g. req_1  payments with auto for 1h, pii-default, "
            "now payments with 1 review for 1h, pii-default"
        ),
        (
            "more reviews        2  group:payments-eng       e.g. req_1  payments with auto for 1h, pii-default, "
            "now payments with 1 review for 1h, pii-default"
        ),
    ]
    assert summary.data()["changed"] == 2


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"format": 2}', b'{"format": 1}', b"\xff", b'{"format": 1, "at": 5}']
)
def test_a_line_that_is_no_decision_is_named(line: bytes) -> None:
    with pytest.raises(Malformed, match="Line 3"):
        read_decision(line, 3)


def test_what_is_in_force_is_compared_with_what_would_be() -> None:
    record = recorded()
    shorter = bundle_of(CATALOG, FACTS, PAYMENTS.replace("max: 1h", "max: 30m"), SRE, APPROVERS, FLOOR)
    (same,) = Simulation(shorter, present=shorter).replay([record])
    assert same.changes == ()
    (longer,) = Simulation(BUNDLE, present=shorter).replay([record])
    assert longer.changes == (Change.LONGER,)
    assert (longer.before.duration_s, longer.record.answer.duration_s) == (1_800, 3_600)


def test_what_the_documents_in_force_cannot_tell_is_undecided() -> None:
    facts = FACTS.replace("risk:\n", "  ctx.device: {type: bool, from: mdm, max_age: 1h}\nrisk:\n")
    present = bundle_of(CATALOG, facts, PAYMENTS.replace("ctx.risk < 60", "ctx.device"), SRE, APPROVERS, FLOOR)
    (found,) = Simulation(BUNDLE, present=present).replay([recorded()])
    assert (found.undecided, found.answer) == ("ctx.device was not recorded", None)


def test_a_denial_keeps_the_code_that_was_recorded() -> None:
    record = recorded(wish=replace(WISH, ticket=None))
    (found,) = Simulation(BUNDLE, present=BUNDLE).replay([record])
    assert found.changes == ()
    assert answer_words(found.before) == "denied (ticket_required)"
    assert answer_words(replace(found.before, code=None)) == "denied"


def test_the_summary_counts_what_could_not_be_decided_again_by_its_reason() -> None:
    facts = FACTS.replace("risk:\n", "  ctx.device: {type: bool, from: mdm, max_age: 1h}\nrisk:\n")
    asking = bundle_of(CATALOG, facts, PAYMENTS.replace("ctx.risk < 60", "ctx.device"), SRE, APPROVERS, FLOOR)
    nobody = recorded()
    nobody = replace(nobody, answer=replace(nobody.answer, policy=None, code="no_eligible_approver"))
    summary = Summary()
    for one in Simulation(asking).replay([recorded(), nobody, recorded()]):
        summary.add(one)
    assert [*summary.lines()] == [
        (
            "3 replayed: 0 same, 0 changed, 3 undecided "
            "(ctx.device was not recorded: 2; who could approve was not recorded: 1)"
        )
    ]
    assert summary.data() == {
        "replayed": 3, "same": 0, "changed": 0, "kinds": [],
        "undecided": {"ctx.device was not recorded": 2, "who could approve was not recorded": 1},
    }  # fmt: skip


def test_more_people_than_are_remembered_are_decided_for_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [recorded(asks=asks) for asks in (MARIA, replace(MARIA, groups=MARIA.groups | {"sre"}), MARIA)]
    wanted = [one.answer for one in Simulation(BUNDLE).replay(records)]
    built: list[Principal] = []

    def counted(bundle: Bundle, asks: Principal) -> Directory:
        built.append(asks)
        return with_approvers(bundle, asks)

    monkeypatch.setattr("loglease.policy.simulation.with_approvers", counted)
    for most, times in ((2, 2), (1, 3)):
        monkeypatch.setattr("loglease.policy.simulation._MOST_DIRECTORIES", most)
        built.clear()
        assert [one.answer for one in Simulation(BUNDLE).replay(records)] == wanted
        assert len(built) == times


def test_the_summary_keeps_three_cases_of_a_kind_and_counts_what_is_left_out() -> None:
    summary = Summary()
    other = bundle_of(CATALOG, FACTS, PAYMENTS.replace("ctx.risk < 60", "ctx.risk < 0"), SRE, APPROVERS, FLOOR)
    for one in Simulation(other).replay([recorded()] * 5):
        summary.add(one)
    summary.leave_out("in another form")
    (cases,) = {id(cases): cases for _, group, cases in summary.rows() if group == "engineering"}.values()
    assert (cases.count, len(cases.examples)) == (5, 3)
    assert (summary.total, summary.changed, dict(summary.undecided)) == (6, 5, {"in another form": 1})
