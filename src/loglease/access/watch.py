"""What one process knows of revocations, and for how long it may rely on that: its gateway lease.

The lease is renewed by a write through the database every quarter of a second and holds for two seconds from the start
of that write: whatever was committed before it is in the answer. Committed entries of this process are heard at once;
polling carries the guarantee. When the lease runs out, everything that serves lines ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from loglease.access.commitments import Random
from loglease.access.errors import ClockSuspect
from loglease.access.steady_clock import steady
from loglease.audit.interface import AuditUnavailable, EntryRow
from loglease.model.clock import Clock
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, TokenId
from loglease.model.instant import Instant
from loglease.model.pace import Doubt
from loglease.model.replica import Run
from loglease.model.session import CloseWhy
from loglease.store.entries_interface import StoredEntry
from loglease.store.errors import ReplicaGone, StoreInUse, StoreMoved
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.store_interface import Store

LEASE_S: Final = 2.0
POLL_S: Final = 0.25
ATTEMPT_S: Final = 1.0
HIGH_WATER: Final = "high_water"
"""Name of the stored value that keeps the latest database time; `Store.touch` raises it."""
CLOCK_SUSPECT: Final = "clock_suspect"
"""Name of the stored value that is there while it is on the record that the clock is suspect: which process said so."""

_AT_ONCE: Final = 1_000
_WAKE_S: Final = 0.02
"""How long after a poll the next one begins at the earliest."""
_TOKEN_REVOKED: Final = "token revoked"  # noqa: S105 - a close reason
_SECOND_NS: Final = 1_000_000_000
_CUTS: Final = frozenset(
    {
        "grant.revoked",
        "grant.ended",
        "grant.suspended",
        "lock.added",
        "principal.locked",
        "principal.changed",
        "signin.ended",
        "token.revoked",
    }
)
_OPENINGS: Final = frozenset(
    {"grant.scheduled", "grant.activated", "grant.resumed", "lock.lifted", "principal.unlocked", "principal.changed"}
)
"""Types of entries with which somebody may be able to use more than before, or something else."""
_ERASED: Final = "subject.erased"
_HEARD: Final = _CUTS | _OPENINGS | {_ERASED}
WAKING: Final = _CUTS | {"grant.activated", "grant.scheduled"}
"""Types of entries of other processes that are not to wait for the next poll."""
_WHOLE_LOGIN: Final = frozenset({"password", "refresh_reused"})
"""Causes of a token's end with which other tokens of the same login end, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantCut:
    """One grant may not be used any more, or not now; `text` is the close reason that clients see."""

    grant: GrantId
    why: CloseWhy
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockCut:
    """Everything that depends on a thing may not be used now."""

    on: LockOn
    text: str
    why: CloseWhy = CloseWhy.LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectCut:
    """Everything of one person, agent or service may not be used now; `subject` is the name that entries use."""

    subject: str
    text: str = "locked"
    why: CloseWhy = CloseWhy.LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInCut:
    """Everything that one sign-in has opened ends with it; `sign_in` is its first token."""

    sign_in: TokenId
    text: str = "signed out"
    why: CloseWhy = CloseWhy.REVOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost:
    """This process no longer knows what was revoked: every session ends."""

    why: CloseWhy = CloseWhy.DATABASE
    text: str = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is remembered of a grant, or of one person's, agent's or service's grants, may not hold any more.

    With neither it is news of everybody's. `subject` is the name that entries use.
    """

    grant: GrantId | None = None
    subject: str | None = None


Cut = GrantCut | LockCut | SubjectCut | SignInCut | LeaseLost


class Watch:
    """The gateway lease of one process, and the cuts that its sessions have to follow."""

    def __init__(self, store: Store, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = steady(clock)
        self._random = random
        self._listeners: list[Callable[[Cut], None]] = []
        self._readers: list[Callable[[News], None]] = []
        self._growth: list[Callable[[], None]] = []
        self._erased: list[Callable[[str], None]] = []
        self._seen: int | None = None
        self._high_water = Instant(0)
        self._lost = True
        self._woken = asyncio.Event()
        self._held_since_ns = 0
        self.run_of: Run | None = None
        """The run that renews the lease; None until it is on the record that it has begun."""
        self.moved = False
        """Whether that was because the database went on from an earlier moment."""
        self.gone = asyncio.Event()
        """Set where the database says that this run, or what it knows, is of another time: the server begins anew."""
        self.lease_until_ns = 0
        """Boot time until which the newest revocations are known."""
        self.epoch = 0
        """History generation of the database."""
        self.clock_suspect = False
        """The clock could not be trusted, and that it can is not on the record: nothing new may begin."""
        self.clock_doubt: Doubt | None = None
        """Why it cannot be trusted as of the last look; None if it is right, which alone lets nothing begin again."""
        self.clock_skew_us = 0
        """By how much it was ahead of where it should have been when it was right again."""
        self.unrecorded_doubt: Doubt | None = None
        """Why it became suspect, until that is on the record."""
        self.log_changed = False
        """The audit log is not what was recorded: nothing new may begin until a start has found it whole."""
        self.unrecorded: set[str] = set()
        """Acts that took effect here and are not on the record yet; until they are, nothing new may begin."""
        self.now_minus_boot_us = 0
        """Database time less boot time in microseconds, as of the start of the last poll; for deadlines."""

    def subscribe(self, listener: Callable[[Cut], None]) -> None:
        """Call `listener` for every cut, in the event loop, before anything else happens."""
        self._listeners.append(listener)

    def subscribe_growth(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever another process has recorded something."""
        self._growth.append(listener)

    def subscribe_news(self, reader: Callable[[News], None]) -> None:
        """Call `reader` for every change of what somebody may use, cuts among them, in the event loop."""
        self._readers.append(reader)

    def subscribe_erased(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with each subject whose texts another process has erased."""
        self._erased.append(listener)

    @property
    def held_for_s(self) -> float:
        """For how long the lease has been held without a break; 0 if it is not."""
        now_ns = self._clock.boot_ns()
        return (now_ns - self._held_since_ns) / _SECOND_NS if now_ns < self.lease_until_ns else 0.0

    def wake(self) -> None:
        """Poll now: another process has committed something."""
        self._woken.set()

    def end_all(self) -> None:
        """End every session and let nothing new begin: the audit log was changed behind our back."""
        self.log_changed = True
        self.apply(LeaseLost(why=CloseWhy.AUDIT, text="audit"))

    def apply(self, cut: Cut) -> None:
        """Tell everybody of a cut."""
        self._tell(news_of_cut(cut))
        for listener in self._listeners:
            listener(cut)

    def _hear(self, entry_type: str, actor: str, ref: object, data: object) -> None:
        if (cut := cut_of(entry_type, ref, data)) is not None:
            self.apply(cut)
        elif entry_type in _OPENINGS:
            self._tell(news_of(entry_type, actor, ref, data))

    def _tell(self, news: News | None) -> None:
        if news is not None:
            for reader in self._readers:
                reader(news)

    def committed(self, rows: Sequence[EntryRow]) -> None:
        """Hear of entries that this process has just made durable; polling does not repeat what was heard in order."""
        for row in rows:
            if row.index == self._seen:
                self._seen += 1
            if row.draft.type in _HEARD:
                self._hear(row.draft.type, row.draft.actor, row.draft.ref, row.draft.data)

    def require_ready(self) -> None:
        """Refuse to begin anything while what was revoked is not recorded, or while log or clock cannot be trusted.

        Raises:
            AuditUnavailable: a revocation took effect here and waits to be recorded, or the audit log was changed.
            ClockSuspect: the clock cannot be trusted.
        """
        if self.log_changed:
            raise AuditUnavailable("The audit log is not what was recorded.", next_step="Tell an operator.")
        if self.unrecorded:
            raise AuditUnavailable("A revocation is not on the record yet.", next_step="Try again in a moment.")
        if self.clock_suspect:
            raise ClockSuspect

    @property
    def now(self) -> Instant:
        """The database's time by the boot clock: it goes on evenly where the database's clock is set back."""
        return Instant(self._clock.boot_ns() // 1_000 + self.now_minus_boot_us)

    def deadline_ns(self, until: Instant) -> int:
        """Return the boot time of an instant, by the offset that the last poll saw at its start."""
        return (until - self.now_minus_boot_us) * 1_000

    async def poll(self) -> None:
        """Renew the lease once and apply what was committed since.

        Raises:
            StoreUnavailable: the lease was not renewed.
        """
        if self._seen is None:
            self._high_water, self.clock_suspect = await self._store.read(_clock_before, urgent=True)
        self._look()
        started_ns = self._clock.boot_ns()
        database_now = await self._store.touch(self.run_of)
        rows, size, epoch = await self._store.read(self._newer, urgent=True)
        if epoch != self.epoch:
            self._tell(News())
        self.epoch = epoch
        heard = self._seen or 0
        for row in rows:
            # A cut that was heard already must not reach what was opened since, after a lock was lifted.
            if row.index < heard:
                continue
            entry = orjson.loads(row.content)
            if entry["type"] == _ERASED:
                self._tell_erased(entry["data"]["subject"])
            self._hear(entry["type"], entry["actor"], entry.get("ref", {}), entry.get("data", {}))
        if self._seen is not None and size > heard:
            for grown in self._growth:
                grown()
        self._seen = max(heard, size)
        self._high_water = max(self._high_water, database_now)
        # Only ever later: a clock that steps back must not lengthen what runs.
        offset = database_now - started_ns // 1_000
        self.now_minus_boot_us = offset if self._lost else max(offset, self.now_minus_boot_us)
        if started_ns >= self.lease_until_ns:
            self._held_since_ns = started_ns
        self.lease_until_ns = started_ns + round(LEASE_S * _SECOND_NS)
        self._lost = False

    def _tell_erased(self, subject: str) -> None:
        for listener in self._erased:
            listener(subject)

    def _look(self) -> None:
        """Look at the clock. A doubt counts at once; that it is over does once somebody has put it on the record."""
        sight = self._clock.look(self._high_water, doubted=self.clock_suspect)
        if sight.doubt is None and self.clock_doubt is not None:
            self.clock_skew_us = sight.skew_us
        self.clock_doubt = sight.doubt
        if sight.doubt is not None and not self.clock_suspect:
            self.clock_suspect, self.unrecorded_doubt = True, sight.doubt

    def doubt_recorded(self) -> None:
        """Take note that it is on the record that the clock is suspect."""
        self.unrecorded_doubt = None

    def trust_clock(self) -> None:
        """Take note that it is on the record that the clock is trusted; what was seen since then is a new doubt."""
        self.clock_suspect = self.clock_doubt is not None
        self.unrecorded_doubt = self.clock_doubt

    def _newer(self, tx: Transaction) -> tuple[list[StoredEntry], int, int]:
        """Return what may be a cut or other news since the last poll, all of it, with the size and epoch of the log.

        What was there before the first poll is no news.
        """
        size = tx.entries.size()
        seen = size if self._seen is None else self._seen
        rows: list[StoredEntry] = []
        while part := tx.entries.since(seen, types=_HEARD, limit=_AT_ONCE):
            rows += part
            seen = part[-1].index + 1
        return rows, size, tx.epoch

    async def run(self) -> None:
        """Keep the lease until cancelled; when it runs out, tell everybody and go on trying."""
        while True:
            try:
                # Not `wait_for`: in Python 3.11 it can swallow a cancellation, and this loop would never end.
                async with asyncio.timeout(ATTEMPT_S):
                    await self.poll()
            except (ReplicaGone, StoreInUse, StoreMoved) as error:
                self._lose()
                self.moved = self.moved or isinstance(error, StoreMoved)
                self.gone.set()
            except (StoreUnavailable, TimeoutError):
                self._note_loss()
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next poll, or until something is to be heard of sooner, which is not looked for too often."""
        await asyncio.sleep(_WAKE_S)
        jitter = 0.8 + 0.4 * self._random(1)[0] / 255
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S * jitter - _WAKE_S):
                await self._woken.wait()
        self._woken.clear()

    def _lose(self) -> None:
        """Give the lease up: what serves lines ends."""
        self.lease_until_ns = min(self.lease_until_ns, self._clock.boot_ns())
        self._note_loss()

    def _note_loss(self) -> None:
        if not self._lost and self._clock.boot_ns() >= self.lease_until_ns:
            self._lost = True
            self.apply(LeaseLost())


