"""Length, depth and cost have bounds, and what goes over one is refused without work that grows with it."""

from __future__ import annotations

import pytest
from tests.policy.conditions.facts import HOUR, answer, condition, refusal

from loglease.policy.conditions import BOOL, DURATION, ConditionRefused, Field, Listed, Record, Text, compiled
from loglease.policy.conditions.values import LONGEST_DURATION


def nested(opening: str, core: str, closing: str, times: int) -> str:
    return opening * times + core + closing * times


DEEPEST = [
    nested("(", "true", ")", 24),
    nested("!", "true", "", 24),
    nested("!(", "true", ")", 12),
    "1" + " + 1" * 24 + " == 25",
    "1" + " - 1" * 24 + " == -23",
    "1 - (" * 12 + "1" + ")" * 12 + " == 1",
    nested("(", "has(opt.ticket)", ")", 22),
    nested("(", "size(ctx.short) == 0", ")", 22),
    nested("(", "ctx.names.exists(n, true)", ")", 21),
]
"""Each is as deep as can be, and true."""


@pytest.mark.parametrize("text", DEEPEST)
def test_24_deep_is_accepted_and_one_more_is_not(text: str) -> None:
    assert answer(text) is True
    refused = refusal(f"({text})")
    assert (refused.code, str(refused)) == ("P201", "the condition nests more than 24 deep")
    assert refused.help == "write it flatter"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (nested("(", "true", ")", 25), 24),
        (nested("!", "true", "", 25), 24),
        ("1" + " + 1" * 25 + " == 26", 1 + 4 * 24 + 1),
        ("(" * 24 + "ctx.mfa" + ")" * 24, 27),
        ("(" * 23 + "ctx.device.level == 1" + ")" * 23, 33),
        ("(" * 23 + "ctx.device['level'] == 1" + ")" * 23, 33),
        ("(" * 23 + "ctx.names.all(n, true)" + ")" * 23, 32),
        ("!" * 24 + "size(ctx.note) == 1", 28),
        ("!" * 24 + "(true)", 24),
        ("(" * 24 + "-(1) == 1" + ")" * 24, 25),
    ],
)  # fmt: skip
def test_the_place_is_where_it_would_go_deeper(text: str, at: int) -> None:
    refused = refusal(text)
    assert (refused.code, refused.start, refused.end) == ("P201", at, at + 1)


@pytest.mark.parametrize(
    "sign", ["(", "!", "-", "[", "size(", "ctx.", "a.b(", "1+", "1 in [", "'a'.size(", 'x["a"]', "!("]
)
@pytest.mark.parametrize("times", [300, 10_000])
def test_endless_nesting_is_refused_whatever_it_is_made_of(sign: str, times: int) -> None:
    assert refusal((sign * times)[:4096]).code in {"P200", "P201", "P209"}
    assert refusal(sign * times).code in {"P200", "P201", "P209"}


def test_ten_thousand_of_what_nests_are_refused_by_length() -> None:
    for sign in "(!":
        refused = refusal(sign * 10_000)
        assert (refused.code, refused.start, refused.end) == ("P201", 0, 1)
        assert (str(refused), refused.help) == ("the condition has 10,000 characters", "at most 4,096")


def test_4096_characters_are_accepted_and_one_more_is_not() -> None:
    text = f'ctx.note == "{"a" * (4096 - 14)}"'
    assert len(text) == 4096
    assert answer(text) is False
    assert refusal(text + " ").code == "P201"
    assert answer("true" + " " * 4092) is True


@pytest.mark.parametrize("joiner", [" && ", "||"])
def test_chains_of_and_and_or_are_not_deep(joiner: str) -> None:
    assert answer(joiner.join(["1<2"] * 500)) is True
    alternating = " && ".join(["ctx.mfa || false"] * 150)
    assert answer(alternating) is True
    assert refusal(joiner.join(["true"] * 1001)).code in {"P201", "P210"}


def test_a_chain_costs_its_operands_and_what_joins_them() -> None:
    longest = " ||".join(["true"] * 500)
    assert condition(longest).cost == 999
    assert condition("&&".join(["!true"] * 500)).cost == 1499
    assert condition("&&".join(["!!true"] * 500)).cost == 1999
    refused = refusal("&&".join(["!!true"] * 500 + ["1<2"]))
    assert (refused.code, str(refused)) == ("P210", "the condition costs 2,003")
    assert refused.help == "at most 2,000: make it smaller"
    assert (refused.start, refused.end) == (0, 500 * 8 + 3)


