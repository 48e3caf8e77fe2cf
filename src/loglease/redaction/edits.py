"""Finds become edits, edits become text: merging, tokens, and the one place where bytes are replaced."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from loglease.redaction.confirm import Find
from loglease.redaction.errors import Withheld
from loglease.redaction.plugins import canonical_by
from loglease.redaction.profile import MASK, Treatment
from loglease.redaction.result import Kind, Span
from loglease.redaction.rules import Rule
from loglease.redaction.structured import quote_length
from loglease.redaction.tokens import Keys, canonical_of, mask_token, partial_token, pseudonym

_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_AFTER_NUMBER: Final = re.compile(rb"[ \t]*[,}\]]")
_AFTER_KEY: Final = re.compile(rb"(?P<quote>\\{0,7}\")[ \t]*:[ \t]*\Z")
_AFTER_CLOSING: Final = re.compile(rb"[ \t]*[:,\]}]")
_BACKSLASH: Final = 0x5C
_IN_ARRAY: Final = re.compile(rb"[\[,][ \t]*\Z")
CONTROL_RULE: Final = "control"


class Edit(NamedTuple):
    """One range of the input and what stands there afterwards."""

    start: int
    end: int
    text: bytes
    kind: Kind
    rule: str
    cls: str
    treatment: str


class Chosen(NamedTuple):
    """Overlapping finds as one: its range, the find that names it, the treatment."""

    start: int
    end: int
    find: Find
    treatment: Treatment


def merged(finds: list[Find], treatments: Mapping[str, Treatment]) -> Iterator[Chosen]:
    """Join overlapping finds. The most severe rule names the span, then the longest find, then the smaller id.

    Args:
        finds: in one line, at least one.
        treatments: by rule id.
    """
    if len(finds) == 1:  # most lines with a find have one
        find = finds[0]
        yield Chosen(find.start, find.end, find, treatments[find.rule.id])
        return
    finds.sort(key=lambda one: (one.start, -one.end))
    group = [finds[0]]
    end = finds[0].end
    for find in finds[1:]:
        if find.start >= end:
            yield _chosen(group, treatments)
            group, end = [], 0
        group.append(find)
        end = max(end, find.end)
    yield _chosen(group, treatments)


def _chosen(group: list[Find], treatments: Mapping[str, Treatment]) -> Chosen:
    named = group[0]
    start, end = named.start, named.end
    if len(group) == 1:
        return Chosen(start, end, named, treatments[named.rule.id])
    best = _rank(named)
    for find in group[1:]:
        end = max(end, find.end)
        if (rank := _rank(find)) < best:
            named, best = find, rank
    treatment = treatments[named.rule.id]
    for find in group:
        other = treatments[find.rule.id]
        if other.strength > treatment.strength:
            treatment = other
    if (named.start, named.end) != (start, end) and treatment.kind != "mask":
        treatment = MASK
    return Chosen(start, end, named, treatment)


def _rank(find: Find) -> tuple[int, int, str]:
    return -find.rule.severity, find.start - find.end, find.rule.id


def token_of(chosen: Chosen, keys: Keys | None) -> bytes:
    """Return what stands in the place of a find.

    Raises:
        Withheld: ``key_missing``, where a pseudonym is due and there is no key.
    """
    rule, treatment = chosen.find.rule, chosen.treatment
    if treatment.kind == "mask":
        return mask_token(rule.label)
    form = canonical(rule, chosen.find.value)
    if form is None:
        return mask_token(rule.label)
    if treatment.part is not None:
        return partial_token(rule.label, treatment.part, form)
    if keys is None:
        raise Withheld("key_missing", rule=rule.id)
    return pseudonym(form, cls=rule.cls, label=rule.label, key=keys.pseudonym).encode()


def canonical(rule: Rule, value: bytes) -> bytes | None:
    """Return the form in which equal values of a rule have equal bytes; None where a plug-in gives none."""
    return canonical_of(rule.cls, value) if rule.canonical is None else canonical_by(rule.canonical, value)


class TokenWriter:
    """Writes the tokens of one text, in which most values stand more than once."""

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys
        self._written: dict[tuple[str, bytes], bytes] = {}

    def token(self, chosen: Chosen) -> bytes:
        """Return what stands in the place of a find.

        Raises:
            Withheld: as `token_of`.
        """
        find = chosen.find
        if chosen.treatment.kind != "pseudonym":
            return token_of(chosen, self._keys)
        key = find.rule.id, find.value
        token = self._written.get(key)
        if token is None:
            token = self._written[key] = token_of(chosen, self._keys)
        return token


def quote_around(line: bytes, start: int, end: int) -> bytes:
    """Return the quote that a token needs where a bare JSON number stood, written as at its level of nesting."""
    if not 48 <= line[end - 1] < 58:  # noqa: PLR2004 - ASCII digits; nearly every other find ends here
        return b""
    if not _NUMBER.fullmatch(line, start, end) or not _AFTER_NUMBER.match(line, end):
        return b""
    before = line[max(0, start - 64) : start]
    key = _AFTER_KEY.search(before)
    if key:
        return key["quote"]
    return _quote_in_array(line, start) if _IN_ARRAY.search(before) else b""


def _quote_in_array(line: bytes, start: int) -> bytes:
    """Return the quote of a JSON array's own level: that of the text before, if it is one that closes."""
    last = line.rfind(b'"', 0, start)
    if last < 0:
        return b'"' if line[:1] == b"[" else b""
    if not _AFTER_CLOSING.match(line, last + 1, start):
        return b""
    first = last
    while first > 0 and line[first - 1] == _BACKSLASH:
        first -= 1
    return line[last + 1 - quote_length(last + 1 - first) : last + 1]


