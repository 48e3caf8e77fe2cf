"""A grant: the right that results from approvals. Time, locks and suspensions are looked at on every use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.errors import GrantEnded, GrantNotActive
from loglease.model.ids import GrantId, PrincipalId, RequestId, ReviewId
from loglease.model.instant import Instant, after, instant_text
from loglease.model.limits import Limits
from loglease.model.offer import Outcome, Shape, Terms


class GrantState(StrEnum):
    """Where a grant stands. `suspended` is never stored: it holds while a lock or suspension applies."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"
    REVOKED = "revoked"


class EndWhy(StrEnum):
    """Why a grant ended by itself or by its holder; `revoked` is somebody else's act and no reason here."""

    EXPIRED = "expired"
    USED = "used"
    IDLE = "idle"
    RETURNED = "returned"


class GrantMove(StrEnum):
    """What may happen to a grant."""

    ACTIVATE = "activate"
    EXPIRE = "expire"
    USE_UP = "use_up"
    IDLE = "idle"
    RETURN = "return"
    REVOKE = "revoke"


# Every legal move between stored states; what is absent is illegal. `ended` and `revoked` are terminal.
NEXT: Final[Mapping[tuple[GrantState, GrantMove], GrantState]] = MappingProxyType(
    {
        (GrantState.SCHEDULED, GrantMove.ACTIVATE): GrantState.ACTIVE,
        (GrantState.SCHEDULED, GrantMove.EXPIRE): GrantState.ENDED,
        (GrantState.SCHEDULED, GrantMove.RETURN): GrantState.ENDED,
        (GrantState.SCHEDULED, GrantMove.REVOKE): GrantState.REVOKED,
        (GrantState.ACTIVE, GrantMove.EXPIRE): GrantState.ENDED,
        (GrantState.ACTIVE, GrantMove.USE_UP): GrantState.ENDED,
        (GrantState.ACTIVE, GrantMove.IDLE): GrantState.ENDED,
        (GrantState.ACTIVE, GrantMove.RETURN): GrantState.ENDED,
        (GrantState.ACTIVE, GrantMove.REVOKE): GrantState.REVOKED,
    }
)

