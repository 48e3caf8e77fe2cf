"""Narrowing by presets: what an approver can allow instead with one tick, and the proof that it is less."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from loglease.access.review_request import Narrowing
from loglease.model.access_request import AccessRequest
from loglease.model.errors import NarrowingEmpty
from loglease.model.instant import NANOSECONDS, EventWindow, Instant, duration_text, parse_duration
from loglease.model.offer import Terms
from loglease.model.review import checked_narrowing
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector, selector_text
from loglease.model.words import limits_in_words, plain, window_in_words

_HOUR_NS: Final = 3_600 * NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Presets:
    """What was ticked."""

    half_time: bool = False
    errors_only: bool = False
    no_live: bool = False
    last_hour: bool = False
    duration: str = ""
    selector: str = ""

    @property
    def any(self) -> bool:
        """Whether something is narrowed."""
        return self != Presets()


@dataclass(frozen=True, slots=True)
class Row:
    """One dimension, asked and allowed, in words."""

    name: str
    asked: str
    allowed: str

    @property
    def smaller(self) -> bool:
        """Whether the approver allows less; the whole comparison is proven before it is shown."""
        return self.asked != self.allowed


def narrowing_of(request: AccessRequest, presets: Presets, now: Instant) -> Narrowing | None:
    """Return the narrowing that the presets mean for this request; None if nothing is narrowed.

    Raises:
        DurationInvalid, ScopeInvalid, ScopeUndecidable: a typed value is wrong.
        NarrowingEmpty: the last hour, or the part before now, is outside what was asked.
    """
    if not presets.any:
        return None
    terms = request.terms
    duration_s = parse_duration(presets.duration.strip()) if presets.duration.strip() else None
    if presets.half_time:
        half = max(60, terms.duration_s // 2)
        duration_s = min(half, terms.duration_s, duration_s or half)
    scope = terms.scopes[0]
    level = scope.level_from
    if presets.errors_only and (level is None or level.rank < Level.ERROR.rank):
        level = Level.ERROR
    return Narrowing(
        selector=parse_selector(presets.selector) if presets.selector.strip() else None,
        window=_window(scope.window, presets, now),
        level_from=level,
        duration_s=duration_s,
    )


def _window(window: EventWindow, presets: Presets, now: Instant) -> EventWindow | None:
    if not (presets.no_live and window.live) and not presets.last_hour:
        return None
    now_ns = now * 1_000
    start, end = window.start_ns, window.end_ns
    if presets.last_hour:
        start = max(start, (now_ns if end is None else end) - _HOUR_NS)
    if presets.no_live and end is None:
        end = now_ns
    if end is not None and end <= start:
        raise NarrowingEmpty("Without live lines nothing is left.", next_step="Deny the request instead.")
    return EventWindow(start, end)


def allowed_terms(request: AccessRequest, narrowing: Narrowing | None) -> Terms:
    """Return what an approval with this narrowing would allow, proven to lie inside what was asked.

    Raises:
        NarrowingNotSubset, NarrowingEmpty: it is no narrowing.
    """
    if narrowing is None:
        return request.terms
    return checked_narrowing(request, narrowing.applied_to(request.terms))


def comparison(asked: Terms, allowed: Terms) -> list[Row]:
    """Return every dimension side by side."""
    pairs = list(zip(_dimensions(asked), _dimensions(allowed), strict=True))
    return [Row(name, before, after) for (name, before), (_, after) in pairs]


def _dimensions(terms: Terms) -> list[tuple[str, str]]:
    scope = terms.scopes[0]
    return [
        ("Streams", selector_text(scope.selector)),
        ("Level", "all lines" if scope.level_from is None else f"{scope.level_from} and above"),
        ("Events", window_in_words(scope.window)),
        ("Only lines with", ", ".join(plain(literal) for literal in scope.contains) or "no condition"),
        ("Masking", scope.profile or "as the offer says"),
        ("May be read for", duration_text(terms.duration_s)),
        ("Budget", limits_in_words(terms.limits) or "no limit"),
    ]


def presets_kept(presets: Presets, *, live: bool) -> Presets:
    """Return the presets that mean something for a request: without live lines there is no live to drop."""
    return presets if live else replace(presets, no_live=False)
