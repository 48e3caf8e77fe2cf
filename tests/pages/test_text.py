from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.words import plain
from loglease.server.pages.text import foreign, foreign_lines, unusual


@given(st.text())
def test_foreign_text_is_one_isolated_element_without_markup_or_anything_invisible(text: str) -> None:
    shown = str(foreign(text))
    assert shown.startswith("<bdi>")
    inner = shown.removeprefix("<bdi>").removesuffix("</bdi>")
    assert "<" not in inner
    assert ">" not in inner
    assert '"' not in inner
    assert plain(inner) == inner


def test_what_is_cut_is_said() -> None:
    assert "6 more characters are not shown" in foreign("x" * 10, 4)
    assert "more characters" not in foreign("x" * 4, 4)


def test_lines_stay_lines() -> None:
    assert foreign_lines("a\r\nb\u202e<") == "<bdi>a</bdi><br><bdi>b\\u{202e}&lt;</bdi>"


@pytest.mark.attack("AU-05")
@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("bob@example.com", False),
        ("b\u043eb@example.com", True),
        ("Жанна", False),
        ("bob\u200b", True),
        ("ｂｏｂ", True),
        ("Zoë", False),
    ],
)
def test_names_that_look_like_others_are_flagged(text: str, odd: bool) -> None:
    assert unusual(text) is odd
