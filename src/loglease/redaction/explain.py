"""Why something was masked, and why something was not: for people who write rules. Slow, never on the way of a line.

Offsets here are those of the input, and a value may be asked for; both are for local commands alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from loglease.redaction.checkdigits import luhn
from loglease.redaction.confirm import KeyFinder, PatternMatcher
from loglease.redaction.disguises import View, escape_views, run_views
from loglease.redaction.edits import Edit
from loglease.redaction.plan import Active, Plan
from loglease.redaction.redactor import RedactionStream, Redactor
from loglease.redaction.result import Counters
from loglease.redaction.rules import KeyRule, PatternRule
from loglease.redaction.scanning import lines_hit

RAW: Final = "raw"
_VIEWS: Final = (
    ("percent", re.compile(rb"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})")),
    ("backslash", re.compile(rb"\\[uUx0-7nrt\"'/\\]")),
    ("entity", re.compile(rb"&#?[0-9A-Za-z]{1,31};?")),
    ("quoted-printable", re.compile(rb"=[0-9A-F]{2}")),
    ("terminal", re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")),
    ("characters", re.compile(rb"[\x80-\xff]")),
)
_HEX: Final = re.compile(rb"(?:0[xX])?[0-9A-Fa-f]+")
_NOT_DIGIT: Final = re.compile(rb"[^0-9]")


class Explanation(NamedTuple):
    """A span of the input, or a candidate that was turned down.

    Attributes:
        line: of the input, from 1.
        start: in bytes from the beginning of the line.
        end: the same, behind the last byte.
        kind: ``mask``, ``control`` or ``rejected``.
        treatment: empty for a rejected candidate.
        view: ``raw``, or which disguise was undone.
        reason: why it was turned down; empty for a span.
        value: the bytes of the input.
    """

    line: int
    start: int
    end: int
    kind: str
    rule: str
    cls: str
    treatment: str
    view: str
    reason: str
    value: bytes


class ExplainingStream(RedactionStream):
    """A stream that keeps why; `taken` gives it away once."""

    __slots__ = ("_found", "_line", "_tracers")

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(redactor)
        self._line = 1
        self._found: list[Explanation] = []
        self._tracers = _Tracers(redactor._plan)  # noqa: SLF001 - one room

    def taken(self) -> list[Explanation]:
        """Return what was found since the last call."""
        found, self._found = self._found, []
        return found

    def _edits(
        self, data: bytes, ends: Sequence[int] | None, counters: Counters, *, long_first: bool
    ) -> Sequence[Edit]:
        edits = super()._edits(data, ends, counters, long_first=long_first)
        self._found += self._tracers.explained(data, edits, self._line)
        self._line += data.count(b"\n")
        return edits


class _Tried(NamedTuple):
    """A candidate of one rule in one view, as a range of the line; without a reason it is a find."""

    start: int
    end: int
    active: Active
    view: str
    reason: str


class _Tracers:
    """The rules of a plan, each with a matcher that tells why it turns a candidate down."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tracers = {number: _tracer(one) for number, one in enumerate(plan.active)}
        # The scan leaves out what has no word before it, and here that is to be told.
        self._apart = [
            (number, re.compile(one.rule.tripwire.encode()))
            for number, one in enumerate(plan.active)
            if one.rule.scanned != one.rule.tripwire
        ]

    def explained(self, data: bytes, edits: Sequence[Edit], line: int) -> Iterator[Explanation]:
        """Yield what happened in some whole lines, in order."""
        text = data if data.endswith(b"\n") else data + b"\n"
        starts = [edit.start for edit in edits]
        hit = set(self._fired(text))
        hit |= {data.rfind(b"\n", 0, edit.start) + 1 for edit in edits}
        for start in sorted(hit):
            end = text.find(b"\n", start)
            here = edits[bisect_left(starts, start) : bisect_left(starts, end)]
            number = line + data.count(b"\n", 0, start)
            yield from self._line(data[start:end], here, start, number)

    def _line(self, content: bytes, edits: Sequence[Edit], offset: int, line: int) -> Iterator[Explanation]:
        tried = list(self._tried(content))
        found = [_span(edit, content, tried, offset, line) for edit in edits]
        told: set[tuple[int, int, str, str]] = set()
        for one in tried:
            rule = one.active.rule
            key = (one.start, one.end, rule.id, one.reason)
            covered = any(edit.start - offset <= one.start and one.end <= edit.end - offset for edit in edits)
            if one.reason and not covered and key not in told:
                told.add(key)
                value = content[one.start : one.end]
                found.append(
                    Explanation(
                        line, one.start, one.end, "rejected", rule.id, rule.cls, "", one.view, one.reason, value
                    )
                )
        yield from sorted(found)

    def _tried(self, content: bytes) -> Iterator[_Tried]:
        yield from self._in_view(content, None)
        views = escape_views(content) or []
        for view in views:
            yield from self._in_view(content, view)
        for view in _runs_of(content, views, every=self._plan.every_run):
            yield from self._in_view(content, view, is_run=True)

    def _fired(self, text: bytes) -> dict[int, set[int]]:
        """Return the tripwires that fire in some whole lines, by the lines' beginnings."""
        found = lines_hit(text + self._plan.canary, self._plan)
        fired = {start: set(line.rules) for start, line in found.items() if start < len(text)}
        for number, tripwire in self._apart:
            for match in tripwire.finditer(text):
                fired.setdefault(text.rfind(b"\n", 0, match.end() - 1) + 1, set()).add(number)
        return fired

    def _in_view(self, content: bytes, view: View | None, *, is_run: bool = False) -> Iterator[_Tried]:
        text = content if view is None else view.text
        for start, numbers in sorted(self._fired(text + b"\n").items()):
            for number in sorted(numbers):
                tracer = self._tracers.get(number)
                if tracer is None:
                    continue
                for first, last, reason in tracer.tried(text[start:].partition(b"\n")[0]):
                    place = (first + start, last + start)
                    raw = place if view is None else view.raw_range(*place)
                    name = RAW if view is None else _view_name(content, raw, is_run=is_run)
                    yield _Tried(*raw, self._plan.active[number], name, reason)


