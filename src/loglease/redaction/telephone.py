"""Telephone numbers: what tells digits in groups that people dial from dates, versions, columns and part numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from loglease.redaction.kept import text_against, text_before

_NOT_DIGIT: Final = re.compile(rb"[^0-9]")
_EXTENSION: Final = re.compile(rb"[ex]")
_LONGEST: Final = 15  # E.164
_WORDS: Final = (b"tel", b"phone", b"mobile", b"cell", b"fax", b"call", b"sms", b"whatsapp", b"msisdn")


def _number(value: bytes) -> bytes:
    return _EXTENSION.split(value, maxsplit=1)[0]


def _digits(value: bytes) -> bytes:
    """Return the digits of a number without its extension."""
    return _NOT_DIGIT.sub(b"", _number(value))


_GOES_ON: Final = re.compile(rb"[0-9A-WYZa-wyz]|[.:/-](?!(?i:(?:tele)?(?:phone|fax|mobile|cell)))\w")


def phone(*, digits: int = 8) -> Callable[[bytes, int, int], bool]:
    """Return the check of a telephone number: so many to 15 digits, not the rest of a number, a time or most words."""

    def check(text: bytes, start: int, end: int) -> bool:
        found = _digits(text[start:end])
        if not digits <= len(found) <= _LONGEST or len(set(found)) < 3:  # noqa: PLR2004 - no filler like 00000000
            return False
        before = text[max(0, start - 8) : start].lower()
        if re.search(rb"[0-9a-z+./-]\Z", before) and not before.endswith(_WORDS):
            return False
        return not _GOES_ON.match(text, end)

    return check


_TIME_SHAPED: Final = re.compile(
    rb"(?:19|20)\d\d[-/. ]\d\d?[-/. ]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d|\d\d \d\d (?:19|20)\d\d\Z|\d{10,13}\Z"
    rb"|\d{1,3}(?:\.\d{3})+\Z|(?!\d\d-(?:1[3-9]|[2-9]\d)-\d\d-)\d{1,3}[.-]\d{1,3}[.-]\d{1,3}[.-]\d{1,3}\Z"
)
_GROUPS: Final = re.compile(
    rb"[+(]?\d{1,6}\)?(?:[ ()./-]{1,3}\d{2,8}){1,6}(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?|\+\d{8,15}|0[1-9]\d{7,13}"
)


def phone_shape(text: bytes, start: int, end: int) -> bool:
    """Accept digits in groups as people write telephone numbers, or behind `+` or `0`; no dates, no decimals."""
    value = text[start:end]
    if value.count(b"(") != value.count(b")") or _TIME_SHAPED.match(value) or _number(value).count(b".") == 1:
        return False
    return bool(_GROUPS.fullmatch(value))


_BYTES_BEFORE: Final = re.compile(rb"(?<![0-9A-Za-z])[0-9A-Fa-f]{1,16}[ .-]\Z|[0-9A-Za-z.-]\Z")
_BYTES_BEHIND: Final = re.compile(
    rb"[ .-][0-9A-Fa-f](?:[0-9A-Fa-f](?![A-Za-z])|[\xfe\xff])|[0-9A-Za-z]"
)  # \xfe, \xff: a token


def apart(text: bytes, start: int, end: int) -> bool:
    """Accept what is not one stretch of a longer row of numbers or bytes."""
    before, after = text[max(0, start - 18) : start], text[end : end + 4]
    return not _BYTES_BEFORE.search(before) and not _BYTES_BEHIND.match(after)


_AROUND: Final = b" \t\r,.;|*-"


def whole_line(text: bytes, start: int, end: int) -> bool:
    """Accept what stands alone on its line, but for spaces and punctuation."""
    return not text[:start].strip(_AROUND) and not text[end:].strip(_AROUND)


_WITHIN: Final = 32
# What names a number of another kind.
_OTHER: Final = re.compile(
    rb"(?i)(?:\b|_)(?:part|sku|item|order|serial|model|ticket|case|invoice|batch|lot|isbn|version|build)"
    rb"(?:s|no|nr|num|number|id)?(?:\b|_)"
)
_OTHER_WITHIN: Final = 16
# What counts or names things, where the word for the telephone is only "number".
_NUMBER_OF: Final = re.compile(
    rb"(?i)(?:\b|_)(?:part|sku|item|order|serial|model|ticket|case|invoice|batch|lot|isbn|version|build|tracking|line"
    rb"|sequence|reference|job|account|customer|port|registration|policy|claim|booking|confirmation|contract|member)"
    rb"[ _-]?(?:num|number)[^0-9+(]{0,24}\Z"
)
_NUMBER_WITHIN: Final = 56
# The North American plan: area and exchange begin with 2 to 9, neither ends in 11, no area has a 9 in the middle.
_AMERICAN: Final = re.compile(
    rb"(?:(?:00)?1[ .-])?\(?[2-9](?:[02-8]\d|1[02-9])\)?[ .-]?[2-9](?:[02-9]\d|1[02-9])[ .-]\d{4}"
)
_EXTENDED: Final = re.compile(rb"(?:(?:00)?1[ .-])?\(?\d{3}\)?[ .-]?\d{3}[ .-]\d{4}[ ]?(?:x|ext)[^x]*")
_TRUNK: Final = re.compile(
    rb"\(?0[1-9]\d{0,4}\)?(?:(?: \d{2,4}){2,4}|(?:\.\d{2}){4}|(?:[ /-]\d{2,8}){1,4})|00[1-9]\d{0,2}(?:[ -]\d{2,8}){2,4}"
)
_GAP: Final = re.compile(rb"[ ./-]")
_DIALLED: Final = range(8, 15)
_TWO_PARTS: Final = 10
"""Fewest digits of a number that is written in two parts only."""


def phone_national(text: bytes, start: int, end: int) -> bool:
    """Accept a number without country code where its form or its place says that it is dialled.

    Behind a word for telephones and alone on its line any grouped number is; elsewhere one that begins with the trunk
    prefix 0, or has the parts of the North American plan, and is not called a part number or the like.
    """
    around = text_before(text, start, _WITHIN)
    if not around.endswith(_WORDS) and not apart(text, start, end):
        return False
    if any(word in around for word in _WORDS) or whole_line(text, start, end):
        return True
    if _OTHER.search(text_against(text, start, _OTHER_WITHIN)):
        return False
    value = text[start:end]
    if _AMERICAN.fullmatch(value) or _EXTENDED.fullmatch(value):
        return True
    size = len(_digits(value))
    return size in _DIALLED and (size >= _TWO_PARTS or len(_GAP.findall(value)) > 1) and bool(_TRUNK.fullmatch(value))


def phone_no_other(text: bytes, start: int, end: int) -> bool:  # noqa: ARG001 - the shape of a check
    """Accept a number unless it is called an order number, a serial number or the like."""
    return not _NUMBER_OF.search(text_before(text, start, _NUMBER_WITHIN))
