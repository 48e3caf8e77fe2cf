"""Confirm: the exact rule on one line, where a tripwire fired. One meaning for all engines.

Offsets are tried from left to right. A match that satisfies validators and context is a find, and the search goes on
behind it; one that fails is dropped and the search goes on at the next offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from loglease.redaction.blocks import key_line
from loglease.redaction.engine.re2_engine import linear
from loglease.redaction.kept import text_against, text_before
from loglease.redaction.patterns import shape_of
from loglease.redaction.rules import DetectorRule, KeyRule, Near, PatternRule, Rule
from loglease.redaction.shortcuts import is_folding, lowered, pivot_of, possessive
from loglease.redaction.structured import KeyMatcher

# Which run a byte belongs to: of digits, capitals or small letters; 0 is none.
_RUNS: Final = bytes(
    1 if 48 <= byte < 58 else 2 if 65 <= byte < 91 else 3 if 97 <= byte < 123 else 0  # noqa: PLR2004 - ASCII ranges
    for byte in range(256)
)

_NUMBER: Final = re.compile(rb"[ -]?[0-9][0-9 -]{0,63}")


class Find(NamedTuple):
    """A value found: where in a line, by which rule, and how it reads there or in the view that showed it."""

    start: int
    end: int
    rule: Rule
    value: bytes


class Matcher(Protocol):
    """A rule ready to be tried on a line."""

    def finds(self, text: bytes, low: int, high: int) -> Sequence[Find]:
        """Return every find in one line without its line end.

        Args:
            text: the line.
            low: no match begins before.
            high: no match begins here or behind.
        """
        ...


class PatternMatcher:
    """A `PatternRule` compiled: ours in `re`, all others in RE2, whose time is linear whatever the pattern."""

    def __init__(self, rule: PatternRule, *, trusted: bool) -> None:
        self._rule = rule
        # Searched for in lower-case text: `re` skips what cannot begin a match far faster than where it ignores case.
        self._folds = trusted and is_folding(rule.pattern)
        self._pattern = _compiled(lowered(rule.pattern) if self._folds else rule.pattern, trusted=trusted)
        # By number, which both libraries take.
        self._group = re.compile(rule.pattern).groupindex[rule.mask] if rule.mask else 0
        shape = shape_of(rule.pattern)
        self._shortest = shape.shortest
        # Where a search can stop: behind the longest match and the one byte that tells whether a word ends there.
        self._reach = shape.longest + 1
        self._pivot = pivot_of(rule.pattern) if trusted and not self._folds else None
        self._near = None if rule.near is None else _context_of(rule.near)
        self._extend = re.compile(rule.extend.encode() + b"+") if rule.extend else None
        # The validators of our own rules accept no end inside a run, so that those ends need not be tried.
        self.is_trusted = trusted

    def finds(self, text: bytes, low: int, high: int) -> Sequence[Find]:
        """Return every find in one line."""
        rule, search, at, stop = self._rule, self._pattern.search, low, high + self._reach
        finds = []
        folded = text.lower() if self._folds else text
        while True:
            if self._pivot is not None:
                at = _from_pivot(text, at, self._pivot)
            if at >= high or (found := search(folded, at, stop)) is None:
                break
            begun: int = found.start()
            if begun >= high:
                break
            at = begun + 1
            accepted = self._any_length(text, folded, found) if rule.all_lengths else self._one_length(text, found)
            if accepted is None:
                continue
            start, end = accepted
            if end > start:
                finds.append(Find(start, end, rule, text[start:end]))
            # The search goes on behind what is replaced, not behind the match: one separator may stand between two.
            at = max(at, end)
        return finds

    def _one_length(self, text: bytes, found: Any) -> tuple[int, int] | None:
        """Return the range to replace, or None."""
        start, end = found.span(self._group)
        if start < 0 or not self._holds(text, start, end, found.start()):
            return None
        if self._extend is not None and end == found.end() and (more := self._extend.match(text, end)):
            return start, more.end()
        return start, end

    def _any_length(self, text: bytes, folded: bytes, found: Any) -> tuple[int, int] | None:
        begun, longest = found.span()
        shortest = begun + self._shortest
        if self.is_trusted and text[begun:longest].isdigit():
            shortest = longest  # every other end is inside the run
        for end in range(longest, shortest - 1, -1):
            if self.is_trusted and _is_inside_run(text, end):
                continue
            matched = found if end == longest else self._pattern.fullmatch(folded, begun, end)
            if not matched:
                continue
            start, stop = matched.span(self._group)
            if self._holds(text, start, stop, begun):
                return start, stop
        return None

    def _holds(self, text: bytes, start: int, end: int, begun: int) -> bool:
        rule = self._rule
        if self._near is not None and not self._near(text, begun):
            return False
        if rule.not_near is not None and _stands(rule.not_near, text, begun, text_against):
            return False
        for check in rule.validate:  # noqa: SIM110 - a generator for one or two checks costs more than they do
            if not check(text, start, end):
                return False
        return True


def _from_pivot(text: bytes, at: int, pivot: tuple[bytes, bytes]) -> int:
    """Return where a match can begin at the earliest: `re` would try every offset before."""
    byte, before = pivot
    place = text.find(byte, at)
    if place < 0:
        return len(text)
    return at + len(text[at:place].rstrip(before))


def _is_inside_run(text: bytes, at: int) -> bool:
    return at < len(text) and _RUNS[text[at - 1]] != 0 and _RUNS[text[at - 1]] == _RUNS[text[at]]


_MANY_WORDS: Final = 16
_HEAD: Final = 4


def _context_of(near: Near) -> Callable[[bytes, int], bool]:
    """Return what tells whether a word stands before a place; many words are looked up by their first four bytes."""
    if len(near.words) <= _MANY_WORDS or min(map(len, near.words)) < _HEAD:
        return partial(_stands, near)
    by_head: dict[bytes, list[bytes]] = {}
    for word in near.words:
        by_head.setdefault(word[:_HEAD], []).append(word)
    heads = frozenset(tuple(head) for head in by_head)

    def stands(text: bytes, at: int) -> bool:
        around = text_before(text, at, near.within)
        if heads.isdisjoint(zip(around, around[1:], around[2:], around[3:], strict=False)):
            return False
        for place in range(len(around) - _HEAD + 1):
            for word in by_head.get(around[place : place + _HEAD], ()):
                if around.startswith(word, place):
                    return True
        return False

    return stands


def _stands(near: Near, text: bytes, at: int, before: Callable[[bytes, int, int], bytes] = text_before) -> bool:
    around = before(text, at, near.within)
    for word in near.words:  # noqa: SIM110 - a generator costs more than a few words do
        if word in around:
            return True
    return False


def _compiled(pattern: str, *, trusted: bool) -> Any:
    compiled = None if trusted else linear(pattern)
    return re.compile(possessive(pattern).encode(), re.DOTALL) if compiled is None else compiled


def matcher_of(rule: Rule, *, trusted: bool) -> Matcher | None:
    """Return the matcher of a rule; block rules have none, since they need the stream's state."""
    if isinstance(rule, PatternRule):
        return PatternMatcher(rule, trusted=trusted)
    if isinstance(rule, KeyRule):
        return KeyFinder(rule)
    if isinstance(rule, DetectorRule):
        return DetectorMatcher(rule)
    return None


