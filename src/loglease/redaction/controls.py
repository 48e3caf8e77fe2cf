"""Control characters and bytes that are no text: shown as pictures, never passed on, whatever the profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()
ESCAPE_PICTURE: Final = "\N{SYMBOL FOR ESCAPE}".encode()
_PICTURES: Final = {byte: chr(0x2400 + byte).encode() for byte in range(0x20)} | {
    0x7F: "\N{SYMBOL FOR DELETE}".encode()
}
_SEQUENCE: Final = rb"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
_BEYOND_ASCII: Final = (
    r"\xc2[\x80-\x9f]", r"\xd8\x9c", r"\xe2\x80[\x8e\x8f\xa8-\xae]", r"\xe2\x81[\xa6-\xa9]", r"\xe2\x9f[\xa6\xa7]",
    r"\xf3\xa0[\x80\x81][\x80-\xbf]",
)  # fmt: skip
_FORBIDDEN: Final = "|".join(_BEYOND_ASCII).encode()
_LONE_CR: Final = rb"\r(?!\n|\Z)"
_C0: Final = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_VALID: Final = (
    rb"(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)
# The longest beginning of a character that cannot go on, else one byte: as the Unicode standard recommends.
_BROKEN: Final = (
    rb"\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f]|\xf0[\x90-\xbf][\x80-\xbf]?"
    rb"|[\xf1-\xf3][\x80-\xbf]{1,2}|\xf4[\x80-\x8f][\x80-\xbf]?|[\x80-\xff]"
)
_IN_TEXT: Final = re.compile(
    rb"(?P<esc>" + _SEQUENCE + rb")|(?P<c0>" + _C0 + rb"|" + _LONE_CR + rb")|(?P<bad>" + _FORBIDDEN + rb")"
)
_IN_BYTES: Final = re.compile(_IN_TEXT.pattern + rb"|(?P<ok>" + _VALID + rb")|(?P<broken>" + _BROKEN + rb")")
_COLOUR: Final = re.compile(rb"\x1b\[[0-9;:]{0,64}m")
# The tripwire of all that may not pass in valid UTF-8; a lone CR has no LF behind it.
CONTROL_MARK: Final = "|".join((_C0.decode(), *_BEYOND_ASCII, r"\r[^\n]"))


def is_valid(data: bytes) -> bool:
    """Tell whether the bytes are UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def control_edits(data: bytes, *, keep_colour: bool = False) -> Iterator[tuple[int, int, bytes]]:
    """Yield start, end and replacement of all that may not pass, in order.

    Args:
        data: whole lines; a CR at the very end stays, for a line end stood or stands behind it.
        keep_colour: let `ESC [ … m` pass.
    """
    pattern = _IN_TEXT if is_valid(data) else _IN_BYTES
    for found in pattern.finditer(data):
        kind = found.lastgroup
        if kind == "ok" or (kind == "esc" and keep_colour and _COLOUR.fullmatch(found[0])):
            continue
        if kind == "esc":
            replacement = ESCAPE_PICTURE
        elif kind == "c0":
            replacement = _PICTURES[found[0][0]]
        else:
            replacement = REPLACEMENT
        yield found.start(), found.end(), replacement
