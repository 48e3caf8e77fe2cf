"""The session machine against a fake world: what it hands over is reserved, in order, and exactly accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.access.serving import Reservation
from loglease.gateway.resume import Position
from loglease.gateway.served import Item
from loglease.gateway.session import Finish, Moment, Reserve, ServedSession, Slice, Wait
from loglease.model.session import CloseWhy

MS = 1_000_000
FAR = 10**18


def item(number: int, size: int, owners: tuple[int, ...] = (0,)) -> Item:
    record = (b"%d:" % number).ljust(size, b".")
    return Item(record, number, (("s", "a"),), record, (Position(number, 1),), owners=owners)


def session(
    *, limit: int | None = None, follow: bool = False, deadline_ns: int = FAR, shares: int = 1
) -> ServedSession:
    return ServedSession(
        deadline_ns=deadline_ns,
        epoch=1,
        limit=limit,
        follow=follow,
        skip_after_ns=5_000 * MS,
        slow_after_ns=30_000 * MS,
        started_ns=0,
        shares=shares,
    )


def moment(at: int, *, writable: bool = True, deadline: int = FAR, lease: int = FAR, epoch: int = 1) -> Moment:
    return Moment(boot_ns=at, deadline_ns=deadline, lease_until_ns=lease, epoch=epoch, writable=writable)


class Ledger:
    """What `access.reserve` does, as a few sums; raises what the real one would call wrong."""

    def __init__(self, lines: int, size: int) -> None:
        self.left_lines, self.left_bytes = lines, size
        self.ceiling_lines = self.ceiling_bytes = self.lines = self.size = self.seq = 0

    def reserve(self, step: Reserve) -> Reservation:
        self.lines += step.settled.lines
        self.size += step.settled.size
        open_lines, open_bytes = self.ceiling_lines - self.lines, self.ceiling_bytes - self.size
        assert open_lines >= 0
        assert open_bytes >= 0
        lines = max(0, min(step.lines, 256 - open_lines, self.left_lines))
        size = max(0, min(step.size if step.lines == 1 else min(step.size, 65_536 - open_bytes), self.left_bytes))
        if open_lines + lines < 1 or open_bytes + size < 1:
            self.lines -= step.settled.lines
            self.size -= step.settled.size
            return Reservation(seq=self.seq, ceiling_lines=0, ceiling_bytes=0, exhausted=True)
        self.left_lines -= lines
        self.left_bytes -= size
        self.ceiling_lines += lines
        self.ceiling_bytes += size
        self.seq += 1
        return Reservation(seq=self.seq, ceiling_lines=self.ceiling_lines, ceiling_bytes=self.ceiling_bytes)


moves = st.lists(
    st.sampled_from(["step", "step", "step", "answer", "later", "much later", "block", "unblock", "offer"]),
    max_size=200,
)


owned = st.lists(st.tuples(st.sampled_from([1, 40, 300, 4_096, 4_097, 9_000, 70_000]), st.integers(1, 7)), max_size=30)
budgets = st.tuples(st.integers(0, 40), st.sampled_from([100, 5_000, 10**9]))


@settings(max_examples=volume(75, 300), deadline=None)
@given(owned, moves, st.lists(budgets, min_size=1, max_size=3), st.one_of(st.none(), st.integers(1, 20)))
def test_only_what_is_reserved_is_handed_over_and_all_of_it_is_accounted(  # noqa: C901, PLR0912, PLR0915 - one case per move
    sizes, moves, left, limit
):
    """Each grant of an answer has a share, and what is several grants' is counted in each of theirs."""
    ledgers = [Ledger(lines, size) for lines, size in left]
    machine = session(limit=limit, shares=len(left))
    items = [item(number, size, owners_of(bits, len(left))) for number, (size, bits) in enumerate(sizes)]
    waiting = list(items)
    written = b""
    now = 1
    asked: dict[int, Reserve] = {}
    writable = True
    moves = [*moves, *(["unblock", "offer"] + ["answer", "step"] * 4) * 400]
    why = None
    for move in moves:
        if move == "offer" and waiting:
            machine.offer([waiting.pop(0)])
            if not waiting:
                machine.finished(CloseWhy.COMPLETE)
        elif move == "offer":
            machine.finished(CloseWhy.COMPLETE)
        elif move in ("block", "unblock"):
            writable = move == "unblock"
        elif move in ("later", "much later"):
            now += 150 * MS if move == "later" else 300 * MS
        elif move == "answer" and asked:
            now += MS
            number, wish = asked.popitem()
            machine.reserved(ledgers[number].reserve(wish), now, number)
        elif move == "step":
            step = machine.step(moment(now, writable=writable))
            if isinstance(step, Slice):
                assert writable
                assert len(step.content) <= 4_096
                written += step.content
                for number in begun(items, written, step.content):
                    assert now < machine.shares[number].standing.lapse_ns
                for share, ledger in zip(machine.shares, ledgers, strict=True):
                    assert share.standing.handed_lines <= ledger.ceiling_lines
                    assert share.standing.handed_bytes <= ledger.ceiling_bytes
            elif isinstance(step, Reserve):
                assert step.share not in asked
                asked[step.share] = step
            elif isinstance(step, Wait):
                now = max(now + MS, min(step.until_ns, now + 200 * MS))
            elif isinstance(step, Finish):
                why = step.why
                break
    assert why in (CloseWhy.COMPLETE, CloseWhy.ENDED)
    wanted = items[:limit]
    assert b"".join(one.record for one in wanted).startswith(written)
    if why is CloseWhy.COMPLETE:
        assert written == b"".join(one.record for one in wanted)
    for number, wish in asked.items():
        machine.reserved(ledgers[number].reserve(wish), now, number)
    for number, ledger in enumerate(ledgers):
        account = machine.account(number)
        lines, size = of_share(items, written, number)
        assert (ledger.lines + account.lines, ledger.size + account.size) == (lines, size)
        assert machine.shares[number].standing.handed_lines == lines


