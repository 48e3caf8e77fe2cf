"""With `audit.ack = "published"` an answer waits for the signature; what takes rights away never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.api.world import world_in
from tests.audit.drafts import draft
from tests.audit.signing import SignedLog, damaged, signed_log
from tests.fakes.vault import fake_vault

from loglease.audit.checking import Tampered
from loglease.audit.interface import AuditUnavailable, Draft, Recorded
from loglease.audit.sequencer import Sequencer
from loglease.store.interface import Transaction


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SignedLog]:
    async with signed_log(tmp_path) as found:
        found.sequencer = Sequencer(
            found.store, found.clock, fake_vault(), covered=found.integrator.covered, limit_s=30
        )
        yield found


def recording(*entries: Draft):
    return lambda _tx, _now: Recorded(len(entries), entries)


def signed_size(log: SignedLog) -> int:
    return 0 if log.integrator.head is None else log.integrator.head.checkpoint.size


async def test_the_answer_comes_with_a_signature(log: SignedLog) -> None:
    assert await log.sequencer.commit(recording(draft(1), draft(2))) == 2
    assert signed_size(log) == 2


async def test_many_who_wait_share_a_signature(log: SignedLog) -> None:
    await asyncio.gather(*(log.sequencer.commit(recording(draft(number))) for number in range(50)))
    assert signed_size(log) == 50
    signed = await log.store.read(lambda tx: tx.checkpoints.since(0))
    assert len(signed) < 10


async def test_what_records_nothing_waits_for_nothing(log: SignedLog) -> None:
    assert await log.sequencer.commit(recording()) == 0
    assert log.integrator.head is None


async def test_what_was_recorded_before_is_covered_too(log: SignedLog) -> None:
    plain: Sequencer[Transaction] = Sequencer(log.store, log.clock, fake_vault())
    await plain.commit(recording(draft(1)))
    await log.sequencer.commit(recording(draft(1)))
    assert signed_size(log) == 1


@pytest.fixture
async def stopped(log: SignedLog) -> SignedLog:
    await log.add(0)
    damaged(log, "UPDATE checkpoints SET note = x'00'")
    await log.sequencer.commit(recording(draft(1)), urgent=True)
    with pytest.raises(Tampered):
        await log.integrator.finish()
    return log


async def test_nothing_is_acknowledged_that_nobody_signs(stopped: SignedLog) -> None:
    with pytest.raises(AuditUnavailable):
        await stopped.sequencer.commit(recording(draft(2)))


async def test_what_is_urgent_is_answered_all_the_same(stopped: SignedLog) -> None:
    assert await stopped.sequencer.commit(recording(draft(2)), urgent=True) == 1


async def test_a_signature_that_takes_too_long_is_no_success(tmp_path: Path) -> None:
    async def never(_size: int) -> None:
        await asyncio.Event().wait()

    async with signed_log(tmp_path) as log:
        slow: Sequencer[Transaction] = Sequencer(log.store, log.clock, fake_vault(), covered=never)
        with pytest.raises(AuditUnavailable, match="may still come"):
            await slow.commit(recording(draft(1)), limit_s=0.05)
        assert await slow.commit(recording(draft(2)), limit_s=60, urgent=True) == 1
        assert await log.store.read(lambda tx: tx.entries.size()) == 2


async def test_a_whole_server_works_like_that(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit={"ack": "published"}) as world:
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        await world.approved(alice, bob)
        signed = world.services.publishing.head.checkpoint.size
        size = await world.services.store.read(lambda tx: tx.entries.size())
        assert size - 1 <= signed <= size, "at most an urgent one is not signed yet"
