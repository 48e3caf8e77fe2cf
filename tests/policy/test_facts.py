"""Facts: how they are declared, what becomes of answers, and that an outage makes nothing cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    FLOOR,
    LEE,
    MARIA,
    NOW,
    SRE,
    bundle_of,
    codes,
    decided,
    problems_of,
    scope_of,
    wish_of,
)

from loglease.model.access_request import Wish
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.offer import Outcome
from loglease.model.scope import Level
from loglease.policy import Bundle, Decision
from loglease.policy.conditions import ABSENT, Fault, Field, Record, Text
from loglease.policy.conditions.values import Value
from loglease.policy.documents import FactRule
from loglease.policy.fact_documents import MAX_FACTS, MAX_FIELDS, MAX_TERMS, MAX_WORDS
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.fact_records import facts_data, facts_of
from loglease.policy.fact_values import fact_value
from loglease.policy.observed import Facts, Observed
from loglease.policy.problems import At
from loglease.policy.questions import questions_of
from loglease.policy.trace import Fix, StepName

FACTS = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.mfa_age: {type: duration, from: identity}
  ctx.net: {type: [corp, vpn, other], from: gateway}
  ctx.on_call: {type: bool, from: rota, per: service, combine: all, max_age: 120s}
  ctx.incident:
    type: record
    optional: true
    from: incidents
    per: service
    max_age: 120s
    fields: {id: string, severity: [SEV1, SEV2, SEV3]}
  ctx.ticket: {type: record, optional: true, from: tickets, max_age: 120s, fields: {state: [open, closed]}}
  ctx.score: {type: int, from: rota, max_age: 60s, range: [0, 100]}
  ctx.pages: {type: list, of: string, max_items: 2, from: rota, max_age: 60s}
risk:
  - {id: network, add: 50, if: ctx.net == "other", show: unknown network}
  - {id: score, add: 20, if: ctx.score > 50}
"""

PAYMENTS = """\
api: loglease/v1
kind: AccessPolicy
id: payments
who: {any_of: [group:payments-eng]}
scopes:
  - {sources: [prod-logs], labels: {env: prod, service: {prefix: pay-}, data_class: [internal, pii]}, lookback: 24h}
ask:
  ticket: {tracker: tickets, key: 'PAY-[0-9]{1,6}', state: [open]}
  inputs:
    customer: {type: string, max: 8, label: Customer number, required: false}
    urgent: {type: bool}
when: ctx.mfa_age <= duration("15m") && ctx.risk < 60
grant: {duration: {max: 2h}, redaction: pii-default}
approve:
  - if: ctx.on_call && has(ctx.incident) && ctx.incident.severity in ["SEV1", "SEV2"] && !("pii" in req.labels.data_class)
    auto: true
    grant: {duration: {max: 1h}}
  - if: '"pii" in req.labels.data_class || ctx.score > 90 || ask.urgent'
    stages: [{from: [approvers:payments-approvers], need: 1}, {from: [group:privacy], need: 1}]
  - otherwise: true
    stages: [{from: [approvers:payments-approvers], need: 1}]
"""
BUNDLE = bundle_of(CATALOG, FACTS, PAYMENTS, SRE, APPROVERS, FLOOR)
GOOD: Mapping[str, Value] = {
    "ctx.mfa_age": 5 * 60 * MICROSECONDS,
    "ctx.net": "corp",
    "ctx.on_call": True,
    "ctx.incident": {"id": "I9", "severity": "SEV1"},
    "ctx.ticket": {"state": "open"},
    "ctx.score": 10,
    "ctx.pages": (),
}
WISH = replace(wish_of(), inputs={"urgent": "false"})


def decide_with(values: Mapping[str, Value], wish: Wish = WISH, bundle: Bundle = BUNDLE) -> Decision:
    return decided(bundle, wish, facts=supposed_facts(bundle, wish, values, NOW))


def failed(decision: Decision) -> list[StepName]:
    (trace,) = decision.own
    return [step.name for step in trace.steps if not step.ok]


