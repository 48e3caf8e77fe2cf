"""The request form: what was typed, kept as it was typed, and the wish that it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import ImmutableMultiDict

from loglease.model.access_request import AccessRequest, Wish
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError, ScopeInvalid
from loglease.model.instant import NANOSECONDS, duration_text, event_time_text, parse_duration, parse_event_time
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of
from loglease.model.limits import Limits
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector, selector_text
from loglease.model.wish import WindowDraft, WishDraft
from loglease.policy.ask_documents import MAX_INPUT, MAX_INPUTS
from loglease.policy.documents import InputRule
from loglease.policy.trace import Decision, StepName
from loglease.server.api.conversions import LabelNotRequestable
from loglease.sources.registry import Source

WINDOWS: Final = ("15m", "1h", "6h", "24h")
CUSTOM: Final = "custom"
MAX_TYPED: Final = 8_192
Value = TypeVar("Value")
_MINUTE_NS: Final = 60 * NANOSECONDS
_LABEL: Final = "label."
_INPUT: Final = "input."
_TEXTS: Final = frozenset(
    {
        "source",
        "selector",
        "window",
        "from_time",
        "to_time",
        "level",
        "contains",
        "reason",
        "ticket",
        "duration",
        "profile",
        "limit_lines",
    }
)


_TICKS: Final = ("all_streams", "live", "break_glass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What somebody typed, field by field."""

    source: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    selector: str = ""
    all_streams: bool = False
    window: str = "1h"
    from_time: str = ""
    to_time: str = ""
    live: bool = False
    break_glass: bool = False
    level: str = ""
    contains: str = ""
    reason: str = ""
    ticket: str = ""
    duration: str = ""
    profile: str = ""
    limit_lines: str = ""


def typed_of(fields: ImmutableMultiDict[str, str]) -> Typed:
    """Read the fields of a form or a link; unknown ones are left alone, and nothing is checked here."""
    texts: dict[str, str] = {}
    labels: dict[str, str] = {}
    inputs: dict[str, str] = {}
    ticked: set[str] = set()
    for name, value in fields.multi_items():
        text = value[:MAX_TYPED]
        if name.startswith(_LABEL):
            labels[name.removeprefix(_LABEL)] = text
        elif name.startswith(_INPUT):
            inputs[name.removeprefix(_INPUT)] = text
        elif name in _TEXTS:
            texts[name] = text
        elif name in _TICKS and text:
            ticked.add(name)
    return Typed(labels=labels, inputs=inputs, **{name: name in ticked for name in _TICKS}, **texts)  # type: ignore[arg-type]


def typed_like(request: AccessRequest) -> Typed:
    """Return the form that would ask for the same again, with the event window counted back from now."""
    scope = request.wish.scopes[0]
    span_s = ((scope.window.end_ns or request.submitted_at * 1_000) - scope.window.start_ns) // 1_000_000_000
    fits = next((text for text in WINDOWS if parse_duration(text) >= span_s - 1), None)
    typed = Typed(
        source=scope.source,
        selector="" if scope.all_streams else selector_text(scope.selector),
        all_streams=scope.all_streams,
        window=fits or CUSTOM,
        live=scope.window.live,
        level=scope.level_from or "",
        contains="\n".join(scope.contains),
        reason=request.wish.reason,
        ticket=request.wish.ticket or "",
        inputs=request.wish.inputs,
        duration=duration_text(request.wish.duration_s) if request.wish.duration_s else "",
        profile=scope.profile or "",
    )
    if fits is not None:
        return typed
    end = "" if scope.window.end_ns is None else _minute_text(scope.window.end_ns)
    return replace(typed, from_time=_minute_text(scope.window.start_ns), to_time=end)


