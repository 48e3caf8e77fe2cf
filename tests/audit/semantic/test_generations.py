"""A later generation of a log holds in itself: what the one before introduced is only known by what is said of it here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.audit.semantic.twins import carried, restore
from tests.audit.semantic.writer import Writer

from loglease.audit.checkpoint import generation_of, is_later, next_origin


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


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("a/b/1", ("a/b", 1)),
        ("a/12", ("a", 12)),
        ("a/0", None),
        ("a/01", None),
        ("a", None),
        ("/1", None),
        ("a/x", None),
    ],
)
def test_generations_of_names(origin: str, found: tuple[str, int] | None) -> None:
    assert generation_of(origin) == found


def test_the_next_name_is_later() -> None:
    assert next_origin("a/b/9") == "a/b/10"
    assert next_origin("a") is None
    assert is_later("a/b/10", "a/b/9")
    assert not is_later("a/b/9", "a/b/9")
    assert not is_later("a/b/9", "a/b/10")
    assert not is_later("a/c/10", "a/b/9")
    assert not is_later("a/b/10", "unknown")
