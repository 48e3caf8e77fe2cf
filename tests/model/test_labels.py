"""The selector algebra against brute force: a small alphabet, all values up to a length, sets instead of reasoning."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.model.errors import ScopeInvalid
from loglease.model.labels import MAX_VALUES, Labels, Matcher, Selector, labels_of, matcher_of, selector_of

ALPHABET = "ab"
LONGEST = 5  # matchers use texts of at most 3, so longer values fall into classes that 4 and 5 already show
VALUES = ["".join(letters) for size in range(1, LONGEST + 1) for letters in itertools.product(ALPHABET, repeat=size)]
TEXTS = st.text(ALPHABET, min_size=1, max_size=3)
KEYS = ("k", "l")


def matchers() -> st.SearchStrategy[Matcher]:
    sets = st.sets(TEXTS, max_size=3)
    made = st.builds(
        lambda exact, prefixes, any_value, not_exact, not_prefixes: matcher_of(
            exact=exact,
            prefixes=prefixes,
            any_value=any_value,
            except_exact=not_exact,
            except_prefixes=not_prefixes,
        ),
        sets,
        st.sets(TEXTS, max_size=2),
        st.booleans(),
        sets,
        st.sets(TEXTS, max_size=2),
    )
    return made.filter(lambda one: one is not None)  # type: ignore[return-value]


def selectors() -> st.SearchStrategy[Selector]:
    return st.dictionaries(st.sampled_from(KEYS), matchers(), max_size=2).map(selector_of)


def naive(matcher: Matcher) -> frozenset[str]:
    """Return all short values that a matcher allows, from the definition."""
    return frozenset(
        value
        for value in VALUES
        if (matcher.any_value or value in matcher.exact or any(value.startswith(one) for one in matcher.prefixes))
        and value not in matcher.except_exact
        and not any(value.startswith(one) for one in matcher.except_prefixes)
    )


STREAMS: list[Labels] = [
    labels_of({"k": one, "l": other}) for one in ["", *VALUES[:30]] for other in ["", *VALUES[:30]]
]


@given(matchers())
def test_a_matcher_matches_what_its_definition_says(matcher: Matcher) -> None:
    assert {value for value in VALUES if matcher.matches(value)} == naive(matcher)
    assert not matcher.matches("")


@given(matchers(), matchers())
@settings(max_examples=volume(150, 600))
def test_containment_agrees_with_brute_force(outer: Matcher, inner: Matcher) -> None:
    # Values of two more letters than any text in a matcher show every difference, but for one: a set of exceptions
    # that covers a prefix letter by letter, which only an alphabet of two letters makes possible.
    if outer.contains(inner):
        assert naive(inner) <= naive(outer)
    elif naive(inner) <= naive(outer):
        assert _covers_by_letters(outer, inner)


def _covers_by_letters(outer: Matcher, inner: Matcher) -> bool:
    """Say whether a third letter, which real alphabets have, would show the difference."""
    longer = [*VALUES, *(value + "c" for value in ["", *VALUES])]
    return any(inner.matches(value) and not outer.matches(value) for value in longer)


@given(matchers(), matchers())
def test_an_intersection_allows_exactly_what_both_allow(one: Matcher, other: Matcher) -> None:
    both = one.intersect(other)
    assert (naive(both) if both is not None else frozenset()) == naive(one) & naive(other)
    if both is not None:
        assert one.contains(both)
        assert other.contains(both)


@given(matchers(), matchers())
def test_intersection_is_commutative_and_idempotent(one: Matcher, other: Matcher) -> None:
    assert one.intersect(other) == other.intersect(one)
    assert one.intersect(one) == one


@given(matchers(), matchers(), matchers())
def test_containment_is_transitive_and_reflexive(one: Matcher, two: Matcher, three: Matcher) -> None:
    assert one.contains(one)
    inner = two.intersect(one)
    assume(inner is not None)
    innermost = inner.intersect(three) if inner is not None else None
    if innermost is not None:
        assert one.contains(innermost)
    if one.contains(two) and two.contains(three):
        assert one.contains(three)


@given(matchers(), matchers())
def test_equal_sets_have_one_normal_form(one: Matcher, other: Matcher) -> None:
    if one.contains(other) and other.contains(one):
        assert one == other


@given(matchers())
def test_the_normal_form_is_a_fixed_point(matcher: Matcher) -> None:
    assert matcher == matcher_of(
        exact=matcher.exact,
        prefixes=matcher.prefixes,
        any_value=matcher.any_value,
        except_exact=matcher.except_exact,
        except_prefixes=matcher.except_prefixes,
    )


@given(selectors(), selectors())
def test_selectors_agree_with_brute_force(one: Selector, other: Selector) -> None:
    both = one.intersect(other)
    seen = {stream for stream in STREAMS if one.matches(stream) and other.matches(stream)}
    assert {stream for stream in STREAMS if both is not None and both.matches(stream)} == seen
    assert one.overlaps(other) == (both is not None)
    assert not seen or one.overlaps(other)
    if one.contains(other):
        assert all(one.matches(stream) for stream in STREAMS if other.matches(stream))
    if both is not None:
        assert one.contains(both)
        assert other.contains(both)


def test_a_stream_that_lacks_the_key_never_matches() -> None:
    anything = matcher_of(any_value=True)
    assert anything is not None
    selector = selector_of({"k": anything})
    assert selector.matches(labels_of({"k": "x"}))
    assert not selector.matches(labels_of({"l": "x"}))
    assert not selector.matches((("k", ""),))


def test_dropping_a_label_never_fits_a_policy_that_constrains_it() -> None:
    prod = matcher_of(exact=["prod"])
    assert prod is not None
    assert not selector_of({"env": prod}).contains(Selector())
    assert Selector().contains(selector_of({"env": prod}))


def test_overlap_is_not_containment() -> None:
    pay = matcher_of(prefixes=["pay-"])
    half = matcher_of(exact=["pay-api", "auth-api"])
    assert pay is not None
    assert half is not None
    assert not pay.contains(half)
    assert pay.intersect(half) == matcher_of(exact=["pay-api"])


def test_an_exception_of_the_policy_must_be_one_of_the_request() -> None:
    policy = matcher_of(prefixes=["pay-"], except_exact=["pay-vault"])
    wide = matcher_of(prefixes=["pay-"])
    careful = matcher_of(prefixes=["pay-"], except_exact=["pay-vault"])
    wider_exception = matcher_of(prefixes=["pay-"], except_prefixes=["pay-v"])
    assert policy is not None
    assert wide is not None
    assert careful is not None
    assert wider_exception is not None
    assert not policy.contains(wide)
    assert policy.contains(careful)
    assert policy.contains(wider_exception)


def test_comparison_is_by_code_point_and_case() -> None:
    matcher = matcher_of(exact=["Prod", "é"])
    assert matcher is not None
    assert not matcher.matches("prod")
    assert not matcher.matches("e\u0301")


@pytest.mark.parametrize("part", ["exact", "prefixes", "except_exact", "except_prefixes"])
def test_empty_texts_and_too_many_are_refused(part: str) -> None:
    with pytest.raises(ScopeInvalid):
        matcher_of(**{"any_value": True, part: [""]})  # type: ignore[arg-type]
    with pytest.raises(ScopeInvalid):
        matcher_of(**{"any_value": True, part: [str(number) for number in range(MAX_VALUES + 1)]})  # type: ignore[arg-type]


def test_nothing_left_is_none() -> None:
    assert matcher_of() is None
    assert matcher_of(exact=["a"], except_prefixes=["a"]) is None
    assert matcher_of(prefixes=["ab"], except_prefixes=["a"]) is None


def test_two_large_matchers_can_be_compared() -> None:
    """The limit is one of input: what two matchers have in common may need the exceptions of both."""
    one = matcher_of(any_value=True, except_exact=[f"a{number}" for number in range(MAX_VALUES)])
    other = matcher_of(any_value=True, except_exact=[f"b{number}" for number in range(MAX_VALUES)])
    assert one is not None
    assert other is not None
    both = one.intersect(other)
    assert both is not None
    assert len(both.except_exact) == 2 * MAX_VALUES


def test_the_largest_matchers_cost_little() -> None:
    started = time.thread_time()
    made = matcher_of(
        exact=[f"x{number}" for number in range(MAX_VALUES)],
        prefixes=[f"p{number:04}" for number in range(MAX_VALUES)],
        except_exact=[f"p{number:04}a" for number in range(MAX_VALUES)],
        except_prefixes=[f"p{number:04}b" for number in range(MAX_VALUES)],
    )
    assert made is not None
    assert made.contains(made)
    assert made.intersect(made) == made
    assert time.thread_time() - started < 5


def test_empty_label_values_are_missing_labels() -> None:
    assert labels_of({"b": "2", "a": "1", "c": ""}) == (("a", "1"), ("b", "2"))
