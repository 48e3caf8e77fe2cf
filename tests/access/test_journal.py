from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.access.journal import Journal, JournalDamaged, JournalRecord, JournalRefused
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import Instant


def record(number: int, reason: str = "incident over") -> JournalRecord:
    return JournalRecord(
        kind="revoke",
        id=f"rvk_{number}",
        on="grant:grt_1",
        grants=(GrantId("grt_1"), GrantId("grt_2")),
        at=Instant(1_700_000_000_000_000 + number),
        reason=reason,
        by=PrincipalId("prn_bob"),
    )


async def filled(path: Path, count: int) -> list[JournalRecord]:
    journal = Journal.open(path)
    records = [record(number, reason="x" * number) for number in range(count)]
    for one in records:
        await journal.append(one)
    journal.close()
    return records


async def test_records_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "revocations.journal"
    records = await filled(path, 3)
    assert path.stat().st_mode & 0o777 == 0o600
    again = Journal.open(path)
    assert again.records() == records
    again.close()


@settings(max_examples=volume(20, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 400))
async def test_a_torn_last_record_is_cut_off_and_the_rest_stays(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "revocations.journal"
    path.unlink(missing_ok=True)
    records = await filled(path, 4)
    last = len(records[-1].encoded())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - min(cut, last)])
    journal = Journal.open(path)
    assert journal.records() == records[:-1]
    await journal.append(record(9))
    journal.close()
    again = Journal.open(path)
    assert again.records() == [*records[:-1], record(9)]
    again.close()


async def test_damage_before_the_last_record_refuses_the_start(tmp_path: Path) -> None:
    path = tmp_path / "revocations.journal"
    await filled(path, 3)
    content = bytearray(path.read_bytes())
    content[12] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="damaged at byte 0"):
        Journal.open(path)


async def test_a_reason_is_taken_out_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "revocations.journal"
    journal = Journal.open(path)
    for number, reason in enumerate(("first", "canary of bob", "third")):
        await journal.append(record(number, reason=reason))
    before = journal.records()

    def change(one: JournalRecord) -> JournalRecord:
        return replace(one, reason="[erased]") if one.reason == "canary of bob" else one

    assert await journal.rewrite(change) == 1
    assert await journal.rewrite(change) == 0
    assert b"canary" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    await journal.append(record(9, reason="later"))
    journal.close()
    again = Journal.open(path)
    assert again.records() == [*map(change, before), record(9, reason="later")]
    again.close()


async def test_a_journal_that_cannot_be_written_anew_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "revocations.journal"
    journal = Journal.open(path)
    await journal.append(record(1))
    path.with_name("revocations.journal.new").mkdir()
    with pytest.raises(JournalRefused):
        await journal.rewrite(lambda one: replace(one, reason="[erased]"))
    await journal.append(record(2))
    journal.close()
    again = Journal.open(path)
    assert again.records() == [record(1), record(2)]
    again.close()