def checked(edits: Sequence[Edit], text: bytes) -> None:
    """Check that edits are sorted, disjoint, within the text and within lines.

    Raises:
        Withheld: ``rule_error``.
    """
    at = 0
    for edit in edits:
        if not at <= edit.start < edit.end <= len(text) or text.find(b"\n", edit.start, edit.end) >= 0:
            raise Withheld("rule_error", rule=edit.rule)
        at = edit.end


def combined(masks: list[Edit], controls: Sequence[tuple[int, int, bytes]]) -> list[Edit]:
    """Return masks and control edits in order; of a sequence that a mask cuts, the part before it is replaced."""
    if not controls:
        return masks
    starts = [mask.start for mask in masks]
    edits = list(masks)
    for start, stop, text in controls:
        place = bisect_right(starts, start)
        if place and masks[place - 1].end > start:
            continue
        end = min(stop, masks[place].start) if place < len(masks) else stop
        edits.append(Edit(start, end, text, "control", CONTROL_RULE, CONTROL_RULE, "neutralise"))
    edits.sort()
    return edits


def spliced(
    text: bytes, edits: Sequence[Edit], ends: Sequence[int] | None
) -> tuple[bytes, list[Span], Sequence[int] | None]:
    """Apply edits; return the text, its spans and where the entries end in it."""
    if not edits:
        return text, [], ends
    parts: list[bytes] = []
    spans: list[Span] = []
    moved: list[int] = []
    at = shift = first = 0
    for edit in edits:
        parts.append(text[at : edit.start])
        parts.append(edit.text)
        start = edit.start + shift
        spans.append(Span(start, start + len(edit.text), edit.kind, edit.rule, edit.cls, edit.treatment))
        if ends is not None:
            last = bisect_left(ends, edit.end, first)
            moved.extend(end + shift for end in ends[first:last])
            first = last
        shift += len(edit.text) - (edit.end - edit.start)
        at = edit.end
    parts.append(text[at:])
    if ends is not None:
        moved.extend(end + shift for end in ends[first:])
    return b"".join(parts), spans, None if ends is None else moved
