"""A wish before it has its time: `--window 2h` counts back from the moment of the decision, not of typing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loglease.model.access_request import Wish
from loglease.model.errors import ScopeInvalid, WindowInvalid
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.scope import Level, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDraft:
    """An event window as people ask for it.

    Attributes:
        lookback_s: counted back from submit; excludes `start_ns`.
        live: from the start until the grant ends; excludes `end_ns`.
    """

    start_ns: int | None = None
    end_ns: int | None = None
    lookback_s: int | None = None
    live: bool = False

    def at(self, now: Instant) -> EventWindow:
        """Return the window as of `now`.

        Raises:
            WindowInvalid: it is empty, contradicts itself, or says nothing.
        """
        now_ns = now * 1_000
        if self.start_ns is not None and self.lookback_s is not None:
            raise WindowInvalid("The event window has two starts.", next_step="Give --from or --window, not both.")
        if self.live and self.end_ns is not None:
            raise WindowInvalid("A live window has no end.", next_step="Give --live or --to, not both.")
        if self.start_ns is None and self.lookback_s is None and not self.live:
            raise WindowInvalid("The event window has no start.", next_step="Say --window 1h, --from or --live.")
        start_ns = self.start_ns if self.start_ns is not None else now_ns - (self.lookback_s or 0) * NANOSECONDS
        if self.live:
            return EventWindow(start_ns, None)
        return EventWindow(start_ns, now_ns if self.end_ns is None else self.end_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class WishDraft:
    """What somebody asks for.

    `all_streams` has to be said in so many words; an empty selector alone is refused. So has `break_glass`.
    """

    source: str
    selector: Selector
    window: WindowDraft
    reason: str
    all_streams: bool = False
    level_from: Level | None = None
    contains: tuple[str, ...] = ()
    profile: str | None = None
    ticket: str | None = None
    duration_s: int | None = None
    limits: Limits = Limits()
    break_glass: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)

    def at(self, now: Instant) -> Wish:
        """Return the wish as of `now`.

        Raises:
            ScopeInvalid: an empty selector without `all_streams`, or one beside it.
            WindowInvalid: see `WindowDraft.at`.
        """
        if not self.selector.matchers and not self.all_streams:
            raise ScopeInvalid(
                "The selector constrains nothing.", next_step="Name labels, or ask for --all-streams in so many words."
            )
        if self.selector.matchers and self.all_streams:
            raise ScopeInvalid("All streams, but with a selector?", next_step="Leave one of the two out.")
        scope = Scope(
            source=self.source,
            selector=self.selector,
            window=self.window.at(now),
            level_from=self.level_from,
            contains=self.contains,
            profile=self.profile,
        )
        return Wish(
            scopes=(scope,),
            reason=self.reason,
            ticket=self.ticket,
            duration_s=self.duration_s,
            limits=self.limits,
            break_glass=self.break_glass,
            inputs=self.inputs,
        )