def link_of(wish: Wish) -> str:
    """Return the address of the form that is filled in with a wish; its window starts at a whole minute inside."""
    scope = wish.scopes[0]
    start_ns = -(-scope.window.start_ns // _MINUTE_NS) * _MINUTE_NS
    fields = {
        "source": scope.source,
        "selector": "" if scope.all_streams else selector_text(scope.selector),
        "all_streams": "1" if scope.all_streams else "",
        "window": CUSTOM,
        "from_time": _minute_text(start_ns),
        "to_time": "" if scope.window.end_ns is None else event_time_text(scope.window.end_ns)[:19],
        "live": "1" if scope.window.live else "",
        "level": scope.level_from or "",
        "contains": "\n".join(scope.contains),
        "profile": scope.profile or "",
        "reason": wish.reason,
        "ticket": wish.ticket or "",
        "duration": duration_text(wish.duration_s) if wish.duration_s else "",
    }
    fields |= {f"{_INPUT}{name}": text for name, text in wish.inputs.items()}
    return "/requests/new?" + urlencode({name: text for name, text in fields.items() if text})


def link_to(typed: Typed) -> str:
    """Return the address of the form that is filled in with what was typed."""
    fields = {name: getattr(typed, name) for name in sorted(_TEXTS)}
    fields |= {name: "1" for name in _TICKS if getattr(typed, name)}
    fields |= {f"{_LABEL}{name}": text for name, text in typed.labels.items()}
    fields |= {f"{_INPUT}{name}": text for name, text in typed.inputs.items()}
    return "/requests/new?" + urlencode({name: text for name, text in fields.items() if text})


def with_labels_apart(typed: Typed, known: Iterable[str]) -> Typed:
    """Move a simple selector into the fields of its labels, where people see and change it more easily."""
    try:
        selector = parse_selector(typed.selector) if typed.selector and not typed.labels else None
    except LogLeaseError:
        return typed
    names = set(known)
    if selector is None or not all(key in names and _is_simple(one) for key, one in selector.matchers):
        return typed
    return replace(typed, selector="", labels={key: _matcher_text(one) for key, one in selector.matchers})


def wish_of(typed: Typed, sources: Mapping[str, Source]) -> WishDraft:
    """Return the wish that the fields mean.

    Raises:
        InvalidField: with a fault for each field that is wrong.
    """
    faults = _Faults()
    selector = faults.of("selector", lambda: _selector(typed)) or Selector(())
    window = faults.of("window", lambda: _window(typed)) or WindowDraft(lookback_s=1)
    duration = typed.duration.strip()
    duration_s = faults.of("duration", lambda: parse_duration(duration)) if duration else None
    limits = faults.of("limit_lines", lambda: _limits(typed.limit_lines)) or Limits()
    level = faults.of("level", lambda: _level(typed.level))
    source = sources.get(typed.source)
    if source is None:
        faults.add("source", "There is no such source. Choose one to read from.")
    else:
        faults.of("selector", lambda: _require_known(selector, source))
    inputs = {name: text.strip() for name, text in typed.inputs.items() if text.strip()}
    for name, text in inputs.items():
        if len(inputs) > MAX_INPUTS or len(text) > MAX_INPUT or not text.isprintable():
            faults.add(f"{_INPUT}{name}", f"At most {MAX_INPUT} characters on one line.")
    faults.raise_any()
    return WishDraft(
        source=typed.source,
        selector=selector,
        window=window,
        reason=typed.reason.strip(),
        all_streams=typed.all_streams,
        level_from=level,
        contains=tuple(line for line in typed.contains.splitlines() if line),
        profile=typed.profile.strip() or None,
        ticket=typed.ticket.strip() or None,
        duration_s=duration_s,
        limits=limits,
        break_glass=typed.break_glass,
        inputs=inputs,
    )


def inputs_asked(decision: Decision) -> tuple[InputRule, ...]:
    """Return the fields of their own that policies ask for which are for the person and cover what is asked."""
    covering = (trace.policy for trace in decision.own if StepName.SCOPE not in trace.failed())
    rules = {rule.name: rule for policy in covering for rule in policy.ask.inputs}
    return tuple(rules[name] for name in sorted(rules))


class _Faults:
    """Collects what is wrong, so that people correct all of it at once."""

    def __init__(self) -> None:
        self._found: list[FieldFault] = []
        self._next: str | None = None

    def add(self, name: str, detail: str, next_step: str | None = None) -> None:
        self._found.append(FieldFault(f"/{name}", "invalid_field", detail))
        self._next = self._next or next_step

    def of(self, name: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except LogLeaseError as error:
            self.add(name, error.message, error.next_step)
            return None

    def raise_any(self) -> None:
        if self._found:
            many = len(self._found) > 1
            message = f"{len(self._found)} fields are not right." if many else self._found[0].detail
            raise InvalidField(message, next_step=self._next or "Correct it below.", faults=tuple(self._found))


def _selector(typed: Typed) -> Selector:
    matchers = {name: matcher for name, text in typed.labels.items() if (matcher := _matcher(name, text)) is not None}
    written = typed.selector.strip()
    if written and matchers:
        raise ScopeInvalid("Labels are given twice.", next_step="Fill in the labels or write a selector, not both.")
    selector = parse_selector(written) if written else selector_of(matchers)
    if not selector.matchers and not typed.all_streams:
        raise ScopeInvalid("No label limits what is read.", next_step="Fill in at least one label, or ask for all.")
    if selector.matchers and typed.all_streams:
        raise ScopeInvalid("All streams, but with labels?", next_step="Leave one of the two out.")
    return selector


def _require_known(selector: Selector, source: Source) -> None:
    """Refuse labels that the source does not set itself: whoever writes a line could claim them."""
    if foreign := sorted(selector.keys - source.trusted_labels):
        raise LabelNotRequestable(
            f"{source.name} has no label {foreign[0]} that can be asked for.",
            next_step=f"Use one of: {', '.join(sorted(source.trusted_labels))}.",
        )


def _matcher(name: str, text: str) -> Matcher | None:
    """Read ``pay-api, pay-web, batch*``; an empty text says nothing of the label."""
    values = [part.strip() for part in text.split(",") if part.strip()]
    if not values:
        return None
    prefixes = [value[:-1] for value in values if value.endswith("*")]
    if "" in prefixes:
        return matcher_of(any_value=True)
    matcher = matcher_of(exact=[value for value in values if not value.endswith("*")], prefixes=prefixes)
    if matcher is None:
        raise ScopeInvalid(f"No value of {name} can match.", next_step=f"Loosen what is said of {name}.")
    return matcher


def _is_simple(matcher: Matcher) -> bool:
    plain = not matcher.except_exact and not matcher.except_prefixes
    return plain and not any("," in text or "*" in text for text in (*matcher.exact, *matcher.prefixes))


def _matcher_text(matcher: Matcher) -> str:
    if matcher.any_value:
        return "*"
    return ", ".join([*sorted(matcher.exact), *(f"{prefix}*" for prefix in sorted(matcher.prefixes))])


def _window(typed: Typed) -> WindowDraft:
    if typed.window != CUSTOM:
        return WindowDraft(lookback_s=parse_duration(typed.window), live=typed.live)
    start = _event_time(typed.from_time)
    end = None if typed.live or not typed.to_time.strip() else _event_time(typed.to_time)
    return WindowDraft(start_ns=start, end_ns=end, live=typed.live)


def _event_time(text: str) -> int:
    """Read a time of a date field, which has no zone and is meant as UTC, or RFC 3339."""
    text = text.strip()
    if "T" in text and not text.endswith(("Z", "z")) and "+" not in text:
        text += ":00Z" if text.count(":") == 1 else "Z"
    return parse_event_time(text)


def _minute_text(event_ns: int) -> str:
    return event_time_text(event_ns)[:16]


def _level(text: str) -> Level | None:
    if not text:
        return None
    if text not in set(Level):
        raise InvalidField(f"{text[:20]!r} is no level.", next_step="Choose one from the list.")
    return Level(text)


def _limits(text: str) -> Limits:
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits:
        return Limits()
    if not digits.isascii() or not digits.isdecimal() or not 0 < int(digits) < 10**12:
        raise InvalidField(f"{text[:20]!r} is no number of lines.", next_step="Write a whole number, such as 5000.")
    return Limits(lines=int(digits))
