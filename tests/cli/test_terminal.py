from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.cli.terminal import json_text, one_line, safe
from loglease.model.unsafe_text import is_unsafe

HOSTILE = (
    "\x1b\x07\x08\r\x00\x7f\x80\x9b\x9d\u200b\u200d\u202e\u2066\u2028\ufeff\u00ad\u034f\u3164\ufe0f\U000e0041\ud800"
)
texts = st.text(alphabet=st.one_of(st.characters(), st.sampled_from(HOSTILE + "\n\tab⟦⟧é")), max_size=60)


@pytest.mark.parametrize("character", list(HOSTILE))
def test_each_kind_of_hostile_character_is_shown_and_not_sent(character: str) -> None:
    shown = safe(f"a{character}b")
    assert character not in shown
    assert shown.startswith("a\\")
    assert shown.endswith("b")


@pytest.mark.attack("UI-02")
@given(texts)
def test_no_text_leaves_a_character_that_a_terminal_acts_on(text: str) -> None:
    shown = safe(text)
    assert not any(is_unsafe(character) for character in shown if character not in "\n\t")
    shown.encode()


@given(texts)
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    harmless = "".join(character for character in text if character in "\n\t" or not is_unsafe(character))
    assert safe(harmless) == harmless
    assert safe(safe(text)) == safe(text)


@given(texts)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert not any(map(is_unsafe, one_line(text)))


@given(st.dictionaries(texts, texts, max_size=3))
def test_json_means_the_same_and_is_harmless(value: dict[str, str]) -> None:
    for indent in (None, 2):
        written = json_text(value, indent=indent)
        assert json.loads(written) == value
        assert not any(is_unsafe(character) for character in written if character != "\n")


def test_letters_of_all_scripts_and_tokens_stay() -> None:
    text = "Grüße, 東京, שלום, ⟦email:q3f7k2p9xa⟧ 🙂"
    assert safe(text) == text
