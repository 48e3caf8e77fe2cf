"""From a query and a scope to what is read: never more than the scope, and no user text.

What the query says of labels is pushed to the source only where that cannot lose a line that would match after
redaction; all of it is evaluated again on redacted labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.access.errors import NotPermitted
from loglease.gateway.errors import QueryInvalid
from loglease.logql import LabelTest, LogQuery, ParseError, Query, Streams, parse, required_literals
from loglease.model.errors import ScopeInvalid, ScopeUndecidable
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector, selector_text
from loglease.sources.interface import Capabilities

# Characters that redaction puts into a text: a value with one of them may be a changed one.
_REDACTED_MARKS: Final = frozenset("⟦⟧\ufffd") | {chr(code) for code in range(0x2400, 0x2440)}
_LITERAL_BYTES: Final = range(3, 257)


def parsed(text: str) -> Query:
    """Read a query.

    Raises:
        QueryInvalid: it is none; with line, column and caret.
    """
    try:
        return parse(text)
    except ParseError as error:
        raise QueryInvalid(
            f"{error.message}\n{error.caret}", next_step='Write it like {service="pay-api"} |= "timeout".'
        ) from error


def planned(query: LogQuery, scope: Scope) -> Selector:
    """Return the streams to ask a source for: inside the scope, and as far as that is safe inside the query.

    Raises:
        NotPermitted: no stream can be in both; made from query and grant alone, so it tells nothing of the data.
    """
    selector = scope.selector
    for test in query.selector:
        if _REDACTED_MARKS & set(test.value):
            continue
        inside = selector.matcher(test.name)
        if inside is not None and not _may_overlap(test, inside):
            raise _outside(test, scope)
        pushed = _pushed(test)
        if pushed is None:
            continue
        both = selector.intersect(pushed)
        if both is None:
            raise _outside(test, scope)
        selector = both
    return selector


def pushed_literals(query: LogQuery, can: Capabilities, block_marks: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return texts that a source may look for, since no line without them can be in the answer.

    They lie outside of masks in the redacted line, hence in the raw one, too. Which lines are masked as part of a block
    of several lines is another matter: whoever reads with these has to see to `block_marks` (`prefilter`).

    Args:
        can: what the source does itself.
        block_marks: of the grant's profiles.
    """
    if not can.exact_literal or (block_marks and not can.marks):
        return ()
    return tuple(text.encode() for text in required_literals(query.stages, _may_be_pushed))


def _may_be_pushed(text: str) -> bool:
    return len(text.encode("utf-8", "surrogatepass")) in _LITERAL_BYTES and not _REDACTED_MARKS & set(text)


def _may_overlap(test: LabelTest, inside: Matcher) -> bool:
    """Say whether a value that the scope allows can pass; what cannot be decided is yes."""
    if inside.prefixes or inside.any_value:
        named = _matcher(test)
        if test.op.positive or named is None:
            return named is None or inside.intersect(named) is not None
        return True
    one = Streams((test,))
    return any(one.selects({test.name: value}) for value in inside.exact)


def _pushed(test: LabelTest) -> Selector | None:
    matcher = _matcher(test) if test.op.positive and test.value else None
    return None if matcher is None else selector_of({test.name: matcher})


def _matcher(test: LabelTest) -> Matcher | None:
    """Return a matcher of the scope algebra that says the same, or None where there is none."""
    if not test.value:
        return None
    if test.op == "=":
        return matcher_of(exact=(test.value,))
    quoted = test.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    try:
        return parse_selector(f'{{{test.name}{test.op}"{quoted}"}}').matcher(test.name)
    except (ScopeInvalid, ScopeUndecidable):
        return None


def _outside(test: LabelTest, scope: Scope) -> NotPermitted:
    inside = scope.selector.matcher(test.name)
    covered = "all streams" if inside is None else selector_text(selector_of({test.name: inside}))[1:-1]
    return NotPermitted(
        f"the query asks for {test.name}{test.op}{test.value}, the grant covers {covered.replace(chr(34), '')}",
        rule="scope of the grant",
        next_step="Ask within the scope, or request another one: loglease request --help",
    )