def test_an_engineer_on_call_in_an_incident_waits_for_nobody() -> None:
    (offer,) = decide_with(GOOD).offers
    assert (offer.outcome, offer.terms.duration_s) == (Outcome.AUTO, 3_600)


@pytest.mark.parametrize(
    "outage",
    [
        {"ctx.on_call": Fault("the rota is down")},
        {"ctx.incident": Fault("no answer")},
        {"ctx.incident": ABSENT},
        {"ctx.on_call": False},
    ],
)
def test_an_outage_is_no_reason_to_wait_for_nobody(outage: Mapping[str, Value]) -> None:
    (offer,) = decide_with({**GOOD, **outage}).offers
    assert (offer.outcome, offer.need, offer.terms.duration_s) == (Outcome.REVIEW, 1, 7_200)


def test_a_staged_route_that_cannot_be_told_is_demanded_besides() -> None:
    (offer,) = decide_with({**GOOD, "ctx.on_call": False, "ctx.score": Fault("no answer"), "ctx.net": "corp"}).offers
    assert [len(plan.stages) for plan in offer.plans] == [1, 2]


@pytest.mark.parametrize(
    ("changed", "steps", "fix"),
    [
        ({"ctx.mfa_age": 52 * 60 * MICROSECONDS}, [StepName.WHEN], Fix.SIGN_IN),
        ({"ctx.mfa_age": Fault("a token")}, [StepName.WHEN], Fix.SIGN_IN),
        ({"ctx.ticket": {"state": "closed"}}, [StepName.ASK], Fix.ATTACH_TICKET),
        ({"ctx.ticket": ABSENT}, [StepName.ASK, StepName.ASK], Fix.ATTACH_TICKET),
        ({"ctx.ticket": Fault("the tracker is down")}, [StepName.ASK, StepName.ASK], Fix.WAIT_FOR_SOURCE),
        ({"ctx.net": "other", "ctx.score": 51}, [StepName.WHEN], Fix.ASK_OWNER),
    ],
)
def test_what_does_not_hold_is_named_with_what_helps(
    changed: Mapping[str, Value], steps: list[StepName], fix: Fix
) -> None:
    found = decide_with({**GOOD, **changed})
    assert not found.offers
    assert failed(found) == steps
    (trace,) = found.own
    assert [step.fix for step in trace.steps if not step.ok] == [fix] * len(steps)


def test_what_was_read_is_said() -> None:
    found = decide_with({**GOOD, "ctx.mfa_age": 52 * 60 * MICROSECONDS, "ctx.net": "other", "ctx.score": Fault("down")})
    (trace,) = found.own
    age, risk = (step.seen[0] for step in trace.steps if step.name is StepName.WHEN)
    assert (age.name, age.value, age.provider, age.age_us) == ("ctx.mfa_age", "PT52M", "identity", 0)
    assert risk.value == "70: unknown network 50, score 20, which cannot be told"


def test_inputs_are_claims_of_the_form_that_the_policy_says() -> None:
    assert failed(decide_with(GOOD, replace(WISH, inputs={}))) == [StepName.ASK]
    assert failed(decide_with(GOOD, replace(WISH, inputs={"urgent": "perhaps"}))) == [StepName.ASK]
    assert failed(decide_with(GOOD, replace(WISH, inputs={"urgent": "true", "customer": "123456789"}))) == [
        StepName.ASK
    ]
    (offer,) = decide_with({**GOOD, "ctx.on_call": False}, replace(WISH, inputs={"urgent": "true"})).offers
    assert offer.need == 2
    refusal = decide_with(GOOD, replace(WISH, inputs={})).refusal
    assert refusal is not None
    assert (refusal.code, refusal.next_step) == ("input_required", "Fill in 'urgent'.")


