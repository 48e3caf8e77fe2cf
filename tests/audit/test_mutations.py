"""Whatever is done to the files of a log is found: 1,000 ways of it with MUTATION_ROUNDS=1000, a sample without.

`MUTATION_SEED` repeats a run; with `MUTATION_ROUNDS` the seed is new each time; a failure names it. The same ways are given to
the verifier in Go by `tests/real/test_foreign_verifier.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from random import SystemRandom

import pytest
from tests.audit.logs import KEY, log_of, recorded
from tests.audit.mutations import MUTATIONS, Case, Log, drawn, log

from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.log_reading import KeyUnknown, LogIncomplete, LogTampered, read_head
from loglease.audit.verify import Trust, check_extends, verify_log
from loglease.model.errors import LogLeaseError

KEYS = (KEY.verifier,)
ROUNDS = int(os.environ.get("MUTATION_ROUNDS", "110"))
SEED = int(
    os.environ.get("MUTATION_SEED") or (SystemRandom().randrange(10**9) if "MUTATION_ROUNDS" in os.environ else 0)
)
LARGE = (65_537,) if "MUTATION_ROUNDS" in os.environ else ()
SIZES = (1, 2, 255, 256, 257, 600, *LARGE)


def fault_of(case: Case) -> LogLeaseError | None:
    """Return what we say of a case; None if we find nothing."""
    read = case.files.get
    try:
        checkpoint, _ = read_head(read, KEYS)
        verify_log(read, checkpoint)
        if case.kept is not None:
            check_extends(Trust(read, checkpoint).hashes, checkpoint, open_checkpoint(case.kept, KEYS), "last")
    except (LogTampered, LogIncomplete, KeyUnknown) as error:
        return error
    return None


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    return [log(size) for size in SIZES]


@pytest.mark.attack("AD-04")
def test_every_change_is_found(logs: list[Log]) -> None:
    found: Counter[str] = Counter()
    for case in drawn(logs, ROUNDS, SEED):
        fault = fault_of(case)
        assert fault is not None, (case.name, SEED)
        found[case.name] += 1
        if case.missing:
            assert isinstance(fault, LogIncomplete | KeyUnknown), (case.name, fault.message, SEED)
        elif case.name == "a bit anywhere":
            assert isinstance(fault, LogTampered | KeyUnknown), (fault.message, SEED)
        else:
            assert isinstance(fault, LogTampered), (case.name, fault.message, SEED)
        if case.index is not None:
            assert fault.index == case.index, (case.name, fault.message, SEED)
        if case.place is not None and isinstance(fault, LogTampered):
            assert fault.place == case.place, (case.name, fault.message, SEED)
            if fault.index is not None:
                assert fault.holds == (range(fault.index) or None), (case.name, fault.message, SEED)
    assert len(found) == len(set(MUTATIONS))


def test_every_bit_of_an_empty_log_counts() -> None:
    files = log_of([])
    assert fault_of(Case("untouched", files)) is None
    for place in range(len(files["checkpoint"]) * 8):
        content = bytearray(files["checkpoint"])
        content[place // 8] ^= 1 << place % 8
        fault = fault_of(Case("a bit", {"checkpoint": bytes(content)}))
        assert isinstance(fault, LogTampered | KeyUnknown), place


def test_logs_that_nobody_touched_hold(logs: list[Log]) -> None:
    for one in logs:
        assert fault_of(Case("untouched", one.files)) is None
        assert fault_of(Case("kept", one.files, kept=one.files["checkpoint"])) is None
        longer = log_of([*one.entries, *recorded(3, one.size)])
        assert fault_of(Case("grown", longer, kept=one.files["checkpoint"])) is None
