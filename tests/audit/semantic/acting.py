"""Honest logs of the product itself: its use cases over a real store and log, in any order that a seed says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.access.glass import EMERGENCY
from tests.fakes.world import POLICY, World, caller, principal, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.add_lock import add_lock
from loglease.access.break_glass import break_glass
from loglease.access.cancel_request import cancel_request
from loglease.access.close_session import close_session
from loglease.access.expire_due import expire_due
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.journal import Journal
from loglease.access.lift_lock import lift_lock
from loglease.access.open_session import open_session
from loglease.access.permissions import is_held
from loglease.access.recover_sessions import recover_sessions
from loglease.access.replicas import begun, ended
from loglease.access.reserve import reserve
from loglease.access.restore import KnownHead, suspend_restored
from loglease.access.resume_grant import resume_grant
from loglease.access.return_grant import return_grant
from loglease.access.review_afterwards import review_afterwards
from loglease.access.review_request import Narrowing, review_request
from loglease.access.revoke import revoke
from loglease.access.serving import Settled
from loglease.access.start_extensions import Starter
from loglease.access.submit_request import submit_request
from loglease.access.suspend_grant import suspend_grant
from loglease.access.watch import Watch
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.after_review import AfterVerdict
from loglease.model.digest import sha256_hex
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import MICROSECONDS, Instant, Interval, after
from loglease.model.limits import Limits
from loglease.model.principal import Kind, Principal, Role
from loglease.model.replica import Run
from loglease.model.review import Verdict
from loglease.model.scope import Level
from loglease.model.session import CloseWhy, Front, Session, SessionKind
from loglease.server.identity.records import principal_added, principal_changed
from loglease.store.interface import Transaction

EXTENDING: Final = (POLICY + EMERGENCY).replace(
    b"redaction: pii-default\napprove", b"redaction: pii-default\n  extend: {times: 2, by: 5m}\napprove"
)
ALICE = principal("alice", groups=("sre", "engineering"))
BOB = principal("bob", groups=("engineering", "approvers", "leads"))
CAROL = principal("carol", groups=("engineering", "approvers", "leads"))
DAVE = principal("dave", groups=("engineering", "sre"))
ERIN = principal("erin", roles=(Role.ADMIN,), groups=())
FRED = principal("fred", roles=(Role.ADMIN,), groups=("leads",))
BOT = principal("alice-bot", kind=Kind.AGENT, person="per_alice")
EVERYBODY = (ALICE, BOB, CAROL, DAVE, ERIN, FRED, BOT)
ASKERS = (ALICE, BOB, DAVE, BOT)
ORIGIN: Final = "loglease.test/acting/1"


class Acting(World):
    """A server without its doors: every act is on the record as the product records it, starts and people too."""

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(directory, policy=EXTENDING)
        self.draw = Random(seed)  # noqa: S311 - a test repeats
        self.replica = "node-1"
        self.refused: dict[str, int] = {}

    async def begin(self) -> None:
        await self.start()
        self.watch = Watch(self.store, self.clock, self.random)
        self.journal = Journal.open(self.directory / "acts.journal")
        self.starter = Starter(log=self.log, store=self.store, watch=self.watch, clock=self.clock, new_id=self.new_id)
        await self.started()
        loaded = {"bundle_sha256": self.rules.bundle_sha256, "revision": self.rules.revision, "trust": "local"}
        await self.write("policy.loaded", loaded | {"reviewers": [], "signers": [], "needed": 0, "widens": True})
        await self.add(*EVERYBODY)
        for one in EVERYBODY:
            owner = ALICE if one is BOT else None
            await self.put(principal_added(one, actor=SYSTEM, owner=owner, new_id=self.new_id))
            await self.put(principal_changed(one.subject, "groups", one.groups, actor=SYSTEM, new_id=self.new_id))

    async def put(self, *drafts: Draft) -> None:
        await self.log.commit(lambda _tx, _now: Recorded(None, drafts))

    async def write(self, kind: str, data: dict[str, Any]) -> None:
        await self.put(self.draft(kind, data))

    def draft(self, kind: str, data: dict[str, Any]) -> Draft:
        return Draft(id=EntryId(self.new_id(ENTRY)), type=kind, actor=SYSTEM, data=data)

    async def started(self) -> None:
        epoch = await self.store.read(lambda tx: tx.epoch)
        data = {"replica": self.replica, "version": "1", "plugins": [], "schema": 1, "epoch": epoch, "origin": ORIGIN}
        self.present = Run(self.replica, self.new_id("run"))

        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            facts = data | {"config_sha256": sha256_hex(b""), "vkey": "none", "after": begun(tx, self.present, now)}
            return Recorded(None, (self.draft("service.started", facts),))

        await self.log.commit(work)

    async def stopped(self) -> None:
        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            assert ended(tx, self.present)
            return Recorded(None, (self.draft("service.stopped", {"replica": self.replica, "why": "signal"}),))

        await self.log.commit(work)

    async def content(self) -> list[bytes]:
        def read(tx: Transaction) -> list[bytes]:
            return [bytes(row.content) for row in tx.entries.since(0, limit=100_000)]

        return await self.store.read(read)

    # What is there.

    async def grants(self, *states: GrantState) -> list[Grant]:
        now = self.clock.now()

        def read(tx: Transaction) -> list[Grant]:
            return [one for one in tx.grants.live() if one.state_at(now, held=is_held(tx, one, now)) in states]

        return list(await self.store.read(read))

    async def sessions(self) -> list[Session]:
        return list(await self.store.read(lambda tx: tx.sessions.unclosed(1_000)))

    def by(self, who: Principal) -> Any:
        return caller(who, self.clock.now())

    def holder(self, grant: Grant) -> Principal:
        return next(one for one in EVERYBODY if one.id == grant.holder)

    @property
    def deciding(self) -> dict[str, Any]:
        return self.ports | {"new_id": self.new_id}

    @property
    def taking(self) -> dict[str, Any]:
        """What the acts need that do not wait for their record."""
        ports = {name: value for name, value in self.ports.items() if name != "rules"}
        return ports | {"store": self.store, "watch": self.watch, "journal": self.journal, "clock": self.clock}

    # Acts.

    async def run(self, acts: int) -> None:
        """Act so often; what is refused is no act."""
        for _ in range(acts):
            act = self.draw.choices(self.acts, self.weights)[0]
            try:
                await act(self)
            except LogLeaseError as error:
                self.refused[error.code] = self.refused.get(error.code, 0) + 1
            await self.cut()
            await self.wait(self.draw.choice((0, 0.1, 1, 5, 40)))

    async def wait(self, seconds: float) -> None:
        """Let time pass, and stop wherever a grant of an open session ends."""
        target = Instant(self.clock.now() + round(seconds * MICROSECONDS))
        while True:
            using = {one.grant for one in await self.sessions()}
            grants = await self.grants(GrantState.ACTIVE, GrantState.SUSPENDED)
            ends = [one.due_at for one in grants if one.id in using and self.clock.now() < one.due_at <= target]
            soonest = min([*ends, target])
            self.clock.advance((soonest - self.clock.now()) / MICROSECONDS)
            await self.cut()
            if soonest == target:
                break
        await expire_due(log=self.log, new_id=self.new_id)
        await self.starter.step(self.rules)

    async def cut(self) -> None:
        """Close what may not go on, as every gateway does."""
        going = {one.id for one in await self.grants(GrantState.ACTIVE)}
        for session in await self.sessions():
            if session.grant not in going or self.log is None:
                await self.close(session, CloseWhy.ENDED, cut_ms=1)
        # A suspension for no time at all ends sessions, too, and is not seen any more: here nobody makes one.

    async def close(self, session: Session, why: CloseWhy, cut_ms: int | None = None) -> None:
        settled = self.handed_over(session)
        await close_session(
            session.id, why=why, settled=settled, cut_ms=cut_ms, replica=self.replica, log=self.log,
            new_id=self.new_id, random=self.random,
        )  # fmt: skip

    def handed_over(self, session: Session) -> Settled:
        """Return some of what was reserved as handed over."""
        account = session.account
        lines = self.draw.randint(0, account.uncertain_lines)
        if not lines:
            return Settled(after_lines=account.settled_lines, after_bytes=account.settled_bytes)
        now_ns = session.opened_at * 1_000 - 10**9
        return Settled(
            after_lines=account.settled_lines, after_bytes=account.settled_bytes, lines=lines,
            size=min(lines * 10, account.uncertain_bytes),
            first_ns=now_ns, last_ns=now_ns, masked={"email": 1}, served=b"{}",
        )  # fmt: skip

    async def ask(self) -> None:
        draft = wish(
            self.draw.choice(("web", "web-2", "pay", "quick")),
            duration_s=self.draw.choice((60, 300, None)),
            limits=Limits(lines=self.draw.choice((50, 400))),
            level_from=self.draw.choice((None, Level.INFO, Level.WARN)),
            contains=self.draw.choice(((), ("timeout",))),
        )
        await submit_request(draft, caller=self.by(self.draw.choice(ASKERS)), offer=None, **self.ports)

    async def emergency(self) -> None:
        draft = wish("web", reason="production is on fire", break_glass=True, duration_s=120)
        who = self.by(self.draw.choice((ALICE, DAVE)))
        await break_glass(draft, caller=who, offer=None, watch=self.watch, **self.ports)

    async def pending(self) -> AccessRequest | None:
        found = await self.store.read(lambda tx: list(tx.requests.page(state=RequestState.PENDING, limit=50)))
        return self.draw.choice(found) if found else None

    async def review(self) -> None:
        request = await self.pending()
        if request is None:
            return
        narrowing = None
        if self.draw.random() < 0.3:
            contains = self.draw.choice(((), ("checkout",), ("timeout", "pay")))
            narrowing = Narrowing(contains=contains, level_from=Level.ERROR, duration_s=50, limits=Limits(lines=40))
        verdict = Verdict.DENY if self.draw.random() < 0.1 else Verdict.APPROVE
        await review_request(
            request.id, verdict=verdict, digest=request.digest, comment="so it is", narrowing=narrowing,
            caller=self.by(self.draw.choice((BOB, CAROL, ALICE))), **self.ports,
        )  # fmt: skip

    async def cancel(self) -> None:
        request = await self.pending()
        if request is not None:
            who = next(one for one in EVERYBODY if one.id == request.requester)
            await cancel_request(request.id, caller=self.by(who), log=self.log, new_id=self.new_id)

    async def one_of(self, *states: GrantState) -> Grant | None:
        found = await self.grants(*states)
        return self.draw.choice(found) if found else None

    async def activate(self) -> None:
        grant = await self.one_of(GrantState.SCHEDULED)
        if grant is not None:
            ports = {name: value for name, value in self.ports.items() if name != "random"}
            await activate_grant(grant.id, caller=self.by(self.holder(grant)), watch=self.watch, **ports)

    async def begin_session(self) -> None:
        grant = await self.one_of(GrantState.ACTIVE, GrantState.SCHEDULED)
        if grant is None:
            return
        kind = self.draw.choice((SessionKind.QUERY, SessionKind.TAIL))
        now_ns = self.clock.now() * 1_000
        end = now_ns if kind is SessionKind.QUERY else None
        await open_session(
            grant.id, kind=kind, front=Front.PLAIN, query="{}", interval=Interval(now_ns - 10**10, end), limit=None,
            caller=self.by(self.holder(grant)), replica=self.replica, **self.ports,
        )  # fmt: skip

    async def read(self) -> None:
        found = await self.sessions()
        if not found:
            return
        session = self.draw.choice(found)
        await reserve(
            session.id, settled=self.handed_over(session), want_lines=self.draw.choice((1, 30, 256)),
            want_bytes=self.draw.choice((1_000, 65_536)), limits=Limits(), replica=self.replica, log=self.log,
            new_id=self.new_id, random=self.random,
        )  # fmt: skip

    async def finish(self) -> None:
        found = await self.sessions()
        if found:
            await self.close(self.draw.choice(found), self.draw.choice((CloseWhy.COMPLETE, CloseWhy.CLIENT)))

    async def suspend(self) -> None:
        grant = await self.one_of(GrantState.ACTIVE, GrantState.SCHEDULED)
        if grant is not None:
            await suspend_grant(grant.id, reason="look at it", caller=self.by(ERIN), **self.taking)

    async def resume(self) -> None:
        grant = await self.one_of(GrantState.SUSPENDED)
        if grant is not None:
            ports = {"log": self.log, "new_id": self.new_id, "random": self.random}
            await resume_grant(grant.id, reason="looked at", caller=self.by(FRED), **ports)

    async def take_away(self) -> None:
        grant = await self.one_of(GrantState.ACTIVE, GrantState.SCHEDULED, GrantState.SUSPENDED)
        if grant is not None and self.draw.random() < 0.5:
            on = self.draw.choice((LockOn(LockKind.GRANT, grant.id), LockOn(LockKind.REQUEST, grant.request)))
            await revoke(on, reason="over", caller=self.by(ERIN), **self.taking)
        elif grant is not None:
            await return_grant(grant.id, caller=self.by(self.holder(grant)), log=self.log, new_id=self.new_id)

    async def lock(self) -> None:
        on = self.draw.choice(
            (
                LockOn(LockKind.PERSON, "per_carol"),
                LockOn(LockKind.PRINCIPAL, "prn_dave"),
                LockOn(LockKind.GROUP, "sre"),
                LockOn(LockKind.SOURCE, "files"),
                LockOn(LockKind.POLICY, "one-approval"),
                LockOn(LockKind.EVERYTHING),
            )
        )
        until = after(self.clock.now(), 30) if self.draw.random() < 0.5 else None
        with_grants = self.draw.random() < 0.2
        await add_lock(on, reason="incident", until=until, revoke=with_grants, caller=self.by(ERIN), **self.taking)

    async def lift(self) -> None:
        now = self.clock.now()
        for one in await self.store.read(lambda tx: list(tx.holds.locks(now=now))):
            ports = {"log": self.log, "new_id": self.new_id, "random": self.random}
            await lift_lock(one.id, caller=self.by(FRED), **ports)

    async def extend(self) -> None:
        grant = await self.one_of(GrantState.ACTIVE)
        if grant is None:
            return
        draft = ExtensionDraft(grant=grant.id, reason="it is not found yet", duration_s=self.draw.choice((None, 60)))
        await submit_request(draft, caller=self.by(self.holder(grant)), offer=None, **self.ports)

    async def look(self) -> None:
        found = await self.store.read(lambda tx: list(tx.requests.page(state=RequestState.APPROVED, limit=50)))
        after = await self.store.read(lambda tx: {one.id for one in found if tx.after_reviews.find(one.id)})
        for request in found:
            if request.id in after:
                verdict = self.draw.choice(list(AfterVerdict))
                who = self.by(self.draw.choice((BOB, CAROL, FRED)))
                await review_afterwards(request.id, verdict=verdict, comment="seen", caller=who, **self.ports)
                return

    async def restart(self) -> None:
        """Stop after all sessions, or crash with them."""
        crashes = self.draw.random() < 0.5
        if not crashes:
            for session in await self.sessions():
                await self.close(session, CloseWhy.DRAIN)
            await self.stopped()
        self.clock.advance(2)
        await self.started()
        await recover_sessions(log=self.log, new_id=self.new_id, own=self.replica)

    async def restore(self) -> None:
        """Start on a database that is older than the file beside it says."""
        size = await self.store.read(lambda tx: tx.entries.size())
        epoch = await self.store.read(lambda tx: tx.epoch)
        known = KnownHead(size=size + 10, leaf="00", epoch=epoch)
        await suspend_restored(known, put_back=0, origin=ORIGIN, log=self.log, new_id=self.new_id, random=self.random)
        await self.started()
        await recover_sessions(log=self.log, new_id=self.new_id, own=self.replica)

    acts: tuple[Callable[[Acting], Awaitable[None]], ...] = (
        ask, emergency, review, cancel, activate, begin_session, read, finish, suspend, resume, take_away, lock, lift, extend,
        look, restart, restore,
    )  # fmt: skip
    weights = (20, 2, 30, 1, 8, 20, 40, 8, 3, 5, 4, 2, 4, 4, 4, 1, 0.3)