def test_only_providers_are_asked_and_only_for_what_is_read() -> None:
    found = questions_of(BUNDLE, WISH, MARIA)
    assert [(one.rule.name, one.label, one.ticket) for one in found] == [
        ("ctx.incident", ("service", "pay-api"), "PAY-7"),
        ("ctx.on_call", ("service", "pay-api"), "PAY-7"),
        ("ctx.score", None, "PAY-7"),
        ("ctx.ticket", None, "PAY-7"),
    ]
    assert questions_of(BUNDLE, wish_of(scope_of(source="staging-logs")), MARIA) == ()
    assert questions_of(BUNDLE, wish_of(), replace(LEE, groups=frozenset({"sre"}))) == ()
    vague = wish_of(scope_of('{env="prod",service=~"pay-.*",data_class="internal"}'))
    assert [one.rule.name for one in questions_of(BUNDLE, vague, MARIA)] == ["ctx.score", "ctx.ticket"]


RULE = FactRule(name="ctx.x", type=BUNDLE.facts["ctx.score"].type, provider="p", max_age_s=120, at=At("f", 1, 1))


@pytest.mark.parametrize(
    ("age_s", "holds"), [(0, True), (120, True), (120.000001, False), (121, False), (-5, True), (-6, False)]
)
def test_an_answer_may_not_be_old_and_not_from_the_future(age_s: float, holds: bool) -> None:
    observed = Observed(5, "p", Instant(NOW - round(age_s * MICROSECONDS)))
    found = fact_value(RULE, {("ctx.x", None): observed}, {}, NOW)
    assert (found == 5) is holds
    assert isinstance(found, Fault) is not holds


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("ctx.score", 101),
        ("ctx.score", True),
        ("ctx.score", "5"),
        ("ctx.net", "home"),
        ("ctx.mfa_age", -1),
        ("ctx.mfa_age", ABSENT),
        ("ctx.pages", ("a", "b", "c")),
        ("ctx.pages", (1,)),
        ("ctx.pages", "a"),
        ("ctx.ticket", {"state": "lost"}),
        ("ctx.ticket", {}),
        ("ctx.ticket", "open"),
    ],
)
def test_an_answer_that_does_not_fit_is_a_fault(fact: str, value: Value) -> None:
    rule = BUNDLE.facts[fact]
    assert isinstance(fact_value(rule, {(fact, None): Observed(value, rule.provider, NOW)}, {}, NOW), Fault)


def _joined(fact: str, *values: Value, bundle: Bundle = BUNDLE) -> Value:
    rule = bundle.facts[fact]
    labels = tuple(f"pay-{number}" for number in range(len(values)))
    facts = {(fact, one): Observed(value, "p", NOW) for one, value in zip(labels, values, strict=True)}
    return fact_value(rule, facts, {"service": labels}, NOW)


def test_answers_for_several_values_of_a_label_become_one() -> None:
    assert _joined("ctx.on_call", True, True) is True
    assert _joined("ctx.on_call", True, Fault("x"), False) is False
    assert isinstance(_joined("ctx.on_call", True, Fault("x")), Fault)
    incident: Value = {"id": "I9", "severity": "SEV1"}
    assert _joined("ctx.incident", incident, incident) == incident
    assert _joined("ctx.incident", ABSENT, ABSENT) is ABSENT
    assert isinstance(_joined("ctx.incident", incident, ABSENT), Fault)
    assert isinstance(_joined("ctx.incident", incident, {"id": "I8", "severity": "SEV1"}), Fault)


def test_an_optional_answer_is_absent_only_where_it_is_for_all_values() -> None:
    paged = bundle_of(
        CATALOG,
        FACTS.replace(
            "risk:\n",
            "  ctx.paged: {type: bool, optional: true, from: rota, per: service, combine: any, max_age: 120s}\nrisk:\n",
        ),
    )

    def joined(*values: Value) -> Value:
        return _joined("ctx.paged", *values, bundle=paged)

    assert joined(ABSENT, ABSENT) is ABSENT
    assert joined(True, ABSENT) == Fault("it exists for some values only")
    assert joined(ABSENT, Fault("the rota is down"), True) == Fault("the rota is down")
    assert joined(True, False) is True


