from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.audit.drafts import draft
from tests.fakes.clock import FakeClock
from tests.fakes.vault import fake_vault
from tests.store.fixtures import opened

from loglease.audit import sequencer
from loglease.audit.checking import check_log
from loglease.audit.entry import entry_of
from loglease.audit.interface import (
    AuditBusy,
    AuditUnavailable,
    EntryInvalid,
    EntryLog,
    EntryRow,
    Group,
    PrivateField,
    Recorded,
)
from loglease.audit.sequencer import Sequencer
from loglease.model.ack import Ack
from loglease.model.digest import commitment
from loglease.model.instant import Instant
from loglease.store.interface import LostRace, StoreUnavailable, Transaction
from loglease.store.sqlite import SqliteGroup, SqliteStore

Result = TypeVar("Result")
Work = Callable[[Transaction, Instant], Recorded[Any]]


class WatchedRows:
    """The store, with a count of its transactions and faults that a test arms."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.groups = 0
        self.fail_next = 0
        self.fail_before = False
        self.lose_next = 0
        self.lose_looks = False

    async def group(self, body: Callable[[Group[Transaction]], Result]) -> Result:
        self.groups += 1
        if self.fail_next and self.fail_before:
            self.fail_next -= 1
            raise StoreUnavailable("no database")

        def watched(group: SqliteGroup) -> Result:
            done = body(group)
            wrote.append(group._driver.total_changes > group._written)
            if self.fail_next and wrote[0]:
                self.fail_next -= 1
                raise StoreUnavailable("the disk is full")
            return done

        wrote: list[bool] = []
        done = await self.store.group(watched)
        if self.lose_next and (wrote[0] or self.lose_looks):
            self.lose_next -= 1
            raise StoreUnavailable("the answer was lost")
        return done


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def rows(tmp_path: Path, clock: FakeClock) -> AsyncIterator[WatchedRows]:
    store = opened(tmp_path, clock)
    yield WatchedRows(store)
    store.close()


@pytest.fixture
async def log(rows: WatchedRows, clock: FakeClock) -> AsyncIterator[Sequencer[Transaction]]:
    found: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30)
    as_promised: EntryLog[Transaction] = found
    assert as_promised
    yield found
    await found.aclose()


class Hold:
    """Keeps the writer busy until released, so that what comes meanwhile waits together."""

    def __init__(self, log: Sequencer[Transaction]) -> None:
        self._go_on = threading.Event()
        self._inside = threading.Event()
        self._task = asyncio.ensure_future(log.commit(self._work))

    def _work(self, _tx: Transaction, _now: Instant) -> Recorded[None]:
        self._inside.set()
        assert self._go_on.wait(20)
        return Recorded(None)

    async def __aenter__(self) -> None:
        await asyncio.to_thread(self._inside.wait, 20)

    async def __aexit__(self, *_: object) -> None:
        self._go_on.set()
        await self._task


def append(*numbers: int) -> Work:
    return lambda _tx, _now: Recorded(numbers, tuple(draft(number) for number in numbers))


async def stored(rows: WatchedRows) -> list[int]:
    found = await rows.store.read(lambda tx: tx.entries.since(0, limit=10_000))
    assert [entry.index for entry in found] == list(range(len(found)))
    assert await check_log(rows.store) == len(found)
    return [int(entry_of(entry.content).draft.id[4:]) for entry in found]


async def queued(log: Sequencer[Transaction], *works: Work, **options: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.ensure_future(log.commit(work, **options)) for work in works]
    await asyncio.sleep(0)
    return tasks


async def test_many_callers_share_few_commits_and_keep_their_order(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    works = [append(*range(number * 3, number * 3 + 3)) for number in range(200)]
    results = await asyncio.gather(*(log.commit(work) for work in works))
    assert results == [tuple(range(number * 3, number * 3 + 3)) for number in range(200)]
    assert await stored(rows) == list(range(600))
    assert rows.groups < 10


async def test_a_lone_entry_needs_no_company(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    for number in range(3):
        assert await log.commit(append(number)) == (number,)
    assert rows.groups == 3


async def test_state_and_entry_are_one_transaction(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    def work(tx: Transaction, _now: Instant) -> Recorded[str | None]:
        tx.values.put("state", "new")
        return Recorded(tx.values.find("state"), (draft(1),))

    rows.fail_next = 2
    with pytest.raises(AuditUnavailable):
        await log.commit(work)
    assert await rows.store.read(lambda tx: tx.values.find("state")) is None
    assert await stored(rows) == []
    assert await log.commit(work) == "new"
    assert await rows.store.read(lambda tx: tx.values.find("state")) == "new"
    assert await stored(rows) == [1]


async def test_a_refusal_in_a_group_undoes_only_itself(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    def work(number: int, tx: Transaction) -> Recorded[int]:
        tx.values.put(f"v{number}", "x")
        if number % 3 == 1:
            raise LostRace(f"no {number}")
        if number % 3 == 2:
            raise KeyError(number)
        return Recorded(number, (draft(number),))

    works: list[Work] = [lambda tx, _now, number=number: work(number, tx) for number in range(30)]  # type: ignore[misc]
    async with Hold(log):
        tasks = await queued(log, *works)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, result in enumerate(results):
        assert result == number or isinstance(result, (LostRace, KeyError)[number % 3 - 1])
    assert await stored(rows) == list(range(0, 30, 3))
    for number in range(30):
        there = await rows.store.read(lambda tx, number=number: tx.values.find(f"v{number}"))  # type: ignore[misc]
        assert (there == "x") == (number % 3 == 0)
    assert rows.groups == 2, "refusals cost no transaction of their own"


async def test_later_works_see_what_earlier_ones_wrote(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    def spend(tx: Transaction, _now: Instant) -> Recorded[bool]:
        left = int(tx.values.find("left") or 3)
        if left == 0:
            return Recorded(False)
        tx.values.put("left", str(left - 1) if left > 1 else "0")
        return Recorded(True)

    async with Hold(log):
        tasks = await queued(log, *[spend] * 5)
    assert await asyncio.gather(*tasks) == [True, True, True, False, False]


async def test_an_invalid_entry_fails_alone_and_undoes_its_writes(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    def wrong(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.values.put("state", "wrong")
        return Recorded(None, (draft(1), draft(2, data={})))

    async with Hold(log):
        good, bad = await queued(log, append(0), wrong)
    assert await good == (0,)
    with pytest.raises(EntryInvalid, match="digest_sha256 is missing"):
        await bad
    assert await stored(rows) == [0]
    assert await rows.store.read(lambda tx: tx.values.find("state")) is None


async def test_urgent_works_go_first(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    async with Hold(log):
        tasks = await queued(log, append(1), append(2))
        tasks += await queued(log, append(3), append(4), urgent=True)
    await asyncio.gather(*tasks)
    assert await stored(rows) == [3, 4, 1, 2]


async def test_a_full_queue_refuses_all_but_urgent_works(
    rows: WatchedRows, log: Sequencer[Transaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "MAX_WAITING", 3)
    async with Hold(log):
        tasks = await queued(log, append(1), append(2), append(3))
        with pytest.raises(AuditBusy):
            await log.commit(append(4))
        tasks += await queued(log, *[append(number) for number in range(10, 30)], urgent=True)
    await asyncio.gather(*tasks)
    assert await stored(rows) == [*range(10, 30), 1, 2, 3]


async def test_a_caller_waits_no_longer_than_its_limit_while_the_append_goes_on(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    async with Hold(log):
        with pytest.raises(AuditUnavailable, match=r"within 0\.01 s"):
            await log.commit(append(1), limit_s=0.01)
        (given_up,) = await queued(log, append(2))
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
    await log.commit(append(3))
    assert await stored(rows) == [1, 2, 3]


async def test_a_time_out_of_the_work_is_its_own(log: Sequencer[Transaction]) -> None:
    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await log.commit(work)


async def test_if_a_group_fails_each_work_is_tried_alone(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    async with Hold(log):
        tasks = await queued(log, *[append(number) for number in range(5)])
        rows.fail_next = 1
    assert await asyncio.gather(*tasks) == [(number,) for number in range(5)]
    assert await stored(rows) == list(range(5))
    assert rows.groups == 1 + 1 + 1 + 5, "one of them looks whether the group holds"


async def test_what_the_database_took_without_an_answer_happens_once_and_is_acknowledged(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    ran = list[int]()

    def work(number: int) -> Work:
        def once(tx: Transaction, _now: Instant) -> Recorded[int]:
            ran.append(number)
            if number == 3:
                raise KeyError(number)
            tx.values.put(f"v{number}", "x")
            return Recorded(number, (draft(number),) if number % 2 else ())

        return once

    async with Hold(log):
        tasks = await queued(log, *[work(number) for number in range(6)])
        rows.lose_next = 1
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in results] == ["0", "1", "2", "3", "4", "5"]
    assert isinstance(results[3], KeyError)
    assert ran == list(range(6))
    assert await stored(rows) == [1, 5]
    assert [row.index for row in heard] == [0, 1]


async def test_what_is_not_recorded_happens_once_as_well(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    def work(tx: Transaction, _now: Instant) -> Recorded[int]:
        number = int(tx.values.find("times") or 0) + 1
        tx.values.put("times", str(number))
        return Recorded(number)

    for number in range(1, 4):
        rows.lose_next = number % 2
        assert await log.commit(work) == number
    rows.fail_next = 1
    assert await log.commit(work) == 4, "what did not hold is done again"


async def test_where_the_database_does_not_say_nobody_claims_to_know(rows: WatchedRows, clock: FakeClock) -> None:
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, doubt_s=0)
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    rows.lose_next, rows.lose_looks = 2, True
    with pytest.raises(AuditUnavailable, match="may be on the record"):
        await log.commit(append(1))
    assert await stored(rows) == [1]
    assert heard == []
    assert await log.commit(append(2)) == (2,)
    assert [row.index for row in heard] == [0, 1], "listeners hear of it before anything newer"
    await log.aclose()


async def test_of_several_of_which_nobody_knows_listeners_hear_in_their_order(
    rows: WatchedRows, clock: FakeClock
) -> None:
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, doubt_s=0)
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    rows.lose_next, rows.lose_looks = 5, True
    for number in (1, 2):
        with pytest.raises(AuditUnavailable, match="may be on the record"):
            await log.commit(append(number))
    assert await stored(rows) == [1, 2]
    assert heard == []
    assert await log.commit(append(3)) == (3,)
    assert [row.index for row in heard] == [0, 1, 2]
    await log.aclose()


async def test_of_what_turns_out_not_to_be_recorded_nobody_hears(rows: WatchedRows, clock: FakeClock) -> None:
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, doubt_s=0)
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    rows.fail_next, rows.lose_next, rows.lose_looks = 1, 1, True
    with pytest.raises(AuditUnavailable, match="may be on the record"):
        await log.commit(append(1))
    assert await log.commit(append(2)) == (2,)
    assert await stored(rows) == [2]
    assert [row.id for row in heard] == [draft(2).id]
    await log.aclose()


@pytest.mark.parametrize("before", [False, True])
async def test_without_a_database_nothing_is_acknowledged(
    rows: WatchedRows, log: Sequencer[Transaction], *, before: bool
) -> None:
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    rows.fail_before = before
    async with Hold(log):
        tasks = await queued(log, *[append(number) for number in range(4)])
        rows.fail_next = 5
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [AuditUnavailable] * 4
    assert isinstance(results[0], AuditUnavailable)
    assert isinstance(results[0].__cause__, StoreUnavailable)
    assert (heard, await stored(rows)) == ([], [])
    assert await log.commit(append(9)) == (9,), "it heals without a restart"
    assert await stored(rows) == [9]


async def test_a_full_disk_refuses_what_does_not_fit_and_heals(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    def pragma(text: str) -> Any:
        return rows.store._writer.run(lambda connection, _: connection.exec_driver_sql(f"PRAGMA {text}").scalar())

    salt, clear = bytes(16), bytes(400_000)
    data = {"why": "requester", "reason_c": commitment(salt, clear)}
    big = draft(1, type="request.cancelled", data=data, private=(PrivateField("reason_c", salt, clear),))
    await log.commit(append(0))
    await asyncio.to_thread(pragma, f"max_page_count = {await asyncio.to_thread(pragma, 'page_count') + 2}")
    async with Hold(log):
        small, large, other = await queued(log, append(2), lambda _tx, _now: Recorded(None, (big,)), append(3))
    assert await small == (2,)
    assert await other == (3,)
    with pytest.raises(AuditUnavailable) as caught:
        await large
    assert "full" in str(caught.value.__cause__)
    await asyncio.to_thread(pragma, "max_page_count = 1000000")
    await log.commit(lambda _tx, _now: Recorded(None, (big,)))
    assert await stored(rows) == [0, 2, 3, 1]
    kept = await rows.store.read(lambda tx: fake_vault().opened(tx.subject_keys, big.id, tx.entries.private(big.id)))
    assert kept == (PrivateField("reason_c", salt, clear),)


async def test_the_same_entry_is_recorded_once(
    rows: WatchedRows, log: Sequencer[Transaction], clock: FakeClock
) -> None:
    def work(tx: Transaction, _now: Instant) -> Recorded[str]:
        tx.values.put("times", str(int(tx.values.find("times") or 0) + 1))
        return Recorded("done", (draft(1), draft(2)))

    assert await log.commit(work) == "done"
    clock.advance(5)
    async with Hold(log):
        tasks = await queued(log, work, append(3))
    assert await asyncio.gather(*tasks) == ["done", (3,)]
    assert await stored(rows) == [1, 2, 3]
    assert await rows.store.read(lambda tx: tx.values.find("times")) == "1", "the repetition changed nothing"


async def test_one_id_is_one_entry(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    await log.commit(append(1))
    other = replace(draft(1), actor="sub_else")
    with pytest.raises(EntryInvalid, match="another content"):
        await log.commit(lambda _tx, _now: Recorded(None, (other,)))
    with pytest.raises(EntryInvalid, match="some are not"):
        await log.commit(append(1, 2))
    assert await stored(rows) == [1]


async def test_time_never_goes_back_and_is_one_for_work_and_entry(
    rows: WatchedRows, log: Sequencer[Transaction], clock: FakeClock
) -> None:
    def work(number: int) -> Work:
        return lambda _tx, now: Recorded(now, (draft(number),))

    seen = [await log.commit(work(1))]
    clock.advance(-3_600)
    seen.append(await log.commit(work(2)))
    clock.advance(7_200)
    seen.append(await log.commit(work(3)))
    assert seen == [clock.now() - 3_600 * 10**6, clock.now() - 3_600 * 10**6, clock.now()]
    found = await rows.store.read(lambda tx: tx.entries.since(0))
    assert [entry_of(entry.content).at for entry in found] == seen


async def test_a_group_has_a_size(
    rows: WatchedRows, log: Sequencer[Transaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "MAX_GROUP_ENTRIES", 4)
    async with Hold(log):
        tasks = await queued(log, *[append(number * 2, number * 2 + 1) for number in range(5)])
    await asyncio.gather(*tasks)
    assert rows.groups == 1 + 3
    monkeypatch.setattr(sequencer, "MAX_GROUP_BYTES", 1)
    async with Hold(log):
        tasks = await queued(log, append(100), append(101))
    await asyncio.gather(*tasks)
    assert rows.groups == 4 + 1 + 2
    assert await stored(rows) == [*range(10), 100, 101]


async def test_a_long_group_commits_what_it_has(
    rows: WatchedRows, log: Sequencer[Transaction], clock: FakeClock
) -> None:
    def slow(number: int) -> Work:
        def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
            clock.boot += sequencer.MAX_GROUP_NS // 2
            return Recorded(None, (draft(number),))

        return work

    async with Hold(log):
        tasks = await queued(log, *[slow(number) for number in range(6)])
    await asyncio.gather(*tasks)
    assert rows.groups == 1 + 3
    assert await stored(rows) == list(range(6))


async def test_a_bulk_act_is_one_work_of_any_size(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    await log.commit(append(*range(5_000)), urgent=True)
    assert await stored(rows) == list(range(5_000))


async def test_listeners_hear_each_commit_before_its_callers(log: Sequencer[Transaction]) -> None:
    order: list[Any] = []

    def listen(found: Sequence[EntryRow]) -> None:
        order.append([(row.index, row.draft.type) for row in found])

    async def call(work: Work) -> None:
        order.append(await log.commit(work))

    log.on_committed(listen)
    await call(append(7, 8))
    await call(lambda _tx, _now: Recorded("nothing"))
    assert order == [[(0, "request.approved"), (1, "request.approved")], (7, 8), "nothing"]


async def test_a_listener_that_fails_is_reported_and_stops_nobody(log: Sequencer[Transaction]) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
    heard: list[int] = []

    def broken(_: Sequence[EntryRow]) -> None:
        raise ValueError("broken")

    log.on_committed(broken)
    log.on_committed(lambda found: heard.append(len(found)))
    assert await log.commit(append(1)) == (1,)
    assert heard == [1]
    assert [str(report["exception"]) for report in reports] == ["broken"]


async def test_closing_drains_and_takes_nothing_new(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    async with Hold(log):
        tasks = await queued(log, append(1), append(2))
        closing = asyncio.ensure_future(log.aclose())
        await asyncio.sleep(0)
        with pytest.raises(AuditUnavailable, match="closed"):
            await log.commit(append(3), urgent=True)
    await closing
    assert [task.done() for task in tasks] == [True, True]
    assert await stored(rows) == [1, 2]


async def test_a_cancelled_sequencer_leaves_nobody_waiting(rows: WatchedRows, log: Sequencer[Transaction]) -> None:
    hold = Hold(log)
    await hold.__aenter__()
    waiting = await queued(log, append(1)) + await queued(log, append(3), urgent=True)
    assert log._pump is not None
    log._pump.cancel()
    for task in (*waiting, hold._task):
        with pytest.raises(AuditUnavailable, match="interrupted"):
            await task
    hold._go_on.set()
    assert await log.commit(append(2)) == (2,), "the next caller starts it again"
    assert await stored(rows) == [2], "what was given up does not happen later"


# What is counted, and what more than a commit is waited for.


async def test_what_could_not_be_recorded_is_counted_and_a_refusal_is_not(
    rows: WatchedRows, log: Sequencer[Transaction], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_tx: Transaction, _now: Instant) -> Recorded[None]:
        raise LostRace("no")

    with pytest.raises(LostRace):
        await log.commit(refused)
    with pytest.raises(EntryInvalid):
        await log.commit(lambda _tx, _now: Recorded(None, (draft(1, data={}),)))
    assert (log.outage.refused, log.outage.since) == (0, None)
    began = clock.now()
    monkeypatch.setattr(sequencer, "MAX_WAITING", 1)
    async with Hold(log):
        (waits,) = await queued(log, append(1))
        with pytest.raises(AuditBusy):
            await log.commit(append(2))
    await waits
    assert log.outage.refused == 1
    clock.advance(5)
    rows.fail_next, rows.fail_before = 2, True
    with pytest.raises(AuditUnavailable):
        await log.commit(append(3))
    async with Hold(log):
        with pytest.raises(AuditUnavailable, match="may still come"):
            await log.commit(append(4), urgent=True, limit_s=0.01)
    await log.commit(append(0))
    assert (log.outage.refused, log.outage.since) == (3, began)
    rows.fail_next = 2
    with pytest.raises(AuditUnavailable, match="did not happen"):
        await log.try_again(append(5), limit_s=30)
    assert log.outage.refused == 3, "who only tries whether it works again is refused nothing"
    assert await log.try_again(append(6), limit_s=30) == (6,)


async def test_of_whom_nobody_knows_whether_it_was_recorded_is_counted(rows: WatchedRows, clock: FakeClock) -> None:
    def refused(_tx: Transaction, _now: Instant) -> Recorded[None]:
        raise LostRace("no")

    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, doubt_s=0)
    rows.lose_next, rows.lose_looks = 2, True
    unknown, denied = await queued(log, append(1), refused)
    with pytest.raises(AuditUnavailable, match="may be on the record"):
        await unknown
    with pytest.raises(LostRace):
        await denied
    assert log.outage.refused == 1
    await log.aclose()


async def test_a_lost_answer_is_looked_for_until_the_database_says(rows: WatchedRows, clock: FakeClock) -> None:
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=60, doubt_s=60)
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    rows.lose_next, rows.lose_looks = 3, True
    assert await log.commit(append(1)) == (1,)
    assert [row.index for row in heard] == [0]
    assert log.outage.refused == 0
    await log.aclose()


async def test_also_of_a_work_that_is_tried_alone_nobody_may_know(rows: WatchedRows, clock: FakeClock) -> None:
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, doubt_s=0)
    rows.fail_next, rows.fail_before = 1, True
    rows.lose_next, rows.lose_looks = 2, True
    with pytest.raises(AuditUnavailable, match="may be on the record"):
        await log.commit(append(1))
    assert await stored(rows) == [1]
    assert log.outage.refused == 1
    await log.aclose()


async def test_a_database_that_fails_inside_of_a_work_has_recorded_nothing_of_it(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    def broken(_tx: Transaction, _now: Instant) -> Recorded[None]:
        raise StoreUnavailable("no database")

    good, bad = await queued(log, append(1), broken)
    assert await good == (1,)
    with pytest.raises(AuditUnavailable, match="did not happen"):
        await bad
    assert log.outage.refused == 1
    assert await stored(rows) == [1]


@pytest.mark.parametrize(("urgent", "order"), [(True, [1, 2, 3, 4, 5, 6, 9]), (False, [1, 2, 3, 4, 9, 5, 6])])
async def test_works_that_did_not_fit_keep_their_turn(
    rows: WatchedRows, log: Sequencer[Transaction], monkeypatch: pytest.MonkeyPatch, urgent: bool, order: list[int]
) -> None:
    monkeypatch.setattr(sequencer, "MAX_GROUP_ENTRIES", 2)
    later: list[asyncio.Task[Any]] = []

    def one_more(_: Sequence[EntryRow]) -> None:
        if not later:
            later.append(asyncio.ensure_future(log.commit(append(9), urgent=True)))

    log.on_committed(one_more)
    tasks = await queued(log, *[append(number) for number in range(1, 7)], urgent=urgent)
    await asyncio.gather(*tasks)
    await later[0]
    assert await stored(rows) == order


async def test_a_gate_stops_all_but_urgent_works(rows: WatchedRows, clock: FakeClock) -> None:
    def shut() -> None:
        raise AuditUnavailable("shut")

    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), limit_s=30, gate=shut)
    with pytest.raises(AuditUnavailable, match="shut"):
        await log.commit(append(1))
    assert await log.commit(append(2), urgent=True) == (2,)
    assert await log.try_again(append(3), limit_s=30) == (3,)
    assert await stored(rows) == [2, 3]
    await log.aclose()


class Covering:
    """Notes what is waited for, and fails as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.failing: BaseException | None = None

    def by(self, name: str) -> Callable[[int], Awaitable[None]]:
        async def covered(size: int) -> None:
            self.asked.append((name, size))
            if self.failing is not None:
                raise self.failing

        return covered

    def told(self) -> list[tuple[str, int]]:
        asked, self.asked = self.asked, []
        return asked


