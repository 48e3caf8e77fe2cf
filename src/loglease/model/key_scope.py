"""How far pseudonyms reach: where equal values have equal tokens, so that what was read there can be linked."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from loglease.model.instant import Instant, instant_text

_DATE: Final = len("2026-11-27")


class KeyScope(StrEnum):
    """What one key of pseudonyms is for, from the narrowest on.

    A team are those who are given access under one policy; its day is that of UTC on which a grant is made.
    """

    GRANT = "grant"
    TEAM_DAY = "team-day"
    DEPLOYMENT = "deployment"

    @property
    def reach(self) -> int:
        """A number that is greater the more can be linked."""
        return list(KeyScope).index(self)


def narrowest(scopes: Iterable[KeyScope | None]) -> KeyScope:
    """Return the scope that links least among those that anybody demands; that of one grant where nobody does."""
    return min((one for one in scopes if one is not None), key=lambda one: one.reach, default=KeyScope.GRANT)


def day_of(instant: Instant) -> str:
    """Return the day of UTC, like ``2026-11-27``."""
    return instant_text(instant)[:_DATE]


def linkable_in_words(scope: KeyScope, policy: str) -> str | None:
    """Say what becomes linkable by a scope that is wider than a grant; None where nothing does.

    Args:
        policy: the one that the grant is from.
    """
    match scope:
        case KeyScope.TEAM_DAY:
            return (
                f"equal values have equal pseudonyms in all grants of {policy} that are made on one day (UTC): "
                "what one person reads can be linked with what others read"
            )
        case KeyScope.DEPLOYMENT:
            return (
                "equal values have equal pseudonyms in all grants of this kind, whoever reads and whenever: "
                "answers that were kept can be linked for good"
            )
        case _:
            return None
