"""Logs that are perfect as far as hashes and signatures go, and still break a rule: only the rules find that."""

from __future__ import annotations

import pytest
from tests.audit.logs import KEY, log_of
from tests.audit.semantic.honest import Server
from tests.audit.semantic.twins import TWINS
from tests.audit.semantic.writer import Writer

from loglease.audit.log_reading import read_head
from loglease.audit.semantic import Inputs, Report, SignedSize, Verifier, extract
from loglease.audit.tiles import WIDTH
from loglease.audit.verify import Checked, verify_log


def verified(files: dict[str, bytes], **inputs: object) -> Report:
    """Verify a log as it was published, then its rules over the very entries that were verified."""
    head, signers = read_head(files.get, (KEY.verifier,))
    rules = Verifier(Inputs(**inputs))  # type: ignore[arg-type]

    def take(part: Checked) -> None:
        for first, content in zip(part.entries[::WIDTH], part.extracts, strict=True):
            rules.take_extract(first, content)

    found = verify_log(files.get, head, extract=extract, take=take)
    assert [str(one) for one in signers] == [str(KEY.verifier)]
    assert found.entries == range(head.size)
    return rules.finish()


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