def acked(number: int, ack: Ack) -> Work:
    return lambda _tx, _now: Recorded(number, (draft(number),), ack)


async def test_an_entry_waits_for_what_is_demanded_of_it(rows: WatchedRows, clock: FakeClock) -> None:
    cover = Covering()
    demanded = {7: Ack.WITNESSED}
    log: Sequencer[Transaction] = Sequencer(
        rows,
        clock,
        fake_vault(),
        limit_s=30,
        stronger={Ack.PUBLISHED: cover.by("published"), Ack.WITNESSED: cover.by("witnessed")},
        demanded=lambda _tx, entries: demanded.get(int(entries[0].id[4:]), Ack.DURABLE),
    )
    await log.commit(acked(1, Ack.DURABLE))
    assert cover.told() == []
    await log.commit(acked(2, Ack.PUBLISHED))
    assert cover.told() == [("published", 2)]
    await log.commit(acked(7, Ack.PUBLISHED))
    assert cover.told() == [("witnessed", 3)]
    await log.commit(acked(4, Ack.WITNESSED), urgent=True)
    await log.commit(lambda _tx, _now: Recorded(None, (), Ack.WITNESSED))
    assert cover.told() == []
    async with Hold(log):
        tasks = await queued(log, append(8, 9), acked(10, Ack.PUBLISHED), acked(11, Ack.WITNESSED))
    await asyncio.gather(*tasks)
    assert sorted(cover.told()) == [("published", 7), ("witnessed", 8)]
    await log.aclose()