def owners_of(bits: int, shares: int) -> tuple[int, ...]:
    return tuple(number for number in range(shares) if bits >> number & 1) or (0,)


def of_share(items: list[Item], written: bytes, number: int) -> tuple[int, int]:
    """Return how many lines and bytes of what was written are a share's."""
    lines = size = at = 0
    for one in items:
        part = min(len(one.record), len(written) - at)
        if part > 0 and number in one.owners:
            lines, size = lines + 1, size + part
        at += max(0, part)
    return lines, size


def begun(items: list[Item], written: bytes, content: bytes) -> set[int]:
    """Return the shares that have a part of the last bytes."""
    before = written[: len(written) - len(content)]
    return {
        number
        for number in {owner for one in items for owner in one.owners}
        if of_share(items, written, number) != of_share(items, before, number)
    }


def test_a_gap_of_a_tail_under_several_grants_is_told_under_a_reservation_of_each():
    machine = session(follow=True, shares=2)
    now, told = MS, b""
    machine.offer([item(1, 10), item(2, 10, (1,))])
    assert isinstance(machine.step(moment(now, writable=False)), Wait)
    now += 5_001 * MS
    assert isinstance(machine.step(moment(now, writable=False)), Wait)
    assert machine.pending_gap == 2
    reserved = []
    for _ in range(10):
        now += MS
        step = machine.step(moment(now), b"gap")
        if isinstance(step, Reserve):
            reserved.append(step.share)
            reservation = Reservation(seq=1, ceiling_lines=step.lines, ceiling_bytes=step.size)
            machine.reserved(reservation, now, step.share)
        elif isinstance(step, Slice):
            told += step.content
    assert (reserved, told) == ([0, 1], b"gap")
    assert [share.standing.handed_bytes for share in machine.shares] == [0, 0]


@pytest.mark.parametrize("behind", [0, 3])
def test_a_share_that_is_used_up_ends_the_answer_where_its_item_comes(behind):
    """What others may still get before that does not depend on when the answer to its reservation arrives."""
    ledgers = [Ledger(100, 10**6), Ledger(0, 10**6)]
    machine = session(shares=2)
    machine.offer([*(item(number, 10) for number in range(behind)), item(behind, 10, (1,)), item(behind + 1, 10)])
    machine.finished(CloseWhy.COMPLETE)
    written = b""
    now = 0
    for _ in range(50):
        now += MS
        step = machine.step(moment(now))
        if isinstance(step, Reserve):
            machine.reserved(ledgers[step.share].reserve(step), now, step.share)
        elif isinstance(step, Slice):
            written += step.content
        elif isinstance(step, Finish):
            break
    assert step == Finish(CloseWhy.ENDED)
    assert written == b"".join(item(number, 10).record for number in range(behind))


def test_nothing_follows_the_first_cause():
    machine = session()
    machine.offer([item(1, 10)])
    machine.end(CloseWhy.REVOKED)
    machine.end(CloseWhy.DATABASE)
    machine.offer([item(2, 10)])
    assert machine.step(moment(1)) == Finish(CloseWhy.REVOKED)
    assert machine.room == 0


def test_deadline_lease_and_epoch_end_it_also_when_idle():
    assert session().step(moment(5, deadline=5)) == Finish(CloseWhy.EXPIRED)
    assert session().step(moment(5, lease=5)) == Finish(CloseWhy.DATABASE)
    assert session().step(moment(5, epoch=2)) == Finish(CloseWhy.DATABASE)


def test_a_deadline_only_ever_comes_nearer():
    machine = session(deadline_ns=100)
    assert machine.step(moment(1, deadline=50)) == Wait(50)
    assert machine.step(moment(2, deadline=90)) == Wait(50)
    assert machine.step(moment(50, deadline=90)) == Finish(CloseWhy.EXPIRED)


