"""Foreign text made safe for a terminal, and for JSON that may be looked at in one.

SECURITY: every text that did not come from this program passes here before it is printed. Proven in
`tests/cli/test_terminal.py`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from loglease.model.unsafe_text import escaped_json, is_unsafe

_BYTE: Final = 0xFF
_PLANE: Final = 0xFFFF


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
    return escaped_json(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators))


def _escape(character: str) -> str:
    point = ord(character)
    if point <= _BYTE:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= _PLANE else f"\\U{point:08x}"
