"""The values that make a difference, and the search among them: it agrees with trying everything."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.conditions.facts import NET, SCHEMA

from loglease.policy.conditions import ABSENT, Condition, Field, Listed, Record, Text, compiled
from loglease.policy.conditions.comparing import compared
from loglease.policy.conditions.distinct import MAX_ITEMS, Telling, something_else
from loglease.policy.conditions.points import can_hold, choices
from loglease.policy.conditions.types import BOOL, INT
from loglease.policy.conditions.values import LEAST, LONGEST_DURATION, MOST
from loglease.policy.space import OUT, member_of, space_of

ASKED = Record({
    "ctx": Field(Record({
        "net": Field(Text(words=NET)),
        "on_call": Field(BOOL),
        "score": Field(INT),
        "names": Field(Listed(Text(), 2)),
        "ticket": Field(Record({"state": Field(Text(words=frozenset({"open", "closed"}))), "points": Field(INT)}), True),
    }))
})  # fmt: skip


def cond(text: str, schema: Record = SCHEMA) -> Condition:
    return compiled(text, schema)


def telling(*texts: str, **more: Any) -> Telling:
    found = [cond(text) for text in texts]
    reads = frozenset(path for one in found for path in one.reads)
    return Telling(found=compared(one.tree for one in found), reads=reads, **more)


@pytest.mark.parametrize(
    ("text", "path", "literals"),
    [
        ("ctx.risk < 5 || 7 == ctx.risk", ("ctx", "risk"), {5, 7}),
        ("ctx.risk > -3", ("ctx", "risk"), {-3}),
        ("ctx.risk > -(3)", ("ctx", "risk"), {-3}),
        ('ctx.age <= duration("1s")', ("ctx", "age"), {1_000_000}),
        ('ctx.net in ["corp", "vpn"]', ("ctx", "net"), {"corp", "vpn"}),
        ('"a" in ctx.names && ctx.names.all(x, x != "b")', ("ctx", "names"), {"a", "b"}),
        ('has(opt.ticket) && opt.ticket.state == "open"', ("opt", "ticket", "state"), {"open"}),
    ],
)
def test_literals_belong_to_what_they_are_compared_with(text: str, path: tuple[str, ...], literals: set[Any]) -> None:
    found = compared([cond(text).tree])
    assert found.literals[path] == literals
    assert found.unclear == frozenset()


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("ctx.risk + 1 < 5", {("ctx", "risk")}),
        ("ctx.risk < ctx.least", {("ctx", "risk"), ("ctx", "least")}),
        ('ctx.note.startsWith("a") || ctx.net == "corp"', {("ctx", "note")}),
        ("size(ctx.names) > 3", {("ctx", "names")}),
        ('ctx.names.exists(x, x.contains("a"))', {("ctx", "names")}),
        ("ctx.note in ctx.names", {("ctx", "names"), ("ctx", "note")}),
    ],
)
def test_other_comparisons_are_unclear(text: str, unclear: set[tuple[str, ...]]) -> None:
    assert compared([cond(text).tree]).unclear == unclear


def test_what_stands_in_an_unclear_comparison_is_guessed_at() -> None:
    assert compared([cond('ctx.note.startsWith("pay-")').tree]).literals["ctx", "note"] == {"pay-"}


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("ctx.risk < 5", ("ctx", "risk"), (4, 5, 6)),
        ("ctx.mfa", ("ctx", "mfa"), (False, True)),
        ('ctx.net == "corp"', ("ctx", "net"), ("corp", "other")),
        ('ctx.net in ["corp", "other", "vpn"]', ("ctx", "net"), ("corp", "other", "vpn")),
        ('ctx.note == "a"', ("ctx", "note"), ("a", "other")),
        ('ctx.short == "abcdefghijkl"', ("ctx", "short"), ("other",)),
        ('ctx.age > duration("0s")', ("ctx", "age"), (0, 1)),
        ('ctx.age < duration("87600h")', ("ctx", "age"), (LONGEST_DURATION - 1, LONGEST_DURATION)),
        (f"ctx.risk == {MOST}", ("ctx", "risk"), (MOST - 1, MOST)),
        (f"ctx.risk == {LEAST}", ("ctx", "risk"), (LEAST, LEAST + 1)),
        ('"a" in ctx.names', ("ctx", "names"), ((), ("a",), ("other",), ("a", "other"))),
    ],
)
def test_values_that_make_a_difference(text: str, path: tuple[str, ...], values: tuple[Any, ...]) -> None:
    kind = SCHEMA.fields[path[0]].type
    assert isinstance(kind, Record)
    found = telling(text).values(path, kind.fields[path[1]].type)
    assert found.values == values
    assert found.is_all


def test_numbers_stay_in_their_span() -> None:
    spans = {("ctx", "risk"): (0, 100)}
    assert telling("ctx.risk < 200", spans=spans).values(("ctx", "risk"), INT).values == (100,)
    assert telling("ctx.risk <= 100", spans=spans).values(("ctx", "risk"), INT).values == (99, 100)


def test_a_record_combines_the_fields_that_are_read() -> None:
    found = telling('has(opt.ticket) && opt.ticket.state == "open" && has(opt.ticket.parent)')
    kind = SCHEMA.fields["opt"].type
    assert isinstance(kind, Record)
    values = found.field(("opt", "ticket"), kind.fields["ticket"]).values
    shown = [(one["state"], one["parent"], one["note"]) for one in values if isinstance(one, dict)]
    assert values[-1] is ABSENT
    assert shown == [
        ("open", {"id": 0}, ABSENT), ("open", ABSENT, ABSENT), ("closed", {"id": 0}, ABSENT), ("closed", ABSENT, ABSENT),
    ]  # fmt: skip


def test_a_record_with_too_many_combinations_varies_one_field_at_a_time() -> None:
    fields = {f"f{number}": Field(Listed(BOOL)) for number in range(6)}
    kind = Record(fields)
    reads = frozenset(("ctx", "big", name) for name in fields)
    found = Telling(found=compared([]), reads=reads).values(("ctx", "big"), kind)
    assert (len(found.values), found.is_all) == (24, False)


def test_a_list_with_many_items_is_not_all_combined() -> None:
    words = ", ".join(f'"w{number}"' for number in range(MAX_ITEMS))
    found = telling(f"ctx.names.all(x, x in [{words}])").values(("ctx", "names"), Listed(Text()))
    assert not found.is_all
    assert sorted({len(one) for one in found.values if isinstance(one, tuple)}) == [0, 1, MAX_ITEMS + 1]


def test_there_is_always_something_else() -> None:
    assert something_else(["a"]) == "other"
    assert something_else(["other"]) == "à"
    assert something_else(["other", "à", "á"]) == "â"
    assert something_else([], 1) == "à"


def test_labels_facts_and_inputs_have_values_of_their_own() -> None:
    assert member_of(("req", "labels", "env")) == ("req", "labels", "env")
    assert member_of(("ctx", "ticket", "state")) == ("ctx", "ticket")


def test_a_path_that_leads_nowhere_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no record"):
        space_of([cond("ctx.mfa")], Record({"ctx": Field(BOOL)}), {})


atoms = st.sampled_from([
    'ctx.net == "corp"', 'ctx.net in ["vpn", "corp"]', "ctx.on_call", "ctx.score < 3", "ctx.score == 5", "ctx.score >= 4",
    '"a" in ctx.names', 'ctx.names.all(x, x == "b")', 'ctx.names.exists(x, x != "a")', "has(ctx.ticket)",
    '(has(ctx.ticket) && ctx.ticket.state == "open")', "(!has(ctx.ticket) || ctx.ticket.points > 7)",
])  # fmt: skip
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map(lambda parts: f"({''.join(parts)})"),
    ),
    max_leaves=5,
)
EVERYTHING: dict[str, list[Any]] = {
    "net": [*sorted(NET), OUT],
    "on_call": [False, True, OUT],
    "score": [*range(1, 7), 100, -100, OUT],
    "names": [(), ("a",), ("b",), ("c",), ("a", "b"), ("b", "c"), ("b", "b"), ("d", "a"), OUT],
    "ticket": [
        *({"state": state, "points": points} for state in ("open", "closed") for points in (0, 7, 8, 50)), ABSENT, OUT,
    ],
}  # fmt: skip


def happens(wanted: Condition, before: list[Condition]) -> bool:
    """Try everything, also values that were not picked for making a difference."""
    read = {path[1] for one in (wanted, *before) for path in one.reads}
    values = [EVERYTHING[name] if name in read else [OUT] for name in EVERYTHING]
    return any(
        wanted.answer(roots) is True and not any(one.answer(roots) is True for one in before)
        for chosen in itertools.product(*values)
        for roots in [{"ctx": dict(zip(EVERYTHING, chosen, strict=True))}]
    )


@given(conditions, st.lists(conditions, max_size=2))
def test_the_search_agrees_with_trying_everything(text: str, others: list[str]) -> None:
    wanted, before = cond(text, ASKED), [cond(one, ASKED) for one in others]
    space = space_of([wanted, *before], ASKED, {})
    assert space.is_all
    assert can_hold(wanted, space.values, before) is happens(wanted, before)


def test_a_search_says_where_it_was_cut_short() -> None:
    either = cond("(ctx.on_call || !ctx.on_call) && (ctx.score > 1 && ctx.score < 1)", ASKED)
    values = space_of([either], ASKED, {}).values
    assert can_hold(either, values, most=3) is None
    assert can_hold(either, values) is False


def test_choices_leave_what_was_chosen_before() -> None:
    first = {"req": {"labels": {"env": ("prod",)}}}
    found = list(choices(first, ("req", "labels", "service"), [("a",), ("b",)]))
    assert found == [
        {"req": {"labels": {"env": ("prod",), "service": ("a",)}}},
        {"req": {"labels": {"env": ("prod",), "service": ("b",)}}},
    ]
    assert first == {"req": {"labels": {"env": ("prod",)}}}
