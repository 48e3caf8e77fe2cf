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
# Everything that may stay in a text of ASCII alone; CR is looked at by itself.
_STAY: Final = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F)])
_STAY_BEYOND: Final = _STAY + bytes(range(0x80, 0x100))
_SEQUENCE: Final = rb"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
_FORBIDDEN: Final = (
    rb"\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xe2\x9f[\xa6\xa7]"
    rb"|\xf3\xa0[\x80\x81][\x80-\xbf]"
)
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
_SUSPECT_LEADS: Final = (b"\xc2", b"\xd8\x9c", b"\xe2\x80", b"\xe2\x81", b"\xe2\x9f", b"\xf3\xa0")


def _is_clean(data: bytes) -> tuple[bool, bool]:
    """Return whether nothing here needs an edit, and whether the bytes are valid UTF-8; a few passes in C."""
    if data.isascii():
        clean = not data.translate(None, _STAY)
        valid = True
    else:
        clean = not data.translate(None, _STAY_BEYOND) and not any(lead in data for lead in _SUSPECT_LEADS)
        try:
            data.decode()
            valid = True
        except UnicodeDecodeError:
            clean = valid = False
    if clean and b"\r" in data:
        clean = data.count(b"\r") == data.count(b"\r\n") + data.endswith(b"\r")
    return clean, valid


def control_edits(data: bytes, *, keep_colour: bool = False) -> Iterator[tuple[int, int, bytes]]:
    """Yield start, end and replacement of all that may not pass, in order.

    Args:
        data: whole lines; a CR at the very end stays, for a line end stood or stands behind it.
        keep_colour: let `ESC [ … m` pass.
    """
    clean, valid = _is_clean(data)
    if clean:
        return
    pattern = _IN_TEXT if valid else _IN_BYTES
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
