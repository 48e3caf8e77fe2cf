from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.victorialogs import unquoted

from loglease.sources.matchers import literal_pattern, quoted


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_plain_ascii_and_means_itself(text: str) -> None:
    written = quoted(text)
    assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*"', written)
    assert unquoted(written) == text


@given(st.text("ab.*+?()[]{}|^$\\\n-", max_size=5), st.text("ab.*+?()[]{}|^$\\\n-", max_size=5))
def test_a_literal_pattern_means_just_its_text(text: str, other: str) -> None:
    assert re.fullmatch(literal_pattern(text), text)
    assert (re.fullmatch(literal_pattern(text), other) is not None) is (text == other)
