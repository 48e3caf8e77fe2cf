"""Which grants to read lines each principal may use now, kept between calls for as long as that is known to hold.

What is kept of a principal is an immutable view. It is read from the database in one transaction, and read again after
news of one of their grants, of themselves or of a lock. Until then it answers from memory, and only while the newest
news is less than a second old. It says which grants are worth asking for, not who is served: a session opens in a
transaction that looks at all of it again (`access.open_session`), as does each batch (`access.reserve`), and
`may_serve` is asked before each slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Final, TypeVar

from loglease.access.permissions import is_held_from
from loglease.access.watch import LEASE_S, News, Watch
from loglease.gateway.covered_streams import CoveredStreams
from loglease.model.clock import Clock
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import Instant, after
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

MAX_GRANTS: Final = 200
"""Live grants of one principal that are looked at; of who has more nothing is kept."""
FEW: Final = 20
"""Live grants that are read where one of them is named; of who has more that one alone is read."""
MAX_KEPT: Final = 100_000
"""Live grants that are kept in all; the next principal begins anew."""
FRESH_S: Final = 1.0

_STALE_NS: Final = round((LEASE_S - FRESH_S) * 1e9)
_NEVER: Final = Instant(2**63 - 1)
_MAX_SHARED: Final = 10_000
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """The grants to read lines that one principal may use, the oldest first.

    Attributes:
        grants: as they were read, so what is spent and since when they lie idle is not up to date; without their
            digests and reviews, which nothing that reads lines looks at.
        ends: of each.
        until: the first end of one of them, or `reread_at`: it holds before that.
        reread_at: from then on only the database knows: a lock lapses, or a grant has lain idle for too long.
        covered: streams that were tested against selectors of these grants.
    """

    grants: tuple[Grant, ...]
    ends: tuple[Instant, ...]
    until: Instant
    reread_at: Instant
    covered: CoveredStreams = field(default_factory=CoveredStreams)

    def at(self, now: Instant) -> View:
        """Return the view of a later instant: without the grants that have ended by then."""
        kept = [end > now for end in self.ends]
        return _view(tuple(compress(self.grants, kept)), tuple(compress(self.ends, kept)), self.reread_at)


@dataclass(slots=True)
class Holding:
    """The live grants of one principal.

    Attributes:
        subject: the name of the principal in entries.
        live: all that have not ended, also those that cannot be used at the moment.
        view: those that can.
    """

    subject: str
    live: tuple[GrantId, ...]
    view: View


class GrantIndex:
    """The views of one process. All but reading the database is done in one step of the event loop."""

    def __init__(self, store: Store, watch: Watch, clock: Clock) -> None:
        self._store = store
        self._watch = watch
        self._clock = clock
        self._holdings: dict[PrincipalId, Holding] = {}
        self._holders: dict[GrantId, PrincipalId] = {}
        self._subjects: dict[str, PrincipalId] = {}
        self._shared: dict[Any, Any] = {}
        self._with_many: set[PrincipalId] = set()
        self._news = 0
        watch.subscribe_news(self.hear)

    def kept(self, principal: PrincipalId) -> View | None:
        """Return the view of a principal at this moment, or None where the database has to be asked."""
        holding = self._holdings.get(principal)
        if holding is None:
            return None
        view, watch, boot_ns = holding.view, self._watch, self._clock.boot_ns()
        if boot_ns >= watch.lease_until_ns - _STALE_NS:
            return None
        # SECURITY: by the boot clock, so that a clock that is set back lengthens no grant; tested in
        # tests/gateway/test_grant_index.py.
        now_us = boot_ns // 1_000 + watch.now_minus_boot_us
        if now_us < view.until:
            return view
        if now_us >= view.reread_at:
            return None
        holding.view = view.at(Instant(now_us))
        return holding.view

    async def view(self, principal: PrincipalId) -> View | None:
        """Return the view of a principal, from the database if need be; None if they have too many grants.

        Raises:
            StoreUnavailable: it is not kept and cannot be read.
        """
        return self.kept(principal) or await self.reread(principal)

    async def view_of_few(self, principal: PrincipalId) -> View | None:
        """Return the view of a principal where that is kept or takes little; else None.

        Raises:
            StoreUnavailable: it is not kept and cannot be read.
        """
        view = self.kept(principal)
        if view is not None or principal in self._with_many:
            return view
        view = await self.reread(principal, FEW)
        if view is None:
            if len(self._with_many) >= _MAX_SHARED:
                self._with_many.clear()
            self._with_many.add(principal)
        return view

    async def reread(self, principal: PrincipalId, most: int = MAX_GRANTS) -> View | None:
        """Return the view of a principal as the database has it, and keep it; None if they have more live grants.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        news, now = self._news, max(self._watch.now, self._clock.now())
        holding = await self._store.read(lambda tx: holding_of(tx, principal, now, most))
        self._forget(principal)
        if holding is None:
            return None
        # What was heard meanwhile may be newer than what was read, which then serves this one call.
        if news == self._news:
            self.keep(principal, holding)
        return holding.view

    def keep(self, principal: PrincipalId, holding: Holding) -> None:
        """Keep what was read of a principal, in place of what was kept before."""
        self._forget(principal)
        if len(self._holders) + len(holding.live) > MAX_KEPT:
            self._forget_all()
        holding.view = replace(holding.view, grants=tuple(self._sharing(grant) for grant in holding.view.grants))
        self._holdings[principal] = holding
        self._subjects[holding.subject] = principal
        self._holders.update(dict.fromkeys(holding.live, principal))

    def hear(self, news: News) -> None:
        """Forget what may not hold any more."""
        self._news += 1
        if news.grant is None and news.subject is None:
            self._forget_all()
        principal = None if news.grant is None else self._holders.get(news.grant)
        if news.subject is not None:
            principal = self._subjects.get(news.subject)
        if principal is not None:
            self._forget(principal)

    def _forget(self, principal: PrincipalId) -> None:
        holding = self._holdings.pop(principal, None)
        if holding is not None:
            self._subjects.pop(holding.subject, None)
            for grant in holding.live:
                self._holders.pop(grant, None)

    def _forget_all(self) -> None:
        self._holdings, self._holders, self._subjects, self._shared = {}, {}, {}, {}

    def _sharing(self, grant: Grant) -> Grant:
        """Return the grant with one copy of what many have alike, and without what only its approval needs."""
        terms = grant.terms
        scopes = tuple(
            replace(
                scope,
                source=self._one(scope.source),
                selector=self._one(scope.selector),
                profile=self._one(scope.profile),
            )
            for scope in terms.scopes
        )
        return replace(
            grant,
            holder=self._one(grant.holder),
            policy=self._one(grant.policy),
            terms=replace(terms, scopes=scopes, limits=self._one(terms.limits)),
            shape=self._one(grant.shape),
            reviews=(),
            digest="",
            usage=self._one(grant.usage),
        )

    def _one(self, value: _Value) -> _Value:
        if len(self._shared) >= _MAX_SHARED:
            self._shared.clear()
        found: _Value = self._shared.setdefault(value, value)
        return found


