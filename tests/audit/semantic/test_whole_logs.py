"""Logs that are perfect as far as hashes and signatures go, and still break a rule: only the rules find that."""

from __future__ import annotations

import pytest
from tests.audit.logs import KEY, log_of
from tests.audit.semantic.honest import Server
from tests.audit.semantic.twins import TWINS
from tests.audit.semantic.writer import Writer

from loglease.audit.log_reading import read_head
from loglease.audit.semantic import Inputs, Report, SignedSize, check
from loglease.audit.verify import entries_again, verify_log


def verified(files: dict[str, bytes], **inputs: object) -> Report:
    """Verify a log as it was published, then its rules over the very entries that were verified."""
    head, signers = read_head(files.get, (KEY.verifier,))
    found = verify_log(files.get, head, remember=True)
    assert [str(one) for one in signers] == [str(KEY.verifier)]
    assert found.entries == range(head.size)
    return check(entries_again(files.get, found, head.size), Inputs(**inputs), formed=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", list(TWINS))
def test_a_perfect_log_that_breaks_one_rule_is_found(rule: str) -> None:
    log = Writer().begin()
    inputs = TWINS[rule][0](log) or {}
    assert verified(log_of(entry for _, entry in log.rows()), **inputs).broken == {rule}


def test_an_honest_log_holds_as_it_was_published() -> None:
    server = Server(11)
    server.log.vkey = str(KEY.verifier)
    log = server.run(25)
    signed = SignedSize(len(log.entries), frozenset({str(KEY.verifier)}))
    report = verified(log_of(entry for _, entry in log.rows()), checkpoints=lambda: [signed])
    assert report.broken == frozenset(), [str(one) for one in report.breaches]
    assert {one.rule for one in report.unchecked} == {"S5", "S16"}
