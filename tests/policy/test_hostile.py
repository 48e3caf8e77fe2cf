"""Policy text is hostile input: whatever it says, loading ends with a bundle or with problems."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.world import EXAMPLE_TEST, ORGANISATION
from tests.volume import volume

from loglease.policy import Bundle, default_files, load

TEXT = "---\n".join(ORGANISATION)
PLACES = [match.span() for match in re.finditer(r"[A-Za-z0-9_:.@-]+|\[[^\[\]]*\]|\{[^{}]*\}", TEXT)]
TEST_PLACES = [match.span() for match in re.finditer(r"[A-Za-z0-9_:.@-]+|\[[^\[\]]*\]|\{[^{}]*\}", EXAMPLE_TEST)]
VALUES = st.sampled_from(
    [
        *(
            "",
            "x",
            "no",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "99999999999999999999",
            "1h",
            "0s",
            "500MB",
            "[]",
            "{}",
            "[x]",
        ),
        *(
            "''",
            "[[]]",
            "{x: y}",
            "[{x: y}]",
            "~",
            "'a\"b'",
            "group:sre",
            "user:x",
            "agent:x",
            "raw",
            "raw@1",
            "strict@",
        ),
        *(
            "approvers:payments-approvers",
            "all_of",
            "any_of",
            "{any: true}",
            "{prefix: x}",
            "{prefix: [x]}",
            "2026-01-01",
        ),
        *(
            "{from: [group:sre], need: 1}",
            "[{any_of: [{from: [group:sre], need: 1}]}]",
            "'*'",
            "'('",
            "é",
            "⟦",
            "\u202e",
        ),
    ]
)


def mutated(text: str, places: list[tuple[int, int]], changes: list[tuple[int, str]]) -> bytes:
    for place, value in sorted(changes, reverse=True):
        start, end = places[place]
        text = text[:start] + value + text[end:]
    return text.encode("utf-8", "surrogatepass")


@given(
    st.lists(st.tuples(st.integers(0, len(PLACES) - 1), VALUES), min_size=1, max_size=3, unique_by=lambda one: one[0])
)
@settings(max_examples=volume(75, 300), deadline=None)
def test_changed_documents_load_or_are_refused(changes: list[tuple[int, str]]) -> None:
    loaded = load({"a.yaml": mutated(TEXT, PLACES, changes)})
    if not isinstance(loaded, Bundle):
        assert loaded
        assert all(one.render().startswith(("a.yaml:", "bundle:")) for one in loaded)
        assert all(re.fullmatch(r"P\d{3}", one.code) for one in loaded)


@given(
    st.lists(
        st.tuples(st.integers(0, len(TEST_PLACES) - 1), VALUES), min_size=1, max_size=3, unique_by=lambda one: one[0]
    )
)
@settings(max_examples=volume(75, 300), deadline=None)
def test_changed_tests_load_or_are_refused(changes: list[tuple[int, str]]) -> None:
    loaded = load({"a.yaml": TEXT.encode(), "a.test.yaml": mutated(EXAMPLE_TEST, TEST_PLACES, changes)})
    assert isinstance(loaded, Bundle) or loaded


@given(st.text(max_size=30))
def test_any_source_name_is_safe_in_the_default_policy(name: str) -> None:
    load(default_files([name]))
