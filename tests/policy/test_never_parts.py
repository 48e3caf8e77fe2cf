"""What a search is made of: values of a label, instants, and numbers that look random."""

from __future__ import annotations

from datetime import date

import pytest

from loglease.model.instant import instant_text, parse_instant
from loglease.model.labels import Matcher, matcher_of
from loglease.policy.calendars import Calendar, Hours
from loglease.policy.never.dice import Dice
from loglease.policy.never.matchers import matchers_of
from loglease.policy.never.moments import moments

NOW = parse_instant("2026-11-23T09:30:00Z")  # a Monday


def exact(*values: str) -> Matcher:
    found = matcher_of(exact=values)
    assert found is not None
    return found


def test_values_of_one_sort_are_one_value() -> None:
    own = [exact("prod")]
    choices, is_all = matchers_of(own, frozenset({"prod", "staging", "dev"}), frozenset())
    assert is_all
    sets = [one for one in choices if one is not None and one.exact]
    assert sets == [exact("dev"), exact("prod"), exact("other"), exact("dev", "prod"), exact("dev", "other"),
                    exact("prod", "other"), exact("dev", "prod", "other")]  # fmt: skip
    assert choices[-2:] == (matcher_of(any_value=True), None)


def test_a_value_that_a_condition_names_is_a_sort_of_its_own() -> None:
    choices, _ = matchers_of([], frozenset({"prod", "staging", "dev"}), frozenset({"dev"}))
    assert exact("dev") in choices
    assert exact("dev", "prod") in choices
    assert exact("prod", "staging") not in choices


def test_prefixes_have_a_value_below_them_and_are_asked_for_as_they_are() -> None:
    own = matcher_of(prefixes=["pay-"], except_exact=["pay-vault"])
    assert own is not None
    choices, is_all = matchers_of([own], None, frozenset())
    assert is_all
    assert own in choices
    assert {exact("pay-other"), exact("pay-vault"), exact("pay-other", "pay-vault")} <= set(choices)


def test_of_many_sorts_not_all_sets_are_given() -> None:
    words = frozenset(f"w{number}" for number in range(7))
    choices, is_all = matchers_of([], words, words)
    assert not is_all
    assert {len(one.exact) for one in choices if one is not None and one.exact} == {1, 2, 8}


def test_of_very_many_values_none_are_paired_nor_compared() -> None:
    own = [exact(f"v{number}") for number in range(1_100)]
    choices, is_all = matchers_of(own, None, frozenset())
    assert not is_all
    assert sorted({len(one.exact) for one in choices if one is not None}) == [0, 1, 1_000]
    assert set(own) <= set(choices)


OFFICE = Calendar(
    zone="Europe/Berlin", days=frozenset({"mon", "tue", "wed", "thu", "fri"}), hours=(Hours(480, 1080),),
    closed=frozenset({date(2026, 12, 25), date(2025, 12, 25)}),
)  # fmt: skip
NIGHT = Calendar(zone="UTC", days=frozenset({"mon"}), hours=(Hours(1320, 1800),))
DAILY = Calendar(zone="Europe/Berlin", days=OFFICE.days, hours=OFFICE.hours)


def test_there_is_an_instant_for_each_way_in_which_calendars_are_open() -> None:
    found = moments({"night": NIGHT, "office": OFFICE}, NOW)
    assert sorted(found) == [(False, False), (False, True), (True, False)]
    assert found[False, True] == NOW
    for answers, instant in found.items():
        assert (NIGHT.is_open(instant), OFFICE.is_open(instant)) == answers


def test_a_closed_date_far_ahead_is_looked_at() -> None:
    found = moments({"daily": DAILY, "office": OFFICE}, NOW)
    assert instant_text(found[True, False]).startswith("2026-12-25T")


def test_without_calendars_now_is_enough() -> None:
    assert moments({}, NOW) == {(): NOW}


def test_dice_fall_the_same_for_everybody() -> None:
    first, second, other = Dice("a"), Dice("a"), Dice("b")
    thrown = [first.below(10) for _ in range(200)]
    assert thrown == [second.below(10) for _ in range(200)]
    assert thrown != [other.below(10) for _ in range(200)]
    assert set(thrown) == set(range(10))


@pytest.mark.parametrize("items", [[1], [1, 2, 3]])
def test_items_are_turned(items: list[int]) -> None:
    turns = {tuple(Dice(str(number)).turned(items)) for number in range(30)}
    assert turns == {(*items[at:], *items[:at]) for at in range(len(items))}
