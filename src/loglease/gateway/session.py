"""One session as a machine without I/O: items, reservations and causes go in, one next step at a time comes out.

The pump carries the steps out. `may_serve` is asked here and nowhere else, in the very call that returns a slice, and
the pump writes that slice before anything else can run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.serving import MAX_RESERVED_BYTES, MAX_RESERVED_LINES, Reservation, Settled
from loglease.gateway.resume import Position
from loglease.gateway.served import Item, settled
from loglease.gateway.settings import LAPSE_NS, RENEW_NS, SLICE_BYTES
from loglease.model.serving import Standing, may_serve
from loglease.model.session import CloseWhy

_IN_ORDER: Final = frozenset({CloseWhy.COMPLETE, CloseWhy.LIMIT, CloseWhy.TIME})
_TAIL_LINES: Final = 16
_TAIL_BYTES: Final = 8_192
_HALF_LINES: Final = MAX_RESERVED_LINES // 2
_HALF_BYTES: Final = MAX_RESERVED_BYTES // 2


@dataclass(frozen=True, slots=True)
class Slice:
    """Hand these bytes to the socket now."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Reserve:
    """Record what was handed over, and reserve so much more."""

    settled: Settled
    lines: int
    size: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before something happens or the boot clock reaches this."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The session is over; nothing more is handed over."""

    why: CloseWhy


