"""In a line that is one JSON document no find leaves the string or number in which it begins: JSON stays JSON.

A quote behind a key may begin a value or end the text around the key, and who does not know masks up to the next. Where
the line itself says what its quotes are, it is known.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from loglease.redaction.confirm import Find

_BORDER: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"')
_SCALAR: Final = re.compile(rb"[0-9A-Za-z.+-]*+")
# What finds begin with that begin between the parts of a document.
_BETWEEN: Final = tuple(bytes([byte]) for byte in b" \t,:[]{}")


def within_values(finds: list[Find], content: bytes) -> list[Find]:
    """Return the finds of a line as they are, or, in one JSON document, each as far as its string or number goes.

    Args:
        finds: in any order.
        content: the line without its LF.
    """
    if not any(_may_leave(find, content) for find in finds) or not _is_document(content):
        return finds
    borders = [found.end() - 1 for found in _BORDER.finditer(content)]
    return list(_cut(finds, content, borders))


def _may_leave(find: Find, content: bytes) -> bool:
    return content.find(b'"', find.start, find.end) >= 0 or content.startswith(_BETWEEN, find.start)


def _is_document(content: bytes) -> bool:
    if not content.lstrip().startswith((b"{", b"[")):
        return False
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _cut(finds: Sequence[Find], content: bytes, borders: Sequence[int]) -> Iterator[Find]:
    for find in finds:
        place = bisect_right(borders, find.start)
        # A quote that begins or ends a string belongs to neither.
        start = find.start + (place > 0 and borders[place - 1] == find.start)
        if place % 2:
            limit = borders[place]
        else:
            scalar = _SCALAR.match(content, start)
            limit = scalar.end() if scalar else start
        end = min(find.end, limit)
        if (start, end) == (find.start, find.end):
            yield find
        elif start < end:
            yield Find(start, end, find.rule, content[start:end])
