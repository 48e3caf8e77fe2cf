"""One session as a machine without I/O: items, reservations and causes go in, one next step at a time comes out.

The pump carries the steps out. `may_serve` is asked here and nowhere else, in the very call that returns a slice, and
the pump writes that slice before anything else can run. Where an answer is made under several grants, each has a share
of its own, and every item is reserved, recorded and counted in the share of each grant that it is from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from loglease.access.serving import MAX_RESERVED_BYTES, MAX_RESERVED_LINES, Reservation, Settled
from loglease.gateway.resume import Places
from loglease.gateway.served import Item
from loglease.gateway.settings import RENEW_NS, SLICE_BYTES
from loglease.gateway.share import Share, size_of
from loglease.gateway.subjects import Group, Subjects
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
    """Record what was handed over under one share, and reserve so much more, with the data subjects of the lines."""

    settled: Settled
    lines: int
    size: int
    share: int = 0
    subjects: Sequence[Group] = ()


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
        clock_suspect: the wall clock cannot be trusted.
    """

    boot_ns: int
    deadline_ns: int
    lease_until_ns: int
    epoch: int
    writable: bool
    clock_suspect: bool = False


class _Part(NamedTuple):
    """What is one share's of the next bytes.

    Attributes:
        items: those that begin there.
        size: bytes that are handed over.
        charged: bytes that have to be reserved: a large item counts whole at its first byte.
    """

    share: Share
    items: Sequence[Item]
    size: int
    charged: int


