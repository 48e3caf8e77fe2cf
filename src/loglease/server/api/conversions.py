"""From bodies to the values that use cases take."""

from __future__ import annotations

from collections.abc import Mapping

from loglease.access.extension_draft import ExtensionDraft
from loglease.access.review_request import Narrowing
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError, Malformed, ScopeInvalid
from loglease.model.hold import LockKind, LockOn, parse_lock_on
from loglease.model.ids import GRANT, PERSON, PRINCIPAL, REQUEST, TOKEN, GrantId, checked_id
from loglease.model.instant import Instant, parse_instant
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.selector_text import parse_selector
from loglease.model.wish import WindowDraft, WishDraft
from loglease.server.api.bodies import LimitsWanted, NarrowBody, ScopeWanted, WindowWanted, WishBody
from loglease.server.api.fields import MAX_EVENT_NS
from loglease.sources.registry import Source

_PREFIXES = {
    LockKind.GRANT: GRANT,
    LockKind.REQUEST: REQUEST,
    LockKind.TOKEN: TOKEN,
}


class LabelNotRequestable(LogLeaseError):
    """A selector names a label that scopes over this source cannot use."""

    code = "label_not_requestable"


def extension_of(body: WishBody, sources: Mapping[str, Source]) -> ExtensionDraft:
    """Return the wish of a body that names a grant to extend.

    Raises:
        ScopeInvalid: it says that it is an emergency; else as `wish_of` for a narrower scope.
    """
    if body.break_glass or body.extends is None:
        raise ScopeInvalid(
            "An emergency extends no grant.",
            next_step="Break the glass without naming a grant, or ask for the extension.",
            faults=(FieldFault("/break_glass", "exclusive", "It excludes extends."),),
        )
    return ExtensionDraft(
        grant=GrantId(body.extends),
        reason=body.reason.strip(),
        narrower=wish_of(body, sources) if body.scopes else None,
        ticket=body.ticket,
        duration_s=body.duration_s,
        limits=limits_of(body.limits),
        inputs=body.inputs,
    )


def wish_of(body: WishBody, sources: Mapping[str, Source]) -> WishDraft:
    """Return the wish of a body.

    Raises:
        ScopeInvalid: no scope, an unknown source, or a selector that is none; the fault has the pointer.
        ScopeUndecidable: a selector that is too free.
        LabelNotRequestable: a label that the source does not set itself.
    """
    if not body.scopes:
        raise ScopeInvalid(
            "Nothing is asked for.",
            next_step="Send one scope, or a reveal.",
            faults=(FieldFault("/scopes", "missing", "One scope, or a reveal instead."),),
        )
    scope = body.scopes[0]
    selector = _selector(scope, sources)
    return WishDraft(
        source=scope.source,
        selector=selector,
        window=window_of(scope.window),
        reason=body.reason.strip(),
        all_streams=scope.all_streams,
        level_from=scope.level_from,
        contains=tuple(scope.contains),
        profile=scope.profile,
        ticket=body.ticket,
        duration_s=body.duration_s,
        limits=limits_of(body.limits),
        break_glass=body.break_glass,
        inputs=body.inputs,
    )


def _selector(scope: ScopeWanted, sources: Mapping[str, Source]) -> Selector:
    source = sources.get(scope.source)
    if source is None:
        raise ScopeInvalid(
            f"There is no source {scope.source[:60]!r}.",
            next_step="See what there is: loglease sources list",
            faults=(FieldFault("/scopes/0/source", "unknown", "No source has this name."),),
        )
    selector = parse_selector(scope.selector)
    foreign = sorted(selector.keys - source.trusted_labels)
    if foreign:
        raise LabelNotRequestable(
            f"{source.name} has no label {foreign[0]} that can be asked for.",
            next_step=f"Use one of: {', '.join(sorted(source.trusted_labels))}.",
            faults=(FieldFault("/scopes/0/selector", "label", "The source does not set this label itself."),),
        )
    return selector


def window_of(window: WindowWanted) -> WindowDraft:
    """Return an event window as it was asked.

    Raises:
        InvalidField: a time beyond 64 bits.
    """
    return WindowDraft(
        start_ns=_event_ns(window.from_ns, "from_ns"),
        end_ns=_event_ns(window.to_ns, "to_ns"),
        lookback_s=window.lookback_s,
        live=window.live,
    )


def _event_ns(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if int(text) > MAX_EVENT_NS:
        fault = FieldFault(f"/scopes/0/window/{name}", "too_large", "It lies after the year 2262.")
        raise InvalidField("An event time is too large.", next_step="Send nanoseconds since 1970.", faults=(fault,))
    return int(text)


def limits_of(limits: LimitsWanted | None) -> Limits:
    """Return budgets; absent ones are no limit."""
    return Limits() if limits is None else Limits(**limits.model_dump(exclude_none=True))


def narrowing_of(body: NarrowBody | None, now: Instant) -> Narrowing | None:
    """Return a reviewer's narrowing; a window that looks back does so from now."""
    if body is None:
        return None
    return Narrowing(
        selector=None if body.selector is None else parse_selector(body.selector),
        window=None if body.window is None else window_of(body.window).at(now),
        level_from=body.level_from,
        contains=tuple(body.contains),
        duration_s=body.duration_s,
        limits=limits_of(body.limits),
    )


def lock_on_of(text: str) -> LockOn:
    """Return what a lock or revocation is about.

    Raises:
        InvalidField: an unknown kind.
        Malformed: the identifier of a grant, request or token is none.
    """
    on = parse_lock_on(text)
    if on.kind in _PREFIXES:
        checked_id(_PREFIXES[on.kind], on.name)
    if on.kind in (LockKind.PERSON, LockKind.PRINCIPAL) and on.name.startswith((f"{PERSON}_", f"{PRINCIPAL}_")):
        checked_id(PERSON if on.kind is LockKind.PERSON else PRINCIPAL, on.name)
    return on


def until_of(text: str | None, now: Instant) -> Instant | None:
    """Return the end of a lock.

    Raises:
        InvalidField: it is no time, or has passed.
    """
    if text is None:
        return None
    try:
        until = parse_instant(text)
    except Malformed as error:
        raise InvalidField(
            error.message, next_step=error.next_step, faults=(FieldFault("/until", "not_a_time", error.message),)
        ) from error
    if until <= now:
        fault = FieldFault("/until", "past", "It has passed.")
        raise InvalidField("The lock would have ended already.", next_step="Give a later time.", faults=(fault,))
    return until