async def test_what_is_demanded_comes_on_top_of_what_always_holds(rows: WatchedRows, clock: FakeClock) -> None:
    cover = Covering()
    log: Sequencer[Transaction] = Sequencer(
        rows,
        clock,
        fake_vault(),
        limit_s=30,
        covered=cover.by("always"),
        stronger={Ack.WITNESSED: cover.by("witnessed")},
    )
    await log.commit(append(1))
    assert cover.told() == [("always", 1)]
    await log.commit(acked(2, Ack.WITNESSED))
    assert cover.told() == [("always", 2), ("witnessed", 2)]
    await log.commit(append(1))
    assert cover.told() == [("always", 2)], "what is recorded already is covered with all there is"
    await log.aclose()


async def test_after_a_head_that_did_not_come_it_is_asked_for_in_the_strongest_sense(
    rows: WatchedRows, clock: FakeClock
) -> None:
    cover = Covering()
    log: Sequencer[Transaction] = Sequencer(
        rows,
        clock,
        fake_vault(),
        limit_s=30,
        stronger={Ack.PUBLISHED: cover.by("published"), Ack.WITNESSED: cover.by("witnessed")},
    )
    await log.covers(0)
    assert cover.told() == []
    cover.failing = AuditUnavailable("nobody signs")
    for number, ack in enumerate((Ack.WITNESSED, Ack.PUBLISHED), 1):
        with pytest.raises(AuditUnavailable, match="nobody signs"):
            await log.commit(acked(number, ack))
        assert log.outage.refused == number
    cover.told()
    with pytest.raises(AuditUnavailable, match="nobody signs"):
        await log.covers(2)
    cover.failing = None
    await log.covers(2)
    assert cover.told() == [("witnessed", 2)] * 2
    await log.covers(2)
    assert cover.told() == [], "all that was lacking is there"
    cover.failing = TimeoutError("its own")
    with pytest.raises(TimeoutError, match="its own"):
        await log.commit(acked(3, Ack.PUBLISHED))
    assert log.outage.refused == 2
    await log.aclose()


