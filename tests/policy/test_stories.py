"""Steps after the request of a policy test say what differs from what they want, and which one it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from loglease.policy import Bundle, CaseResult, Problem, load, run_tests

SHOP = (Path(__file__).parent / "scenarios" / "shop.yaml").read_bytes()
AWAY = b"""
---
api: loglease/v1
kind: Guardrail
id: away
applies: {all_streams: true}
if: ctx.net == "other"
caps: {duration: 10m}
"""
TEST = """
api: loglease/v1
kind: PolicyTest
id: steps
now: 2026-11-23T09:30:00Z
people:
  maria: {groups: [payments-eng], manager: mo}
  mo: {groups: []}
  lee: {groups: [payments-eng, sre]}
  omar: {groups: [payments-leads]}
  noor: {groups: [payments-leads]}
  priya: {groups: [privacy]}
  sam: {groups: [sre-leads]}
facts: {ctx.mfa_age: 5m, ctx.net: corp, ctx.on_call: false, ctx.ticket: {state: open}, approver.mfa_age: 5m}
scopes:
  api: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: internal}, level_from: debug, from: -2h}
  pii: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: pii}, level_from: debug, from: -2h}
cases:
  - it: goes on
    ask: {as: ASKS, scope: SCOPE, for: 2h, MORE reason: cards fail at checkout and nobody of the leads answers}
    want: {outcome: OUTCOME}
    then: STEPS