def _runs_of(content: bytes, views: Sequence[View], *, every: bool) -> Iterator[View]:
    yield from run_views(content, every=every)
    for view in views:
        yield from run_views(view.text, view, known=content, every=every)


def _view_name(content: bytes, raw: tuple[int, int], *, is_run: bool) -> str:
    """Return which disguise a find wore: one in it, else the first on its line."""
    shown = content[slice(*raw)]
    if is_run:
        return "hex" if _HEX.fullmatch(shown) else "base64"
    for text in (shown, content):
        for name, pattern in _VIEWS:
            if pattern.search(text):
                return name
    return "decoded"


def _span(edit: Edit, content: bytes, tried: Sequence[_Tried], offset: int, line: int) -> Explanation:
    start, end = edit.start - offset, edit.end - offset
    view = next(
        (
            one.view
            for one in tried
            if not one.reason and one.active.rule.id == edit.rule and one.start < end and start < one.end
        ),
        RAW,
    )
    value = content[start:end]
    return Explanation(line, start, end, edit.kind, edit.rule, edit.cls, edit.treatment, view, "", value)


class _PatternTracer(PatternMatcher):
    """Tells which part of a rule turned a match down."""

    def __init__(self, rule: PatternRule, *, trusted: bool) -> None:
        super().__init__(rule, trusted=trusted)
        self._turned_down: dict[int, tuple[int, int, str]] = {}

    def tried(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield finds and refused candidates of a line, of these one for each place where a match begins."""
        self._turned_down = {}
        finds = [(find.start, find.end, "") for find in self.finds(text, 0, len(text))]
        yield from finds
        for start, end, reason in self._turned_down.values():
            if not any(first < end and start < last for first, last, _ in finds):
                yield start, end, reason

    def _holds(self, text: bytes, start: int, end: int, begun: int) -> bool:
        holds = super()._holds(text, start, end, begun)
        if not holds:
            self._turned_down.setdefault(begun, (start, end, self._why(text, start, end, begun)))
        return holds

    def _why(self, text: bytes, start: int, end: int, begun: int) -> str:
        rule = self._rule
        for name, near, wanted in (("near", rule.near, True), ("not_near", rule.not_near, False)):
            if near is None:
                continue
            before = text[max(0, begun - near.within) : begun].lower()
            words = [word.decode("utf-8", "replace") for word in near.words if word in before]
            if wanted is not bool(words):
                return f"{name}: {f'{words[0]} stands before' if words else 'none of its words stands before'}"
        for name, check in zip(rule.checks, rule.validate, strict=True):
            if not check(text, start, end):
                return _in_words(name, text[start:end])
        return "it does not hold"


def _in_words(check: str, value: bytes) -> str:
    """Return which check refused a value, and, of those with a check number, whether that was it."""
    if check == "card":
        return f"card: {'issuer, length or what stands around' if luhn(_NOT_DIGIT.sub(b'', value)) else 'checksum'}"
    return check


class _KeyTracer(KeyFinder):
    """Tells why a value that a key names is left alone."""

    def tried(self, text: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield the values of a line, with the reason where one is not masked."""
        for start, end in self._matcher.values(text, 0, len(text), bool):
            yield start, end, "" if self.accepts(text[start:end]) else self._why(text[start:end])

    def _why(self, value: bytes) -> str:
        rule = self._rule
        if self.is_excepted(value):
            return "except"
        for name, check in zip(rule.checks, rule.validate, strict=True):
            if not check(value, 0, len(value)):
                return _in_words(name, value)
        return f"no {rule.value}"


def _tracer(one: Active) -> _PatternTracer | _KeyTracer | None:
    rule, matcher = one.rule, one.matcher
    if isinstance(rule, PatternRule) and isinstance(matcher, PatternMatcher):
        return _PatternTracer(rule, trusted=matcher.is_trusted)
    return _KeyTracer(rule) if isinstance(rule, KeyRule) else None
