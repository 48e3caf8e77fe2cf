"""One line filter over all lines of a page at once: which of them does it find something in?

A page is looked through as one text. No hit crosses the end of a line: literals have no line feed, and expressions are
compiled so that they match none, with ``^`` and ``$`` at the ends of lines. So a hit says of its line just what the
filter would say of the line alone. That does not hold for lines with a line feed of their own: those are for the caller
to look at alone. Lines with tokens are looked through apart, with an atom in place of each.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from loglease.logql.entry import holds_whole, masked_ranges
from loglease.logql.expressions import quoted, within_page
from loglease.logql.joined import JoinedLines
from loglease.logql.syntax import FilterOp, LineFilter

PageSearch = Callable[[JoinedLines[Any]], Sequence[int]]
"""Returns the numbers of the lines in which any operand of a filter is found, in ascending order."""

_Hits = Callable[[bytes, Sequence[int]], list[int]]
"""Returns the numbers of the lines of a text with a hit, by where lines end."""

_ONLY_ALONE: Final = re.compile(r"\\[AzQ]|\(\?[imsU]*-")
"""Parts of expressions that may mean another thing in a page: ends of the text, quoting, flags that are taken away."""

_TEXT: Final = re.compile(r"(\^?)((?:[^\n\\^$.|?*+()\[\]{]|\\[\\^$.|?*+()\[\]{}\"/:-])+)(\$?)")
"""An expression that is nothing but a text, maybe at the beginning or the end of the line."""

_FEW: Final = 16
_SHORT: Final = 256


def page_search(one: LineFilter) -> PageSearch | None:
    """Return the search for a filter's operands, None if its lines have to be looked at one by one."""
    operands = [operand for operand in one.operands if isinstance(operand, str)]
    if len(operands) != len(one.operands):
        return None
    searches: Sequence[PageSearch]
    if one.op in (FilterOp.HOLDS, FilterOp.LACKS):
        if any(not operand or "\n" in operand for operand in operands):
            return None
        searches = [_literal(operand.encode()) for operand in operands]
    elif one.op in (FilterOp.MATCHES, FilterOp.NOT_MATCHES):
        if any(_ONLY_ALONE.search(operand) for operand in operands):
            return None
        searches = [_expression(operand) for operand in operands]
    else:
        return None
    if len(searches) == 1:
        return searches[0]
    return lambda lines: sorted(set().union(*(search(lines) for search in searches)))


def _literal(literal: bytes) -> PageSearch:
    hits = _literal_hits(literal)

    def search(lines: JoinedLines[Any]) -> list[int]:
        found = hits(lines.text, lines.ends)
        if not lines.spans:
            return found
        spans = lines.spans
        return [
            number
            for number in found
            if number not in spans or holds_whole(lines.line(number), literal, masked_ranges(spans[number]))
        ]

    return search


def _literal_hits(literal: bytes) -> _Hits:
    """Return the hits of a text: RE2 is faster to the next where they are rare, `find` where they are not."""
    first = within_page(quoted(literal).decode()).lines if len(literal) <= _SHORT else None

    def hits(text: bytes, ends: Sequence[int]) -> list[int]:
        found = [] if first is None else first(text, ends, _FEW)
        if first is not None and len(found) < _FEW:
            return found
        number = found[-1] if found else 0
        find = text.find
        at = find(literal, ends[number] if found else 0)
        while at >= 0:
            number = bisect_right(ends, at, number)
            found.append(number)
            at = find(literal, ends[number])
        return found

    return hits


def _expression(pattern: str) -> PageSearch:
    hits = _expression_hits(pattern)

    def search(lines: JoinedLines[Any]) -> Sequence[int]:
        found = hits(lines.text, lines.ends)
        if not lines.spans:
            return found
        text, ends, numbers = lines.atoms
        with_tokens = [numbers[one] for one in hits(text, ends)]
        return sorted({*with_tokens, *set(found).difference(numbers)})

    return search


def _expression_hits(pattern: str) -> _Hits:
    match = _TEXT.fullmatch(pattern)
    if match is None:
        return within_page(pattern).lines
    at_beginning, quoted_text, at_end = match.groups()
    literal = re.sub(r"\\(.)", r"\1", quoted_text).encode()
    if at_beginning:
        return _beginning(literal + b"\n" if at_end else literal)
    return _end(literal) if at_end else _literal_hits(literal)


def _beginning(literal: bytes) -> _Hits:
    def hits(text: bytes, ends: Sequence[int]) -> list[int]:
        begins = text.startswith
        return [number for number, start in enumerate((0, *ends[:-1])) if begins(literal, start)]

    return hits


def _end(literal: bytes) -> _Hits:
    ending = literal + b"\n"
    size = len(ending)

    def hits(text: bytes, ends: Sequence[int]) -> list[int]:
        begins = text.startswith
        # A place before the text counts from its end, where there is less left of it than is looked for.
        return [number for number, end in enumerate(ends) if begins(ending, end - size)]

    return hits
