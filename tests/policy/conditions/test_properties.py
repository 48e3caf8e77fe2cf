"""Laws of the language, tried on any text, on conditions drawn at random, and on values with faults anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.policy.conditions.drawn import OTHERS, Drawing
from tests.policy.conditions.facts import condition
from tests.volume import volume

from loglease.policy.conditions import Condition, ConditionRefused, Fault

CODE = re.compile(r"P20[0-9]|P210")
seeds = st.integers(0, 2**64)
tokens = st.sampled_from(sorted({token for kind in OTHERS for token in kind}))
texts = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=["Cs", "Cc", "Lu", "Po"]), max_size=20),
    st.text(st.sampled_from("ctx.risk()[]\"'\\&|!=<>+-0123456789 ,u\n\t"), max_size=80),
    st.lists(tokens, max_size=30).map(" ".join),
    st.lists(tokens, max_size=30).map("".join),
    st.builds(lambda seed: Drawing(seed).spoiled(Drawing(seed).condition()), seeds),
)


def accepted(drawing: Drawing) -> Condition:
    while True:
        try:
            return condition(drawing.condition())
        except ConditionRefused:
            continue


def joined(answers: Sequence[bool | Fault], op: str) -> bool | str:
    """What `&&` or `||` makes of some answers."""
    stop = op == "||"
    if any(answer is stop for answer in answers):
        return stop
    return "fault" if any(isinstance(answer, Fault) for answer in answers) else not stop


def plain(answer: bool | Fault) -> bool | str:
    return "fault" if isinstance(answer, Fault) else answer


@settings(max_examples=volume(200, 1000))
@given(texts)
@example("\ud800")
@example("'\ud800' == ''")
@example('"' * 4096)
@example("\\" * 4096)
@example("ctx." * 1024)
@example("9" * 5000)
def test_any_text_is_accepted_or_refused_with_its_place(text: str) -> None:
    try:
        found = condition(text)
    except ConditionRefused as refused:
        assert CODE.fullmatch(refused.code)
        assert 0 <= refused.start < refused.end <= max(len(text), refused.start + 1)
        assert refused.start <= len(text)
        assert str(refused)
    else:
        assert 1 <= found.cost <= 2000
        assert found.text == text


@settings(max_examples=volume(125, 500))
@given(seeds)
def test_a_condition_answers_whatever_the_values_are_and_twice_the_same(seed: int) -> None:
    drawing = Drawing(seed)
    one = accepted(drawing)
    again = condition(one.text)
    for _ in range(5):
        values = drawing.values(optional_faults=0.2)
        answer = one.answer(values)
        assert answer is True or answer is False or isinstance(answer, Fault)
        assert one.answer(values) == again.answer(values) == answer


@settings(max_examples=volume(125, 500))
@given(seeds, st.sampled_from(["&&", "||"]))
def test_the_order_of_operands_changes_no_answer(seed: int, op: str) -> None:
    drawing = Drawing(seed)
    few = [item for item in (accepted(drawing) for _ in range(4)) if item.cost < 450]
    items = few or [condition("ctx.mfa")]
    values = drawing.values(optional_faults=0.2)
    expected = joined([item.answer(values) for item in items], op)
    for _ in range(3):
        drawing.random.shuffle(items)
        text = f" {op} ".join(f"({item.text})" for item in items)
        try:
            found = condition(text)
        except ConditionRefused as refused:
            assert refused.code == "P201"  # the parentheses made it too deep, or too long
        else:
            assert plain(found.answer(values)) == expected


@settings(max_examples=volume(125, 500))
@given(seeds)
def test_a_condition_says_what_its_parts_say_together(seed: int) -> None:
    drawing = Drawing(seed)
    one = accepted(drawing)
    for _ in range(3):
        values = drawing.values(optional_faults=0.2)
        assert plain(one.answer(values)) == joined([part.answer(values) for part in one.parts], "&&")


@settings(max_examples=volume(75, 300))
@given(seeds)
def test_a_fault_that_is_mended_changes_no_answer_that_was_there_despite_it(seed: int) -> None:
    """Where a condition answers although something is in fault, it answers the same with any value in its place."""
    drawing = Drawing(seed)
    one = accepted(drawing)
    for _ in range(4):
        healthy = drawing.values()
        values = {root: dict(members) if isinstance(members, dict) else members for root, members in healthy.items()}
        members = values["ctx" if drawing.random.random() < 0.6 or not isinstance(values["opt"], dict) else "opt"]
        members[drawing.random.choice(sorted(members))] = Fault("gone for now")
        answer = plain(one.answer(values))
        assert answer in {"fault", plain(one.answer(healthy))}
