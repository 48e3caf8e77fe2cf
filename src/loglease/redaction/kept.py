"""Tokens of ours in a text that is redacted again: what stands for them while we look for finds.

Nobody knows how long the text was that a token replaced. So a word that speaks for a value does not reach over a token,
and one that speaks against it reaches as far as if nothing stood between; else a second pass would find what the first
did not, because a word has come nearer or gone farther.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

from loglease.redaction.tokens import TOKEN

# No text has these bytes: 0xC1 and 0xFF stand nowhere in UTF-8. The first digit is there for the word boundary.
_PAYLOAD: Final = b"\xfe"
_OTHER: Final = b"\xff"
_END: Final = b"\xff\xc10"
KEPT_PAYLOAD: Final = re.compile(rb"0\xfe\xff+\xc10")
_COVER: Final = re.compile(rb"0[\xfe\xff]\xff+\xc10")
_MANY_TOKENS: Final = 1024
_LABEL: Final = re.compile(rb"[a-z0-9-]+")


def covered(text: bytes, payloads: AbstractSet[bytes]) -> bytes:
    """Return a text, as long, in which covers stand for the tokens of ours.

    What was found beside a masked value in a first pass had no word boundary there, and has none in a second: covers
    begin and end with a digit.

    Args:
        text: whole lines.
        payloads: labels of tokens that may stand for lines of a key or another block.
    """

    def cover(token: re.Match[bytes]) -> bytes:
        label = _LABEL.search(token[0])
        kind = _PAYLOAD if label is not None and label[0] in payloads else _OTHER
        return b"0" + kind + b"\xff" * (len(token[0]) - 2 - len(_END) + 1) + _END[1:]

    return TOKEN.sub(cover, text)


def text_before(text: bytes, at: int, within: int) -> bytes:
    """Return what stands before a place within so many bytes, but behind the last token of ours, in small letters."""
    found = text[max(0, at - within) : at].lower()
    last = found.rfind(_END)
    return found if last < 0 else found[last + len(_END) :]


def text_against(text: bytes, at: int, within: int) -> bytes:
    """Return what stands before a place within so many bytes that are no token's, in small letters."""
    found = text[max(0, at - within) : at]
    if _END in found:
        found = _COVER.sub(b"", text[max(0, at - within - _MANY_TOKENS) : at])[-within:]
    return found.lower()
