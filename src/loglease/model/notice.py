"""A notice: one message about one fact, to one recipient, on one channel; and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from loglease.model.ids import NoticeId
from loglease.model.instant import Instant, after

EMAIL: Final = "email"
"""The channel that reaches people by their address; all others have the name that the settings give them."""
GIVEN_UP_AFTER_S: Final = 86_400
LONGEST_PAUSE_S: Final = 900
_DOUBLINGS: Final = 10


class NoticeState(StrEnum):
    """Where a notice stands. `dead`: nobody tries any more. `dropped`: it stopped being true before it was sent."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message that is to be sent; what it says is written when it is sent, from what is true then.

    Attributes:
        event: what happened, such as ``request.submitted``.
        fact: the one thing that happened, an entry's id or the name of a date; unique with recipient and channel.
        about: the request that it is about, empty where there is none; messages about one are sent in order.
        recipient: a principal's id, or ``channel:NAME``.
        data: ids and states; never a text that somebody wrote.
        attempts: how often sending failed.
        next_at: not tried before.
        error: why the last attempt failed, in words of ours.
    """

    id: NoticeId
    event: str
    fact: str
    about: str
    recipient: str
    channel: str
    at: Instant
    next_at: Instant
    data: Mapping[str, str] = field(default_factory=dict)
    state: NoticeState = NoticeState.WAITING
    attempts: int = 0
    error: str | None = None


def failed(notice: Notice, *, error: str, now: Instant, final: bool = False) -> Notice:
    """Return a notice after an attempt that failed: tried again after 1 s to 15 min, or dead after a day.

    Args:
        final: no further attempt can succeed.
    """
    pause_s = min(LONGEST_PAUSE_S, 1 << min(notice.attempts, _DOUBLINGS))
    next_at = after(now, pause_s)
    dead = final or next_at >= after(notice.at, GIVEN_UP_AFTER_S)
    state = NoticeState.DEAD if dead else NoticeState.WAITING
    return replace(notice, state=state, attempts=notice.attempts + 1, next_at=next_at, error=error)


def settled(notice: Notice, state: NoticeState) -> Notice:
    """Return a notice that was sent or dropped."""
    return replace(notice, state=state, error=None)


def tried_anew(notice: Notice, now: Instant) -> Notice:
    """Return a dead notice as a new one: it has another day."""
    return replace(notice, state=NoticeState.WAITING, attempts=0, at=now, next_at=now, error=None)
