"""Foreign text made safe for a terminal, and for JSON that may be looked at in one.

SECURITY: every text that did not come from this program passes here before it is printed. Proven in
`tests/cli/test_terminal.py`.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

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
_BYTE: Final = 0xFF
_PLANE: Final = 0xFFFF


def is_unsafe(character: str) -> bool:
    """Say whether a character could move the cursor, reorder or hide text; newline and tab count as unsafe here."""
    if character.isascii():
        return not character.isprintable()
    return character in _IGNORABLE or unicodedata.category(character) in _UNSAFE_CATEGORIES


def safe(text: str) -> str:
    r"""Return the text with every unsafe character as a visible escape such as ``\x1b`` or ``\u202e``.

    Newlines and tabs stay; for text that has to stay on one line see `one_line`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(character) if is_unsafe(character) and character not in "\n\t" else character for character in text
    )


def one_line(text: str) -> str:
    r"""Return the text as `safe` does, with newlines and tabs as ``\n`` and ``\t``."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Write JSON that means exactly `value` and holds no character that is unsafe in a terminal."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return "".join(
        _json_escape(character) if is_unsafe(character) and character != "\n" else character for character in text
    )


def _escape(character: str) -> str:
    point = ord(character)
    if point <= _BYTE:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= _PLANE else f"\\U{point:08x}"


def _json_escape(character: str) -> str:
    point = ord(character)
    if point <= _PLANE:
        return f"\\u{point:04x}"
    high, low = divmod(point - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