def test_a_record_has_its_declared_fields_and_an_optional_one_may_be_absent() -> None:
    rule = bundle_of(CATALOG, FACTS).facts["ctx.incident"]
    assert isinstance(rule.type, Record)
    fields = {**rule.type.fields, "lead": Field(Text(), optional=True)}
    kind = replace(rule, type=Record(fields), per=None)

    def read(value: Value) -> Value:
        return fact_value(kind, {("ctx.incident", None): Observed(value, "incidents", NOW)}, {}, NOW)

    known: dict[str, Value] = {"id": "I9", "severity": "SEV1"}
    assert read({**known, "cost": 7}) == {**known, "lead": ABSENT}
    assert read({**known, "lead": "lee"}) == {**known, "lead": "lee"}
    assert read({"id": "I9", "lead": "lee"}) == Fault("its field severity is missing")


def test_facts_are_read_where_nothing_is_said_of_risk() -> None:
    bundle = bundle_of(CATALOG, FACTS.partition("risk:\n")[0], SRE + 'when: ctx.net == "corp"\n')
    wish = wish_of(scope_of(level=Level.INFO))
    lead = replace(LEE, groups=frozenset({"sre"}))

    def offers(net: Value) -> int:
        return len(decided(bundle, wish, lead, facts=supposed_facts(bundle, wish, {"ctx.net": net}, NOW)).offers)

    assert [offers(net) for net in ("corp", "other", Fault("no call"))] == [1, 0, 0]


def test_a_label_that_is_left_open_is_a_fault() -> None:
    rule = BUNDLE.facts["ctx.on_call"]
    for labels in ({}, {"service": ()}, {"service": ("pay-api", "?")}, {"service": Fault("open")}):
        assert isinstance(fact_value(rule, {}, labels, NOW), Fault)


VALUES = st.fixed_dictionaries(
    {
        "ctx.mfa_age": st.sampled_from([0, 15 * 60 * MICROSECONDS, 16 * 60 * MICROSECONDS]),
        "ctx.net": st.sampled_from(["corp", "vpn", "other"]),
        "ctx.on_call": st.booleans(),
        "ctx.incident": st.sampled_from([ABSENT, {"id": "I9", "severity": "SEV1"}, {"id": "I9", "severity": "SEV3"}]),
        "ctx.ticket": st.sampled_from([ABSENT, {"state": "open"}, {"state": "closed"}]),
        "ctx.score": st.sampled_from([0, 50, 51, 90, 91]),
        "ctx.pages": st.just(()),
    }
)


@given(values=VALUES, out=st.sets(st.sampled_from(sorted(GOOD)), min_size=1))
def test_an_outage_makes_nothing_cheaper_than_any_value_does(values: dict[str, Value], out: set[str]) -> None:
    """The values are what nobody knows in the outage: all that they demand is demanded, and nothing else is given."""
    known, unknown = decide_with(values), decide_with({**values, **dict.fromkeys(out, Fault("down"))})
    if not unknown.offers:
        return
    assert unknown.offers[0].outcome is Outcome.REVIEW or out <= {"ctx.pages", "ctx.score", "ctx.net"}
    assert known.offers, "an outage opened what the value closes"
    demanded = {plan.stages for plan in unknown.offers[0].plans}
    assert {plan.stages for plan in known.offers[0].plans if plan.stages} <= demanded


@given(values=VALUES, out=st.sets(st.sampled_from(sorted(GOOD))))
def test_facts_are_read_again_as_they_were_recorded(values: dict[str, Value], out: set[str]) -> None:
    facts: Facts = supposed_facts(BUNDLE, WISH, {**values, **dict.fromkeys(out, Fault("down"))}, NOW)
    assert facts_of(facts_data(facts)) == facts  # type: ignore[arg-type]