Step = Slice | Reserve | Wait | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the machine is told of the world at one step; times are of the boot clock.

    Attributes:
        writable: the socket takes bytes now.
        deadline_ns: when the grant ends, as of the last poll of the database.
    """

    boot_ns: int
    deadline_ns: int
    lease_until_ns: int
    epoch: int
    writable: bool


class ServedSession:
    """What a session may hand over, has handed over, and still has to.

    Args:
        epoch: history generation in which the session opened.
        limit: lines after which the answer is complete.
        follow: a tail: it may skip lines for a slow reader.
    """

    def __init__(
        self,
        *,
        deadline_ns: int,
        epoch: int,
        limit: int | None,
        follow: bool,
        skip_after_ns: int,
        slow_after_ns: int,
        started_ns: int,
    ) -> None:
        self.standing = Standing(deadline_ns=deadline_ns)
        self.position: Position | None = None
        self._epoch = epoch
        self._limit = limit
        self._follow = follow
        self._skip_after_ns = skip_after_ns
        self._slow_after_ns = slow_after_ns
        self._queue: deque[Item] = deque()
        self._queued_bytes = 0
        self._taken_lines = 0
        self._rest = b""
        self._gap_lines = 0
        self._source_gap = False
        self._skipping = False
        self._done: CloseWhy | None = None
        self._unsettled: list[Item] = []
        self._settled_bytes = 0
        self._in_flight: tuple[int, int] | None = None
        self._asked_ns = -RENEW_NS
        self._asked_from = (0, 0)
        self._asked = (0, 0)
        self._is_shortened = False
        self._commit_ns = 0
        self._acknowledged_ns = 0
        self._progress_ns = started_ns

    # What happens to it.

    def offer(self, items: Sequence[Item]) -> None:
        """Take evaluated lines, in order; those beyond the limit are dropped and complete the answer."""
        if self._over:
            return
        for item in items:
            if self._limit is not None and self._taken_lines >= self._limit:
                break
            if self._skipping:
                self._gap_lines += 1
                continue
            self._taken_lines += 1
            self._queue.append(item)
            self._queued_bytes += len(item.record)
        if self._limit is not None and self._taken_lines >= self._limit:
            self.finished(CloseWhy.COMPLETE)

    def source_gap(self) -> None:
        """Take note that the source may have lost lines behind what was offered; to be called with an empty queue."""
        self._source_gap = not self._over

    def finished(self, why: CloseWhy) -> None:
        """Take note that no more lines come; what is queued is still handed over if that was in order."""
        if self._done is None:
            self._done = why
        if why not in _IN_ORDER:
            self.end(why)

    def end(self, why: CloseWhy) -> None:
        """End the session: from here on nothing is handed over. The first cause stays."""
        if self.standing.ending is None:
            self.standing.ending = why
            self._queue.clear()
            self._queued_bytes = 0

    def reserved(self, reservation: Reservation, acknowledged_ns: int) -> None:
        """Take a durable reservation; what went with it is settled."""
        lines, size = self._in_flight or (0, 0)
        self._in_flight = None
        standing = self.standing
        if reservation.exhausted:
            self.end(CloseWhy.ENDED)
            return
        del self._unsettled[:lines]
        self._settled_bytes += size
        grown = (
            reservation.ceiling_lines - standing.ceiling_lines,
            reservation.ceiling_bytes - standing.ceiling_bytes,
        )
        self._is_shortened = grown[0] < self._asked[0] or grown[1] < self._asked[1]
        standing.ceiling_lines = reservation.ceiling_lines
        standing.ceiling_bytes = reservation.ceiling_bytes
        standing.lapse_ns = acknowledged_ns + LAPSE_NS
        self._commit_ns, self._acknowledged_ns = acknowledged_ns - self._asked_ns, acknowledged_ns
        if self._is_shortened and grown == (0, 0) and not self._covered_next():
            self.end(CloseWhy.ENDED)

    def not_reserved(self, why: CloseWhy) -> None:
        """Take note that the record was not made as far as is known, or that the grant is over."""
        self.end(why)

    def progressed(self, boot_ns: int) -> None:
        """Take note that the reader took something."""
        self._progress_ns = boot_ns

    # What it says of itself.

    @property
    def room(self) -> int:
        """Bytes of encoded lines that are queued."""
        return self._queued_bytes

    @property
    def is_dropping(self) -> bool:
        """Whether lines are skipped because the reader does not keep up."""
        return self._skipping

    @property
    def is_mid_record(self) -> bool:
        """Whether the record under way is handed over in part."""
        return bool(self._rest)

    @property
    def pending_gap(self) -> int:
        """Lines that were skipped and not yet spoken of."""
        return self._gap_lines

    @property
    def has_source_gap(self) -> bool:
        """Whether the source may have lost lines that were not yet spoken of."""
        return self._source_gap

    def account(self) -> Settled:
        """Return what was handed over and is not known to be on the record yet."""
        return self._report(rest=None if self._in_flight is None else self._report(self._in_flight))

    def _report(self, but: tuple[int, int] = (0, 0), rest: Settled | None = None) -> Settled:
        """Return what was handed over since the last known record, but for so many lines and bytes at its beginning."""
        lines, size = but
        standing = self.standing
        return settled(
            self._unsettled[lines:],
            size=standing.handed_bytes - self._settled_bytes - size,
            after=(standing.handed_lines - len(self._unsettled) + lines, self._settled_bytes + size),
            rest=rest,
        )

    @property
    def _has_gap(self) -> bool:
        return bool(self._gap_lines) or self._source_gap

    @property
    def _over(self) -> bool:
        return self.standing.ending is not None or self._done is not None

    # What to do next.

    def step(self, moment: Moment, gap: bytes = b"") -> Step:
        """Return the next step.

        Args:
            moment: the world now; a slice that is returned has to be written before it changes.
            gap: the notice of what is missing, encoded.
        """
        standing = self.standing
        standing.deadline_ns = min(standing.deadline_ns, moment.deadline_ns)
        if (why := self._cause(moment)) is not None:
            self.end(why)
            return Finish(why)
        if self._skipping and moment.writable:
            self._skipping = False
        if not (self._skipping or self._queue or self._rest or self._has_gap):
            self._progress_ns = moment.boot_ns
            if self._done is not None:
                self.end(self._done)
                return Finish(self._done)
            return Wait(standing.deadline_ns)
        if self._waits_for_more():
            self._progress_ns = moment.boot_ns
            return Wait(standing.deadline_ns)
        if not moment.writable:
            return self._stalled(moment)
        return self._reserve(moment) if self._should_reserve(moment) else self._offer_slice(moment, gap)

    def _offer_slice(self, moment: Moment, gap: bytes) -> Step:
        """Return the next slice if it may be handed over at this moment, else what that waits for."""
        standing = self.standing
        content, items = self._next_slice(gap)
        why = may_serve(
            standing,
            lines=len(items),
            size=self._charged(content, gap),
            lease_until_ns=moment.lease_until_ns,
            epoch_current=moment.epoch == self._epoch,
            boot_ns=moment.boot_ns,
        )
        if why is None:
            self._hand_over(content, items, gap)
            return Slice(content)
        if why is not CloseWhy.AUDIT:
            self.end(why)
            return Finish(why)
        if self._in_flight is not None:
            return Wait(standing.deadline_ns)
        return Wait(max(self._asked_ns + RENEW_NS, moment.boot_ns + 1))

    def _cause(self, moment: Moment) -> CloseWhy | None:
        if self.standing.ending is not None:
            return self.standing.ending
        if moment.boot_ns >= moment.lease_until_ns or moment.epoch != self._epoch:
            return CloseWhy.DATABASE
        return CloseWhy.EXPIRED if moment.boot_ns >= self.standing.deadline_ns else None

    def _waits_for_more(self) -> bool:
        """Say whether the next slice of a query can still grow.

        SECURITY: where an answer is cut into frames must not depend on how hidden lines spread the visible ones over
        the source's pages; tested in tests/promises/test_2_blind.py. A tail hands its lines over as they come, and
        therefore each in a frame of its own.
        """
        if self._follow or self._rest or self._done is not None:
            return False
        return self._queued_bytes < SLICE_BYTES and len(self._queue) < MAX_RESERVED_LINES

    def _stalled(self, moment: Moment) -> Step:
        """Look at a reader that takes nothing: a tail skips lines after a while, and at last the session ends."""
        waited = moment.boot_ns - self._progress_ns
        if waited >= self._slow_after_ns:
            self.end(CloseWhy.SLOW)
            return Finish(CloseWhy.SLOW)
        if self._follow and waited >= self._skip_after_ns:
            self._skipping = True
            self._gap_lines += len(self._queue)
            self._taken_lines -= len(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            return Wait(self._progress_ns + self._slow_after_ns)
        return Wait(self._progress_ns + (self._skip_after_ns if self._follow else self._slow_after_ns))

    def _should_reserve(self, moment: Moment) -> bool:
        if self._in_flight is not None:
            return False
        standing = self.standing
        since = moment.boot_ns - self._asked_ns
        used_half = (
            standing.handed_lines - self._asked_from[0] >= _HALF_LINES
            or standing.handed_bytes - self._asked_from[1] >= _HALF_BYTES
        )
        lapsed = moment.boot_ns >= standing.lapse_ns
        if lapsed or not self._covered_next():
            return lapsed or used_half or since >= RENEW_NS or self._must_grow()
        more = (
            self._done is None
            or len(self._queue) > standing.ceiling_lines - standing.handed_lines
            or self._queued_bytes + len(self._rest) > standing.ceiling_bytes - standing.handed_bytes
        )
        # Where a commit takes longer than handing over what it allows, one for all of it beats two for its halves.
        is_slow_to_commit = self._commit_ns > 2 * (moment.boot_ns - self._acknowledged_ns)
        return more and ((used_half and not is_slow_to_commit) or since >= RENEW_NS)

    def _must_grow(self) -> bool:
        """Say whether waiting for more use would not help: a budget is at its end, or the next line is very large."""
        return self._is_shortened or (bool(self._queue) and len(self._queue[0].record) > _HALF_BYTES)

    def _covered_next(self) -> bool:
        standing = self.standing
        if self._rest:
            return len(self._rest) <= standing.ceiling_bytes - standing.handed_bytes
        if not self._queue:
            return True
        items = self._gathered()
        return (
            standing.handed_lines + len(items) <= standing.ceiling_lines
            and standing.handed_bytes + sum(len(item.record) for item in items) <= standing.ceiling_bytes
        )

    def _reserve(self, moment: Moment) -> Reserve:
        standing = self.standing
        open_lines = standing.ceiling_lines - standing.handed_lines
        open_bytes = standing.ceiling_bytes - standing.handed_bytes
        lines, size = self._wanted()
        first = len(self._rest) or (len(self._queue[0].record) if self._queue else 0)
        if first > MAX_RESERVED_BYTES - open_bytes and first > open_bytes:
            lines, size = 1, first - open_bytes
        else:
            lines = max(0, min(lines, MAX_RESERVED_LINES) - open_lines)
            size = max(0, min(size, MAX_RESERVED_BYTES) - open_bytes)
        account = self._report()
        self._in_flight = (account.lines, account.size)
        self._asked_ns = moment.boot_ns
        self._asked = (lines, size)
        self._asked_from = (standing.handed_lines, standing.handed_bytes)
        return Reserve(account, lines, size)

    def _wanted(self) -> tuple[int, int]:
        """Return how many lines and bytes should be open: exactly the rest, or as much as flows."""
        lines, size = len(self._queue), self._queued_bytes + len(self._rest)
        if self._done is not None:
            return lines, size
        if self._follow:
            lines, size = max(2 * lines, _TAIL_LINES), max(2 * size, _TAIL_BYTES)
        else:
            lines, size = MAX_RESERVED_LINES, MAX_RESERVED_BYTES
        if self._limit is not None:
            lines = min(lines, self._limit - self.standing.handed_lines)
        return lines, size

    def _next_slice(self, gap: bytes) -> tuple[bytes, list[Item]]:
        """Gather the next bytes: the rest of a record, a gap notice, whole records, or the start of a large one."""
        if self._rest:
            return self._rest[:SLICE_BYTES], []
        if self._has_gap:
            return gap, []
        items = self._gathered()
        return b"".join(item.record for item in items)[:SLICE_BYTES], items

    def _gathered(self) -> list[Item]:
        """Return the records of the next slice: one of a tail; a query's end at a ceiling only where a budget does."""
        if self._follow:
            return [self._queue[0]]
        standing = self.standing
        most_lines, most_bytes = MAX_RESERVED_LINES, MAX_RESERVED_BYTES
        if self._is_shortened:
            most_lines = standing.ceiling_lines - standing.handed_lines
            most_bytes = standing.ceiling_bytes - standing.handed_bytes
        items: list[Item] = []
        size = 0
        for item in self._queue:
            length = len(item.record)
            if items and (size + length > SLICE_BYTES or size + length > most_bytes or len(items) >= most_lines):
                break
            items.append(item)
            size += length
            if size >= SLICE_BYTES:
                break
        return items

    def _charged(self, content: bytes, gap: bytes) -> int:
        """Return what a slice costs: a notice of skipped lines is free, a large line counts whole at its first byte."""
        if self._rest:
            return len(content)
        return 0 if self._has_gap and content is gap else max(len(content), len(self._queue[0].record))

    def _hand_over(self, content: bytes, items: list[Item], gap: bytes) -> None:
        standing = self.standing
        if self._rest:
            self._rest = self._rest[len(content) :]
            standing.handed_bytes += len(content)
            return
        if not items:
            if content is gap:
                self._gap_lines, self._source_gap = 0, False
            return
        for item in items:
            self._queue.popleft()
            self._queued_bytes -= len(item.record)
        if len(items) == 1:
            self._rest = items[0].record[len(content) :]
        standing.handed_lines += len(items)
        standing.handed_bytes += len(content)
        self._unsettled += items
        self.position = items[-1].position
