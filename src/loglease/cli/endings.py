"""Why an answer ended although the grant goes on, and what to do next: each reason of a session has its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loglease.model.session import CloseWhy

LOST: Final = "lost"
"""The connection broke without an end record, and the grant does not say why."""

FINE: Final = frozenset({CloseWhy.COMPLETE, CloseWhy.CLIENT})
"""All of it came, or the reader wanted no more."""

CUT: Final = frozenset(
    {CloseWhy.REVOKED, CloseWhy.EXPIRED, CloseWhy.ENDED, CloseWhy.SUSPENDED, CloseWhy.LOCKED},
)
"""The grant may not be used any more, or not now; the grant itself says more."""

_SMALLER: Final = "Ask for less time or fewer streams: --since 15m, or a narrower selector."
_AGAIN: Final = "Run it again in a moment."
_OPERATOR: Final = f"{_AGAIN} If it stays so, tell an operator."

ENDINGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        CloseWhy.LIMIT: ("The query would look at more lines than one may", _SMALLER),
        CloseWhy.TIME: ("The query would look for longer than one may", _SMALLER),
        CloseWhy.IDLE: ("The connection was quiet for too long", _AGAIN),
        CloseWhy.SLOW: ("This reader took nothing for too long", "Send the output to a file, or ask for fewer lines."),
        CloseWhy.SOURCE: ("The log source failed", f"See: loglease sources list. {_OPERATOR}"),
        CloseWhy.REDACTION: (
            "Redaction could not vouch for a line, so nothing more is shown",
            "Ask for another time or other streams, and tell an operator.",
        ),
        CloseWhy.AUDIT: (
            "What you read could not be recorded, so nothing more is shown",
            f"{_OPERATOR} The server's disk may be full.",
        ),
        CloseWhy.DATABASE: (
            "The server does not reach its database, so it does not know whether you may go on reading",
            _OPERATOR,
        ),
        CloseWhy.CLOCK: ("The server's clock cannot be trusted, so nothing more is shown", "Tell an operator."),
        CloseWhy.DRAIN: ("The server stops", _AGAIN),
        CloseWhy.ERROR: ("A fault of the server ended it", _OPERATOR),
        CloseWhy.CRASH: ("The server crashed", _OPERATOR),
        LOST: ("The connection was lost", f"{_AGAIN} If it stays so, check the network and any proxy in between."),
    }
)


def ending_of(reason: str) -> tuple[str, str]:
    """Return what happened and what to do next; a newer server may know other reasons."""
    return ENDINGS.get(reason, (f"The server ended it: {reason}", _OPERATOR))