COSTS = [
    ("true", 1),
    ("ctx.mfa", 1),
    ("ctx.device.level > 1", 3),
    ("!ctx.mfa", 2),
    ("!!ctx.mfa", 3),
    ("((ctx.mfa))", 1),
    ("ctx.mfa && true", 3),
    ("ctx.mfa && true && true", 5),
    ("ctx.mfa && true || true", 5),
    ("ctx.risk == 1", 3),
    ("-ctx.risk == -1", 4),
    ("ctx.risk + 1 - 2 == 3", 7),
    ('ctx.age < duration("1h30m")', 3),
    ("has(opt.net)", 2),
    ("!has(opt.net) || opt.net == 'vpn'", 7),
    ("ctx.risk in [1, 2, 3]", 3),
    ("1 in ctx.counts", 3),
    ("size(ctx.counts) == 1", 4),
    ("ctx.counts.size() == 1", 4),
    ('"a" in req.labels["k8s.io/name"]', 3),
    # Functions of texts look at all of a text: 1 and another for each 64 characters that it may have.
    ("ctx.note.startsWith('a')", 1 + 1 + 1 + 4),
    ("ctx.short.endsWith('a')", 1 + 1 + 1 + 1),
    ("ctx.short.contains(ctx.note)", 1 + 1 + 1 + 1),
    ("size(ctx.note) == 1", 1 + 1 + 4 + 1 + 1),
    ("ctx.short.size() == 1", 1 + 1 + 1 + 1 + 1),
    ("''.contains('a')", 3),
    (f"'{'a' * 64}'.contains('a')", 4),
    (f"'{'a' * 65}'.contains('a')", 5),
    # Quantifiers take each item that a list may have: 5 in `counts`, 64 in lists that do not say.
    ("ctx.counts.exists(c, true)", 1 + 1 + 5),
    ("ctx.counts.all(c, c == 1)", 1 + 1 + 5 * 3),
    ("ctx.flags.all(f, f)", 1 + 1 + 64),
    ("ctx.names.all(n, n.startsWith('a'))", 1 + 1 + 64 * (1 + 1 + 1 + 4)),
]


@pytest.mark.parametrize(("text", "cost"), COSTS)
def test_costs(text: str, cost: int) -> None:
    assert condition(text).cost == cost


def test_2000_is_the_most_that_a_condition_may_cost() -> None:
    schema = Record({
        "many": Field(Listed(BOOL, most=1998)),
        "more": Field(Listed(BOOL, most=1999)),
        "long": Field(Text(longest=64 * 1997)),
        "longer": Field(Text(longest=64 * 1997 + 1)),
    })  # fmt: skip
    assert compiled("many.all(x, x)", schema).cost == 2000
    assert compiled("long.contains('a')", schema).cost == 2000
    for text in ("more.all(x, x)", "many.all(x, !x)", "!many.all(x, x)", "longer.contains('a')"):
        with pytest.raises(ConditionRefused, match="the condition costs") as caught:
            compiled(text, schema)
        assert caught.value.code == "P210"


def test_no_sum_of_durations_that_a_condition_can_hold_leaves_the_range_of_cel() -> None:
    """The most costly sum of the longest durations stays below the 315,576,000,000 seconds that CEL has."""
    schema = Record({"d": Field(DURATION)})

    def summed(width: int, levels: int) -> str:
        text = "d"
        for _ in range(levels):
            text = "+".join([f"({text})" if len(text) > 1 else text] * width)
        return text

    with pytest.raises(ConditionRefused, match="the condition costs 2,049"):
        compiled(f"{summed(4, 5)} > d", schema)
    assert 999 * LONGEST_DURATION < 315_576_000_000 * 1_000_000
    accepted = compiled(f"{summed(3, 6)} > d", schema)
    assert accepted.cost == 1459
    assert accepted.answer({"d": LONGEST_DURATION}) is True


def test_the_longest_duration_is_ten_years() -> None:
    assert answer('ctx.age == duration("87600h")', ctx_age=87_600 * HOUR) is True
    assert answer('ctx.age == duration("5256000m")', ctx_age=87_600 * HOUR) is True
    assert answer('ctx.age == duration("315360000s")', ctx_age=87_600 * HOUR) is True
