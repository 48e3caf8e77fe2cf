"""What a pass answers: what was found, what was not checked, what is open."""

from __future__ import annotations

import pytest
from tests.audit.semantic.writer import START, VKEY, Writer, digest

from loglease.audit.semantic import BreachKind, Inputs, NotCheckable, SignedSize, Verifier, check
from loglease.model.digest import SALT_BYTES, Canonical, canonical_bytes, commitment
from loglease.model.instant import instant_text


def test_the_summary_counts_rules_and_findings() -> None:
    log = Writer().begin()
    checkpoints = [SignedSize(5, frozenset({VKEY}))]
    assert log.check(checkpoints=lambda: checkpoints).summary() == "27 checked, 27 hold"
    log.start("crash")
    log.change("sub_bob", "roles", ["admin"])
    assert log.check().summary() == "27 checked, 27 hold, 2 findings; in part: S2"
    log.start("stop")
    report = log.check()
    assert report.summary() == "27 checked, 26 hold, 2 findings; in part: S2"
    assert report.count(BreachKind.VIOLATION) == 1


def test_what_is_open_is_listed_with_its_replica() -> None:
    log = Writer().begin()
    log.ask()
    granted = log.granted()
    session = log.open(granted)
    found = log.check().open
    assert (found.requests, found.grants, found.proposals) == (1, 1, 0)
    assert [(one.session, one.grant, one.replica) for one in found.sessions] == [(session.id, granted.id, log.replica)]


def test_what_an_offer_is_computed_from_may_not_be_there() -> None:
    def recompute(*_: object) -> str | None:
        raise NotCheckable("the bundle of revision 1 is not there")

    log = Writer().begin()
    log.ask()
    report = log.check(recompute=recompute)
    assert not report.broken
    assert [(one.text, one.times) for one in report.unchecked if one.rule == "S5"] == [
        ("the bundle of revision 1 is not there", 1)
    ]
    assert "S5" not in {one.rule for one in log.check(recompute=lambda *_: None).unchecked}


@pytest.mark.parametrize(
    ("lines", "times", "fits"), [(3, ("2000", "3000"), True), (2, ("2000", "3000"), False), (3, ("1", "3000"), False)]
)
def test_a_served_list_is_opened_and_counted(lines: int, times: tuple[str, str], fits: bool) -> None:
    streams: Canonical = [[[["app", "web"]], *times, lines]]
    content = canonical_bytes({"content_sha256": digest("x"), "pseudonyms": [], "streams": streams})
    salt = b"s" * SALT_BYTES
    log = Writer().begin()
    session = log.open(log.granted())
    log.batch(session)
    settled = log.settled(session, 3, 300, served_c=commitment(salt, content))
    log.close(session, lines=3, settled=settled)
    report = log.check(served=lambda _: (salt, content))
    assert report.holds() is fits
    another = log.check(served=lambda _: (b"t" * SALT_BYTES, content))
    assert another.broken == {"S16"}
    missing = log.check(served=lambda _: None)
    assert missing.holds()
    assert ("S16", "a served list that is not there") in {(one.rule, one.text) for one in missing.unchecked}


def test_a_key_is_valid_until_its_overlap_is_over() -> None:
    log = Writer().begin()
    new = VKEY.replace("1f0c", "2f0c")
    data = {"use": "log", "old_id": "1", "new_id": "2", "vkey": new, "overlap_until_at": instant_text(START)}
    log.wait(1)
    log.write("key.rotated", "system", data)
    size = len(log.entries)
    log.granted()
    old, fresh = frozenset({VKEY}), frozenset({new})
    for at, keys, fits in (
        (size - 1, old, True),
        (size - 1, fresh, False),
        (size + 1, old, False),
        (size + 1, fresh, True),
    ):
        report = log.check(checkpoints=lambda at=at, keys=keys: [SignedSize(at, keys)])
        assert report.holds() is fits, (at, keys)


def test_the_first_key_signs_what_comes_before_the_entry_that_names_it() -> None:
    log = Writer().begin()
    for size, keys, fits in ((0, {VKEY}, True), (1, {VKEY}, True), (0, {VKEY.replace("1f0c", "2f0c")}, False)):
        report = log.check(checkpoints=lambda size=size, keys=keys: [SignedSize(size, frozenset(keys))])
        assert report.holds() is fits, (size, keys)


def test_an_entry_that_is_none_is_named_and_the_pass_goes_on() -> None:
    log = Writer().begin()
    rows = [content for _, content in log.rows()]
    rows[3] = rows[3].replace(b"principal.added", b"principal.other")
    report = check(enumerate(rows))
    assert [(one.rule, one.index) for one in report.breaches] == [("S1", 3)]
    assert report.entries == len(rows)


def test_entries_come_in_order_and_without_a_gap() -> None:
    log = Writer().begin()
    verifier = Verifier(Inputs())
    verifier.take(0, log.entries[0])
    with pytest.raises(ValueError, match="entry 2 does not follow entry 0"):
        verifier.take(2, log.entries[2])


def test_an_empty_log_breaks_nothing() -> None:
    report = check([])
    assert report.holds(strict=True)
    assert report.entries == 0
