"""What events about the use of a grant say of the grant itself, which only its first entry holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Grants = Callable[[str], Mapping[str, Any] | None]
"""Returns the data of a grant's `grant.scheduled` by its id; None if that is not in the log any more."""

UNKNOWN: Final = "unknown"
_RAW: Final = "raw"


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """A grant as far as events name it.

    Attributes:
        holder: subject; None if it is not known any more.
        privileges: what it allows, such as ``logs:read:prod``, sorted.
        sources: names of the log sources, sorted.
    """

    holder: str | None
    is_break_glass: bool
    privileges: tuple[str, ...]
    sources: tuple[str, ...]


NOTHING_KNOWN: Final = GrantFacts(None, is_break_glass=False, privileges=(UNKNOWN,), sources=())


def facts_of(scheduled: Mapping[str, Any] | None) -> GrantFacts:
    """Read the data of `grant.scheduled`."""
    if scheduled is None:
        return NOTHING_KNOWN
    return GrantFacts(
        holder=scheduled["holder"],
        is_break_glass=scheduled["basis"] == "break_glass",
        privileges=_privileges(scheduled) or (UNKNOWN,),
        sources=sources_of(scheduled["scopes"]),
    )


def sources_of(scopes: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the sources that scopes read, sorted."""
    return tuple(sorted({scope["source"] for scope in scopes}))


def _privileges(scheduled: Mapping[str, Any]) -> tuple[str, ...]:
    if "reveal" in scheduled:
        return ("logs:reveal",)
    found = {f"{_verb(scope)}:{scope['source']}" for scope in scheduled["scopes"]}
    if "elevation" in scheduled:
        found.add("logs:raise_level")
    return tuple(sorted(found))


def _verb(scope: Mapping[str, Any]) -> str:
    """Name what may be read: lines, lines as they are, or only which labels there are."""
    if scope.get("labels_only"):
        return "labels:read"
    names = {profile["name"].partition("@")[0] for profile in scope["profiles"]}
    return "logs:read_unmasked" if _RAW in names else "logs:read"
