"""Characters that could move a cursor, reorder text or hide it, and how JSON says them without holding them."""

from __future__ import annotations

import unicodedata
from typing import Final

# Control, format (bidi, zero-width, tags), surrogate, private and unassigned characters, line and paragraph separators.
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Ignorable by default, hence without width, though letters or marks by category (Unicode, DerivedCoreProperties.txt).
_IGNORABLE: Final = frozenset(
    chr(point)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for point in range(first, last + 1)
)
_PLANE: Final = 0xFFFF


def is_unsafe(character: str) -> bool:
    """Say whether a character could move the cursor, reorder or hide text; newline and tab count as unsafe here."""
    if character.isascii():
        return not character.isprintable()
    return character in _IGNORABLE or unicodedata.category(character) in _UNSAFE_CATEGORIES


def visible(text: str) -> str:
    r"""Return text with each of these characters as an escape that can be seen, such as ``\u{202e}``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{{{ord(character):x}}}" if is_unsafe(character) else character for character in text)


def escaped_json(text: str) -> str:
    r"""Return JSON that means the same and holds none of these characters, only escapes such as ``\u202e``.

    Newlines stay: in JSON they stand between values, never inside of them.
    """
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return "".join(
        _escape(character) if is_unsafe(character) and character != "\n" else character for character in text
    )


def _escape(character: str) -> str:
    point = ord(character)
    if point <= _PLANE:
        return f"\\u{point:04x}"
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