def test_where_people_find_an_answer_is_recorded_with_it() -> None:
    value: Value = {"id": "I9", "severity": "SEV1"}
    facts: Facts = {
        ("ctx.incident", "pay-api"): Observed(value, "incidents", NOW, "https://incidents.example/I9"),
        ("ctx.score", None): Observed(5, "rota", NOW),
    }
    recorded: Any = facts_data(facts)
    assert [one.get("ref") for one in recorded] == ["https://incidents.example/I9", None]
    assert "ref" not in recorded[1]
    assert facts_of(recorded) == facts


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ctx.a: {type: bool, from: rota}", "P323"),
        ("ctx.a: {type: duration, from: identity, max_age: 5m}", "P323"),
        ("ctx.a: {type: bool, from: identity, per: service, combine: all}", "P323"),
        ("ctx.a: {type: bool, from: rota, max_age: 5m, per: service}", "P323"),
        ("ctx.a: {type: bool, from: rota, max_age: 5m, combine: all}", "P323"),
        ("ctx.a: {type: int, from: rota, max_age: 5m, per: service}", "P323"),
        ("ctx.a: {type: record, from: rota, max_age: 5m, per: team, fields: {a: bool}}", "P304"),
        ("ctx.a: {type: bool, from: rota, max_age: 5m, range: [0, 1]}", "P323"),
        ("ctx.a: {type: int, from: rota, max_age: 5m, range: [5, 1]}", "P114"),
        ("ctx.a: {type: int, from: rota, max_age: 5m, range: [5]}", "P114"),
        ("ctx.a: {type: list, from: rota, max_age: 5m}", "P111"),
        ("ctx.a: {type: record, from: rota, max_age: 5m}", "P111"),
        ("ctx.a: {type: record, from: rota, max_age: 5m, fields: {A: string}}", "P114"),
        ("ctx.a: {type: bool, from: rota, max_age: 5m, fields: {a: string}}", "P323"),
        ("ctx.a: {type: double, from: rota, max_age: 5m}", "P115"),
        ("ctx.a: {type: bool, max_age: 5m}", "P111"),
        ("ctx.risk: {type: int, from: rota, max_age: 5m}", "P323"),
        ("ctx.A: {type: bool, from: rota, max_age: 5m}", "P114"),
        ("ctx.all: {type: bool, from: rota, max_age: 5m}", ""),
        ("ctx.true: {type: bool, from: rota, max_age: 5m}", "P114"),
        ("on_call: {type: bool, from: rota, max_age: 5m}", "P114"),
        ("approver.a: {type: bool, from: hr, max_age: 5m, per: service, combine: all}", "P323"),
        ("ctx.net: {type: bool, from: rota, max_age: 5m}", "P107"),
        ("ctx.a: {type: bool, form: rota, from: rota, max_age: 5m}", "P110"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(line: str, code: str) -> None:
    documents = (CATALOG, FACTS.replace("risk:\n", f"  {line}\nrisk:\n"), SRE)
    if code:
        assert codes(problems_of(*documents)) == [code]
    else:
        assert bundle_of(*documents)


@pytest.mark.parametrize(
    ("term", "code"),
    [
        ('{id: network, add: 5, if: ctx.net == "vpn"}', "P107"),
        ('{id: more, add: 101, if: ctx.net == "vpn"}', "P114"),
        ("{id: more, add: 5, if: ctx.risk > 5}", "P205"),
        ("{id: more, add: 5}", "P111"),
        ("{id: more, add: 5, if: ctx.net}", "P207"),
    ],
)
def test_a_term_of_risk_that_is_none_is_refused(term: str, code: str) -> None:
    assert codes(problems_of(CATALOG, FACTS + f"  - {term}\n", SRE)) == [code]


def declared(lines: Iterable[str]) -> str:
    return FACTS.partition("facts:\n")[0] + "facts:\n" + "".join(f"  {one}\n" for one in lines)


def _many(number: int) -> str:
    return declared(f"ctx.a{one}: {{type: bool, from: identity}}" for one in range(number))


def _words(number: int) -> str:
    return declared([f"ctx.a: {{type: [{', '.join(f'w{one}' for one in range(number))}], from: identity}}"])


def _members(number: int) -> str:
    fields = ", ".join(f"f{one}: bool" for one in range(number))
    return declared([f"ctx.a: {{type: record, from: identity, fields: {{{fields}}}}}"])


def _terms(number: int) -> str:
    terms = (f"  - {{id: t{one}, add: 1, if: ctx.score > {one}}}\n" for one in range(number))
    return FACTS.partition("risk:\n")[0] + "risk:\n" + "".join(terms)


@pytest.mark.parametrize(
    ("document", "most", "message"),
    [
        (_many, MAX_FACTS, "the bundle has more than 200 facts"),
        (_words, MAX_WORDS, "there are more than 200 words"),
        (_members, MAX_FIELDS, "a record has more than 32 fields"),
        (_terms, MAX_TERMS, "the risk has more than 50 terms"),
    ],
)
def test_declarations_are_bounded(document: Callable[[int], str], most: int, message: str) -> None:
    assert bundle_of(CATALOG, document(most), SRE)
    (found,) = problems_of(CATALOG, document(most + 1), SRE)
    assert (found.code, found.message) == ("P108", message)


def test_a_field_of_a_record_that_may_be_absent_needs_a_guard_of_its_own() -> None:
    facts = declared(
        ["ctx.host: {type: record, from: identity, fields: {os: {type: string, optional: true}, own: bool}}"]
    )
    assert codes(problems_of(CATALOG, facts, SRE + 'when: ctx.host.os == "linux"\n')) == ["P203"]
    bundle = bundle_of(CATALOG, facts, SRE + 'when: ctx.host.own || (has(ctx.host.os) && ctx.host.os == "linux")\n')
    rule = bundle.facts["ctx.host"]
    for value, holds in (({"own": True}, True), ({"own": True, "os": "linux"}, True), ({"os": "linux"}, False)):
        found = fact_value(rule, {("ctx.host", None): Observed(value, "identity", NOW)}, {}, NOW)
        assert isinstance(found, Fault) is not holds, found


def test_an_optional_fact_needs_a_guard_and_has_a_place() -> None:
    (found,) = problems_of(CATALOG, FACTS, SRE + 'when: ctx.incident.severity == "SEV1"\n')
    assert found.code == "P203"
    assert found.render().splitlines()[1:] == [
        ' 39 | when: ctx.incident.severity == "SEV1"',
        "    |       ^^^^^^^^^^^^ = help: guard it: has(ctx.incident) && …",
    ]


def test_a_fact_that_more_labels_can_turn_gives_nothing() -> None:
    anyone = FACTS.replace("combine: all", "combine: any")
    assert codes(problems_of(CATALOG, anyone, SRE + "when: ctx.on_call\n")) == ["P211"]
    assert codes(problems_of(CATALOG, FACTS, SRE + "when: '!ctx.on_call'\n")) == ["P211"]
    assert bundle_of(CATALOG, anyone, SRE + "when: '!ctx.on_call'\n")
    assert bundle_of(CATALOG, FACTS, SRE + "when: ctx.on_call\n")


def test_an_outage_may_not_close_break_glass() -> None:
    ban = "api: loglease/v1\nkind: Guardrail\nid: ban\napplies: {all_streams: true}\ndeny: true\n"
    assert codes(problems_of(CATALOG, FACTS, ban + "if: ctx.score > 5\n")) == ["P324"]
    assert codes(problems_of(CATALOG, FACTS, ban + "if: ctx.risk > 5\n")) == ["P324"]
    assert bundle_of(CATALOG, FACTS, ban + 'if: ctx.net == "other"\n')
    assert bundle_of(CATALOG, FACTS, ban + "if: ctx.score > 5\neven_break_glass: false\n")


def test_facts_count_in_the_hash_and_their_document_does_not() -> None:
    one = bundle_of(CATALOG, FACTS, SRE)
    assert bundle_of(CATALOG, FACTS.replace("id: main", "id: other"), SRE).hash == one.hash
    assert bundle_of(CATALOG, FACTS.replace("max_age: 60s", "max_age: 61s"), SRE).hash != one.hash
    assert bundle_of(CATALOG, FACTS.replace("add: 20", "add: 21"), SRE).hash != one.hash
