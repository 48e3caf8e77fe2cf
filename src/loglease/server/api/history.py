"""Recorded facts as sentences for people: what a timeline shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from loglease.access.queries import HistoryItem
from loglease.audit.interface import SYSTEM
from loglease.server.api.resources import TimelineStep

_PHRASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "request.submitted": "asked",
        "offer.made": "policy made the offer",
        "review.given": "reviewed",
        "request.approved": "approved",
        "request.denied": "denied",
        "request.cancelled": "cancelled",
        "request.expired": "expired: nobody decided in time",
        "breakglass.reviewed": "reviewed afterwards",
        "grant.scheduled": "grant scheduled, it starts at first use",
        "grant.activated": "grant activated",
        "grant.suspended": "grant suspended",
        "grant.resumed": "grant resumed",
        "grant.ended": "grant ended",
        "grant.revoked": "grant revoked",
        "session.opened": "opened a session",
        "query.recorded": "asked a query",
        "reveal.served": "saw the value",
        "session.closed": "session closed",
        "access.refused": "was refused",
    }
)


_CLOSINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"client": "by the reader", "complete": "read to the end", "limit": "limit reached"}
)


def closing_in_words(why: str) -> str:
    """Return why a session or a grant ended; most reasons are words that say it themselves."""
    return _CLOSINGS.get(why, why)


def step_shown(item: HistoryItem, names: Mapping[str, str]) -> TimelineStep:
    """Return a recorded fact with its sentence; `names` has accounts by subject."""
    actor = "the clock" if item.actor == SYSTEM else names.get(item.actor, item.actor)
    text = _PHRASES.get(item.type, item.type) + _detail(item.type, item.data)
    return TimelineStep(at=item.at, type=item.type, entry=str(item.index), actor=actor, text=text)


def _detail(entry_type: str, data: Mapping[str, Any]) -> str:
    match entry_type:
        case "review.given":
            narrowed = ", narrowed" if data.get("narrowed") else ""
            return f": {data.get('verdict', '')}{narrowed}"
        case "breakglass.reviewed":
            return f": {str(data.get('verdict', '')).replace('_', ' ')}"
        case "grant.activated":
            return f", until {str(data.get('until_at', ''))[:19].replace('T', ' ')} UTC"
        case "grant.ended" | "session.closed" | "request.cancelled":
            return f": {closing_in_words(str(data.get('why', '')))}{_lines(data)}"
        case "session.opened":
            return f": {data.get('kind', '')} over {data.get('front', '')}"
        case "reveal.served":
            return f", of class {data.get('class', '')}"
        case "grant.suspended":
            return f": {data.get('cause', '')}"
        case _:
            return ""


def _lines(data: Mapping[str, Any]) -> str:
    total = data.get("total")
    return f", {total.get('lines', 0):,} lines in all" if isinstance(total, dict) else ""
