"""Selectors as text: what is read, what is refused, and that print and parse are inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.errors import ScopeInvalid, ScopeUndecidable
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of
from loglease.model.selector_text import MAX_TEXT, parse_selector, parse_selector_at, selector_text

NASTY = st.text(st.sampled_from('ab.*|\\"`+?()[]{}^$ \n\t\r,=!~é⟦😀'), min_size=1, max_size=5)


def matchers() -> st.SearchStrategy[Matcher]:
    texts = st.sets(NASTY, max_size=3)
    made = st.builds(
        lambda exact, prefixes, any_value, not_exact, not_prefixes: matcher_of(
            exact=exact, prefixes=prefixes, any_value=any_value, except_exact=not_exact, except_prefixes=not_prefixes
        ),
        texts,
        texts,
        st.booleans(),
        texts,
        texts,
    )
    return made.filter(lambda one: one is not None)  # type: ignore[return-value]


@given(st.dictionaries(st.sampled_from(["a", "env", "_x9"]), matchers(), max_size=3).map(selector_of))
def test_what_is_printed_reads_back_the_same(selector: Selector) -> None:
    assert parse_selector(selector_text(selector)) == selector


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        selector = parse_selector(text)
    except (ScopeInvalid, ScopeUndecidable) as error:
        assert error.next_step
    else:
        assert parse_selector(selector_text(selector)) == selector


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ('{k="v"}', matcher_of(exact=["v"])),
        ("{k=`v`}", matcher_of(exact=["v"])),
        ('{k=~"a|b"}', matcher_of(exact=["a", "b"])),
        ('{k=~"pay-.*"}', matcher_of(prefixes=["pay-"])),
        ('{k=~"a|pay-.*"}', matcher_of(exact=["a"], prefixes=["pay-"])),
        ('{k=~".+"}', matcher_of(any_value=True)),
        ('{k!="v"}', matcher_of(any_value=True, except_exact=["v"])),
        ('{k!~"a|b.*"}', matcher_of(any_value=True, except_exact=["a"], except_prefixes=["b"])),
        ('{k=~"a.*", k!="ab"}', matcher_of(prefixes=["a"], except_exact=["ab"])),
        ('{k=~"a\\\\.b"}', matcher_of(exact=["a.b"])),
        (r'{k=~"a\\\\.*"}', matcher_of(prefixes=["a\\"])),
        (r'{k=~"a\\.\\*"}', matcher_of(exact=["a.*"])),
        (' { k = "v" , } '.replace(", }", "}"), matcher_of(exact=["v"])),
        (r'{k="a\"b\n"}', matcher_of(exact=['a"b\n'])),
    ],
)
def test_what_people_write(text: str, matcher: Matcher) -> None:
    assert parse_selector(text) == selector_of({"k": matcher})


@pytest.mark.parametrize(
    "text",
    ['{k=~"a+"}', '{k=~"(a|b)"}', '{k=~"a.*b"}', '{k=~".*"}', '{k=~"a|"}', '{k!~"[ab]"}', r'{k=~"\\d"}', '{k=~"^a$"}'],
)
def test_other_regular_expressions_are_undecidable(text: str) -> None:
    with pytest.raises(ScopeUndecidable):
        parse_selector(text)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("k", 1),
        ("{", 2),
        ("{k", 3),
        ("{k=", 4),
        ("{k=v}", 4),
        ('{k="v"', 7),
        ('{k="v" l="w"}', 8),
        ('{k="v"} x', 9),
        ('{9="v"}', 2),
        ('{k=="v"}', 4),
        ('{k="v",}', 8),
    ],
)
def test_broken_selectors_name_the_column(text: str, column: int) -> None:
    with pytest.raises(ScopeInvalid, match=f"column {column}:"):
        parse_selector(text)


@pytest.mark.parametrize("text", ['{k=""}', '{k!=""}', '{k!~".+"}', '{k="a",k="b"}', '{k="a",k!~"a.*"}', r'{k="\q"}'])
def test_selectors_that_cannot_match_are_refused(text: str) -> None:
    with pytest.raises(ScopeInvalid):
        parse_selector(text)


def test_a_selector_may_stand_in_a_longer_text() -> None:
    selector, end = parse_selector_at('{k="v"} |= "x"', 0)
    assert selector.keys == {"k"}
    assert end == 7


def test_length_is_bounded() -> None:
    with pytest.raises(ScopeInvalid):
        parse_selector('{k="' + "v" * MAX_TEXT + '"}')


def test_no_keys_select_all_streams() -> None:
    assert parse_selector("{}") == Selector()
    assert selector_text(Selector()) == "{}"
