"""One line filter over all lines of a page at once: which of them does it find something in?

A page is looked through as one text. No hit crosses the end of a line: literals have no line feed, and expressions are
compiled so that they match none, with ``^`` and ``$`` at the ends of lines. So a hit says of its line just what the
filter would say of the line alone. That does not hold for lines with tokens, which filters see as atoms, and for lines
with a line feed of their own: those are for the caller to look at alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from loglease.logql.expressions import within_page
from loglease.logql.joined import JoinedLines
from loglease.logql.syntax import FilterOp, LineFilter

PageSearch = Callable[[JoinedLines[Any]], set[int]]
"""Returns the numbers of the lines in which any operand of a filter is found, tokens and inner line feeds aside."""

_ONLY_ALONE = re.compile(r"\\[AzQ]|\(\?[imsU]*-")
"""Parts of expressions that may mean another thing in a page: ends of the text, quoting, flags that are taken away."""


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
    return lambda lines: set().union(*(search(lines) for search in searches))


def _literal(literal: bytes) -> PageSearch:
    def hits(lines: JoinedLines[Any]) -> Iterator[int]:
        find, ends = lines.text.find, lines.ends
        at = find(literal)
        number = 0
        while at >= 0:
            number = bisect_right(ends, at, number)
            yield number
            at = find(literal, ends[number])

    return lambda lines: set(hits(lines))


def _expression(pattern: str) -> PageSearch:
    finditer = within_page(pattern).finditer

    def search(lines: JoinedLines[Any]) -> set[int]:
        found = {lines.number_at(match.span()[0]) for match in finditer(lines.text)}
        found.discard(len(lines.ends))
        return found

    return search
