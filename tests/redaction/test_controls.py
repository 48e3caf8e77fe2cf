"""Control characters and broken text: what stays, what becomes a picture, what is replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.redaction.controls import control_edits


def neutralised(text: bytes, **options: bool) -> bytes:
    out, at = b"", 0
    for start, end, replacement in control_edits(text, **options):
        out += text[at:start] + replacement
        at = end
    return out + text[at:]


@pytest.mark.parametrize("text", ["", "plain\tx\r\n", "ünï 日本 😀 a\u200bb \ufffd", "…–“”\u2003"])
def test_what_is_text_stays(text: str) -> None:
    assert neutralised(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31;1mred\x1b[0m", "␛red␛"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\x00b\x08c\x7f", "a␀b␈c␡"),
        ("a\rb\r\r\n", "a␍b␍\r\n"),
        ("a\x9bb\u202ec\u2028d\u2066e\u061cf\U000e0041g\u200eh", "a�b�c�d�e�f�g�h"),
        ("⟦email⟧", "�email�"),
    ],
)
def test_what_could_deceive_is_shown(text: str, shown: str) -> None:
    assert neutralised(text.encode()) == shown.encode()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\xff\xfe", "��"),
        (b"a\xc3", "a�"),
        (b"\xe2\x82x", "�x"),
        (b"\xf0\x9f\x98", "�"),
        (b"\xed\xa0\x80", "���"),
        (b"\xc0\xaf", "��"),
        (b"\xf5\x80\x80\x80", "����"),
        (b"\xff\xe2\x9f\xa6\x1b[m", "��␛"),
    ],
)
def test_broken_bytes_become_replacement_characters(raw: bytes, shown: str) -> None:
    assert neutralised(raw) == shown.encode()
    assert raw.decode("utf-8", "replace").replace("⟦", "�").replace("\x1b[m", "␛") == shown


def test_colour_stays_where_a_profile_keeps_it() -> None:
    assert neutralised(b"\x1b[31mx\x1b[2J", keep_colour=True) == "\x1b[31mx␛".encode()


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
def test_the_result_is_clean_text_whatever_came_in(raw: bytes) -> None:
    once = neutralised(raw + b"\n")
    once.decode()
    assert neutralised(once) == once
    assert once.count(b"\n") == raw.count(b"\n") + 1
