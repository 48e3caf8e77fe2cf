"""A scope: what may be read. Source, streams, event window, line rules and redaction profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from loglease.model.errors import InvalidField
from loglease.model.instant import EventWindow
from loglease.model.labels import Labels, Selector

MAX_LITERALS: Final = 8
MAX_LITERAL_BYTES: Final = 256


class Level(StrEnum):
    """Severities in ascending order; `unknown` ranks as `info`: a line without a level is neither lost nor loud."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"
    FATAL = "fatal"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Position in the order, 0 for `trace`."""
        return _RANKS[self]


_RANKS: Final = {level: rank for rank, level in enumerate(Level) if level is not Level.UNKNOWN} | {Level.UNKNOWN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be read: every condition must hold for a line to be covered.

    Attributes:
        source: name of a configured source; never an address.
        selector: which streams; one without keys means all streams and must be asked for in so many words.
        window: which event times.
        level_from: lowest level; None is every line.
        contains: literals that every line must hold, after redaction.
        profile: redaction profile as ``name@version``; None only while no offer has fixed it.

    Raises:
        InvalidField: a literal is empty or too long, or there are too many.
    """

    source: str
    selector: Selector
    window: EventWindow
    level_from: Level | None = None
    contains: tuple[str, ...] = ()
    profile: str | None = None

    def __post_init__(self) -> None:
        if len(self.contains) > MAX_LITERALS:
            raise InvalidField(f"A scope takes at most {MAX_LITERALS} literals.")
        for literal in self.contains:
            if not 0 < len(literal.encode()) <= MAX_LITERAL_BYTES or "⟦" in literal or "⟧" in literal:
                raise InvalidField(
                    f"A literal that lines must contain has 1 to {MAX_LITERAL_BYTES} bytes and no ⟦ or ⟧.",
                    next_step="Shorten it.",
                )

    @property
    def all_streams(self) -> bool:
        """Whether no label is constrained."""
        return not self.selector.matchers

    def admits_stream(self, labels: Labels) -> bool:
        """Say whether a stream is covered."""
        return self.selector.matches(labels)

    def admits_level(self, level: Level) -> bool:
        """Say whether a line of that level is covered."""
        return self.level_from is None or level.rank >= self.level_from.rank

    def contains_scope(self, other: Self) -> bool:
        """Say whether everything that `other` covers is covered here, profiles aside.

        Strictness of redaction profiles is the policy's knowledge, so it is compared there.
        """
        return self.source == other.source and self.selector.contains(other.selector) and self.contains_lines_of(other)

    def contains_lines_of(self, other: Self) -> bool:
        """Say whether event times, levels and texts that `other` covers are covered here, whatever the streams."""
        return (
            self.window.contains(other.window)
            and _level_contains(self.level_from, other.level_from)
            and all(any(ours in theirs for theirs in other.contains) for ours in self.contains)
        )

    def intersect(self, other: Self) -> Scope | None:
        """Return what both scopes cover, under our profile; None if that is nothing."""
        selector = self.selector.intersect(other.selector)
        window = self.window.intersect(other.window)
        if self.source != other.source or selector is None or window is None:
            return None
        level = _stricter_level(self.level_from, other.level_from)
        literals = tuple(sorted({*self.contains, *other.contains}))
        return replace(self, selector=selector, window=window, level_from=level, contains=literals)


def _level_contains(outer: Level | None, inner: Level | None) -> bool:
    return outer is None or outer.rank == 0 or (inner is not None and inner.rank >= outer.rank)


def _stricter_level(one: Level | None, other: Level | None) -> Level | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda level: level.rank)
