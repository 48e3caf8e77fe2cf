"""The one entrance to the log: works of many callers, one after the other, one durable commit for all that wait.

While one commit is in flight the next group gathers; no timer delays anybody. Within a group each work has a savepoint,
so a refusal undoes only itself. If the database fails, each is tried alone, so one that cannot be written does not take
the others with it. Nothing is acknowledged before it is durable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from loglease.audit.entry import entry_bytes, entry_of, sequenced
from loglease.audit.interface import (
    AuditBusy,
    AuditUnavailable,
    EntryInvalid,
    EntryRow,
    Group,
    Recorded,
    Rows,
)
from loglease.audit.privacy import Vault
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

_STORE_FAILED: Final = "store_unavailable"


@dataclass(slots=True, eq=False)
class _Job(Generic[Tx]):
    work: Callable[[Tx, Instant], Recorded[Any]]
    urgent: bool
    answer: asyncio.Future[Any]
    size: int = 0
    """How large the log has to be for the job's entries to be in it; 0 for a job without any."""


@dataclass(slots=True)
class _Round(Generic[Tx]):
    """What one transaction did: each job that was tried with its result or its refusal, and the entries."""

    results: list[tuple[_Job[Tx], Any]] = field(default_factory=list)
    refusals: list[tuple[_Job[Tx], Exception]] = field(default_factory=list)
    rows: list[EntryRow] = field(default_factory=list)
    size: int = 0

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


class Sequencer(Generic[Tx]):
    """`EntryLog` on a database.

    Args:
        vault: seals the private texts of entries.
        limit_s: how long a caller waits by default.
        covered: what an ordinary work waits for after its commit; an urgent one never does.
        gate: called before an ordinary work is taken; it raises `AuditUnavailable` where none may be.
    """

    def __init__(
        self,
        rows: Rows[Tx],
        clock: Clock,
        vault: Vault,
        *,
        limit_s: float = LIMIT_S,
        covered: Covered | None = None,
        gate: Callable[[], None] = lambda: None,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._vault = vault
        self._limit_s = limit_s
        self._covered = covered
        self._gate = gate
        self._ordinary: deque[_Job[Tx]] = deque()
        self._urgent: deque[_Job[Tx]] = deque()
        self._listeners: list[Listener] = []
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
            raise AuditBusy("Too much waits to be recorded.", next_step="Try again in a second.")
        job = _Job(work, urgent, asyncio.get_running_loop().create_future())
        (self._urgent if urgent else self._ordinary).append(job)
        if self._pump is None:
            self._pump = asyncio.create_task(self._commit_all(), name="audit sequencer")
        limit = self._limit_s if limit_s is None else limit_s
        try:
            async with asyncio.timeout(limit) as waiting:
                result: Result = await job.answer
                if self._covered is not None and job.size and not urgent:
                    await self._covered(job.size)
        except TimeoutError as error:
            if not waiting.expired():
                raise  # the work's own
            raise AuditUnavailable(
                f"It was not on the record within {limit:g} s; it may still come.",
                next_step="Look before you repeat it.",
            ) from error
        return result

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
        try:
            done = await self._rows.group(lambda group: self._run(group, jobs, alone=False))
        except Exception:  # noqa: BLE001 - whatever it was, each job now meets it alone and answers for itself
            for job in jobs:
                await self._commit_alone(job)
            return
        for job in reversed(jobs[done.tried :]):
            (self._urgent if job.urgent else self._ordinary).appendleft(job)
        self._answer(done)

    async def _commit_alone(self, job: _Job[Tx]) -> None:
        try:
            done = await self._rows.group(lambda group: self._run(group, [job], alone=True))
        except Exception as error:  # noqa: BLE001 - the caller of this one work gets it
            self._answer(_Round(refusals=[(job, _refusal(error))]))
        else:
            self._answer(done)

    def _run(self, group: Group[Tx], jobs: list[_Job[Tx]], *, alone: bool) -> _Round[Tx]:
        """Try the jobs in order, on the database's thread; what does not fit stays for the next group."""
        done: _Round[Tx] = _Round()
        began_ns = self._clock.boot_ns()
        now = Instant(max(group.now(), group.head.last_at))
        for job in jobs:
            index = group.head.next + len(done.rows)
            try:
                with group.attempt():
                    result, rows = _worked(group, job, index=index, now=now, alone=alone)
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
        return done

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
        if done.rows:
            for listener in self._listeners:
                self._tell(listener, done.rows)
        for job, result in done.results:
            if not job.answer.done():
                job.answer.set_result(result)
        for job, error in done.refusals:
            if not job.answer.done():
                job.answer.set_exception(error)

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
                job.answer.set_exception(AuditUnavailable("Recording was interrupted.", next_step="Try again."))


def _worked(group: Group[Tx], job: _Job[Tx], *, index: int, now: Instant, alone: bool) -> tuple[object, list[EntryRow]]:
    recorded = job.work(group.transaction, now)
    rows = [sequenced(draft, index=index + place, at=now) for place, draft in enumerate(recorded.entries)]
    if alone and rows and _all_known(group, rows):
        raise _AlreadyRecorded(recorded.result)
    return recorded.result, rows


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
