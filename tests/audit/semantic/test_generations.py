"""A later generation of a log holds in itself: what the one before introduced is only known by what is said of it here."""

from __future__ import annotations

from dataclasses import replace

from tests.audit.semantic.twins import carried, restore
from tests.audit.semantic.writer import Writer


def test_a_grant_of_the_generation_before_serves_once_somebody_resumed_it() -> None:
    log = Writer().begin()
    granted = carried(log)
    log.resume(granted, "restore", by="sub_bob")
    log.read(granted)
    log.read(log.granted())
    report = log.check()
    assert report.broken == frozenset(), [str(one) for one in report.breaches]
    unchecked = {(one.rule, one.text) for one in report.unchecked}
    assert "S3" in {rule for rule, _ in unchecked}, "it says what it cannot know"
    assert not any("entry 0" in text for _, text in unchecked), "its own beginning is there"


def test_a_restore_inside_a_generation_forgets_nothing_of_it() -> None:
    log = Writer().begin()
    granted = log.granted()
    log.stop()
    restore(log, 1, granted)
    log.start("stop")
    log.revoke(replace(granted, id=log.id("grt")))
    assert "S3" in log.check().broken, "the log is still whole"
