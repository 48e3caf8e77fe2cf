"""The one entrance to the log: works of many callers, one after the other, one durable commit for all that wait.

While one commit is in flight the next group gathers; no timer delays anybody. Within a group each work has a savepoint,
so a refusal undoes only itself. If the database fails, each is tried alone, so one that cannot be written does not take
the others with it. Nothing is acknowledged before it is durable.

A database may take a commit and lose its answer. So a group that was written as a whole is looked for before any of it
is tried again: what holds is answered as if nothing had happened, and no work ever happens twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from loglease.audit.deadlines import Deadlines
from loglease.audit.entry import entry_bytes, entry_of, sequenced
from loglease.audit.interface import (
    AuditBusy,
    AuditUnavailable,
    Draft,
    EntryInvalid,
    EntryRow,
    Group,
    Recorded,
    Rows,
)
from loglease.audit.outage import Outage
from loglease.audit.privacy import Vault
from loglease.model.ack import Ack, strongest
from loglease.model.clock import Clock
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant

Tx = TypeVar("Tx")
Result = TypeVar("Result")
Covered = Callable[[int], Awaitable[None]]
"""Return once a signed head covers so many entries; raise `AuditUnavailable` if none will."""
Listener = Callable[[Sequence[EntryRow]], None]

MAX_WAITING: Final = 4_096
"""Ordinary works that may wait; urgent ones are taken beyond it."""
MAX_GROUP_ENTRIES: Final = 4_096
MAX_GROUP_BYTES: Final = 4 << 20
MAX_GROUP_NS: Final = 250_000_000
"""How long a group may work before it commits what it has, so that nobody waits for a whole queue."""
LIMIT_S: Final = 2.0
WITNESSED_WITHIN_S: Final = 5.0
"""How long a caller waits where a record counts once it is witnessed."""
DOUBT_S: Final = 1.0
"""How long a commit whose answer was lost is looked for before its callers are told that nobody knows."""

_LOOK_EVERY_S: Final = 0.05
_STORE_FAILED: Final = "store_unavailable"
_LOOK: Final = "Look before you repeat it."


@dataclass(slots=True, eq=False)
class _Job(Generic[Tx]):
    work: Callable[[Tx, Instant], Recorded[Any]]
    urgent: bool
    answer: asyncio.Future[Any]
    size: int = 0
    """How large the log has to be for the job's entries to be in it; 0 for a job without any."""
    ack: Ack = Ack.DURABLE
    """What has to be true of them before it is answered, if that is more than the log's own setting."""
    failed: bool = False
    """Whether it was the log, and not the work itself, that refused it."""


@dataclass(slots=True)
class _Round(Generic[Tx]):
    """What one transaction did: each job that was tried with its result or its refusal, and the entries.

    Attributes:
        mark: by which a transaction without entries is found again; None if there are some, or if it wrote nothing.
    """

    results: list[tuple[_Job[Tx], Any]] = field(default_factory=list)
    refusals: list[tuple[_Job[Tx], Exception]] = field(default_factory=list)
    rows: list[EntryRow] = field(default_factory=list)
    size: int = 0
    mark: int | None = None

    @property
    def tried(self) -> int:
        return len(self.results) + len(self.refusals)

    def is_full(self) -> bool:
        return len(self.rows) >= MAX_GROUP_ENTRIES or self.size >= MAX_GROUP_BYTES


class _AlreadyRecorded(Exception):
    """The work's entries are in the log already, so its writes are undone and its result stands."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result


class _Late(AuditUnavailable):
    """It was not on the record in time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"It was not on the record within {limit_s:g} s; it may still come.", next_step=_LOOK)


class _InDoubt(Exception, Generic[Tx]):
    """Whether the database took a round could not be found out."""

    def __init__(self, done: _Round[Tx]) -> None:
        super().__init__()
        self.done = done