def test_an_idle_tail_reserves_nothing_and_its_next_line_waits_for_one_record():
    machine = session(follow=True)
    assert isinstance(machine.step(moment(1)), Wait)
    machine.offer([item(1, 100)])
    first = machine.step(moment(10_000 * MS))
    assert isinstance(first, Reserve)
    assert first.settled.lines == 0
    assert isinstance(machine.step(moment(10_000 * MS)), Wait)
    machine.reserved(Reservation(seq=1, ceiling_lines=16, ceiling_bytes=8_192), 10_001 * MS)
    assert isinstance(machine.step(moment(10_001 * MS)), Slice)
    assert isinstance(machine.step(moment(10_300 * MS)), Wait)
    machine.offer([item(2, 100)])
    second = machine.step(moment(11_000 * MS))
    assert isinstance(second, Reserve)
    assert second.settled.lines == 1


def test_a_lapsed_reservation_covers_nothing():
    machine = session()
    machine.offer([item(1, 3_000), item(2, 3_000)])
    assert isinstance(machine.step(moment(1)), Reserve)
    machine.reserved(Reservation(seq=1, ceiling_lines=256, ceiling_bytes=65_536), 1)
    step = machine.step(moment(1 + 250 * MS))
    assert isinstance(step, Reserve)
    assert (step.lines, step.size) == (0, 0)


@pytest.mark.attack("DS-01")
def test_a_tail_that_is_not_read_skips_then_ends():
    machine = session(follow=True)
    machine.offer([item(n, 100) for n in range(5)])
    assert isinstance(machine.step(moment(0, writable=False)), Wait)
    assert isinstance(machine.step(moment(5_000 * MS, writable=False)), Wait)
    assert machine.pending_gap == 5
    machine.offer([item(n, 100) for n in range(3)])
    assert machine.pending_gap == 8
    assert machine.room == 0
    assert machine.step(moment(30_000 * MS, writable=False)) == Finish(CloseWhy.SLOW)


def test_a_gap_is_told_before_anything_else_and_costs_nothing():
    machine = session(follow=True)
    machine.offer([item(n, 100) for n in range(5)])
    machine.step(moment(0, writable=False))
    machine.step(moment(5_000 * MS, writable=False))
    assert isinstance(machine.step(moment(6_000 * MS), b"gap"), Reserve)
    machine.reserved(Reservation(seq=1, ceiling_lines=16, ceiling_bytes=8_192), 6_000 * MS)
    assert machine.step(moment(6_000 * MS), b"gap") == Slice(b"gap")
    assert machine.pending_gap == 0
    assert machine.shares[0].standing.handed_bytes == 0


def test_a_cut_in_the_middle_of_a_record_is_known():
    machine = session()
    machine.offer([item(1, 9_000)])
    assert isinstance(machine.step(moment(1)), Reserve)
    machine.reserved(Reservation(seq=1, ceiling_lines=1, ceiling_bytes=9_000), 1)
    machine.step(moment(1))
    assert machine.is_mid_record
    machine.end(CloseWhy.REVOKED)
    account = machine.account()
    assert (account.lines, account.size) == (1, 4_096)


def test_nothing_is_handed_over_while_the_renewal_of_a_lapsed_reservation_is_under_way():
    machine = session()
    machine.offer([item(n, 3_000) for n in range(3)])
    assert isinstance(machine.step(moment(1)), Reserve)
    machine.reserved(Reservation(seq=1, ceiling_lines=256, ceiling_bytes=65_536), 1)
    assert isinstance(machine.step(moment(201 * MS)), Reserve)
    assert isinstance(machine.step(moment(249 * MS)), Slice)
    assert isinstance(machine.step(moment(1 + 250 * MS)), Wait)
    machine.reserved(Reservation(seq=2, ceiling_lines=257, ceiling_bytes=68_536), 300 * MS)
    assert isinstance(machine.step(moment(300 * MS)), Slice)


def test_a_gap_of_the_source_is_told_and_costs_nothing():
    machine = session(follow=True)
    machine.source_gap()
    assert isinstance(machine.step(moment(1), b"gap"), Reserve)
    machine.reserved(Reservation(seq=1, ceiling_lines=16, ceiling_bytes=8_192), 1)
    assert machine.step(moment(1), b"gap") == Slice(b"gap")
    assert not machine.has_source_gap
    assert (machine.shares[0].standing.handed_lines, machine.shares[0].standing.handed_bytes) == (0, 0)
    assert isinstance(machine.step(moment(2)), Wait)


@given(st.lists(st.sampled_from([1, 300, 4_096, 4_097, 9_000]), min_size=1, max_size=8), st.lists(st.integers(1, 4)))
def test_how_lines_of_a_tail_come_does_not_show_in_its_frames(sizes, runs):
    def frames(runs: list[int]) -> list[bytes]:
        machine, ledger = session(follow=True), Ledger(10**6, 10**9)
        waiting = [item(number, size) for number, size in enumerate(sizes)]
        found, now = [], 1
        for run in [*runs, len(sizes)]:
            machine.offer(waiting[:run])
            del waiting[:run]
            for _ in range(200):
                step = machine.step(moment(now))
                if isinstance(step, Slice):
                    found.append(step.content)
                elif isinstance(step, Reserve):
                    machine.reserved(ledger.reserve(step), now)
                now += 100 * MS
        return found

    assert frames(runs) == frames([])