def _clock_before(tx: Transaction) -> tuple[Instant, bool]:
    """Return the latest time that was recorded, and whether it is on the record that the clock is suspect."""
    mark = Instant(int(tx.values.find(HIGH_WATER) or 0))
    return max(mark, tx.entries.head().last_at), tx.values.find(CLOCK_SUSPECT) is not None


def token_cut(token: str) -> LockCut:
    """Return the cut of what one token has opened."""
    return LockCut(on=LockOn(LockKind.TOKEN, token), text=_TOKEN_REVOKED, why=CloseWhy.REVOKED)


def cut_of(entry_type: str, ref: object, data: object) -> Cut | None:
    """Return what an entry means for open sessions; None where it means nothing."""
    refs = ref if isinstance(ref, dict) else {}
    facts = data if isinstance(data, dict) else {}
    match entry_type:
        case "grant.revoked":
            return GrantCut(grant=GrantId(refs["grant"]), why=CloseWhy.REVOKED, text="grant revoked")
        case "grant.suspended":
            return GrantCut(grant=GrantId(refs["grant"]), why=CloseWhy.SUSPENDED, text="grant suspended")
        case "grant.ended":
            why = CloseWhy.EXPIRED if facts["why"] == "expired" else CloseWhy.ENDED
            return GrantCut(grant=GrantId(refs["grant"]), why=why, text=f"grant ended: {facts['why']}")
        case "lock.added":
            return LockCut(on=LockOn(LockKind(facts["on"]), facts.get("object", "")), text="locked")
        case "token.revoked" | "signin.ended":
            return _credential_cut(entry_type, refs, facts)
        case "principal.locked":
            return SubjectCut(subject=facts["subject"])
        case "principal.changed" if facts["change"] == "disabled":
            return SubjectCut(subject=facts["subject"])
        case "principal.changed" if facts["change"] == "password":
            return SubjectCut(subject=facts["subject"], text=_TOKEN_REVOKED, why=CloseWhy.REVOKED)
        case _:
            return None


