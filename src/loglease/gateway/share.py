"""One grant's part in an answer: what may be handed over under it, what was, and what of that is on its record."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from loglease.access.serving import Reservation, Settled
from loglease.gateway.served import Item, Tally
from loglease.gateway.settings import LAPSE_NS, RENEW_NS
from loglease.gateway.subjects import Subjects
from loglease.model.serving import Standing


@dataclass(slots=True, kw_only=True, eq=False)
class Share:
    """The account of one session of an answer.

    Attributes:
        number: which grant of the answer it is, in the order in which they rank.
        is_only: there is no other, so that all items are its own.
        queued_lines: lines that wait to be handed over; `queued_bytes` likewise.
        is_shortened: the last reservation gave less than was asked for, so a budget is at its end.
        is_exhausted: the last reservation gave nothing, and nothing is open.
        subjects: the account of its data subjects.
        is_refused: it met a line of data subjects for whom there is no room.
        is_spent: not even in what the grant itself allows.
        asked_ns: boot time of the last reservation that was asked for.
        commit_ns: how long that one took, until `acknowledged_ns`.
    """

    number: int
    is_only: bool
    standing: Standing
    subjects: Subjects = field(default_factory=Subjects)
    queued_lines: int = 0
    queued_bytes: int = 0
    is_shortened: bool = False
    is_exhausted: bool = False
    is_refused: bool = False
    is_spent: bool = False
    asked_ns: int = -RENEW_NS
    commit_ns: int = 0
    acknowledged_ns: int = 0
    _unsettled: Tally = field(default_factory=Tally)
    _settled_bytes: int = 0
    _in_flight: tuple[int, Tally] | None = None
    """The bytes that go on the record with what was asked for last, and what was handed over since."""

    _asked: tuple[int, int] = (0, 0)
    _asked_from: tuple[int, int] = (0, 0)

    @property
    def is_asking(self) -> bool:
        """Whether a reservation is under way."""
        return self._in_flight is not None

    @property
    def open_lines(self) -> int:
        """Lines that are reserved and not handed over."""
        return self.standing.ceiling_lines - self.standing.handed_lines

    @property
    def open_bytes(self) -> int:
        """As `open_lines`, in bytes."""
        return self.standing.ceiling_bytes - self.standing.handed_bytes

    @property
    def used_lines(self) -> int:
        """Lines that were handed over since the last reservation was asked for."""
        return self.standing.handed_lines - self._asked_from[0]

    @property
    def used_bytes(self) -> int:
        """As `used_lines`, in bytes."""
        return self.standing.handed_bytes - self._asked_from[1]

    def owned(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return which items are this grant's."""
        return items if self.is_only else [item for item in items if self.number in item.owners]

    def covers(self, items: Sequence[Item]) -> bool:
        """Say whether its part of some items is reserved."""
        own = self.owned(items)
        return len(own) <= self.open_lines and size_of(own) <= self.open_bytes

    def admits(self, items: Sequence[Item]) -> bool:
        """Say whether the data subjects of its part of some items, those that come next, are on the account."""
        free = self.subjects.free_lines
        # Whose items they are takes a pass over them, so it is found out only where it matters.
        return free is None or len(self.owned(items)) <= free

    @property
    def end(self) -> list[int] | None:
        """How many more lines and bytes there can be where a budget is at its end; None where none is known to be."""
        free = self.subjects.free_lines if self.subjects.is_over else None
        if not self.is_shortened:
            return None if free is None else [free, sys.maxsize]
        return [self.open_lines if free is None else min(free, self.open_lines), self.open_bytes]

    def queue(self, items: Sequence[Item]) -> None:
        """Count its own of some items that wait."""
        own = self.owned(items)
        self.queued_lines += len(own)
        self.queued_bytes += size_of(own)
        self.subjects.queue(own)

    def clear(self) -> None:
        """Count nothing that waits any more."""
        self.queued_lines = self.queued_bytes = 0
        self.subjects.clear()

    def hand_over(self, items: Sequence[Item], size: int) -> None:
        """Take items that were handed over, and the bytes that were; the rest of a large one goes without items.

        Args:
            items: its own, which waited until now.
        """
        self.queued_lines -= len(items)
        self.queued_bytes -= size_of(items)
        self.standing.handed_lines += len(items)
        self.standing.handed_bytes += size
        self._unsettled.add(items)
        if self._in_flight is not None:
            self._in_flight[1].add(items)
        self.subjects.hand_over(len(items))

    def ask(self, lines: int, size: int, boot_ns: int) -> Settled:
        """Take note that so much more is asked for, and return what goes on the record with it."""
        account = self._report(self._unsettled)
        self._in_flight = (account.size, Tally())
        self._asked = (lines, size)
        self._asked_from = (self.standing.handed_lines, self.standing.handed_bytes)
        self.asked_ns = boot_ns
        return account

    def reserved(self, reservation: Reservation, acknowledged_ns: int) -> bool:
        """Take a durable reservation; what went with it is settled. Say whether there is more than before."""
        size, since_asked = self._in_flight or (0, Tally())
        self._in_flight = None
        standing = self.standing
        if reservation.exhausted:
            self.is_shortened = self.is_exhausted = True
            return False
        self._unsettled = since_asked
        self._settled_bytes += size
        self.subjects.taken(reservation.subjects)
        if self.subjects.is_over:
            self.is_refused, self.is_spent = True, reservation.spent
        grown = (
            reservation.ceiling_lines - standing.ceiling_lines,
            reservation.ceiling_bytes - standing.ceiling_bytes,
        )
        self.is_shortened = grown[0] < self._asked[0] or grown[1] < self._asked[1]
        standing.ceiling_lines = reservation.ceiling_lines
        standing.ceiling_bytes = reservation.ceiling_bytes
        standing.lapse_ns = acknowledged_ns + LAPSE_NS
        self.commit_ns, self.acknowledged_ns = acknowledged_ns - self.asked_ns, acknowledged_ns
        return grown != (0, 0)

    def account(self) -> Settled:
        """Return what was handed over and is not known to be on the record yet."""
        rest = None
        if self._in_flight is not None:
            asked_bytes, since_asked = self._in_flight
            rest = self._report(since_asked, asked_bytes)
        return self._report(self._unsettled, rest=rest)

    def _report(self, tally: Tally, asked_bytes: int = 0, rest: Settled | None = None) -> Settled:
        """Return the account of what was handed over behind the last known record and so many bytes more."""
        settled_bytes = self._settled_bytes + asked_bytes
        return tally.settled(
            size=self.standing.handed_bytes - settled_bytes,
            after=(self.standing.handed_lines - tally.lines, settled_bytes),
            rest=rest,
        )


def size_of(items: Sequence[Item]) -> int:
    """Return the bytes of some items."""
    return sum([len(item.record) for item in items])