class Sequencer(Generic[Tx]):
    """`EntryLog` on a database.

    Args:
        vault: seals the private texts of entries.
        limit_s: how long a caller waits by default.
        covered: what an ordinary work waits for after its commit; an urgent one never does.
        stronger: what it waits for besides where something more than that is demanded of its entries.
        demanded: says what is demanded of entries that are about to be recorded.
        gate: called before an ordinary work is taken; it raises `AuditUnavailable` where none may be.
        doubt_s: how long a commit whose answer was lost is looked for.

    Attributes:
        outage: what could not be recorded, and is not on the record yet.
    """

    def __init__(
        self,
        rows: Rows[Tx],
        clock: Clock,
        vault: Vault,
        *,
        limit_s: float = LIMIT_S,
        covered: Covered | None = None,
        stronger: Mapping[Ack, Covered] = MappingProxyType({}),
        demanded: Callable[[Tx, Sequence[Draft]], Ack] = lambda _tx, _entries: Ack.DURABLE,
        gate: Callable[[], None] = lambda: None,
        doubt_s: float = DOUBT_S,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._vault = vault
        self._limit_s = limit_s
        self._covered = covered
        self._stronger = stronger
        self._demanded = demanded
        self._lacking = Ack.DURABLE
        self._gate = gate
        self._doubt_s = doubt_s
        self.outage = Outage(clock)
        self._doubts: list[_Round[Tx]] = []
        self._ordinary: deque[_Job[Tx]] = deque()
        self._urgent: deque[_Job[Tx]] = deque()
        self._listeners: list[Listener] = []
        self._deadlines = Deadlines(_Late)
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    def on_committed(self, listener: Listener) -> None:
        """Call `listener` on the event loop with the entries of each commit, before their callers are answered."""
        self._listeners.append(listener)

    async def commit(
        self, work: Callable[[Tx, Instant], Recorded[Result]], *, urgent: bool = False, limit_s: float | None = None
    ) -> Result:
        """Run `work(transaction, now)` and return its result once it and its entries are durable.

        Raises:
            AuditBusy: too much is waiting.
            AuditUnavailable: not durable in time; it may still become so.
            LogLeaseError: whatever `work` raised; nothing was written.
        """
        if self._closed:
            raise AuditUnavailable("The audit log is closed: the server is stopping.", next_step="Try again.")
        if not urgent:
            self._gate()
        if not urgent and len(self._ordinary) >= MAX_WAITING:
            self.outage.note()
            raise AuditBusy("Too much waits to be recorded.", next_step="Try again in a second.")
        job = _Job(work, urgent, asyncio.get_running_loop().create_future())
        try:
            result: Result = await self._commit(job, self._limit_s if limit_s is None else limit_s)
        finally:
            if job.failed:
                self.outage.note()
        return result

    async def try_again(self, work: Callable[[Tx, Instant], Recorded[Result]], *, limit_s: float) -> Result:
        """Commit as an urgent work whether the log takes records again; what fails here counts for nobody's.

        Raises:
            AuditUnavailable: it does not yet.
        """
        job = _Job(work, urgent=True, answer=asyncio.get_running_loop().create_future())
        result: Result = await self._commit(job, limit_s)
        return result

    async def _commit(self, job: _Job[Tx], limit: float) -> Any:
        (self._urgent if job.urgent else self._ordinary).append(job)
        if self._pump is None:
            self._pump = asyncio.create_task(self._commit_all(), name="audit sequencer")
        deadline = self._deadlines.add(job.answer, limit)
        try:
            result = await job.answer
        except _Late:
            job.failed = True
            raise
        finally:
            self._deadlines.discard(job.answer)
        if job.size and not job.urgent and (self._covered is not None or job.ack in self._stronger):
            await self._cover(job, limit, deadline)
        return result

    async def _cover(self, job: _Job[Tx], limit: float, deadline: float) -> None:
        if job.ack is Ack.WITNESSED:
            deadline += max(0, WITNESSED_WITHIN_S - limit)
        try:
            async with asyncio.timeout_at(deadline) as waiting:
                await self._cover_up_to(job.size, job.ack)
        except (AuditUnavailable, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not waiting.expired():
                raise
            job.failed = True
            self._lacking = strongest((self._lacking, job.ack))
            if isinstance(error, AuditUnavailable):
                raise
            raise _Late(limit) from error

    async def _cover_up_to(self, size: int, ack: Ack) -> None:
        if self._covered is not None:
            await self._covered(size)
        if (more := self._stronger.get(ack)) is not None:
            await more(size)

    async def covers(self, size: int) -> None:
        """Return once so many entries count as recorded in each sense in which some did not.

        Raises:
            AuditUnavailable: they will not, for the moment.
        """
        lacking = self._lacking
        await self._cover_up_to(size, lacking)
        if self._lacking is lacking:
            self._lacking = Ack.DURABLE

    async def aclose(self) -> None:
        """Take nothing new, and return when all that waits is answered."""
        self._closed = True
        if self._pump is not None:
            await self._pump

    async def _commit_all(self) -> None:
        """Commit group after group until nothing waits."""
        jobs: list[_Job[Tx]] = []
        try:
            while self._urgent or self._ordinary:
                jobs = [*self._urgent, *self._ordinary]
                self._urgent.clear()
                self._ordinary.clear()
                await self._commit_group(jobs)
        finally:
            self._pump = None
            self._fail([*jobs, *self._urgent, *self._ordinary])

    async def _commit_group(self, jobs: list[_Job[Tx]]) -> None:
        await self._settle()
        try:
            done = await self._group(jobs, alone=False)
        except _InDoubt as doubt:
            done = doubt.done
            self._answer_doubt(done)
        except Exception:  # noqa: BLE001 - whatever it was, each job now meets it alone and answers for itself
            for job in jobs:
                await self._commit_alone(job)
            return
        else:
            self._answer(done)
        for job in reversed(jobs[done.tried :]):
            (self._urgent if job.urgent else self._ordinary).appendleft(job)

    async def _commit_alone(self, job: _Job[Tx]) -> None:
        try:
            done = await self._group([job], alone=True)
        except _InDoubt as doubt:
            self._answer_doubt(doubt.done)
        except Exception as error:  # noqa: BLE001 - the caller of this one work gets it
            job.failed = _is_store_failure(error)
            self._answer(_Round(refusals=[(job, _refusal(error))]))
        else:
            self._answer(done)

    async def _group(self, jobs: list[_Job[Tx]], *, alone: bool) -> _Round[Tx]:
        """Try jobs in one transaction and return what it did, also where the database's answer to the commit was lost.

        Raises:
            Exception: nothing of it holds.
            _InDoubt: nobody knows whether it holds.
        """
        written: list[_Round[Tx]] = []

        def body(group: Group[Tx]) -> _Round[Tx]:
            done = self._run(group, jobs, alone=alone)
            written.append(done)
            return done

        try:
            return await self._rows.group(body)
        except Exception:
            if not (written and await self._holds(written[0])):
                raise
            return written[0]

    async def _holds(self, done: _Round[Tx]) -> bool:
        """Find out whether a round whose commit failed holds nevertheless.

        Raises:
            _InDoubt: the database does not say.
        """
        if not done.rows and done.mark is None:
            return False  # it wrote nothing, so it is harmless to do it again
        loop = asyncio.get_running_loop()
        until = loop.time() + self._doubt_s
        while (found := await self._found(done)) is None:
            if loop.time() >= until:
                raise _InDoubt(done)
            await asyncio.sleep(_LOOK_EVERY_S)
        return found

    async def _found(self, done: _Round[Tx]) -> bool | None:
        """Look for a round in the database; None if that cannot be done. The log's lock waits for what is in flight."""

        def look(group: Group[Tx]) -> bool:
            if done.rows:
                return bool(group.known([done.rows[0].id]))
            return done.mark is not None and group.left(done.mark)

        try:
            return await self._rows.group(look)
        except Exception:  # noqa: BLE001 - whatever it was, the database does not say
            return None

    async def _settle(self) -> None:
        """Tell listeners of rounds that were in doubt and that turn out to hold, before anything that is newer."""
        while self._doubts:
            done = self._doubts[0]
            found = await self._found(done)
            if found is None:
                return
            self._doubts.pop(0)
            if found:
                self._tell_all(done)

    def _run(self, group: Group[Tx], jobs: list[_Job[Tx]], *, alone: bool) -> _Round[Tx]:
        """Try the jobs in order, on the database's thread; what does not fit stays for the next group."""
        done: _Round[Tx] = _Round()
        began_ns = self._clock.boot_ns()
        now = Instant(max(group.now(), group.head.last_at))
        for job in jobs:
            job.size, job.ack = 0, Ack.DURABLE
            index = group.head.next + len(done.rows)
            try:
                with group.attempt():
                    result, rows = self._worked(group, job, index=index, now=now, alone=alone)
            except _AlreadyRecorded as known:
                job.size = group.head.next
                done.results.append((job, known.result))
            except Exception as error:
                if _is_store_failure(error):
                    raise
                done.refusals.append((job, error))
            else:
                job.size = index + len(rows) if rows else 0
                done.results.append((job, result))
                done.rows += rows
                done.size += sum(len(row.content) for row in rows)
            if done.is_full() or self._clock.boot_ns() - began_ns >= MAX_GROUP_NS:
                break
        if done.rows:
            group.append(self._sealed(group, done.rows), last_at=now)
        else:
            done.mark = group.mark()
        return done

    def _worked(
        self, group: Group[Tx], job: _Job[Tx], *, index: int, now: Instant, alone: bool
    ) -> tuple[object, list[EntryRow]]:
        recorded = job.work(group.transaction, now)
        rows = [sequenced(draft, index=index + place, at=now) for place, draft in enumerate(recorded.entries)]
        if recorded.entries:
            job.ack = strongest((recorded.ack, self._demanded(group.transaction, recorded.entries)))
        if alone and rows and _all_known(group, rows):
            raise _AlreadyRecorded(recorded.result)
        return recorded.result, rows

    def _sealed(self, group: Group[Tx], rows: Sequence[EntryRow]) -> Sequence[EntryRow]:
        """Return entries with their private texts sealed."""
        if not any(row.draft.private for row in rows):
            return rows
        sealing = self._vault.sealing(group.subject_keys)
        return [
            replace(row, sealed=sealing.seal(row.id, row.draft.actor, row.draft.private)) if row.draft.private else row
            for row in rows
        ]

    def _answer(self, done: _Round[Tx]) -> None:
        self._tell_all(done)
        for job, result in done.results:
            if not job.answer.done():
                job.answer.set_result(result)
        for job, error in done.refusals:
            if not job.answer.done():
                job.answer.set_exception(error)

    def _answer_doubt(self, done: _Round[Tx]) -> None:
        """Tell callers that nobody knows; those whose works were refused have their answer nevertheless."""
        if done.rows:
            self._doubts.append(done)
        unknown = [
            (job, AuditUnavailable("It may be on the record: the database did not say.", next_step=_LOOK))
            for job, _ in done.results
        ]
        for job, _ in unknown:
            job.failed = True
        self._answer(_Round(refusals=[*unknown, *done.refusals]))

    def _tell_all(self, done: _Round[Tx]) -> None:
        if done.rows:
            for listener in self._listeners:
                self._tell(listener, done.rows)

    def _tell(self, listener: Listener, rows: Sequence[EntryRow]) -> None:
        try:
            listener(rows)
        except Exception as error:  # noqa: BLE001 - the entries are durable whatever a listener does; the loop reports it
            asyncio.get_running_loop().call_exception_handler(
                {"message": "A listener of the audit log failed.", "exception": error}
            )

    def _fail(self, jobs: Sequence[_Job[Tx]]) -> None:
        """Answer those that a cancelled or broken pump leaves behind; what was in flight may still become durable."""
        self._urgent.clear()
        self._ordinary.clear()
        for job in jobs:
            if not job.answer.done():
                job.failed = True
                job.answer.set_exception(AuditUnavailable("Recording was interrupted.", next_step="Try again."))


def _all_known(group: Group[Tx], rows: Sequence[EntryRow]) -> bool:
    """Say whether the log has these entries already; looked at only after an append failed.

    Raises:
        EntryInvalid: one id stands for two different entries.
    """
    known = group.known([row.id for row in rows])
    for row in rows:
        content = known.get(row.id)
        if content is not None and entry_bytes(row.draft, entry_of(content).at) != content:
            raise EntryInvalid(f"{row.id} is in the log already, with another content.")
    if known and len(known) != len(rows):
        raise EntryInvalid("Some of these entries are in the log already, and some are not.")
    return bool(known)


def _is_store_failure(error: Exception) -> bool:
    return isinstance(error, LogLeaseError) and error.code == _STORE_FAILED


def _refusal(error: Exception) -> Exception:
    if not _is_store_failure(error):
        return error
    refusal = AuditUnavailable("It could not be recorded, so it did not happen.", next_step="Try again in a moment.")
    refusal.__cause__ = error
    return refusal
