"""What the flags say that describe a wish, the same for every command that takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loglease.cli.errors import Usage
from loglease.cli.narrowing import level_of
from loglease.model.instant import NANOSECONDS, parse_duration, parse_event_time
from loglease.model.wish import WindowDraft

DEFAULT_LOOKBACK_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The flags that make a draft, as values; None was not given."""

    selector: str | None
    all_streams: bool
    source: str | None
    lookback_s: int | None
    from_ns: int | None
    to_ns: int | None
    live: bool
    level: str | None
    contains: tuple[str, ...]
    profile: str | None
    duration_s: int | None
    reason: str | None
    ticket: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    lines: int | None = None
    size: int | None = None

    @property
    def says_when(self) -> bool:
        """Whether any flag is about the event window."""
        return self.live or any(one is not None for one in (self.lookback_s, self.from_ns, self.to_ns))

    @property
    def window(self) -> WindowDraft:
        """The event window; the last hour and live where no flag is about it."""
        if not self.says_when:
            return WindowDraft(lookback_s=DEFAULT_LOOKBACK_S, live=True)
        if self.from_ns is None and self.to_ns is not None and self.lookback_s is not None:
            return WindowDraft(start_ns=self.to_ns - self.lookback_s * NANOSECONDS, end_ns=self.to_ns, live=self.live)
        return WindowDraft(start_ns=self.from_ns, end_ns=self.to_ns, lookback_s=self.lookback_s, live=self.live)


def asked_of(
    *,
    selector: str | None,
    all_streams: bool,
    source: str | None,
    window: str | None,
    from_: str | None,
    to: str | None,
    live: bool,
    level: str | None,
    contains: tuple[str, ...],
    profile: str | None,
    for_: str | None,
    reason: str | None,
    ticket: str | None,
    inputs: Sequence[str] = (),
    lines: int | None = None,
    size: int | None = None,
) -> Asked:
    """Read flags as people write them.

    Raises:
        Usage: there is no such level, or an input is no NAME=VALUE.
        DurationInvalid: a duration is none; Malformed: a time is none.
    """
    return Asked(
        selector=selector,
        all_streams=all_streams,
        source=source,
        lookback_s=None if window is None else parse_duration(window),
        from_ns=None if from_ is None else parse_event_time(from_),
        to_ns=None if to is None else parse_event_time(to),
        live=live,
        level=None if level is None else level_of(level),
        contains=contains,
        profile=profile,
        duration_s=None if for_ is None else parse_duration(for_),
        reason=reason,
        ticket=ticket,
        inputs=dict(map(_input, inputs)),
        lines=lines,
        size=size,
    )


def _input(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Usage(f"{text[:60]!r} is no input.", next_step="Write --input NAME=VALUE.")
    return name, value
