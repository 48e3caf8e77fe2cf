"""Samples: the same for everybody who has seed and indices, and no row is luckier than another."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit.report.logs import Log

from loglease.audit.report.making import Making, checked
from loglease.audit.report.sampling import sampled, sampling_key
from loglease.audit.report.tables import Row
from loglease.model.errors import InvalidField


def rows(count: int, step: int = 7) -> list[Row]:
    return [Row((str(place),), (place * step, place * step + 1)) for place in range(count)]


def test_anybody_can_draw_the_same_sample_by_the_documented_rule() -> None:
    drawn = {row.entries[0] for row in sampled(rows(500), 25, 42)}
    keys = {index: hashlib.sha256(struct.pack(">QQ", 42, index)).digest() for index in range(0, 3_500, 7)}
    assert drawn == set(sorted(keys, key=lambda index: keys[index])[:25])


def test_the_rule_does_not_change() -> None:
    assert [row.entries[0] for row in sampled(rows(100), 5, 7)] == [112, 560, 595, 602, 693]
    assert sampling_key(7, 112).hex()[:16] == hashlib.sha256(b"\0" * 7 + b"\7" + b"\0" * 7 + b"\x70").hexdigest()[:16]


@given(st.integers(0, 60), st.integers(1, 80), st.integers(0, 2**53 - 1))
def test_a_sample_is_so_many_different_rows_in_their_order(count: int, size: int, seed: int) -> None:
    every = rows(count)
    drawn = sampled(every, size, seed)
    assert len(drawn) == min(count, size)
    assert list(drawn) == [row for row in every if row in set(drawn)]
    assert drawn == sampled(every[::-1], size, seed)


def test_a_larger_sample_holds_the_smaller_one() -> None:
    assert set(sampled(rows(300), 20, 5)) < set(sampled(rows(300), 60, 5))


def test_no_row_is_luckier_than_another() -> None:
    """Chi-squared over 2,000 seeds: 50 rows, 10 drawn; 49 degrees of freedom stay under 95 but once in 10,000 times."""
    seeds, count, size = 2_000, 50, 10
    hits: Counter[int] = Counter()
    for seed in range(seeds):
        hits.update(row.entries[0] for row in sampled(rows(count), size, seed))
    expected = seeds * size / count
    assert sum((hits[place * 7] - expected) ** 2 / expected for place in range(count)) < 95


def test_rows_without_entries_take_no_part() -> None:
    assert sampled([Row(("a",), ()), Row(("b",), (3,))], 5, 1) == (Row(("b",), (3,)),)


def log_of(count: int) -> Log:
    log = Log()
    for place in range(count):
        log.granted(f"n{place}")
    return log


def test_a_report_draws_from_its_main_table_and_its_evidence_is_that_of_the_sample() -> None:
    log = log_of(30)
    first, again = (log.document("population", sample=5, seed=9) for _ in range(2))
    assert first == again
    requests = next(one for one in first["tables"] if one["name"] == "requests")["rows"]
    assert len(requests) == 5
    assert first["sample"]["of"] == 30
    assert first["evidence"] == sorted(index for row in requests for index in row["entries"])
    assert len(next(one for one in first["tables"] if one["name"] == "grants")["rows"]) == 30
    other = log.document("population", sample=5, seed=10)
    assert other["tables"] != first["tables"]


@pytest.mark.parametrize(
    ("report", "question", "pointer"),
    [
        ("nothing", {}, "/report"),
        ("population", {"start": 5, "end": 5}, "/from"),
        ("population", {"grant": "grt_1"}, "/grant"),
        ("dossier", {}, "/grant"),
        ("refusals", {"sample": 5}, "/sample"),
        ("population", {"sample": 0}, "/sample"),
        ("population", {"sample": 10_001}, "/sample"),
        ("population", {"seed": 1}, "/seed"),
        ("population", {"sample": 1, "seed": 2**53}, "/seed"),
        ("population", {"sample": 1, "seed": -1}, "/seed"),
    ],
)
def test_a_question_without_sense_is_refused_with_its_field(
    report: str, question: dict[str, int], pointer: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        checked(Log().asked(report, **question))
    assert caught.value.faults[0].pointer == pointer


def test_reading_stops_behind_the_time_unless_the_whole_log_counts() -> None:
    log = log_of(3)
    early = Making(log.asked("segregation", end=60), log.beside())
    assert early.add(log.rows) is False
    assert len(early.result().found.tables[0].rows) == 0
    assert Making(log.asked("population", end=60), log.beside()).add(log.rows) is True
