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

_PART: Final = re.compile(rb'"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)"|(?P<scalar>[0-9A-Za-z.+-]++)')
_IN_NUMBER: Final = frozenset((b"-", b".", b"e", b"E", *(b"%d" % digit for digit in range(10))))
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
    parts = [found.span(found.lastgroup or 0) for found in _PART.finditer(content)]
    return list(_cut(finds, content, parts))


def _may_leave(find: Find, content: bytes) -> bool:
    """Tell whether a find may go beyond its string or number, or be a piece of a number."""
    start, end = find.start, find.end
    if content.find(b'"', start, end) >= 0 or content.startswith(_BETWEEN, start):
        return True
    return content[start - 1 : start] in _IN_NUMBER or content[end : end + 1] in _IN_NUMBER


def _is_document(content: bytes) -> bool:
    if not content.lstrip().startswith((b"{", b"[")):
        return False
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _cut(finds: Sequence[Find], content: bytes, parts: Sequence[tuple[int, int]]) -> Iterator[Find]:
    """Yield finds in the strings and scalars of a document, without those that begin between them."""
    starts = [start for start, _ in parts]
    for find in finds:
        start = find.start
        place = bisect_right(starts, start) - 1
        if place < 0 or start >= parts[place][1]:
            place += 1
            start += 1  # the quote before a string belongs to none
            if place == len(parts) or starts[place] != start:
                continue
        first, end = parts[place]
        if content[first - 1 : first] == b'"':
            end = min(end, find.end)
        else:
            start = first  # of a number nothing stays: a token in its midst would be no JSON
        if (start, end) == (find.start, find.end):
            yield find
        elif start < end:
            yield Find(start, end, find.rule, content[start:end])