@pytest.mark.parametrize(
    ("ack", "limit_s", "waits_s"),
    [
        (Ack.PUBLISHED, 2.0, 2.0),
        (Ack.WITNESSED, 2.0, sequencer.WITNESSED_WITHIN_S),
        (Ack.WITNESSED, 30.0, 30.0),
    ],
)
async def test_witnesses_have_more_time_and_never_less_than_the_caller(
    rows: WatchedRows, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, ack: Ack, limit_s: float, waits_s: float
) -> None:
    ends: list[float | None] = []
    timeout_at = asyncio.timeout_at

    def noted(when: float | None) -> asyncio.Timeout:
        ends.append(when)
        return timeout_at(when)

    monkeypatch.setattr(asyncio, "timeout_at", noted)
    cover = Covering()
    log: Sequencer[Transaction] = Sequencer(rows, clock, fake_vault(), stronger={ack: cover.by("head")})
    begun = asyncio.get_running_loop().time() + 1_000
    monkeypatch.setattr(log._deadlines, "add", lambda _answer, limit: begun + limit)
    cover.failing = AuditUnavailable("enough seen")
    with pytest.raises(AuditUnavailable):
        await log.commit(acked(1, ack), limit_s=limit_s)
    assert ends == [begun + waits_s]
    await log.aclose()


async def test_private_texts_are_sealed_and_others_left_as_they_are(
    rows: WatchedRows, log: Sequencer[Transaction]
) -> None:
    salt, clear = bytes(16), b"because"
    data = {"why": "requester", "reason_c": commitment(salt, clear)}
    told = draft(2, type="request.cancelled", data=data, private=(PrivateField("reason_c", salt, clear),))
    heard: list[EntryRow] = []
    log.on_committed(heard.extend)
    await log.commit(lambda _tx, _now: Recorded(None, (draft(1), told)))
    assert [row.index for row in heard] == [0, 1]
    assert await rows.store.read(lambda tx: tx.entries.private(draft(1).id)) == []
    kept = await rows.store.read(lambda tx: fake_vault().opened(tx.subject_keys, told.id, tx.entries.private(told.id)))
    assert kept == told.private
    assert heard[0].sealed == ()