"""


def result(
    steps: str,
    *,
    asks: str = "maria",
    scope: str = "api",
    more: str = "ticket: PAY-7,",
    outcome: str = "review",
    rail: bytes = b"",
) -> CaseResult:
    words = {"ASKS": asks, "SCOPE": scope, "MORE": more, "OUTCOME": outcome, "STEPS": steps}
    text = TEST
    for word, value in words.items():
        text = text.replace(word, value)
    loaded = load({"shop.yaml": SHOP + rail, "a.test.yaml": text.encode()})
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    return run_tests(loaded)[0]


@pytest.mark.parametrize(
    ("steps", "difference"),
    [
        ("[{want: approved}]", "step 1, line 22: want approved, got waiting: 1 of approvers:payments-approvers"),
        ("[{after: 4h, want: waiting}]", "want waiting, got expired"),
        ("[{do: approve, by: omar, want: waiting}]", "want waiting, got approved"),
        ("[{do: approve, by: maria, want: approved}]", "got refused: Nobody reviews their own request."),
        ("[{do: approve, by: sam, want: approved}]", "got refused: The policy does not let you review this request."),
        (
            "[{do: approve, by: sam, want: refused, code: self_review}]",
            "want code self_review, got reviewer_not_eligible: The policy does not let you review this request.",
        ),
        ("[{do: deny, by: omar, want: denied, code: policy_denied}]", "want code policy_denied, got none"),
        ("[{do: approve, by: omar, want: approved}, {want: active}]", "step 2, line 22: want active, got approved"),
        ("[{do: activate, want: active}]", "got refused: There is no grant."),
        ("[{do: read, want: served}]", "got refused: There is no grant."),
        ("[{do: justify, by: omar, want: justified}]", "got refused: There is no after-review."),
        ("[{do: ask, want: auto}]", "want auto, got review"),
        ("[{people: {maria: {groups: []}}, do: ask, want: review}]", "want review, got deny: No policy offers this"),
        (
            "[{people: {maria: {groups: []}}, do: ask, want: deny}, {do: approve, by: omar, want: waiting}]",
            "step 2, line 22: want waiting, got refused: The request does not wait for reviews.",
        ),
    ],
)
def test_the_first_difference_is_told_with_its_step_and_reason(steps: str, difference: str) -> None:
    found = result(steps)
    assert len(found.differences) == 1
    assert difference in found.differences[0]
    assert not found.ok


def test_steps_stop_at_the_first_difference_and_are_not_played_where_the_request_differs() -> None:
    wrong = "[{want: active}, {want: ended}]"
    assert len(result(wrong).differences) == 1
    assert result(wrong, outcome="auto").differences[0].startswith("want outcome auto")


def test_a_person_counts_once_and_reads_until_the_last_instant() -> None:
    steps = """
      - {do: approve, by: omar, want: waiting}
      - {do: approve, by: omar, want: waiting}
      - {do: approve, by: noor, want: refused, code: stage_not_open}
      - {do: approve, by: priya, want: approved}
      - {do: activate, want: active}
      - {do: activate, want: active}
      - {after: 1h59m59s, do: read, want: served}
      - {after: 1s, want: ended}
      - {do: activate, want: refused}
    """
    # Another lead adds nothing, and is not refused for it: the first stage is complete, and hers.
    assert result(steps.replace("refused, code: stage_not_open", "waiting"), scope="pii").differences == ()
    assert "step 3" in result(steps, scope="pii").differences[0]


def test_asking_again_moves_the_window_on() -> None:
    steps = "[{after: 20h, do: ask, want: review}, {after: 20h, do: ask, want: review}]"
    assert result(steps).ok


def test_an_emergency_counts_by_person_and_by_time() -> None:
    steps = """
      - {after: 1h, do: justify, by: sam, want: justified}
      - {do: ask, want: break_glass}
      - {do: justify, by: sam, want: justified}
      - {do: ask, want: deny, code: policy_denied}
      - {after: 7d, do: ask, want: break_glass}
    """
    assert result(steps, asks="lee", more="break_glass: true,", outcome="break_glass").differences == ()


def test_what_was_not_justified_is_not_said_twice_and_somebody_else_may_say_otherwise() -> None:
    steps = """
      - {do: justify, by: sam, want: justified}
      - {people: {priya: {groups: [sre-leads]}}, do: ask, want: break_glass}
      - {do: object, by: sam, want: not_justified}
      - {do: object, by: priya, want: refused, code: already_reviewed}
      - {do: justify, by: sam, want: refused, code: same_person}
      - {do: justify, by: priya, want: justified}
    """
    assert result(steps, asks="lee", more="break_glass: true,", outcome="break_glass").differences == ()


def test_a_guardrail_that_comes_to_apply_shortens_a_grant_that_is_in_use() -> None:
    steps = """
      - {do: approve, by: omar, want: approved}
      - {do: activate, want: active}
      - {after: 20m, do: read, want: served}
      - {facts: {ctx.net: other}, do: read, want: refused, code: policy_denied}
      - {want: active}
      - {facts: {ctx.net: vpn}, do: read, want: served}
    """
    assert result(steps, rail=AWAY).differences == ()
    (told,) = result(steps.replace("refused, code: policy_denied", "served"), rail=AWAY).differences
    assert told.endswith("want served, got refused: The policy allows this for a shorter time by now.")
    assert result(steps).differences[0].startswith("step 4")


def test_an_older_bundle_may_lack_facts_and_people_are_those_of_the_test() -> None:
    old = SHOP.replace(b"  approver.mfa_age: {type: duration, from: identity}\n", b"")
    old = old.replace(b'approver_when: approver.mfa_age <= duration("30m")\n', b"")
    before = load({"shop.yaml": old})
    assert isinstance(before, Bundle), "\n".join(one.render() for one in before)
    text = TEST.replace("ASKS", "maria").replace("SCOPE", "api").replace("MORE", "ticket: PAY-7,")
    text = text.replace("OUTCOME", "review").replace(
        "STEPS", "[{facts: {approver.mfa_age: 1h}, do: approve, by: omar, want: refused}]"
    )
    after = load({"shop.yaml": SHOP, "a.test.yaml": text.encode()})
    assert isinstance(after, Bundle)
    assert [one.differences for one in run_tests(after, asked_under=before)] == [()]


@pytest.mark.parametrize(
    ("steps", "code", "help_text"),
    [
        ("[]", "P119", "leave it out"),
        ("[{}]", "P119", "fill it in"),
        ("[{by: omar}]", "P111", "want: none"),
        ("[{do: approve, want: approved}]", "P111", "by: noor"),
        ("[{do: approve, by: omar}]", "P111", "want: waiting"),
        ("[{do: aprove, by: omar, want: approved}]", "P115", "did you mean 'approve'"),
        ("[{do: approve, by: omr, want: approved}]", "P302", "did you mean 'omar'"),
        ("[{do: approve, by: omar, want: aproved}]", "P115", "did you mean 'approved'"),
        ("[{do: activate, want: approved}]", "P115", "active, refused"),
        ("[{do: read, by: omar, want: served}]", "P118", "leave it out"),
        ("[{by: omar, want: waiting}]", "P118", "leave it out"),
        ("[{do: read, want: served, code: grant_ended}]", "P118", "remove it"),
        ("[{after: 0s, want: waiting}]", "P114", "90s"),
        ("[{people: {zoe: {groups: [nobody]}}, want: waiting}]", "P302", "known:"),
        ("[{facts: {ctx.mfa: 1m}, want: waiting}]", "P302", "ctx.mfa_age"),
        ("[{absent: [ctx.net], want: waiting}]", "P325", "only an optional fact"),
        ("[{then: 1h, want: waiting}]", "P110", "known: absent, after"),
        ("{do: read, want: served}", "P112", "[first, second]"),
    ],
)
def test_a_wrong_step_does_not_load(steps: str, code: str, help_text: str) -> None:
    text = TEST.replace("ASKS", "maria").replace("SCOPE", "api").replace("MORE", "").replace("OUTCOME", "review")
    loaded = load({"shop.yaml": SHOP, "a.test.yaml": text.replace("STEPS", steps).encode()})
    assert not isinstance(loaded, Bundle)
    found = [one for one in loaded if one.code != "P412"]
    assert all(isinstance(one, Problem) for one in found)
    assert [one.code for one in found][:1] == [code], [one.render() for one in found]
    assert str(found[0].at).startswith("a.test.yaml:22:")
    assert help_text in (found[0].help or "")


def test_people_of_an_earlier_step_are_known_in_a_later_one() -> None:
    steps = """
      - {people: {zoe: {groups: [payments-leads], manager: mo}}}
      - {do: approve, by: zoe, want: refused, code: reviewer_not_eligible}
      - {do: ask, want: review}
      - {do: approve, by: zoe, want: approved}
    """
    assert result(steps).differences == ()