_WHY: Final[Mapping[GrantMove, EndWhy]] = MappingProxyType(
    {
        GrantMove.EXPIRE: EndWhy.EXPIRED,
        GrantMove.USE_UP: EndWhy.USED,
        GrantMove.IDLE: EndWhy.IDLE,
        GrantMove.RETURN: EndWhy.RETURNED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What of the budgets is spent or reserved; never negative, never refilled.

    Attributes:
        subjects: different data subjects of whom lines may have been handed over; counted where there is a limit.
    """

    lines: int = 0
    bytes: int = 0
    queries: int = 0
    subjects: int = 0

    def left(self, limits: Limits) -> tuple[int | None, int | None]:
        """Return the lines and bytes left; None is unlimited."""
        lines = None if limits.lines is None else max(0, limits.lines - self.lines)
        size = None if limits.bytes is None else max(0, limits.bytes - self.bytes)
        return lines, size

    def subjects_left(self, limits: Limits) -> int | None:
        """Return how many more data subjects there may be; None is unlimited. With none left, known ones still may."""
        return None if limits.subjects is None else max(0, limits.subjects - self.subjects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The right to read `terms`, for its holder, once activated and until its end.

    Attributes:
        basis: reviews, an automatic route, or break-glass.
        activate_by: an unused grant lapses then.
        valid_from: set at activation, as is `valid_until`; the clock never restarts.
        key_salt: 32 random bytes from which the key of its own pseudonyms is derived.
        shared_salt: those for a key that it shares with other grants; None where the scope of its key is the grant.
        idle_at: when it ends if no session opens before; None while one is open, and where policy sets no limit.
        ended_why: for `ended`; `ended_by` and `reason` also for `revoked`.
        epoch: history generation in which it was made or re-affirmed; an older one suspends.
        network: from where it was asked for, in the form of `model.network`; None where that was not known.
        parent: the grant under whose line this one reveals one value, and not longer than it is active; None for a
            grant to read lines.
        extends: the grants that it goes on from, as in `Extends.chain`; empty for one that extends none.
        starts_at: when it begins by itself, which is where the one before ends; None begins with its first use.
    """

    id: GrantId
    request: RequestId
    holder: PrincipalId
    policy: str
    basis: Outcome
    reviews: tuple[ReviewId, ...]
    terms: Terms
    shape: Shape
    digest: str
    scheduled_at: Instant
    activate_by: Instant
    key_salt: bytes
    epoch: int
    state: GrantState = GrantState.SCHEDULED
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    idle_at: Instant | None = None
    ended_at: Instant | None = None
    ended_why: EndWhy | None = None
    ended_by: PrincipalId | None = None
    reason: str | None = None
    usage: Usage = Usage()
    version: int = 1
    network: str | None = None
    shared_salt: bytes | None = None
    parent: GrantId | None = None
    extends: tuple[GrantId, ...] = ()
    starts_at: Instant | None = None

    @property
    def due_at(self) -> Instant:
        """The end of its validity, or of the time to activate it."""
        return self.activate_by if self.valid_until is None else self.valid_until

    @property
    def lapses_at(self) -> Instant:
        """When the clock ends it as things stand: at its end, or before that for lying idle."""
        return self.due_at if self.idle_at is None else min(self.due_at, self.idle_at)

    @property
    def before(self) -> GrantId | None:
        """The grant that it goes on from, if it is an extension."""
        return self.extends[-1] if self.extends else None

    def has_run_out(self, now: Instant) -> bool:
        """Say whether it was in force until the end of its validity, so that an extension of it may begin."""
        if self.state is GrantState.ENDED:
            return self.ended_why is EndWhy.EXPIRED and self.valid_until is not None
        return self.state is GrantState.ACTIVE and self.lapse(now) is GrantMove.EXPIRE

    def lapse(self, now: Instant) -> GrantMove | None:
        """Return how the clock has ended it although that is not stored yet; None if it has not."""
        if self.state not in (GrantState.SCHEDULED, GrantState.ACTIVE) or now < self.lapses_at:
            return None
        return GrantMove.EXPIRE if self.lapses_at == self.due_at else GrantMove.IDLE

    def in_use(self) -> Grant:
        """Return it with a session open; it does not lie idle."""
        return self if self.idle_at is None else replace(self, idle_at=None, version=self.version + 1)

    def resting(self, since: Instant) -> Grant:
        """Return it without an open session since then."""
        timeout_s = self.shape.idle_timeout_s
        return self if timeout_s is None else replace(self, idle_at=after(since, timeout_s), version=self.version + 1)

    def within(self, terms: Terms) -> Grant:
        """Return it with these terms, no longer valid than they say from its start on."""
        if self.valid_from is None or self.valid_until is None:
            return replace(self, terms=terms)
        until = min(self.valid_until, after(self.valid_from, terms.duration_s))
        return replace(self, terms=terms, valid_until=until)

    def stored_state_at(self, now: Instant) -> GrantState:
        """Answer from the clock, without regard to locks and suspensions."""
        return self.state if self.lapse(now) is None else GrantState.ENDED

    def state_at(self, now: Instant, *, held: bool) -> GrantState:
        """Answer from the clock and from whether a lock or suspension applies now."""
        state = self.stored_state_at(now)
        if held and state in (GrantState.SCHEDULED, GrantState.ACTIVE):
            return GrantState.SUSPENDED
        return state

    def is_live(self, now: Instant) -> bool:
        """Say whether it is scheduled, active or suspended, so that somebody may still end it."""
        return self.stored_state_at(now) in (GrantState.SCHEDULED, GrantState.ACTIVE)


def move(grant: Grant, how: GrantMove, *, by: PrincipalId | None, now: Instant, reason: str | None = None) -> Grant:
    """Return the grant after a legal move; suspensions do not stop it from ending, and are checked before `ACTIVATE`.

    Raises:
        GrantEnded: it has ended or was revoked, or the clock has ended it.
        GrantNotActive: the move needs an active grant, or one that was not active yet.
    """
    lapse = grant.lapse(now)
    after_state = NEXT.get((grant.state, how))
    if after_state is None or lapse not in (None, how):
        raise refusal(grant, now)
    if how in (GrantMove.EXPIRE, GrantMove.IDLE) and lapse is None:
        raise GrantNotActive(f"{grant.id} has not reached its end.")
    if how is GrantMove.ACTIVATE:
        if grant.starts_at is not None and now < grant.starts_at:
            raise GrantNotActive(
                f"{grant.id} begins at {instant_text(grant.starts_at)}, where {grant.before} ends.",
                next_step="It begins by itself; use the other one until then.",
            )
        timeout_s = grant.shape.idle_timeout_s
        valid_from = now if grant.starts_at is None else grant.starts_at
        return replace(
            grant,
            state=after_state,
            valid_from=valid_from,
            valid_until=after(valid_from, grant.terms.duration_s),
            idle_at=None if timeout_s is None else after(now, timeout_s),
            version=grant.version + 1,
        )
    return replace(
        grant,
        state=after_state,
        ended_at=now if lapse is None else grant.lapses_at,
        ended_why=_WHY.get(how),
        ended_by=by,
        reason=reason,
        version=grant.version + 1,
    )


def ended_with(extension: Grant, before: Grant, *, now: Instant) -> Grant:
    """Return an extension that has not begun, ended for the same reason as the grant before it, which is over.

    Raises:
        GrantEnded, GrantNotActive: it has begun, or is over itself.
    """
    if extension.state is not GrantState.SCHEDULED or extension.lapse(now) is not None:
        raise refusal(extension, now)
    if extension.before != before.id or before.ended_at is None or before.has_run_out(now):
        raise GrantNotActive(f"{before.id} takes nothing with it.")
    return replace(
        extension,
        state=before.state,
        ended_at=now,
        ended_why=before.ended_why,
        ended_by=before.ended_by,
        reason=before.reason,
        version=extension.version + 1,
    )


def refusal(grant: Grant, now: Instant, *, held: bool = False) -> GrantEnded | GrantNotActive:
    """Return the error that says why a grant cannot be used now, with its state, when and what to do."""
    state = grant.state_at(now, held=held)
    again = f"loglease request --like {grant.request}"
    if state is GrantState.REVOKED:
        when = "" if grant.ended_at is None else f" at {instant_text(grant.ended_at)}"
        why = f": {grant.reason}" if grant.reason else ""
        return GrantEnded(f"{grant.id} was revoked{when}{why}.", next_step=again)
    if state is GrantState.ENDED:
        lapse = grant.lapse(now)
        at = instant_text(grant.ended_at or grant.lapses_at)
        why = grant.ended_why or (EndWhy.EXPIRED if lapse is None else _WHY[lapse])
        return GrantEnded(f"{grant.id} ended at {at} ({why}).", next_step=again)
    if state is GrantState.SUSPENDED:
        return GrantNotActive(f"{grant.id} is suspended.", next_step="Ask whoever suspended it; its clock runs on.")
    return GrantNotActive(f"{grant.id} is {state}.", next_step=f"loglease use {grant.id}")
