"""Letters that look like others are named where a word could be taken for another one."""

from __future__ import annotations

import unicodedata

import pytest

from loglease.policy.lookalikes import LOOKS_LIKE, look_alikes


def found(text: str) -> list[str]:
    return [
        f"{one.at.line}:{one.at.column}:{one.at.width} {one.message}" for one in look_alikes({"a.yaml": text.encode()})
    ]


@pytest.mark.parametrize(
    "text",
    ["sre", "группа", "сбой оплаты", "а в сети", "Ωmega", "naïve", "crème", "größe", "日本", "λ", "µs", "π"],
)
def test_words_of_one_script_are_fine(text: str) -> None:
    assert found(f"title: {text}\n") == []


@pytest.mark.parametrize("text", ["pаy", "ѕrе", "аре", "ｐay", "pαy", "sre-οps", "group:ѕrе", "ʀ\u0430p"])
def test_words_that_could_be_taken_for_latin_ones_are_named(text: str) -> None:
    assert len(found(f"title: {text}\n")) == 1


def test_the_place_is_the_word_and_the_letter_is_named() -> None:
    assert found("a:\n  - x\n  - 'req.labels.service == \"pаy-api\" && true'\n") == [
        "3:29:3 'pаy' holds U+0430 CYRILLIC SMALL LETTER A, which looks like 'a'"
    ]
    assert found("a: |\n  one\n  twо\n") == ["1:4:1 'twо' holds U+043E CYRILLIC SMALL LETTER O, which looks like 'o'"]


def test_fields_are_looked_at_and_comments_are_not() -> None:
    assert found("whо: 1  # whо\n") == ["1:1:3 'whо' holds U+043E CYRILLIC SMALL LETTER O, which looks like 'o'"]


def test_what_cannot_be_read_is_left_to_loading() -> None:
    assert look_alikes({"a.yaml": b"\xff", "b.yaml": b"a: [", "c.yaml": b"a: *b"}) == []


def test_the_table_holds_letters_with_an_ascii_twin() -> None:
    for letter, twin in LOOKS_LIKE.items():
        assert not letter.isascii()
        assert unicodedata.category(letter)[0] == "L"
        assert twin.isascii()
        assert twin.isalpha()
