"""Disguise marks: what makes a line worth decoding, as tripwires in the language that all engines share.

The classes of characters come from Unicode itself; what known words, card numbers and addresses look like inside base64
and hexadecimal is computed. Undoing disguises is `disguises`' work.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

# Where Unicode keeps digits, format characters and compatibility forms; the rest is scripts without any.
_PLACES: Final = (
    range(0x80, 0x3400), range(0xA600, 0xAC00), range(0xF900, 0xFFFE), range(0x10100, 0x12000), range(0x16A00, 0x16C00),
    range(0x1D000, 0x1FC00), range(0xE0000, 0xE0200),
)  # fmt: skip
_DASHES: Final = frozenset([*range(0x2010, 0x2016), 0x2212])
_QUOTES: Final = {**dict.fromkeys(range(0x2018, 0x201C), "'"), **dict.fromkeys(range(0x201C, 0x2020), '"')}
# Dots that shorten a text say nothing when taken apart, and stand in tokens of ours.
_LEFT: Final = frozenset([0x2025, 0x2026])
# Shown as nothing though Unicode does not call them format characters.
_BLANK: Final = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0)
_SELECTORS: Final = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_COMBINING: Final = (
    *range(0x300, 0x370), *range(0x483, 0x48A), *range(0x1AB0, 0x1AFF), *range(0x1DC0, 0x1E00), *range(0x20D0, 0x20F1),
    *range(0xFE20, 0xFE30),
)  # fmt: skip
_LAST_ASCII: Final = 0x7F


def plain_form(char: str) -> str:
    """Return the ASCII text that a character stands for, or the character where it stands for itself."""
    number = ord(char)
    if number <= _LAST_ASCII or number in _LEFT:
        return char
    if number in _DASHES:
        return "-"
    if number in _QUOTES:
        return _QUOTES[number]
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(char))
    plain = unicodedata.normalize("NFKC", char)
    plain = "".join("-" if ord(one) in _DASHES else one for one in plain)
    return plain if plain.isascii() else char


def _bytes_class(found: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for byte in sorted(found):
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return "[" + "".join(f"\\x{low:02x}" + (f"-\\x{high:02x}" if high > low else "") for low, high in ranges) + "]"


def _pattern_of(words: set[bytes]) -> str:
    """Return a pattern that matches exactly these encoded characters."""
    if words == {b""}:
        return ""
    by_rest: dict[str, list[int]] = {}
    for first in sorted({word[0] for word in words}):
        rest = _pattern_of({word[1:] for word in words if word[0] == first})
        by_rest.setdefault(rest, []).append(first)
    return "(?:" + "|".join(_bytes_class(firsts) + rest for rest, firsts in by_rest.items()) + ")"


def _characters(numbers: Iterable[int]) -> str:
    return _pattern_of({chr(number).encode() for number in numbers})


def _all() -> Iterator[str]:
    return (chr(number) for place in _PLACES for number in place)


_INVISIBLE: Final = (
    *(ord(char) for char in _all() if unicodedata.category(char) == "Cf"),
    *_BLANK,
    *_SELECTORS,
    *range(0x80, 0xA0),
)
_COMPATIBLE: Final = tuple(ord(char) for char in _all() if plain_form(char) != char)


def _neighbours(numbers: Iterable[int]) -> str:
    """Return a short pattern for these characters and some beside them that are rare, for it costs all who scan."""
    words = {chr(number).encode() for number in numbers}
    exact = (b"\xe2", b"\xe3\x80", b"\xf0\x9f")  # punctuation, signs and pictures that logs are full of
    return _pattern_of({word if word.startswith(exact) else word[:2] for word in words})


INVISIBLE: Final = _characters(_INVISIBLE)
COMBINING: Final = _characters(_COMBINING)
COMPATIBLE: Final = _characters({*_COMPATIBLE} - {*_INVISIBLE, *_COMBINING})
CONTROL: Final = r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"

QUOTED: Final = r"=(?:[2-7][A-F]|40[A-Za-z]|22[0-9A-Za-z]{4}|[0-9A-F]{2}=[0-9A-F]{2})"
MARKS: Final = (
    r"%(?:[0-9A-Fa-f][0-9A-Fa-f]|u[0-9A-Fa-f]{4})",
    r"\\(?:u[0-9A-Fa-f]{4}|U00[01][0-9A-Fa-f]{5}|x[0-9A-Fa-f]{2}|[0-3][0-7]{2}|[ux]\{|[\x22'/nrtbf =:@._+-])",
    r"&(?:#[0-9xX]|[A-Za-z][A-Za-z0-9]{1,31};)",
    QUOTED,
    CONTROL + r"|\x08|\r[^\n]",
    _neighbours({*_INVISIBLE, *_COMBINING, *_COMPATIBLE}),
)
MARK: Final = re.compile("|".join(MARKS).encode())

# Beginnings are enough, and cheaper to look for.
_WORDS: Final = (b"passw", b"passph", b"secret", b"token", b"api_k", b"apike", b"bearer", b"basic ", b"identif")
_LETTERS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS: Final = frozenset(b"0123456789")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_NAME: Final = _LETTERS | _DIGITS | frozenset(b"._+-")
_GAP: Final = frozenset(b" +-")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SIXTY_TWO: Final = 62

Shape = Sequence[frozenset[int]]


def _exactly(word: bytes) -> Shape:
    return [frozenset([byte]) for byte in word]


def _any_case(word: bytes) -> Shape:
    return [frozenset([*bytes([byte]).lower(), *bytes([byte]).upper()]) for byte in word]


# What a run of base64 or hexadecimal may hold: known words and beginnings, card numbers, addresses.
_HELD: Final[tuple[Shape, ...]] = (
    *map(_any_case, _WORDS),
    *map(_exactly, (b"-----BEG", b"github_", b"glpat-", b"sk_li", b"AIza")),
    *(_exactly(word) for word in (b"AKIA", b"ASIA")),
    *(_exactly(b"gh" + bytes([letter]) + b"_") for letter in b"pousr"),
    *(_exactly(word) for word in (b"\\u00", b"\\x2", b"%3D", b"%22", b"%40", b"&#x", b"&quot;")),
    [*_exactly(b"&#"), _DIGITS, _DIGITS],
    [*_exactly(b"\\x"), _HEX, _HEX, *_exactly(b"\\x")],
    [*_exactly(b"eyJ"), _LETTERS | _DIGITS, _LETTERS | _DIGITS],
    [_DIGITS] * 9,
    [*[_DIGITS] * 4, _GAP, *[_DIGITS] * 4],
    [_NAME, _NAME, frozenset(b"@"), _NAME, _NAME, _NAME],
)


def _sextet(held: Shape, at: int) -> str:
    """Return the class of base64 characters that the six bits from a bit offset on may come to."""
    first, shift = divmod(at, 8)
    pair = [held[first], held[first + 1] if shift > 2 else frozenset([0])]  # noqa: PLR2004 - six bits of eight
    values = {((one << 8 | two) >> (10 - shift)) & 63 for one, two in itertools.product(*pair)}
    members = "".join(chr(_ALPHABET[value]) for value in sorted(values) if value < _SIXTY_TWO)
    return "[" + members + (r"+\-" if _SIXTY_TWO in values else "") + ("/_" if _SIXTY_TWO + 1 in values else "") + "]"


def _in_base64(held: Shape) -> Iterator[str]:
    """Yield how something looks inside base64 at each of three alignments, without the characters it shares."""
    for skipped in (0, 4, 2):  # bits that belong to a character shared with what stands before
        yield "".join(_sextet(held, at) for at in range(skipped, len(held) * 8 - 5, 6))


def _in_hex(held: Shape) -> str:
    parts = []
    for members in held:
        by_low: dict[str, list[str]] = {}
        for high in "0123456789abcdef":
            lows = "".join(low for low in "0123456789abcdef" if int(high + low, 16) in members)
            if lows:
                by_low.setdefault(lows, []).append(high)
        parts.append("(?:" + "|".join(f"[{''.join(highs)}][{lows}]" for lows, highs in by_low.items()) + ")")
    return "".join(parts)


def run_marks(held: Sequence[Shape] = _HELD) -> tuple[str, str]:
    """Return the marks of runs: one for base64, one for hexadecimal."""
    base = "|".join(part for one in held for part in _in_base64(one))
    return base, "(?i)(?:" + "|".join(map(_in_hex, held)) + ")"


RUN_MARKS: Final = run_marks()
ANY_RUN: Final = r"[A-Za-z0-9+/_-]{20}"
