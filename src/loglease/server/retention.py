"""How long the audit log has to be kept, as settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loglease.model.errors import LogLeaseError
from loglease.model.instant import parse_duration

FOREVER: Final = "forever"
_DAY_S: Final = 86_400
_YEAR_S: Final = 366 * _DAY_S
LEAST_S: Final = 365 * _DAY_S
"""Twelve months: no setting keeps entries for less."""
PRESETS: Final[Mapping[str, int]] = MappingProxyType({"pci": _YEAR_S, "soc2": _YEAR_S, "hipaa": 6 * _YEAR_S})


def retention_s(text: str) -> int | None:
    """Return how long entries have to be kept, in seconds; None is for ever.

    Raises:
        ValueError: it is neither a preset nor a duration of at least twelve months; its text is for people.
    """
    if text == FOREVER:
        return None
    if text in PRESETS:
        return PRESETS[text]
    try:
        seconds = parse_duration(text)
    except LogLeaseError:
        names = ", ".join((FOREVER, *PRESETS))
        raise ValueError(f"{text[:40]!r} is none of {names}, and no duration such as 400d") from None
    if seconds < LEAST_S:
        raise ValueError(f"{text[:40]} is less than twelve months (365d)")
    return seconds
