"""The history of a request in words: what the audit log says, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from loglease.access.queries import HistoryItem
from loglease.audit.interface import SYSTEM
from loglease.model.principal import Directory, Principal


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: when, by whom (None is the clock or a restart), in words, and its place in the log."""

    at: str
    who: Principal | None
    text: str
    index: int
    type: str
    tone: str = ""


_TEXTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "request.submitted": ("asked for access", ""),
        "request.approved": ("the request was approved", "good"),
        "request.denied": ("the request was denied", "bad"),
        "request.cancelled": ("the request was withdrawn", ""),
        "request.expired": ("the request expired: nobody decided in time", ""),
        "grant.scheduled": ("a grant was scheduled; its clock starts at first use", "good"),
        "grant.activated": ("the grant became active", "good"),
        "grant.suspended": ("the grant was suspended", "bad"),
        "grant.resumed": ("the grant was resumed", "good"),
        "grant.ended": ("the grant ended", ""),
        "grant.revoked": ("the grant was revoked", "bad"),
    }
)
_QUIET: Final = frozenset({"batch.served", "query.recorded", "offer.made"})


def steps_of(history: Sequence[HistoryItem], directory: Directory) -> list[Step]:
    """Return the history without what only accountants look at, oldest first."""
    people = {one.subject: one for one in directory.principals.values()}
    return [
        Step(
            at=item.at,
            who=None if item.actor == SYSTEM else people.get(item.actor),  # type: ignore[call-overload]
            text=_text(item),
            index=item.index,
            type=item.type,
            tone=_tone(item),
        )
        for item in history
        if item.type not in _QUIET
    ]


def _text(item: HistoryItem) -> str:
    data = item.data
    match item.type:
        case "review.given":
            narrowed = ", narrowed" if "narrowed" in data else ""
            return f"reviewed: {data.get('verdict', '')}{narrowed}"
        case "session.opened":
            return f"opened a session ({data.get('kind', 'read')})"
        case "session.closed":
            return f"a session closed: {data.get('why', 'complete')}, {_number(data.get('lines'))} lines"
        case "grant.ended":
            return f"the grant ended: {data.get('why', data.get('reason', 'expired'))}"
        case "access.refused":
            return f"was refused: {data.get('code', data.get('error', 'no reason given'))}"
        case _:
            return _TEXTS.get(item.type, (item.type, ""))[0]


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "0"


def _tone(item: HistoryItem) -> str:
    if item.type == "review.given":
        return "bad" if item.data.get("verdict") == "deny" else "good"
    return _TEXTS.get(item.type, ("", ""))[1]
