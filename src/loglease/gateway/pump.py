"""Carries a session out: reads and evaluates ahead, asks the machine for each step, writes, reserves, and ends.

One task owns a session. A slice is written in the same step of the event loop in which `may_serve` allowed it: the
connection is known to take it, so the write does not wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

from loglease.access.errors import BudgetUsed, ClockSuspect, Locked
from loglease.access.open_session import Opened
from loglease.access.serving import Reservation
from loglease.access.watch import Watch
from loglease.audit.interface import AuditUnavailable
from loglease.gateway.asked import Prepared
from loglease.gateway.channel import Channel
from loglease.gateway.cut import PATIENT, WHOLE, ended_in_order
from loglease.gateway.errors import Draining, QueryInvalid, QueryLimit, RedactionUnavailable
from loglease.gateway.reading import InPool
from loglease.gateway.reserve import Recorder
from loglease.gateway.served import Item
from loglease.gateway.session import Moment, Reserve, ServedSession, Slice, Step, Wait
from loglease.gateway.settings import CUT_NS, GatewaySettings
from loglease.logql import QueryFailed
from loglease.model.clock import Clock
from loglease.model.errors import GrantEnded, GrantNotActive, LogLeaseError
from loglease.model.instant import NANOSECONDS
from loglease.model.session import CloseWhy
from loglease.redaction import Withheld
from loglease.sources.interface import Gap, SourceError
from loglease.store.interface import StoreUnavailable

YIELD_BYTES: Final = 32 * 1024
LOOK_AGAIN_S: Final = 1.0
"""The longest sleep: the loop's own timers do not count the time a machine was suspended."""

_log = logging.getLogger("loglease.gateway")