class DetectorMatcher:
    """A `DetectorRule`: asks its plug-in about each line."""

    def __init__(self, rule: DetectorRule) -> None:
        self._rule = rule

    def finds(self, text: bytes, _low: int, _high: int) -> Sequence[Find]:
        """Return what the plug-in finds in the line; a line on which it fails is a find as a whole."""
        rule, size = self._rule, len(text)
        try:
            found = [(int(start), int(end)) for start, end, cls in rule.detector(text) if rule.takes(cls)]
            if any(not 0 <= start <= end <= size for start, end in found):
                found = [(0, size)]
        except Exception:  # noqa: BLE001 - foreign code; a line that it cannot judge is masked whole
            found = [(0, size)]
        return [Find(start, end, rule, text[start:end]) for start, end in found if start < end]


class KeyLineMatcher:
    """The rule for lines of a key whose beginning was not read."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def finds(self, text: bytes, _low: int, _high: int) -> Sequence[Find]:
        """Return the line's last field if it looks like a line of a key."""
        found = key_line(text)
        return [] if found is None else [Find(*found, self._rule, text[found[0] : found[1]])]


class KeyFinder:
    """A `KeyRule` compiled."""

    def __init__(self, rule: KeyRule) -> None:
        self._rule = rule
        self._matcher = KeyMatcher(rule.keys)

    def names(self, key: bytes) -> bool:
        """Tell whether the rule's keys name a label or field."""
        return self._matcher.names(key)

    def is_excepted(self, value: bytes) -> bool:
        """Tell whether a value is one that the rule leaves alone by name."""
        plain = value.strip().lower()
        return plain in self._rule.excepted or plain.rstrip(b")]}>") in self._rule.excepted

    def accepts(self, value: bytes) -> bool:
        """Tell whether a value that the key names is one to mask."""
        rule = self._rule
        if self.is_excepted(value):
            return False
        if rule.value == "number" and not _NUMBER.fullmatch(value):
            return False
        if rule.value == "word" and (b" " in value or b"\t" in value):
            return False
        size = len(value)
        for check in rule.validate:  # noqa: SIM110 - a generator for one or two checks costs more than they do
            if not check(value, 0, size):
                return False
        return True

    def finds(self, text: bytes, low: int, high: int) -> Sequence[Find]:
        """Return every value in one line that a key of the rule names."""
        rule = self._rule
        return [
            Find(start, end, rule, text[start:end])
            for start, end in self._matcher.values(text, low, high, self._is_masked)
        ]

    def _is_masked(self, value: bytes) -> bool:
        return bool(value) and self.accepts(value)
