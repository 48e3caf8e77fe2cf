"""What a policy asks of whoever asks: fields of its own, and what is proposed where a condition does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.policy.world import CATALOG, MARIA, NOW, STAGING, bundle_of, codes, decided, problems_of, scope_of, wish_of

from loglease.model.access_request import Wish
from loglease.policy.conditions import Fault
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.trace import Decision, Fix, Step

FACTS = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.on_call: {type: bool, from: rota, per: service, combine: all, max_age: 120s}
"""
NAMED = '{env="dev",service="pay-api"}'
OPEN = '{env="dev",service=~"pay-.*"}'


def staging(lines: str) -> str:
    return STAGING.replace("grant:", f"{lines}\ngrant:", 1)


def wish(selector: str = NAMED, **inputs: str) -> Wish:
    return replace(wish_of(scope_of(selector, source="staging-logs")), inputs=inputs)


def failed(found: Decision) -> list[Step]:
    (trace,) = found.own
    return [step for step in trace.steps if not step.ok]


IMPACT = staging('ask: {inputs: {impact: {type: [none, some], label: Who suffers}}}\nwhen: ask.impact == "some"')


@pytest.mark.parametrize(
    ("inputs", "refused"),
    [
        ({"impact": "some"}, []),
        ({"impact": "none"}, ["policy_denied"]),
        ({"impact": "many"}, ["input_required", "policy_denied"]),
        ({}, ["input_required", "policy_denied"]),
    ],
)
def test_a_field_that_takes_words_takes_these_and_is_proposed_where_it_decides(
    inputs: dict[str, str], refused: list[str]
) -> None:
    found = decided(bundle_of(CATALOG, IMPACT), wish(**inputs))
    assert [one.refusal.code for one in failed(found) if one.refusal is not None] == refused
    assert [one.fix for one in failed(found)] == [Fix.FILL_INPUT] * len(refused)
    assert len(found.offers) == (0 if refused else 1)


@pytest.mark.parametrize(
    ("written", "is_given"),
    [("6", True), ("5", False), ("-1", False), ("six", False), ("6.5", False), (str(2**80), False)],
)
def test_a_field_that_takes_a_number_takes_whole_ones(written: str, *, is_given: bool) -> None:
    document = staging("ask: {inputs: {users: {type: int}}}\nwhen: ask.users > 5")
    assert bool(decided(bundle_of(CATALOG, document), wish(users=written)).offers) is is_given


@pytest.mark.parametrize(("ticket", "field"), [("{key: 'OPS-[0-9]+'}", "tracker"), ("{tracker: tickets}", "key")])
def test_a_ticket_has_a_tracker_and_a_form(ticket: str, field: str) -> None:
    (found,) = problems_of(CATALOG, staging(f"ask: {{ticket: {ticket}}}"))
    assert (found.code, f"'{field}'" in found.message) == ("P111", True)


def test_a_condition_knows_the_words_of_a_field() -> None:
    assert codes(problems_of(CATALOG, IMPACT.replace('== "some"', '== "many"'))) == ["P206"]


def test_a_label_that_is_left_open_is_no_outage() -> None:
    """Waiting for the provider would not help: it was never asked."""
    bundle = bundle_of(CATALOG, FACTS, staging("when: ctx.on_call"))
    down = {"ctx.on_call": Fault("the rota is down")}
    vague, named = (
        decided(bundle, one, MARIA, facts=supposed_facts(bundle, one, down, NOW)) for one in (wish(OPEN), wish())
    )
    assert [one.fix for one in failed(vague)] == [Fix.ASK_OWNER]
    assert [one.fix for one in failed(named)] == [Fix.WAIT_FOR_SOURCE]
    assert [found.refusal.for_now for found in (vague, named) if found.refusal is not None] == [False, True]