class Pump:
    """One answer at work: one session, or one of each grant that it is made under.

    Args:
        opened: the sessions, in the order of the machine's shares.
        in_pool: threads that redact and evaluate.
        withheld: is told of a text that a redactor could not vouch for.
    """

    def __init__(
        self,
        opened: Sequence[Opened],
        prepared: Prepared,
        *,
        machine: ServedSession,
        channel: Channel,
        watch: Watch,
        clock: Clock,
        recorder: Recorder,
        in_pool: InPool,
        withheld: Callable[[Withheld], None],
        settings: GatewaySettings,
    ) -> None:
        self._opened = opened
        self._reading = prepared.reading
        self._machine = machine
        self._encoder = prepared.encoder
        self._progress = prepared.progress
        self._channel = channel
        self._connection = channel.connection
        self._watch = watch
        self._clock = clock
        self._recorder = recorder
        self._in_pool = in_pool
        self._withheld = withheld
        self._settings = settings
        self._until = min(one.grant.due_at for one in opened)
        self._ids = ", ".join(one.session.id for one in opened)
        self._wake = asyncio.Event()
        self._space = asyncio.Event()
        self._begun = False
        self._opened_ns = self._spoke_ns = clock.boot_ns()
        self._cut_ns: int | None = None
        self._text = ""
        self._reserving: set[asyncio.Task[None]] = set()
        self._failure: LogLeaseError | None = None
        self._detail: str | None = None

    # What reaches it from outside.

    def cut(self, why: CloseWhy, text: str) -> None:
        """End the session now; returns at once."""
        if self._cut_ns is None:
            self._cut_ns = self._clock.boot_ns()
        if self._machine.ending is None:
            self._text = text
        self._machine.end(why)
        self._wake.set()
        self._space.set()

    # Its life.

    async def run(self) -> None:
        """Serve until the session is over and its connection has ended.

        Raises:
            LogLeaseError: it was over before the first byte, so the caller answers with this problem.
        """
        self._connection.listen(self._wake.set)
        producer = asyncio.create_task(self._produce())
        producer.add_done_callback(_looked_at)
        why = CloseWhy.ERROR
        try:
            if self._reading.follow:
                await self._begin()
            why = await self._carry()
            producer.cancel()
            await self._finish(why)
        finally:
            producer.cancel()
            if self._begun and not self._connection.is_lost:
                self._connection.reset()

    async def settle(self) -> None:
        """Put the account of each session on its record; to be run apart from the client's call."""
        if self._reserving:
            await asyncio.wait(self._reserving)
        why = self._machine.ending or CloseWhy.ERROR
        cut_ms = None if self._cut_ns is None else (self._clock.boot_ns() - self._cut_ns) // 1_000_000
        closed = await asyncio.gather(
            *(
                self._recorder.close(
                    one.session.id,
                    why=why,
                    account=self._machine.account(share),
                    cut_ms=cut_ms,
                    detail=self._detail if why is CloseWhy.REDACTION else None,
                    over=why is CloseWhy.ENDED and self._machine.shares[share].is_spent,
                )
                for share, one in enumerate(self._opened)
            ),
            return_exceptions=True,
        )
        for failure in closed:
            if failure is not None:
                raise failure

    async def _carry(self) -> CloseWhy:
        written = 0
        while True:
            self._wake.clear()
            due_ns = self._channel.beat(self._clock.boot_ns(), between_records=not self._machine.is_mid_record)
            moment = self._moment()
            if (left := CloseWhy.CLIENT if self._connection.is_lost else self._channel.ending) is not None:
                self._machine.end(left)
            step: Step = self._machine.step(moment, self._gap_notice())
            if self._machine.room <= self._settings.ahead_bytes // 2:
                self._space.set()  # also where a tail has begun to skip lines
            if isinstance(step, Slice):
                await self._write(step.content)
                self._machine.progressed(moment.boot_ns)
                written += len(step.content)
                if written >= YIELD_BYTES:
                    written = 0
                    await asyncio.sleep(0)
            elif isinstance(step, Reserve):
                reserving = asyncio.create_task(self._reserve(step))
                self._reserving.add(reserving)
                reserving.add_done_callback(self._reserving.discard)
            elif isinstance(step, Wait):
                due_ns = min(due_ns, await self._tell_progress(moment))
                await self._sleep(min(step.until_ns, due_ns) - moment.boot_ns)
            else:
                return step.why

    async def _tell_progress(self, moment: Moment) -> int:
        """Say that the session still runs if it was silent for long and may go on; return when that is due again."""
        every_ns = round(self._settings.progress_s * 1e9)
        if self._progress is None:
            return moment.boot_ns + every_ns
        if moment.boot_ns >= self._spoke_ns + every_ns and moment.writable and not self._machine.is_mid_record:
            await self._write(self._progress((moment.boot_ns - self._opened_ns) // NANOSECONDS))
        return max(self._spoke_ns, moment.boot_ns - every_ns // 2) + every_ns

    def _gap_notice(self) -> bytes:
        machine = self._machine
        notice = self._encoder.gap(None) if machine.has_source_gap else b""
        return notice + self._encoder.gap(machine.pending_gap) if machine.pending_gap else notice

    def _moment(self) -> Moment:
        return Moment(
            boot_ns=self._clock.boot_ns(),
            deadline_ns=self._watch.deadline_ns(self._until),
            lease_until_ns=self._watch.lease_until_ns,
            epoch=self._watch.epoch,
            writable=self._channel.is_writable,
            clock_suspect=self._watch.clock_suspect,
        )

    async def _sleep(self, longest_ns: int) -> None:
        timer = asyncio.get_running_loop().call_later(min(longest_ns / 1e9, LOOK_AGAIN_S), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _begin(self) -> None:
        self._begun = True
        await self._channel.begin()

    async def _write(self, content: bytes) -> None:
        # SECURITY: nothing here waits, because the connection takes bytes; tested in test_pump.py.
        if not self._begun:
            await self._begin()
        self._spoke_ns = self._clock.boot_ns()
        await self._channel.write(content)

    async def _reserve(self, step: Reserve) -> None:
        opened = self._opened[step.share]
        try:
            answer = await self._recorder.reserve(opened, step, self._clock.now())
            if isinstance(answer, Reservation):
                self._machine.reserved(answer, self._clock.boot_ns(), step.share)
            else:
                self._machine.not_reserved(answer)
        except Exception:  # noqa: BLE001 - supervised: nothing is known to be reserved, so the session ends
            _log.exception("session_not_recorded", extra={"session": opened.session.id})
            self._machine.not_reserved(CloseWhy.ERROR)
        self._wake.set()

    # Its end.

    async def _finish(self, why: CloseWhy) -> None:
        self._space.set()
        if not self._begun:
            if (refusal := self._over_budget(why)) is not None:
                raise refusal
            if why not in WHOLE:
                raise self._failure or _problem(why)
            await self._begin()
        end = self._encoder.end(why, self._machine.handed_lines, self._machine.places)

        async def write_end() -> None:
            await self._channel.end(end, why, self._text)

        patient = why in PATIENT
        is_broken = self._machine.is_mid_record or not (patient or self._encoder.ends_early)
        await ended_in_order(
            self._connection,
            write_end=None if is_broken else write_end,
            clock=self._clock,
            patience_ns=round(self._settings.slow_after_s * 1e9) if patient else CUT_NS,
            is_cut=lambda: not patient or self._cut_ns is not None,
        )
        for _ in range(100):
            if self._connection.is_lost:
                break
            await asyncio.sleep(0)

    def _over_budget(self, why: CloseWhy) -> LogLeaseError | None:
        """Return what is answered where already the first line is of somebody for whom there is no room."""
        over = [one.grant for one, share in zip(self._opened, self._machine.shares, strict=True) if share.is_refused]
        if why is not CloseWhy.ENDED or not over:
            return None
        return BudgetUsed(
            f"{over[0].id} has no room for another data subject.",
            next_step=f"loglease request --like {over[0].request}",
        )

    # Where its lines come from.

    async def _produce(self) -> None:
        why = CloseWhy.COMPLETE
        try:
            why = await self._read()
        except Withheld as fault:
            named = {"reason": fault.reason, "engine": fault.engine, "profile": fault.profile, "rule": fault.rule}
            _log.warning("redaction_withheld", extra={"session": self._ids, **named})
            self._detail = fault.detail
            self._withheld(fault)
            why = CloseWhy.REDACTION
        except SourceError as error:
            self._failure, why = error, CloseWhy.SOURCE
        except QueryFailed as error:
            self._failure, why = _failed(error), CloseWhy.LIMIT if error.limit else CloseWhy.ERROR
        except Exception:  # noqa: BLE001 - supervised: it logs, counts as the session's end and goes no further
            _log.exception("session_failed", extra={"session": self._ids})
            why = CloseWhy.ERROR
        self._machine.finished(why)
        self._wake.set()

    async def _tell_gap(self) -> None:
        """Have a gap of the source told between the lines that came before it and those that come after."""
        while self._machine.room:
            self._space.clear()
            await self._space.wait()
        self._machine.source_gap()
        self._wake.set()

    async def _read(self) -> CloseWhy:
        """Hand on what is found, a query for as long as it may look; waiting for the client is not looking."""
        left_s = None if self._reading.follow else self._settings.scan_s
        within = asyncio.timeout(None)
        async with aclosing(self._reading.batches(self._in_pool)) as batches:
            while True:
                began_ns = self._clock.boot_ns()
                try:
                    async with asyncio.timeout(left_s) as within:
                        batch = await anext(batches, None)
                except TimeoutError:
                    if not within.expired():
                        raise
                    return CloseWhy.TIME
                if left_s is not None:
                    left_s -= (self._clock.boot_ns() - began_ns) / 1e9
                if batch is None:
                    return CloseWhy.LIMIT if self._reading.is_exhausted else CloseWhy.COMPLETE
                if isinstance(batch, Gap):
                    await self._tell_gap()
                else:
                    await self._give(batch)
                del batch  # it may be long until the next one

    async def _give(self, items: Sequence[Item]) -> None:
        """Hand lines to the machine as far as it has room."""
        at = 0
        while at < len(items):
            size = self._machine.room
            first = at
            while at < len(items) and (size < self._settings.ahead_bytes or at == first):
                size += len(items[at].record)
                at += 1
            self._space.clear()
            self._machine.offer(items[first:at])
            self._wake.set()
            while self._machine.room >= self._settings.ahead_bytes:
                await self._space.wait()
                self._space.clear()


def _failed(error: QueryFailed) -> LogLeaseError:
    """Return what is answered where a query cannot be answered for the lines that it met."""
    if error.limit:
        return QueryLimit(f"{error.message}.", next_step="Ask for less.")
    return QueryInvalid(f"{error.message}.", next_step="Change the query.")


def _problem(why: CloseWhy) -> LogLeaseError:
    """Return what is answered where a session was over before its answer began."""
    later = "Try again."
    match why:
        case CloseWhy.REVOKED | CloseWhy.EXPIRED:
            how = "was revoked" if why is CloseWhy.REVOKED else "has expired"
            return GrantEnded(f"The grant {how}.", next_step="Ask again if you still need it.")
        case CloseWhy.SUSPENDED:
            return GrantNotActive("The grant is suspended.", next_step="Ask whoever suspended it.")
        case CloseWhy.LOCKED:
            return Locked("A lock stops this for now.", next_step="Ask an administrator.")
        case CloseWhy.AUDIT:
            return AuditUnavailable("What you read cannot be recorded, so nothing is shown.", next_step=later)
        case CloseWhy.DATABASE:
            return StoreUnavailable("The database cannot be reached.", next_step=later)
        case CloseWhy.REDACTION:
            return RedactionUnavailable()
        case CloseWhy.LIMIT | CloseWhy.TIME:
            what = "at more lines" if why is CloseWhy.LIMIT else "for longer"
            return QueryLimit(
                f"The query would look {what} than one may.", next_step="Ask for less time or fewer streams."
            )
        case CloseWhy.CLOCK:
            return ClockSuspect()
        case CloseWhy.DRAIN:
            return Draining("This server stops.", next_step=later)
        case _:
            return LogLeaseError("The session failed.", next_step="Try again; tell an operator.")


def _looked_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