class ServedSession:
    """What a session may hand over, has handed over, and still has to.

    Args:
        deadline_ns: when the first of its grants ends.
        epoch: history generation in which the session opened.
        limit: lines after which the answer is complete.
        follow: a tail: it may skip lines for a slow reader.
        shares: how many grants the answer is made under.
        subjects: the labels of pseudonyms that stand for people, by grant; none where those are not counted.
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
        shares: int = 1,
        subjects: Sequence[frozenset[str]] = (),
    ) -> None:
        self.shares = tuple(
            Share(
                number=number,
                is_only=shares == 1,
                standing=Standing(deadline_ns=deadline_ns),
                subjects=Subjects(subjects[number] if subjects else frozenset()),
            )
            for number in range(shares)
        )
        self.handed_lines = 0
        """Lines that were handed over, whichever grant they are from."""
        self.places: Places | None = None
        """Where an answer that stops here goes on."""
        self._epoch = epoch
        self._limit = limit
        self._follow = follow
        self._skip_after_ns = skip_after_ns
        self._slow_after_ns = slow_after_ns
        self._queue: deque[Item] = deque()
        self._queued_bytes = 0
        self._taken_lines = 0
        self._rest = b""
        self._rest_owners: tuple[int, ...] = ()
        self._gap_lines = 0
        self._source_gap = False
        self._skipping = False
        self._done: CloseWhy | None = None
        self._progress_ns = started_ns

    # What happens to it.

    def offer(self, items: Sequence[Item]) -> None:
        """Take evaluated lines, in order; those beyond the limit are dropped and complete the answer."""
        if self._over:
            return
        if self._skipping:
            # A line that is skipped is none of those that complete the answer.
            self._gap_lines += 0 if self._limit is not None and self._taken_lines >= self._limit else len(items)
        else:
            taken = items if self._limit is None else items[: self._limit - self._taken_lines]
            self._taken_lines += len(taken)
            self._queue.extend(taken)
            self._queued_bytes += size_of(taken)
            for share in self.shares:
                share.queue(taken)
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
        if self.ending is None:
            for share in self.shares:
                share.standing.ending = why
            self._clear()

    def _clear(self) -> None:
        self._queue.clear()
        self._queued_bytes = 0
        for share in self.shares:
            share.clear()

    def reserved(self, reservation: Reservation, acknowledged_ns: int, share: int = 0) -> None:
        """Take a durable reservation of a share."""
        own = self.shares[share]
        has_more = own.reserved(reservation, acknowledged_ns)
        items = self._gathered()
        if self._is_stuck(own, items) or (own.is_shortened and not has_more and not self._is_covered(own, items)):
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

    @property
    def ending(self) -> CloseWhy | None:
        """The first cause of the end, if there is one."""
        return self.shares[0].standing.ending

    def account(self, share: int = 0) -> Settled:
        """Return what was handed over under a share and is not known to be on the record yet."""
        return self.shares[share].account()

    @property
    def _has_gap(self) -> bool:
        return bool(self._gap_lines) or self._source_gap

    @property
    def _over(self) -> bool:
        return self.ending is not None or self._done is not None

    # What to do next.

    def step(self, moment: Moment, gap: bytes = b"") -> Step:
        """Return the next step.

        Args:
            moment: the world now; a slice that is returned has to be written before it changes.
            gap: the notice of what is missing, encoded.
        """
        deadline_ns = self._deadline_ns(moment)
        if (why := self._cause(moment, deadline_ns)) is not None:
            self.end(why)
            return Finish(why)
        if self._skipping and moment.writable:
            self._skipping = False
        if not (self._skipping or self._queue or self._rest or self._has_gap):
            self._progress_ns = moment.boot_ns
            if self._done is not None:
                self.end(self._done)
                return Finish(self._done)
            return Wait(deadline_ns)
        if self._waits_for_more():
            self._progress_ns = moment.boot_ns
            return Wait(deadline_ns)
        if not moment.writable:
            return self._stalled(moment)
        return self._next(moment, gap)

    def _next(self, moment: Moment, gap: bytes) -> Step:
        items = self._gathered()
        for share in self.shares:
            if self._is_stuck(share, items):
                self.end(CloseWhy.ENDED)
                return Finish(CloseWhy.ENDED)
            if self._should_reserve(share, items, moment):
                return self._reserve(share, moment)
        return self._offer_slice(moment, items, gap)

    def _offer_slice(self, moment: Moment, items: list[Item], gap: bytes) -> Step:
        """Return the next slice if it may be handed over at this moment, else what that waits for."""
        content = self._content(items, gap)
        if self._rest or self._has_gap:
            items = []
        parts = self._parts(content, items)
        for part in parts:
            share = part.share
            why = may_serve(
                share.standing,
                lines=len(part.items),
                size=part.charged,
                lease_until_ns=moment.lease_until_ns,
                epoch_current=moment.epoch == self._epoch,
                boot_ns=moment.boot_ns,
            )
            # SECURITY: no line before its data subjects are counted; tested in tests/gateway/test_subjects.py.
            if why is CloseWhy.AUDIT or (why is None and not share.admits(part.items)):
                if share.is_asking:
                    return Wait(share.standing.deadline_ns)
                return Wait(max(share.asked_ns + RENEW_NS, moment.boot_ns + 1))
            if why is not None:
                self.end(why)
                return Finish(why)
        self._hand_over(content, items, parts)
        return Slice(content)

    def _parts(self, content: bytes, items: list[Item]) -> list[_Part]:
        """Return whose the next bytes are. A notice of skipped lines is everybody's and costs nothing."""
        if self._rest:
            return [_Part(self.shares[number], (), len(content), len(content)) for number in self._rest_owners]
        if not items:
            return [_Part(share, (), 0, 0) for share in self.shares]
        parts = []
        for share in self.shares:
            if own := share.owned(items):
                whole = size_of(own)
                parts.append(_Part(share, own, whole if len(items) > 1 else len(content), whole))
        return parts

    def _deadline_ns(self, moment: Moment) -> int:
        """Return when the first grant ends; that only ever comes earlier."""
        deadline_ns = min(self.shares[0].standing.deadline_ns, moment.deadline_ns)
        for share in self.shares:
            share.standing.deadline_ns = deadline_ns
        return deadline_ns

    def _cause(self, moment: Moment, deadline_ns: int) -> CloseWhy | None:
        if self.ending is not None:
            return self.ending
        if moment.boot_ns >= moment.lease_until_ns or moment.epoch != self._epoch:
            return CloseWhy.DATABASE
        if moment.boot_ns < deadline_ns:
            return None
        return CloseWhy.CLOCK if moment.clock_suspect else CloseWhy.EXPIRED

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
            self._clear()
            return Wait(self._progress_ns + self._slow_after_ns)
        return Wait(self._progress_ns + (self._skip_after_ns if self._follow else self._slow_after_ns))

    def _should_reserve(self, share: Share, items: Sequence[Item], moment: Moment) -> bool:
        owns_rest = bool(self._rest) and share.number in self._rest_owners
        if share.is_asking or share.is_exhausted or not (share.queued_lines or owns_rest or self._has_gap):
            return False
        since = moment.boot_ns - share.asked_ns
        used_half = share.used_lines >= _HALF_LINES or share.used_bytes >= _HALF_BYTES
        lapsed = moment.boot_ns >= share.standing.lapse_ns
        is_new = not (self._rest or share.subjects.is_over or share.admits(items))
        if lapsed or is_new or not self._is_covered(share, items):
            return lapsed or is_new or used_half or since >= RENEW_NS or self._must_grow(share)
        more = (
            self._done is None
            or share.queued_lines > share.open_lines
            or share.queued_bytes + (len(self._rest) if owns_rest else 0) > share.open_bytes
        )
        # Where a commit takes longer than handing over what it allows, one for all of it beats two for its halves.
        is_slow_to_commit = share.commit_ns > 2 * (moment.boot_ns - share.acknowledged_ns)
        return more and ((used_half and not is_slow_to_commit) or since >= RENEW_NS)

    def _must_grow(self, share: Share) -> bool:
        """Say whether waiting for more use would not help: a budget is at its end, or the next line is very large."""
        return share.is_shortened or (self._heads(share) and len(self._queue[0].record) > _HALF_BYTES)

    def _heads(self, share: Share) -> bool:
        return bool(self._queue) and share.number in self._queue[0].owners

    def _is_covered(self, share: Share, items: Sequence[Item]) -> bool:
        """Say whether its part of the next slice is reserved."""
        if self._rest:
            return share.number not in self._rest_owners or len(self._rest) <= share.open_bytes
        return share.covers(items)

    def _is_stuck(self, share: Share, items: Sequence[Item]) -> bool:
        """Say whether the answer ends here because a budget is used up: no item that comes next is another's."""
        if self._rest:
            return share.is_exhausted and share.number in self._rest_owners
        if share.subjects.is_over and not self._has_gap and not share.admits(items):
            return True
        return share.is_exhausted and (self._has_gap or not items or not share.covers(items))

    def _reserve(self, share: Share, moment: Moment) -> Reserve:
        open_lines, open_bytes = share.open_lines, share.open_bytes
        rest = len(self._rest) if share.number in self._rest_owners else 0
        lines, size = self._wanted(share, rest)
        first = rest or (len(self._queue[0].record) if self._heads(share) else 0)
        if first > MAX_RESERVED_BYTES - open_bytes and first > open_bytes:
            lines, size = 1, first - open_bytes
        else:
            lines = max(0, min(lines, MAX_RESERVED_LINES) - open_lines)
            size = max(0, min(size, MAX_RESERVED_BYTES) - open_bytes)
        subjects = share.subjects.ask(open_lines + lines)
        return Reserve(share.ask(lines, size, moment.boot_ns), lines, size, share.number, subjects)

    def _wanted(self, share: Share, rest: int) -> tuple[int, int]:
        """Return how many lines and bytes should be open: exactly the rest, or as much as flows."""
        lines, size = share.queued_lines, share.queued_bytes + rest
        if self._done is not None:
            return lines, size
        if self._follow:
            lines, size = max(2 * lines, _TAIL_LINES), max(2 * size, _TAIL_BYTES)
        else:
            lines, size = MAX_RESERVED_LINES, MAX_RESERVED_BYTES
        if self._limit is not None:
            lines = min(lines, self._limit - self.handed_lines)
        return lines, size

    def _content(self, items: Sequence[Item], gap: bytes) -> bytes:
        """Return the next bytes: the rest of a record, a gap notice, whole records, or the start of a large one."""
        if self._rest:
            return self._rest[:SLICE_BYTES]
        if self._has_gap:
            return gap
        return b"".join(item.record for item in items)[:SLICE_BYTES]

    def _gathered(self) -> list[Item]:
        """Return the records of the next slice: one of a tail; a query's end at a ceiling only where a budget does."""
        if self._follow or not self._queue:
            return [self._queue[0]] if self._queue else []
        shortened = {share.number: end for share in self.shares if (end := share.end) is not None}
        items: list[Item] = []
        size = 0
        for item in self._queue:
            length = len(item.record)
            if items and (size + length > SLICE_BYTES or len(items) >= MAX_RESERVED_LINES):
                break
            if shortened and not _fits(item, shortened) and items:
                break
            items.append(item)
            size += length
            if size >= SLICE_BYTES:
                break
        return items

    def _hand_over(self, content: bytes, items: Sequence[Item], parts: Sequence[_Part]) -> None:
        for part in parts:
            part.share.hand_over(part.items, part.size)
        if self._rest:
            self._rest = self._rest[len(content) :]
            return
        if not items:
            self._gap_lines, self._source_gap = 0, False
            return
        for item in items:
            self._queue.popleft()
            self._queued_bytes -= len(item.record)
        if len(items) == 1:
            self._rest, self._rest_owners = items[0].record[len(content) :], items[0].owners
        self.handed_lines += len(items)
        self.places = items[-1].places


def _fits(item: Item, left: dict[int, list[int]]) -> bool:
    """Take an item from the lines and bytes that shares have left, and say whether it fits."""
    fits = True
    for number in item.owners:
        if number in left:
            own = left[number]
            own[0] -= 1
            own[1] -= len(item.record)
            fits = fits and min(own) >= 0
    return fits
