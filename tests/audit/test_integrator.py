"""What is signed was read back and checked, goes on from what was signed before, and there is one history of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.audit.drafts import draft
from tests.audit.signing import KEY, ORIGIN, SignedLog, beside, damaged, signed_log

from loglease.audit.checking import Found, Tampered
from loglease.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from loglease.audit.entry import entry_bytes
from loglease.audit.integrator import Integrator, SignedHead
from loglease.audit.interface import AuditUnavailable
from loglease.audit.merkle import EMPTY_ROOT, Edge, leaf_hash
from loglease.audit.note import SigningKey
from loglease.model.instant import Instant
from loglease.store.checkpoints_interface import StoredCheckpoint
from loglease.store.interface import StoreUnavailable


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SignedLog]:
    async with signed_log(tmp_path) as found:
        yield found


async def checkpoints(log: SignedLog) -> list[StoredCheckpoint]:
    return list(await log.store.read(lambda tx: tx.checkpoints.since(0)))


async def root_of_rows(log: SignedLog, size: int) -> bytes:
    edge = Edge()
    edge.extend(leaf_hash(row.content) for row in await log.store.read(lambda tx: tx.entries.since(0, limit=size)))
    return edge.root()


async def test_the_empty_log_is_signed_first(log: SignedLog) -> None:
    head = await log.sign()
    assert head.checkpoint == Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert not await log.integrator.step(), "nothing is new"
    assert len(await checkpoints(log)) == 1


async def test_every_head_is_signed_and_says_what_the_rows_say(log: SignedLog) -> None:
    for number in range(5):
        await log.add(2 * number, 2 * number + 1)
        await log.sign()
    found = await checkpoints(log)
    assert [(one.size, one.prev_size) for one in found] == [(0, None), (2, 0), (4, 2), (6, 4), (8, 6), (10, 8)]
    for one in found:
        signed = open_checkpoint(one.note, [KEY.verifier])
        assert signed == Checkpoint(ORIGIN, one.size, one.root)
        assert signed.root == await root_of_rows(log, one.size)


async def test_a_backlog_is_signed_in_bounded_steps(log: SignedLog) -> None:
    await log.add(*range(200))
    assert (await log.sign()).checkpoint.size == 200
    assert [one.size for one in await checkpoints(log)] == [0, 64, 128, 192, 200]


async def test_those_who_want_to_know_hear_of_each(log: SignedLog) -> None:
    heard: list[SignedHead] = []
    log.integrator.on_signed(heard.append)
    await log.add(1)
    await log.sign()
    assert [one.checkpoint.size for one in heard] == [0, 1]
    assert heard[-1] == log.integrator.head


async def test_every_key_signs(tmp_path: Path) -> None:
    second = SigningKey(ORIGIN, b"2" * 32)
    async with signed_log(tmp_path) as log:
        log.integrator._signers = (KEY, second)
        await log.add(1)
        head = await log.sign()
        for key in (KEY, second):
            assert open_checkpoint(head.note, [key.verifier]) == head.checkpoint


def well_hashed(content: bytes) -> str:
    return f"SET bytes = x'{content.hex()}', leaf = x'{leaf_hash(content).hex()}'"


def forged(number: int, at: int) -> str:
    return well_hashed(entry_bytes(draft(number), Instant(at)))


@pytest.mark.parametrize(
    ("damage", "found", "first_bad"),
    [
        ("UPDATE entries SET bytes = CAST(replace(bytes, 'v', 'w') AS BLOB) WHERE idx = 7", Found.HASH, 7),
        ("UPDATE entries SET bytes = CAST(bytes AS TEXT) WHERE idx = 7", Found.HASH, 7),
        ("UPDATE entries SET leaf = zeroblob(32) WHERE idx = 7", Found.HASH, 7),
        ("UPDATE entries SET id = 'ent_x' WHERE idx = 7", Found.ID, 7),
        (f"UPDATE entries {forged(99, 9 * 10**15)} WHERE idx = 7", Found.ID, 7),
        (f"UPDATE entries {forged(7, 5)} WHERE idx = 7", Found.TIME, 7),
        (f"UPDATE entries {well_hashed(b'{}')} WHERE idx = 7", Found.FORM, 7),
        ("DELETE FROM entries WHERE idx = 7", Found.GAP, 7),
        ("DELETE FROM entries WHERE idx >= 5", Found.GAP, 5),
        ("UPDATE checkpoints SET note = x'00' WHERE size = 5", Found.CHAIN, None),
        ("UPDATE checkpoints SET root = zeroblob(32) WHERE size = 5", Found.CHAIN, None),
        ("DELETE FROM checkpoints WHERE size = 5", Found.CHAIN, None),
    ],
)
async def test_a_difference_stops_it_for_good(log: SignedLog, damage: str, found: Found, first_bad: int | None) -> None:
    await log.add(*range(5))
    before = await log.sign()
    await log.add(*range(5, 10))
    alarms: list[tuple[Tampered, str]] = []
    log.integrator.on_tampered(lambda fault, check: alarms.append((fault, check)))
    damaged(log, damage)
    with pytest.raises(Tampered) as caught:
        await log.integrator.step()
    assert (caught.value.found, caught.value.first_bad) == (found, first_bad)
    assert alarms == [(caught.value, "integrator")]
    assert log.integrator.fault is caught.value
    await log.add(11) if found is not Found.GAP else None
    with pytest.raises(Tampered):
        await log.integrator.step()
    with pytest.raises(AuditUnavailable):
        await log.integrator.covered(6)
    assert log.integrator.head == before
    assert len(alarms) == 1, "one alarm, whatever is asked for afterwards"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE checkpoints SET note = x'00' WHERE size = 5",
        "UPDATE checkpoints SET root = zeroblob(32) WHERE size = 5",
        "DELETE FROM checkpoints WHERE size = 5",
    ],
)
async def test_a_head_that_is_changed_while_the_next_one_is_signed_gets_no_successor(
    log: SignedLog, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    await log.add(*range(5))
    before = await log.sign()
    await log.add(6)
    signed = Integrator._signed

    def meanwhile(self: Integrator, *given: Any) -> Any:
        damaged(log, damage)
        return signed(self, *given)

    monkeypatch.setattr(Integrator, "_signed", meanwhile)
    with pytest.raises(Tampered) as caught:
        await log.integrator.step()
    assert caught.value.found is Found.CHAIN
    assert (log.integrator.fault, log.integrator.head) == (caught.value, before)
    assert [one.size for one in await checkpoints(log)][-1] <= 5


async def test_what_was_signed_is_not_read_again_at_each_step_but_found_by_the_next_start(log: SignedLog) -> None:
    await log.add(*range(5))
    await log.sign()
    damaged(log, "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 2")
    await log.add(9)
    await log.sign()
    with pytest.raises(Tampered) as caught:
        await log.begin()
    assert caught.value.first_bad == 2


async def test_of_two_integrators_one_history_comes_out(log: SignedLog, tmp_path: Path) -> None:
    other = beside(tmp_path / "other", log.store, log.clock)
    (tmp_path / "other").mkdir()
    try:
        for number in range(6):
            await log.add(number)
            await asyncio.gather(log.integrator.finish(), other.integrator.finish())
        assert await log.sign() == await other.sign()
        found = await checkpoints(log)
        assert [one.prev_size for one in found] == [None, *(one.size for one in found[:-1])]
    finally:
        await other.aclose()


async def test_one_that_was_paused_before_it_stored_its_head_drops_it(log: SignedLog, tmp_path: Path) -> None:
    await log.add(1, 2, 3)
    await log.sign()
    (tmp_path / "other").mkdir()
    slow = beside(tmp_path / "other", log.store, log.clock)
    await slow.begin()
    go_on, paused = asyncio.Event(), asyncio.Event()
    storing = log.store.group

    class Paused:
        read = log.store.read

        async def group(self, body):
            paused.set()
            await go_on.wait()
            return await storing(body)

    slow.integrator._ledger = Paused()
    await log.add(4)
    stepping = asyncio.create_task(slow.integrator.step())
    await paused.wait()
    await log.sign()
    await log.add(5)
    head = await log.sign()
    go_on.set()
    assert await stepping
    assert slow.integrator.head.checkpoint.size == 3, "its own head of size 4 counts for nothing"
    assert await slow.sign() == head
    assert [one.size for one in await checkpoints(log)] == [0, 3, 4, 5]
    await slow.aclose()


async def test_it_follows_no_head_that_the_entries_do_not_make(log: SignedLog) -> None:
    await log.add(1, 2)
    await log.sign()
    await log.add(3)
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, b"x" * 32), [KEY])
    await log.store.group(
        lambda group: group.transaction.checkpoints.insert(size=3, prev_size=2, root=b"x" * 32, note=note)
    )
    with pytest.raises(Tampered) as caught:
        await log.integrator.step()
    assert caught.value.found is Found.ROOT


async def test_it_follows_no_head_that_its_key_has_not_signed(log: SignedLog) -> None:
    await log.add(1, 2)
    await log.sign()
    await log.add(3)
    root = await root_of_rows(log, 3)
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, root), [SigningKey(ORIGIN, b"o" * 32)])
    await log.store.group(lambda group: group.transaction.checkpoints.insert(size=3, prev_size=2, root=root, note=note))
    with pytest.raises(Tampered) as caught:
        await log.integrator.step()
    assert caught.value.found is Found.SIGNATURE


async def test_whoever_waits_for_a_signature_gets_it_without_a_timer(log: SignedLog) -> None:
    await log.add(*range(100))
    await asyncio.wait_for(asyncio.gather(*(log.integrator.covered(size) for size in (1, 64, 65, 100))), 60)
    assert [one.size for one in await checkpoints(log)] == [0, 64, 100]
    await log.integrator.covered(50)


async def test_whoever_waits_hears_that_the_database_failed(log: SignedLog) -> None:
    await log.add(1)

    class Broken:
        async def read(self, query):
            raise StoreUnavailable("The database failed.")

    ledger, log.integrator._ledger = log.integrator._ledger, Broken()
    with pytest.raises(AuditUnavailable, match="recorded, and not signed yet"):
        await log.integrator.covered(1)
    log.integrator._ledger = ledger
    await log.integrator.covered(1)


async def test_one_who_comes_while_a_step_looks_waits_for_the_next(log: SignedLog) -> None:
    await log.add(1)
    await log.sign()
    ledger = log.integrator._ledger
    late: list[asyncio.Task[None]] = []
    has_come = asyncio.Event()

    class Slow:
        """Once nothing is new, something is by the time that this is known."""

        def __init__(self) -> None:
            self.group = ledger.group

        async def read(self, query):
            found = await ledger.read(query)
            if not late and not found.rows:
                await log.add(3)
                late.append(asyncio.create_task(log.integrator.covered(3)))
                await asyncio.sleep(0)
                has_come.set()
            return found

    log.integrator._ledger = Slow()
    await log.add(2)
    signing = asyncio.create_task(log.integrator.step())
    await asyncio.sleep(0)
    await log.integrator.covered(2)
    await signing
    await has_come.wait()
    await late[0]


async def test_one_who_gives_up_waiting_harms_nobody(log: SignedLog) -> None:
    await log.add(1)
    impatient = asyncio.create_task(log.integrator.covered(1))
    patient = asyncio.create_task(log.integrator.covered(1))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert log.integrator.head.checkpoint.size == 1


async def test_a_database_that_fails_is_tried_again(log: SignedLog) -> None:
    await log.add(1)
    await log.sign()
    await log.add(2)
    storing = log.store.group

    class Failing:
        read = log.store.read

        async def group(self, body):
            raise StoreUnavailable("The disk is full.")

    log.integrator._ledger = Failing()
    with pytest.raises(StoreUnavailable):
        await log.integrator.step()
    assert log.integrator.head.checkpoint.size == 1
    assert log.integrator.fault is None
    log.integrator._ledger = log.store
    assert log.store.group == storing
    assert (await log.sign()).checkpoint.size == 2
