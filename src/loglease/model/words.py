"""A scope as one English sentence, the same at every door: level, streams, window, rules, profile, limits."""

from __future__ import annotations

import unicodedata
from typing import Final

from loglease.model.instant import EventWindow, duration_text, event_time_text
from loglease.model.labels import Matcher, Selector
from loglease.model.limits import Limits
from loglease.model.reveal import Reveal
from loglease.model.scope import Scope

_SHOWN_VALUES: Final = 6
_FIRST: Final = {"service": 0, "app": 0, "job": 1}
_MIB: Final = 1 << 20
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def scope_in_words(scope: Scope, limits: Limits | None = None, duration_s: int | None = None) -> str:
    """Describe what would be read; the sentence holds no line breaks and no invisible characters.

    Example: ``warn and above of service pay-api in env prod from files, events 08:52:00 to 09:52:00 UTC on 2026-11-23,
    masked by pii-default@1, for 30m, at most 200,000 lines or 256 MiB``.
    """
    parts = [
        f"{_level_words(scope)} of {_stream_words(scope.selector)} from {plain(scope.source)}",
        window_in_words(scope.window),
    ]
    if scope.contains:
        parts.append("only lines with " + " and ".join(f'"{plain(literal)}"' for literal in scope.contains))
    parts.append(_profile_words(scope.profile))
    if duration_s is not None:
        parts.append(f"for {duration_text(duration_s)}")
    if limits is not None and (words := limits_in_words(limits)):
        parts.append(words)
    return ", ".join(parts)


def reveal_in_words(reveal: Reveal) -> str:
    """Describe the one value that would be shown.

    Example: ``ONE VALUE of class pii.email, once: what stands behind ⟦email:q3f7k2p9xa⟧, token 2 of the line of
    2026-11-23 09:12:31.000000000 UTC of service pay-api from files, as it was served under grt_01JDC91T7K…``.
    """
    labels = sorted(reveal.labels, key=lambda pair: (_FIRST.get(pair[0], 2), pair[0]))
    stream = " in ".join(f"{plain(name)} {plain(value)}" for name, value in labels) or "a stream without labels"
    time = event_time_text(reveal.event_ns)[:29].replace("T", " ")
    return (
        f"ONE VALUE of class {reveal.cls}, once: what stands behind {plain(reveal.token)}, token {reveal.span} of the "
        f"line of {time} UTC of {stream} from {plain(reveal.source)}, as it was served under {reveal.grant}"
    )


def window_in_words(window: EventWindow) -> str:
    """Describe an event window in UTC."""
    start = _time_words(window.start_ns)
    if window.end_ns is None:
        return f"events from {start} on, live until the grant ends"
    end = _time_words(window.end_ns)
    if end[:10] == start[:10]:
        return f"events {start[11:]} to {end[11:]} UTC on {start[:10]}"
    return f"events {start} to {end} UTC"


def limits_in_words(limits: Limits) -> str:
    """Describe budgets; empty if there are none."""
    sizes = []
    if limits.lines is not None:
        sizes.append(f"{limits.lines:,} lines")
    if limits.bytes is not None:
        sizes.append(f"{limits.bytes / _MIB:,.0f} MiB" if limits.bytes >= _MIB else f"{limits.bytes:,} bytes")
    words = f"at most {' or '.join(sizes)}" if sizes else ""
    if limits.subjects is None:
        return words
    people = f"at most {limits.subjects:,} data subject{'' if limits.subjects == 1 else 's'}"
    return f"{words} of {people}" if words else people


def plain(text: str) -> str:
    """Make foreign text safe inside a sentence: control, format and unassigned characters become visible escapes."""
    return "".join(
        f"\\u{{{ord(character):x}}}" if unicodedata.category(character) in _INVISIBLE else character
        for character in text
    )


def _time_words(event_ns: int) -> str:
    return event_time_text(event_ns)[:19].replace("T", " ")


def _level_words(scope: Scope) -> str:
    return "all lines" if scope.level_from is None else f"{scope.level_from} and above"


def _profile_words(profile: str | None) -> str:
    if profile is None:
        return "masked as the offer says"
    return "NOT MASKED" if profile.partition("@")[0] == "raw" else f"masked by {plain(profile)}"


def _stream_words(selector: Selector) -> str:
    if not selector.matchers:
        return "ALL STREAMS"
    return " in ".join(f"{key} {_matcher_words(matcher)}" for key, matcher in _named_first(selector))


def _named_first(selector: Selector) -> list[tuple[str, Matcher]]:
    """Put what names a service before where it runs, as people say it."""
    return sorted(selector.matchers, key=lambda item: (_FIRST.get(item[0], 2), item[0]))


def _matcher_words(matcher: Matcher) -> str:
    values = [*sorted(matcher.exact), *(f"{prefix}…" for prefix in sorted(matcher.prefixes))]
    words = "any" if matcher.any_value else _list_words([plain(value) for value in values], "or")
    left_out = [*sorted(matcher.except_exact), *(f"{prefix}…" for prefix in sorted(matcher.except_prefixes))]
    if left_out:
        words += f" but not {_list_words([plain(value) for value in left_out], 'nor')}"
    return words


def _list_words(values: list[str], joint: str) -> str:
    if len(values) > _SHOWN_VALUES:
        return f"{', '.join(values[:_SHOWN_VALUES])} and {len(values) - _SHOWN_VALUES} more"
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} {joint} {values[-1]}"
