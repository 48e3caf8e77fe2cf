"""Treating fields: what the paths of a profile make of the finds in one structured line.

A path's treatment stands for all that was found inside its value, secrets excepted: those stay as strict as they are.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from loglease.redaction.confirm import Find
from loglease.redaction.decisions import (
    FIELD,
    MASKED,
    NUMBER_SHAPED,
    SCANNED,
    SECRET,
    Decision,
    Paths,
    is_below,
)
from loglease.redaction.field_values import FieldValue, fields_of
from loglease.redaction.rules import Rule

Ranges = frozenset[tuple[int, int]]


class Treated(NamedTuple):
    """The finds of a line.

    Attributes:
        bare: ranges of JSON values without quotes; a token in their place needs some.
    """

    finds: list[Find]
    bare: Ranges


def treated(finds: Iterable[Find], line: bytes, paths: Paths) -> Treated | None:
    """Return the finds of a line as paths want them; None if the line has to be masked whole.

    Args:
        finds: all that was found in it.
        line: without its LF.
    """
    fields = fields_of(line)
    if fields.deep or (paths.hides and not fields.whole):
        return None
    decided = [(value, decision) for value in fields.values if (decision := paths.of(value.path)) != SCANNED]
    inside: list[list[Find]] = [[] for _ in decided]
    kept: list[Find] = []
    starts = [value.start for value, _ in decided]
    for find in finds:
        place = bisect_right(starts, find.start) - 1
        if place >= 0 and find.end <= decided[place][0].end:
            inside[place].append(find)
        else:
            kept.append(find)
    for (value, decision), found in zip(decided, inside, strict=True):
        kept += _of_value(value, decision, found, line, paths)
    return Treated(kept, frozenset((value.start, value.end) for value in fields.values if value.bare))


def _of_value(value: FieldValue, decision: Decision, found: Sequence[Find], line: bytes, paths: Paths) -> list[Find]:
    start, end = value.start, value.end
    if decision.hidden:
        return [Find(start, end, MASKED, b"")]
    if decision.treatment is None:
        return [find for find in found if not is_below(find.rule.cls, NUMBER_SHAPED)]
    like = min(
        (find for find in found if (find.start, find.end) == (start, end)),
        key=lambda find: (-find.rule.severity, find.rule.id),
        default=None,
    )
    text = _unescaped(line[start:end]) if like is None else like.value
    whole = Find(start, end, paths.rule(decision.treatment, FIELD if like is None else like.rule), text)
    return [whole, *(find for find in found if not paths.alone or is_secret(find.rule))]


def is_secret(rule: Rule) -> bool:
    """Say whether a rule finds what no path may concede."""
    return is_below(rule.cls, SECRET)


def _unescaped(text: bytes) -> bytes:
    """Return a value as it reads, so that equal ones are equal however they are written."""
    if b"\\" in text:
        try:
            return str(json.loads(b'"%b"' % text, strict=False)).encode("utf-8", "replace")
        except ValueError:
            return text
    return text
