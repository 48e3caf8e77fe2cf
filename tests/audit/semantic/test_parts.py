"""The parts that rules are made of: sets of ids, scopes inside of scopes, slots of plans, who is one person."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.audit.semantic.writer import START, digest, scope

from loglease.audit.semantic import BreachKind, ids
from loglease.audit.semantic.ids import Ids
from loglease.audit.semantic.people import Deputy, Lock, People
from loglease.audit.semantic.report import MOST_OF_A_RULE
from loglease.audit.semantic.scopes import elevation_fault, limits_fault, scopes_fault
from loglease.audit.semantic.slots import Voter, has_slots, is_met
from loglease.audit.semantic.state import State
from loglease.model.ids import id_of
from loglease.model.instant import after

ulids = st.builds(
    lambda ms, tail: id_of("ent", unix_ms=ms, randomness=tail.to_bytes(10, "big")),
    st.integers(0, 40),
    st.integers(0, 3),
)
names = st.one_of(
    ulids,
    st.sampled_from(
        [
            "ent_1",
            "ent_",
            "grt_of_nobody",
            "ent_0" * 20,
            "",
            "grt_00000000000000000000000001",
            "ent_00000000000000000000000001",
        ]
    ),
)


ONE, TWO, THREE, FOUR = (f"ent_0000000000000000000000000{number}" for number in range(1, 5))


@example([ONE, TWO, THREE, "grt_" + FOUR[4:]], ["grt_" + FOUR[4:], FOUR])
@example([ONE, TWO, THREE, THREE + FOUR], [FOUR, THREE + FOUR])
@example([one[4:] for one in (ONE, TWO, THREE, FOUR)], [ONE[4:], ONE])
@example(["ent_", ONE, TWO, THREE], ["ent_", ONE])
@given(st.lists(names, max_size=60), st.lists(names, max_size=20))
def test_a_set_of_ids_is_exact(added: list[str], asked: list[str]) -> None:
    small, sealed = ids._SEALED_AT, Ids()
    ids._SEALED_AT = 4  # type: ignore[misc]
    try:
        known: set[str] = set()
        for one in added:
            assert sealed.add(one) is (one not in known)
            known.add(one)
        assert [one in sealed for one in asked] == [one in known for one in asked]
        assert len(sealed) == len(known)
    finally:
        ids._SEALED_AT = small  # type: ignore[misc]


def test_an_old_id_takes_sixteen_bytes() -> None:
    known = Ids()
    for number in range(ids._SEALED_AT + 1):
        known.add(id_of("ent", unix_ms=number, randomness=bytes(10)))
    assert [len(run.content) for run in known._runs] == [ids._SEALED_AT * 16]
    assert len(known._recent) == 1


WIDE = [{"label": "app", "op": "prefix", "value": "web"}, {"label": "env", "op": "any"}]


@pytest.mark.parametrize(
    ("inner", "outer", "fits"),
    [
        (scope(), scope(), True),
        (scope(from_ns="2000"), scope(), True),
        (scope(from_ns="999"), scope(), False),
        (scope(from_ns=None), scope(), False),
        (scope(), scope(from_ns=None), True),
        (scope(live=False, to_ns="5000"), scope(), True),
        (scope(), scope(live=False, to_ns="5000"), False),
        (scope(live=False, to_ns="5001"), scope(live=False, to_ns="5000"), False),
        (scope(live=False, to_ns="5000"), scope(live=False, to_ns="5000"), True),
        (scope(live=False), scope(live=False, to_ns="5000"), False),
        (scope(rules_c=[digest("a"), digest("b")]), scope(rules_c=[digest("a")]), True),
        (scope(rules_c=[digest("b")]), scope(rules_c=[digest("a")]), False),
        (scope(source="other"), scope(), False),
        (scope(labels_only=True), scope(), True),
        (scope(), scope(labels_only=True), False),
        (scope(profiles=[{"name": "pii-default@2", "sha256": "00"}]), scope(profiles=[]), True),
        (scope(), scope(profiles=[{"name": "secrets@9", "sha256": "00"}]), True),
        (scope(profiles=[{"name": "secrets@1", "sha256": "00"}]), scope(), False),
        (scope(selector=[{"label": "app", "op": "eq", "value": "web-1"}, WIDE[1]]), scope(selector=WIDE), True),
        (scope(selector=[{"label": "app", "op": "eq", "value": "web-1"}]), scope(selector=WIDE), False),
        (scope(selector=WIDE), scope(selector=WIDE[:1]), True),
        (scope(selector=[]), scope(), False),
        (
            scope(selector=[{"label": "app", "op": "eq", "value": "a"}]),
            scope(selector=[{"label": "app", "op": "any"}, {"label": "app", "op": "not_eq", "value": "a"}]),
            False,
        ),
        (
            scope(selector=[{"label": "app", "op": "eq", "value": "web-1"}]),
            scope(selector=[WIDE[0], {"label": "app", "op": "not_prefix", "value": "web-1"}]),
            False,
        ),
        (
            scope(selector=[{"label": "app", "op": "eq", "value": "web-2"}]),
            scope(selector=[WIDE[0], {"label": "app", "op": "not_prefix", "value": "web-1"}]),
            True,
        ),
        (
            scope(selector=[{"label": "app", "op": "eq", "value_c": digest("x")}]),
            scope(selector=[{"label": "app", "op": op, "value_c": digest(x)} for op, x in (("eq", "x"), ("eq", "y"))]),
            True,
        ),
        (
            scope(selector=[{"label": "app", "op": "eq", "value_c": digest("x")}]),
            scope(selector=[{"label": "app", "op": "prefix", "value_c": digest("x")}]),
            False,
        ),
    ],
)
def test_a_scope_lies_inside_of_another_or_does_not(inner: Any, outer: Any, fits: bool) -> None:
    assert (scopes_fault([inner], [outer]) is None) is fits
    assert scopes_fault([], [outer]) is None
    assert scopes_fault([inner], []) is not None


def test_limits_are_at_least_as_tight() -> None:
    assert limits_fault({"lines": 5, "bytes": 1}, {"lines": 5}) is None
    assert limits_fault({"lines": 6}, {"lines": 5}) == "6 lines are more than 5"
    assert limits_fault({}, {"lines": 5}) == "lines are not limited to 5"


def test_a_raised_level_lies_inside_of_another() -> None:
    base = {"targets": ["a"], "loggers": ["l"], "level": "debug", "match": [], "follow": False, "duration_s": 60}
    matched = base | {"match": [{"key": "user", "value_c": digest("u")}]}
    assert elevation_fault(None, base) is None
    assert elevation_fault(matched, base) is None
    assert elevation_fault(base | {"level": "info", "targets": []}, base) is None
    for wider in (
        {"targets": ["a", "b"]},
        {"loggers": ["l", "m"]},
        {"level": "trace"},
        {"level": "finest"},
        {"duration_s": 61},
        {"follow": True},
    ):
        assert elevation_fault(base | wider, base) is not None
    assert elevation_fault(base, matched) is not None
    assert elevation_fault(base, None) is not None


groups = st.sampled_from(["a", "b", "c"])
blocks = st.fixed_dictionaries({"from": st.lists(groups, min_size=1, max_size=2), "need": st.integers(1, 2)})
stages = st.one_of(
    blocks,
    st.fixed_dictionaries({"all_of": st.lists(blocks, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"any_of": st.lists(blocks, min_size=1, max_size=2)}),
)
voters = st.lists(st.builds(Voter, st.sampled_from("pqrs"), st.frozensets(groups)), max_size=4)


def _tried(plan: Sequence[Any], given_by: Sequence[Voter]) -> bool:
    """Try every way through the plan and every order of people."""
    ways = itertools.product(*(s.get("any_of", [s]) for s in plan))
    for way in ways:
        parts = [block for part in way for block in part.get("all_of", [part])]
        slots = [set(block["from"]) for block in parts for _ in range(block["need"])]
        people = sorted({one.person for one in given_by})
        able = {name: [one.names for one in given_by if one.person == name] for name in people}
        for sat in itertools.permutations(people, len(slots)):
            if all(any(slot & held for held in able[who]) for slot, who in zip(slots, sat, strict=True)):
                return True
    return False


@given(st.lists(stages, max_size=2), voters)
def test_a_plan_is_met_if_its_people_can_sit_down(plan: list[Any], given_by: list[Voter]) -> None:
    assert is_met(plan, given_by) is _tried(plan, given_by)
    assert has_slots(plan) is bool(plan)


def test_who_may_be_one_person_is_one_over_any_number_of_steps() -> None:
    people = People()
    people.join("a", "b")
    people.join("b", "c")
    assert len({people.person(one) for one in "abc"}) == 1
    assert people.person("d") == "d"
    people.owners["bot"] = "c"
    assert people.own(["bot"]) == {"bot", people.person("a")}
    people.part("b", "a")
    assert people.person("a") != people.person("c") == people.person("b")
    people.deputies["a"] = Deputy("c", START, after(START, 10))
    assert people.members_of("b", START) == ["a"]
    assert people.members_of("b", after(START, 10)) == []


def test_a_lock_holds_until_it_lapses() -> None:
    people = People()
    people.groups["a"] = frozenset({"sre"})
    people.locks["l"] = Lock("group", "sre", after(START, 10), 4, "b")
    assert people.held("a", START) == ("is locked", 4)
    assert people.held("a", after(START, 10)) is None
    assert people.held("b", START) is None


def test_of_many_breaches_so_many_are_kept_and_all_are_counted() -> None:
    state = State()
    for _ in range(MOST_OF_A_RULE + 5):
        state.breach("S1", "again")
    assert len(state.breaches) == MOST_OF_A_RULE
    assert state.not_kept == {("S1", BreachKind.VIOLATION): 5}