def _credential_cut(entry_type: str, refs: dict[str, str], facts: dict[str, str]) -> Cut | None:
    if entry_type == "signin.ended":
        return SignInCut(sign_in=TokenId(refs["token"])) if "token" in refs else None
    if facts["cause"] in _WHOLE_LOGIN:
        return SubjectCut(subject=facts["subject"], text=_TOKEN_REVOKED, why=CloseWhy.REVOKED)
    return token_cut(facts["token"])


def news_of(entry_type: str, actor: str, ref: object, data: object) -> News:
    """Return what an entry that is no cut means for what is remembered of grants."""
    refs = ref if isinstance(ref, dict) else {}
    facts = data if isinstance(data, dict) else {}
    match entry_type:
        case "grant.resumed":
            return News(grant=GrantId(refs["grant"]))
        case "grant.scheduled":
            return News(subject=facts["holder"])
        case "grant.activated":
            return News(subject=actor)  # only the holder of a grant activates it
        case "principal.changed" | "principal.unlocked":
            return News(subject=facts["subject"])
        case _:
            return News()


def news_of_cut(cut: Cut) -> News | None:
    """Return what a cut means for what is remembered of grants; None where it is about a sign-in alone."""
    if isinstance(cut, GrantCut):
        return News(grant=cut.grant)
    if isinstance(cut, SubjectCut):
        return News(subject=cut.subject)
    if isinstance(cut, SignInCut) or (isinstance(cut, LockCut) and cut.on.kind is LockKind.TOKEN):
        return None
    return News()