def view_of(grants: Sequence[Grant], reread_at: Instant = _NEVER) -> View:
    """Return the view of some grants that can be used, in ascending order of their ids."""
    return _view(tuple(grants), tuple(grant.due_at for grant in grants), reread_at)


def _view(grants: tuple[Grant, ...], ends: tuple[Instant, ...], reread_at: Instant) -> View:
    return View(grants=grants, ends=ends, until=min((*ends, reread_at)), reread_at=reread_at)


def holding_of(tx: Transaction, principal: PrincipalId, now: Instant, most: int = MAX_GRANTS) -> Holding | None:
    """Read the live grants of a principal; None if there are more, or no such principal."""
    found = tx.grants.page(holder=principal, live_at=now, limit=most + 1)
    holder = tx.principals.find(principal)
    if holder is None or len(found) > most:
        return None
    locks = tx.holds.locks(now=now)
    usable = [
        grant
        for grant in reversed(found)
        if grant.parent is None
        and grant.state_at(now, held=is_held_from(tx, grant, holder, now, locks=locks)) is GrantState.ACTIVE
    ]
    lapses = [lock.until for lock in locks if lock.until is not None]
    view = view_of(usable, min([*lapses, *_idle(usable, now)], default=_NEVER))
    return Holding(holder.subject, tuple(grant.id for grant in found), view)


def _idle(grants: Iterable[Grant], now: Instant) -> Iterable[Instant]:
    """Yield when each grant may end for lying idle: not earlier, whatever sessions open and close until then."""
    for grant in grants:
        timeout_s = grant.shape.idle_timeout_s
        if grant.idle_at is not None:
            yield grant.idle_at
        elif timeout_s is not None:
            yield after(now, timeout_s)
