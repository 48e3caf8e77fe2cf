"""Which texts a line must hold to get through a query. Says too little rather than too much: in doubt, none.

An expression is read only as far as its meaning is beyond doubt: runs of plain characters at its outermost level, each
of which every match has to contain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Final

from loglease.logql.syntax import (
    Address,
    Drop,
    FilterOp,
    JsonParser,
    Keep,
    LabelFilterStage,
    LabelFormat,
    LineFilter,
    LogfmtParser,
    PatternParser,
    RegexpParser,
    Stage,
)

_KEEPS_LINE: Final = (
    LineFilter,
    LabelFilterStage,
    JsonParser,
    LogfmtParser,
    RegexpParser,
    PatternParser,
    LabelFormat,
    Drop,
    Keep,
)
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]", re.DOTALL)
_PLAIN_GROUP: Final = re.compile(r"\((?:\?(?::|P?<\w+>))?")
_ESCAPE: Final = re.compile(r"\\(?:(?P<sign>[!-/:-@\[-^`{-~])|[dDwWsSbBAzafnrtv])")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")
_LIKE_REPEAT: Final = re.compile(r"[*+?]|\{[\d,\s]*\}")


class _Doubt(Exception):
    """The expression holds something that is not understood for certain."""


def required_literals(stages: Sequence[Stage], is_usable: Callable[[str], bool]) -> tuple[str, ...]:
    """Return texts that every line holds which passes, as it was before all stages and outside of masks.

    Only positive filters with one operand count, and only those before the first stage that changes the line; of an
    expression only the longest usable text.
    """
    found: dict[str, None] = {}
    for stage in takewhile(lambda stage: isinstance(stage, _KEEPS_LINE), stages):
        if not isinstance(stage, LineFilter) or len(stage.operands) != 1:
            continue
        usable = [text for text in _demanded(stage.op, stage.operands[0]) if is_usable(text)]
        if usable:
            found[max(usable, key=len)] = None
    return tuple(found)


def _demanded(op: FilterOp, operand: str | Address) -> tuple[str, ...]:
    if not isinstance(operand, str):
        return ()
    match op:
        case FilterOp.HOLDS:
            return (operand,)
        case FilterOp.MATCHES:
            return parts_of_matches(operand)
    return ()


def parts_of_matches(pattern: str) -> tuple[str, ...]:
    """Return texts that stand in every text in which this expression of RE2 is found; none where that is in doubt."""
    try:
        return tuple("".join(run) for run in _runs(pattern) if run)
    except _Doubt:
        return ()


def _runs(pattern: str) -> Iterator[list[str]]:
    """Yield the runs of plain characters at the outermost level.

    Raises:
        _Doubt: there is an alternative at that level, a flag, or something that is not understood.
    """
    run: list[str] = []
    at = 0
    while at < len(pattern):
        letter, end = _atom(pattern, at)
        if letter is not None:
            run.append(letter)
        elif run:
            yield run
            run = []
        at = end
        repeat = _REPEAT.match(pattern, at)
        if repeat is None:
            continue
        if letter is not None and repeat.group()[0] != "+":
            run.pop()
        if run:
            yield run
            run = []
        at = repeat.end()
    if run:
        yield run


def _atom(pattern: str, at: int) -> tuple[str | None, int]:
    """Return the character that an expression demands next, None for anything else, and where what follows begins."""
    if _LIKE_REPEAT.match(pattern, at):
        raise _Doubt
    letter = pattern[at]
    match letter:
        case "\\":
            escape = _ESCAPE.match(pattern, at)
            if escape is None:
                raise _Doubt
            return escape["sign"], escape.end()
        case "[":
            return None, _class_end(pattern, at)
        case "(":
            return None, _group_end(pattern, at)
        case "." | "^" | "$":
            return None, at + 1
        case "|" | ")":
            raise _Doubt
    return letter, at + 1


def _class_end(pattern: str, at: int) -> int:
    found = _CLASS.match(pattern, at)
    if found is None:
        raise _Doubt
    return found.end()


def _group_end(pattern: str, at: int) -> int:
    """Return the place behind a group; nothing of what it holds is understood, but for where it ends."""
    depth = 0
    while at < len(pattern):
        match pattern[at]:
            case "(":
                opened = _PLAIN_GROUP.match(pattern, at)
                if opened is None or (opened.group() == "(" and pattern.startswith("?", opened.end())):
                    raise _Doubt
                depth += 1
                at = opened.end()
            case ")":
                depth -= 1
                at += 1
                if not depth:
                    return at
            case "[":
                at = _class_end(pattern, at)
            case "\\":
                escape = _ESCAPE.match(pattern, at)
                if escape is None:
                    raise _Doubt
                at = escape.end()
            case _:
                at += 1
    raise _Doubt
