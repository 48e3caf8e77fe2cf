"""Scopes: containment and intersection agree with what lines they admit."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.model.errors import InvalidField
from loglease.model.instant import EventWindow
from loglease.model.labels import Labels, Selector, labels_of, matcher_of, selector_of
from loglease.model.scope import MAX_LITERALS, Level, Scope

LITERALS = ["a", "b", "ab", "ba"]
TEXTS = ["", "a", "b", "ab", "ba", "aba", "bab", "c"]
STREAMS = [labels_of({"k": one, "l": other}) for one in ("", "a", "ab", "b") for other in ("", "a")]
LEVELS = [*Level]
TIMES = range(7)


def selectors() -> st.SearchStrategy[Selector]:
    some = [
        matcher_of(exact=["a"]),
        matcher_of(prefixes=["a"]),
        matcher_of(any_value=True),
        matcher_of(any_value=True, except_exact=["a"]),
    ]
    matcher = st.sampled_from([one for one in some if one is not None])
    return st.dictionaries(st.sampled_from(["k", "l"]), matcher, max_size=2).map(selector_of)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    start = draw(st.integers(0, 4))
    end = draw(st.none() | st.integers(start + 1, 6))
    return Scope(
        source=draw(st.sampled_from(["files", "files", "files", "other"])),
        selector=draw(selectors()),
        window=EventWindow(start, end),
        level_from=draw(st.none() | st.sampled_from(LEVELS)),
        contains=tuple(draw(st.lists(st.sampled_from(LITERALS), max_size=2, unique=True))),
        profile=draw(st.sampled_from([None, "pii-default@1"])),
    )


Line = tuple[str, Labels, int, Level, str]
LINES: list[Line] = list(itertools.product(["files", "other"], STREAMS, TIMES, LEVELS, TEXTS))


def admits(scope: Scope, line: Line) -> bool:
    source, labels, time, level, text = line
    return (
        source == scope.source
        and scope.admits_stream(labels)
        and scope.window.start_ns <= time
        and (scope.window.end_ns is None or time < scope.window.end_ns)
        and scope.admits_level(level)
        and all(literal in text for literal in scope.contains)
    )


def admitted(scope: Scope) -> set[int]:
    return {number for number, line in enumerate(LINES) if admits(scope, line)}


@given(scopes(), scopes())
@settings(max_examples=volume(20, 60))
def test_an_intersection_admits_exactly_what_both_admit(one: Scope, other: Scope) -> None:
    both = one.intersect(other)
    assert (admitted(both) if both is not None else set()) == admitted(one) & admitted(other)
    if both is not None:
        assert one.contains_scope(both)
        assert other.contains_scope(both)
        assert both.profile == one.profile


@given(scopes(), scopes())
@settings(max_examples=volume(20, 60))
def test_what_is_contained_admits_nothing_else(outer: Scope, inner: Scope) -> None:
    if outer.contains_scope(inner):
        assert admitted(inner) <= admitted(outer)


@given(scopes(), scopes(), scopes())
@settings(max_examples=volume(50, 200))
def test_containment_is_transitive(one: Scope, two: Scope, three: Scope) -> None:
    assert one.contains_scope(one)
    if one.contains_scope(two) and two.contains_scope(three):
        assert one.contains_scope(three)
    both = one.intersect(two)
    if both is not None and three.contains_scope(one):
        assert three.contains_scope(both)


def test_unknown_ranks_as_info() -> None:
    scope = Scope(source="s", selector=Selector(), window=EventWindow(0, None), level_from=Level.INFO)
    assert scope.admits_level(Level.UNKNOWN)
    assert not scope.admits_level(Level.DEBUG)


@pytest.mark.parametrize("literals", [("",), ("x" * 257,), ("⟦",), ("⟧x",), tuple("abcdefghi")])
def test_bad_literals_are_refused(literals: tuple[str, ...]) -> None:
    with pytest.raises(InvalidField):
        Scope(source="s", selector=Selector(), window=EventWindow(0, None), contains=literals)


def test_more_literals_than_fit_are_an_error_not_a_wider_scope() -> None:
    one = Scope(
        source="s",
        selector=Selector(),
        window=EventWindow(0, None),
        contains=tuple(f"a{number}" for number in range(MAX_LITERALS)),
    )
    other = Scope(source="s", selector=Selector(), window=EventWindow(0, None), contains=("b",))
    with pytest.raises(InvalidField):
        one.intersect(other)


def test_no_selector_means_all_streams() -> None:
    assert Scope(source="s", selector=Selector(), window=EventWindow(0, None)).all_streams
