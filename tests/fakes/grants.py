"""Grants, locks and people as plain rows, with what is heard of their changes: a database for the grant index."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.gateway import made_id, principal

from loglease.access.steady_clock import SteadyClock
from loglease.access.watch import Watch
from loglease.audit.interface import Draft, EntryRow
from loglease.gateway.grant_index import GrantIndex
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import Lock, LockOn, SuspendCause, Suspension
from loglease.model.ids import EntryId, GrantId, LockId, PrincipalId, RequestId
from loglease.model.instant import EventWindow, Instant, after
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.offer import Outcome, Shape, Terms
from loglease.model.principal import Principal
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector

SELECTOR = parse_selector('{service="a"}')
Result = TypeVar("Result")


def at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("Result", done.value)
    raise AssertionError("it waits")


class Rows:
    """All rows, a watch that hears of them, and an index over both; `read` may be interrupted by `meanwhile`."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.epoch = 1
        self._entries = 0
        self.people: dict[PrincipalId, Principal] = {}
        self.grants: Any = SimpleNamespace(page=self._page)
        self.holds: Any = SimpleNamespace(locks=self._locks, suspensions=self._suspensions)
        self.principals: Any = SimpleNamespace(find=self.people.get)
        self.values: Any = SimpleNamespace(find=lambda _: None)
        head = SimpleNamespace(last_at=Instant(0))
        self.entries: Any = SimpleNamespace(size=lambda: self._entries, since=lambda *_, **__: (), head=lambda: head)
        self.by_id: dict[GrantId, Grant] = {}
        self.locks: dict[LockId, Lock] = {}
        self.suspended: set[GrantId] = set()
        self.reads = 0
        self.meanwhile: Callable[[], None] | None = None
        self.steady = SteadyClock(self.clock)
        self.watch = Watch(self, self.steady, FakeRandom())  # type: ignore[arg-type]
        self.index = GrantIndex(self, self.watch, self.steady)  # type: ignore[arg-type]

    # What the index asks.

    async def read(self, query: Callable[[Any], Any], *, urgent: bool = False) -> Any:
        self.reads += not urgent
        found = query(self)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None and not urgent:
            meanwhile()
        return found

    async def touch(self, run: object) -> Instant:
        return self.steady.now()

    def _page(self, *, holder: PrincipalId, live_at: Instant, limit: int) -> list[Grant]:
        live = [one for one in self.by_id.values() if one.holder == holder and one.is_live(live_at)]
        return sorted(live, key=lambda one: one.id, reverse=True)[:limit]

    def _locks(self, *, now: Instant) -> list[Lock]:
        return [one for one in self.locks.values() if one.in_force(now)]

    def _suspensions(self, grant: GrantId) -> list[Suspension]:
        found = Suspension(grant=grant, cause=SuspendCause.PERSON, reason="", since=self.clock.now())
        return [found] if grant in self.suspended else []

    # What happens.

    def heard(self, entry_type: str, actor: str = "system", ref: Mapping[str, str] | None = None, **data: Any) -> None:
        """Have the watch hear of an entry, as it does of every commit of its process."""
        draft = Draft(id=EntryId(made_id("ent")), type=entry_type, actor=actor, ref=ref or {}, data=data)
        row = EntryRow(self._entries, draft.id, self.clock.now(), draft, b"", b"")
        self._entries += 1
        self.watch.committed([row])

    def of_grant(self, grant: Grant, entry_type: str, **data: Any) -> None:
        """The same, of a grant."""
        self.heard(entry_type, self.people[grant.holder].subject, {"request": grant.request, "grant": grant.id}, **data)

    def person(self, name: str, groups: frozenset[str] = frozenset()) -> Principal:
        found = principal(name, groups)
        self.people[found.id] = found
        return found

    def changed(self, person: Principal, **changes: Any) -> Principal:
        found = self.people[person.id] = replace(person, **changes)
        self.heard("principal.changed", subject=person.subject, change="enabled" if found.enabled else "disabled")
        return found

    def scheduled(
        self,
        holder: Principal,
        *,
        selector: Selector = SELECTOR,
        duration_s: int = 600,
        idle_s: int | None = None,
        policy: str = "pay",
        parent: GrantId | None = None,
    ) -> Grant:
        now = self.clock.now()
        scope = Scope(
            source="src", selector=selector, window=EventWindow(now * 1_000, (now + 1) * 1_000), profile="secrets@1"
        )
        grant = Grant(
            id=GrantId(made_id("grt")),
            request=RequestId(made_id("req")),
            holder=holder.id,
            policy=policy,
            basis=Outcome.AUTO,
            reviews=(),
            terms=Terms(scopes=(scope,), duration_s=duration_s, limits=Limits()),
            shape=Shape(activate_within_s=3_600, review_within_s=3_600, idle_timeout_s=idle_s),
            digest="0" * 64,
            scheduled_at=now,
            activate_by=after(now, 3_600),
            key_salt=b"s" * 32,
            epoch=self.epoch,
            parent=parent,
        )
        self.by_id[grant.id] = grant
        self.of_grant(grant, "grant.scheduled", holder=holder.subject)
        return grant

    def activated(self, grant: Grant) -> Grant:
        now, idle_s = self.clock.now(), grant.shape.idle_timeout_s
        found = self.by_id[grant.id] = replace(
            grant,
            state=GrantState.ACTIVE,
            valid_from=now,
            valid_until=after(now, grant.terms.duration_s),
            idle_at=None if idle_s is None else after(now, idle_s),
        )
        self.of_grant(found, "grant.activated")
        return found

    def active(self, holder: Principal, **more: Any) -> Grant:
        return self.activated(self.scheduled(holder, **more))

    def over(self, grant: Grant, state: GrantState = GrantState.REVOKED) -> None:
        self.by_id[grant.id] = replace(grant, state=state, ended_at=self.clock.now())
        self.of_grant(grant, "grant.revoked" if state is GrantState.REVOKED else "grant.ended", why="returned")

    def suspend(self, grant: Grant) -> None:
        self.suspended.add(grant.id)
        self.of_grant(grant, "grant.suspended")

    def resume(self, grant: Grant) -> None:
        self.suspended.discard(grant.id)
        self.of_grant(grant, "grant.resumed")

    def lock(self, on: LockOn, until: Instant | None = None) -> Lock:
        made = Lock(
            id=LockId(made_id("lck")), on=on, reason="", added_by=PrincipalId("prn_x"), added_at=Instant(0), until=until
        )
        self.locks[made.id] = made
        self.heard("lock.added", lock=made.id, on=str(on.kind), object=on.name)
        return made

    def lift(self, lock: Lock) -> None:
        del self.locks[lock.id]
        self.heard("lock.lifted", lock=lock.id)
