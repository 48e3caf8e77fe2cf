"""The history of a request: the sentences that every door shows, and how each of them is to be taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.queries import HistoryItem
from loglease.audit.interface import SYSTEM
from loglease.model.principal import Directory
from loglease.server.api.history import step_shown

_QUIET: Final = frozenset({"query.recorded", "offer.made"})
_GOOD: Final = frozenset({"request.approved", "grant.scheduled", "grant.activated", "grant.resumed"})
_BAD: Final = frozenset({"request.denied", "grant.suspended", "grant.revoked", "access.refused"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: when, by whom (empty is the clock or a restart), in words, its place in the log."""

    at: str
    who: str
    text: str
    index: int
    tone: str


def steps_of(history: Sequence[HistoryItem], directory: Directory) -> list[Step]:
    """Return the history without what only accountants look at, oldest first."""
    names: dict[str, str] = {one.subject: one.account for one in directory.principals.values()}
    steps = []
    for item in history:
        if item.type in _QUIET:
            continue
        text = step_shown(item, names).text
        who = "" if item.actor == SYSTEM else names.get(item.actor, item.actor)
        steps.append(Step(at=item.at, who=who, text=text, index=item.index, tone=_tone(item)))
    return steps


def _tone(item: HistoryItem) -> str:
    if item.type == "review.given":
        return "bad" if item.data.get("verdict") == "deny" else "good"
    if item.type in _GOOD:
        return "good"
    return "bad" if item.type in _BAD else ""
