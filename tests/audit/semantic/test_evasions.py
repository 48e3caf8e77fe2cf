"""What somebody who writes the log might do so that a broken rule is not seen: each way is planted, and is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.audit.semantic.twins import RAISE
from tests.audit.semantic.writer import APPROVERS, HOUR, START, Granted, Opened, Writer, digest, scope

from loglease.audit.semantic import BreachKind, Report
from loglease.audit.semantic.report import MOST_OF_A_RULE
from loglease.model.digest import SALT_BYTES, canonical_bytes, commitment
from loglease.model.instant import Instant, after, instant_text

Data = dict[str, Any]


def elevated(log: Writer) -> Granted:
    return log.granted(wish={"elevation": RAISE}, offer={"elevation": RAISE})


# Breaches hidden among others.


def test_a_violation_is_not_hidden_behind_a_thousand_findings() -> None:
    log = Writer().begin()
    for _ in range(MOST_OF_A_RULE):
        log.change("sub_bob", "roles", ["auditor"])
    assert log.check().holds()
    log.change("sub_bob", "linked", other="sub_carol")
    report = log.check()
    assert report.broken == {"S23"}
    assert not report.holds()
    assert report.of(BreachKind.VIOLATION)


def test_violations_beyond_those_that_are_kept_count() -> None:
    report = Report(entries=1, rules=27, not_kept={("S7", BreachKind.VIOLATION): 1, ("S9", BreachKind.FINDING): 1})
    assert report.broken == {"S7"}
    assert not report.holds()
    assert report.summary() == "27 checked, 26 hold, 1 finding"


def test_of_each_kind_a_thousand_are_kept() -> None:
    log = Writer().begin()
    for _ in range(MOST_OF_A_RULE + 2):
        log.change("sub_bob", "roles", ["auditor"])
        log.change("sub_bob", "linked", other="sub_carol")
    report = log.check()
    for kind in BreachKind:
        assert len(report.of(kind)) == MOST_OF_A_RULE
        assert report.not_kept["S23", kind] == 2
        assert report.count(kind) == MOST_OF_A_RULE + 2


# Sessions.


def reserves_bytes_alone_after_the_end(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.revoke(granted)
    log.batch(session, reserved={"lines": 0, "bytes": 60_000})
    session.ceiling = 0, 60_000
    log.close(session, "revoked", total={"lines": 0, "bytes": 60_000})


def serves_lines_without_their_times(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    settled = log.settled(session, 3, 300)
    log.close(session, lines=3, settled={name: settled[name] for name in settled if not name.endswith("_ns")})


def serves_lines_with_one_of_their_times(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    settled = log.settled(session, 3, 300)
    log.close(session, lines=3, settled={name: settled[name] for name in settled if name != "last_ns"})


def serves_lines_from_before_the_scope(log: Writer) -> None:
    granted = log.granted(scopes=[scope(from_ns="5000")])
    session = log.open(granted, query={"start_ns": "0"})
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="4999", last_ns="5000"))


def serves_lines_from_after_the_scope(log: Writer) -> None:
    granted = log.granted(scopes=[scope(live=False, to_ns="5000")])
    session = log.open(granted)
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="4999", last_ns="5000"))


def serves_lines_of_a_query_that_reads_nothing(log: Writer) -> None:
    session = log.open(log.granted(), query={"scopes": []})
    log.batch(session)
    log.close(session, lines=3)


def serves_what_only_another_query_may_read(log: Writer) -> None:
    granted = log.granted(scopes=[scope(from_ns="5000")])
    session = log.open(granted, query={"start_ns": "6000"})
    ask_again(log, session, start_ns="7000", end_ns="8000")
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="5999", last_ns="7000"))


def ask_again(log: Writer, session: Opened, **changes: Any) -> None:
    data = {
        "query": 2,
        "text_c": digest("again"),
        "scopes": session.grant.data["scopes"],
        "live": False,
        "plan": "evaluate",
    }
    log.write("query.recorded", session.actor, data | changes, log.ref(session.grant, session=session.id))


def stays_open_after_the_revocation(log: Writer) -> None:
    granted, other = log.granted(), log.granted()
    log.open(granted)
    log.revoke(granted)
    log.wait(3.1)
    log.read(other)


def stays_open_after_its_time(log: Writer) -> None:
    granted, other = log.granted(duration_s=60), log.granted()
    log.open(granted)
    log.wait(63.1)
    log.read(other)


def test_what_closes_in_time_or_has_nobody_to_close_it_is_no_violation() -> None:
    log = Writer().begin()
    granted, other = log.granted(), log.granted()
    log.open(granted)
    log.revoke(granted)
    log.wait(2.8)
    log.read(other)
    assert log.check().holds()
    log.wait(3_600)
    log.write("clock.trusted", "system", {"replica": log.replica, "skew_ms": 0})
    assert log.check().holds()


def test_queries_of_a_session_add_to_what_it_may_read() -> None:
    log = Writer().begin()
    session = log.open(log.granted(), query={"start_ns": "3000"})
    ask_again(log, session, start_ns="2000", end_ns="9000")
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="2000", last_ns="9999999"))
    assert log.check().holds(strict=True)
    session = log.open(log.granted(), query={"start_ns": "3000", "end_ns": "4000"})
    ask_again(log, session, start_ns="2000", end_ns="9000")
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="2000", last_ns="8999"))
    assert log.check().holds(strict=True)


def test_a_scope_may_begin_whenever() -> None:
    log = Writer().begin()
    old = scope("old", from_ns=None, live=False, to_ns="1500")
    granted = log.granted(scopes=[old, scope(from_ns="5000")])
    session = log.open(granted, query={"start_ns": "10"})
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, first_ns="10", last_ns="5000"))
    assert log.check().holds(strict=True)


# Raised levels.


def reverts_to_another_baseline(log: Writer) -> None:
    granted = elevated(log)
    log.revert(granted, log.elevate(granted), after="debug", baseline="debug")


def reverts_to_nothing_that_it_names(log: Writer) -> None:
    granted = elevated(log)
    one = log.elevate(granted)
    data = {name: value for name, value in log.lever(granted, baseline="debug").items() if name != "after"}
    log.write("elevation.reverted", "system", data, log.ref(granted, elevation=one))


def test_the_baseline_is_the_one_that_was_seen_when_the_level_was_raised() -> None:
    log = Writer().begin()
    granted = elevated(log)
    one = log.id("elv")
    ref = log.ref(granted, elevation=one)
    log.write("elevation.pending", "sub_alice", log.lever(granted, baseline="warn"), ref)
    log.write("elevation.raised", "system", log.lever(granted, after="debug"), ref)
    log.revert(granted, one)
    assert log.check().holds(strict=True)


# Second persons.


def _pruned(log: Writer, by: str) -> None:
    data = {"min_index": 0, "before_at": instant_text(Instant(START - 1)), "approved_by": by}
    log.write("log.pruned", "sub_admin", data)


def approved_by_nobody_who_is_known(log: Writer) -> None:
    _pruned(log, "sub_nobody")


def approved_by_the_machine(log: Writer) -> None:
    _pruned(log, "system")


def approved_by_an_agent(log: Writer) -> None:
    _pruned(log, "sub_bot")


def approved_by_somebody_locked(log: Writer) -> None:
    log.lock("principal", "sub_bob")
    _pruned(log, "sub_bob")


def approved_by_the_owner_of_who_did_it(log: Writer) -> None:
    log.person("sub_admins_bot", kind="service", owner="sub_bob")
    log.write("subject.erased", "sub_admins_bot", {"subject": "sub_x", "fields": 1, "approved_by": "sub_bob"})


def approves_an_act_of_ones_own(log: Writer) -> None:
    one, terms = log.id("prp"), digest("terms")
    data = {"kind": "prune", "digest_sha256": terms, "comment_c": digest("why")}
    log.write("act.proposed", "sub_admin", data, {"proposal": one})
    auth = {"method": "password", "mfa": False, "age_s": 1}
    given = {"verdict": "approve", "digest_sha256": terms, "channel": "api", "auth": auth}
    log.write("act.reviewed", "sub_admin", given, {"proposal": one})


def test_who_proposed_an_act_may_deny_it() -> None:
    log = Writer().begin()
    approves_an_act_of_ones_own(log)
    last = log.entries.pop().draft
    log.write(last.type, last.actor, dict(last.data) | {"verdict": "deny"}, last.ref)
    assert log.check().holds(strict=True)


def test_of_a_part_of_a_log_the_second_person_need_not_be_known() -> None:
    log = Writer(first=512)
    log.start("stop")
    data = {"min_index": 512, "before_at": instant_text(START), "approved_by": "sub_bob"}
    log.write("log.pruned", "sub_admin", data)
    assert log.check().holds(strict=True)


# Plans that nobody fills.


def needs_a_review_or_none(log: Writer) -> None:
    plan = [{"any_of": [{"from": [APPROVERS], "need": 0}, {"from": [APPROVERS], "need": 1}]}]
    log.activate(log.approve(log.ask(plans=(plan,))))


# Clocks.


def opens_with_a_suspect_clock(log: Writer) -> None:
    granted = log.granted()
    log.write("clock.suspect", "system", {"replica": log.replica, "skew_ms": -9_000, "check": "database"})
    log.close(log.open(granted))


def activates_with_a_suspect_clock(log: Writer) -> None:
    granted = log.approve(log.ask(plans=(), outcome="auto"))
    log.write("clock.suspect", "system", {"replica": log.replica, "skew_ms": -9_000, "check": "database"})
    log.write("clock.trusted", "system", {"replica": "another", "skew_ms": 0})
    log.activate(granted)


def raises_with_a_suspect_clock(log: Writer) -> None:
    granted = elevated(log)
    log.write("clock.suspect", "system", {"replica": log.replica, "skew_ms": -9_000, "check": "database"})
    log.revert(granted, log.elevate(granted))


def test_a_clock_is_trusted_again_or_checked_by_a_start() -> None:
    log = Writer().begin()
    suspect = {"replica": log.replica, "skew_ms": -9_000, "check": "database"}
    granted = log.granted()
    session = log.open(granted)
    log.write("clock.suspect", "system", suspect)
    log.batch(session)
    log.close(session)
    log.write("clock.trusted", "system", {"replica": log.replica, "skew_ms": 0})
    log.read(granted)
    log.write("clock.suspect", "system", suspect)
    log.stop()
    log.start("stop")
    log.read(granted)
    assert log.check().holds(strict=True)


# Pruning.


def _long(log: Writer, count: int = 600) -> None:
    """Let two bundles be filled, and an hour pass after each of them."""
    while len(log.entries) < count:
        log.write("signin.ended", "sub_bob", {"why": "logout"})
        if len(log.entries) % 256 == 0:
            log.wait(HOUR)


def _prune(log: Writer, low: int, before: Instant) -> None:
    data = {"min_index": low, "before_at": instant_text(before), "approved_by": "sub_bob"}
    log.write("log.pruned", "sub_admin", data)


def prunes_more_than_it_says(log: Writer) -> None:
    _long(log)
    _prune(log, 512, after(START, 60))


def prunes_what_is_not_over(log: Writer) -> None:
    log.granted()
    _long(log)
    _prune(log, 256, after(START, 60))


def prunes_what_is_asked_for(log: Writer) -> None:
    log.ask()
    _long(log)
    _prune(log, 256, after(START, 60))


def _held(log: Writer, begin: Instant, end: Instant) -> str:
    one = log.id("hld")
    data = {"hold": one, "state": "set", "from_at": instant_text(begin), "to_at": instant_text(end)}
    log.write("hold.changed", "sub_admin", data)
    return one


def prunes_what_is_held(log: Writer) -> None:
    _held(log, after(START, 60), after(START, HOUR))
    _long(log)
    _prune(log, 512, after(START, HOUR + 60))


def prunes_the_last_that_is_held(log: Writer) -> None:
    _held(log, START, START)
    _long(log)
    _prune(log, 256, after(START, 60))


def test_what_is_older_than_a_hold_may_be_pruned_and_the_rest_once_it_is_released() -> None:
    log = Writer().begin()
    one = _held(log, after(START, HOUR), after(START, 2 * HOUR))
    _long(log)
    _prune(log, 256, after(START, 60))
    assert log.check().holds(strict=True)
    released = dict(next(entry.draft.data for entry in log.entries if entry.draft.type == "hold.changed"))
    log.write("hold.changed", "sub_admin", released | {"state": "released"})
    assert released["hold"] == one
    _prune(log, 512, after(START, HOUR + 60))
    assert log.check().holds(strict=True)


@pytest.mark.parametrize(("retain_s", "broken"), [(HOUR - 60, set()), (HOUR - 60 + 1, {"S27"})])
def test_all_before_an_entry_may_be_pruned_by_it_once_it_is_old_enough(retain_s: int, broken: set[str]) -> None:
    log = Writer().begin()
    _long(log, 256)
    _prune(log, 256, after(START, 60))
    report = log.check(retain_s=retain_s)
    assert report.broken == broken
    assert "whether pruning respects audit.retain: it was not given" not in {one.text for one in report.unchecked}


def prunes_what_is_not_there_yet(log: Writer) -> None:
    _long(log, 255)
    _prune(log, 256, after(START, 60))


def test_a_hold_on_what_is_gone_already_holds_nothing() -> None:
    log = Writer().begin()
    _long(log)
    _prune(log, 256, after(START, 60))
    _held(log, START, START)
    _prune(log, 512, after(START, HOUR + 60))
    assert log.check().holds(strict=True)


def test_of_a_log_without_its_beginning_it_is_told_whether_it_says_why() -> None:
    log = Writer(first=512)
    log.start("stop")
    report = log.check()
    assert "whether the entries before #512 may be missing: the log does not say so" in {
        one.text for one in report.unchecked if one.rule == "S27"
    }
    _prune(log, 256, START)
    assert any("before #512" in one.text for one in log.check().unchecked)
    _prune(log, 512, START)
    assert not any("before #512" in one.text for one in log.check().unchecked)
    assert log.check().holds(strict=True)


EVASIONS: tuple[tuple[Callable[[Writer], None], str], ...] = (
    (reserves_bytes_alone_after_the_end, "S13"),
    (serves_lines_without_their_times, "S16"),
    (serves_lines_with_one_of_their_times, "S16"),
    (serves_lines_from_before_the_scope, "S16"),
    (serves_lines_from_after_the_scope, "S16"),
    (serves_lines_of_a_query_that_reads_nothing, "S16"),
    (serves_what_only_another_query_may_read, "S16"),
    (stays_open_after_the_revocation, "S19"),
    (stays_open_after_its_time, "S19"),
    (reverts_to_another_baseline, "S21"),
    (reverts_to_nothing_that_it_names, "S21"),
    (approved_by_nobody_who_is_known, "S23"),
    (approved_by_the_machine, "S23"),
    (approved_by_an_agent, "S23"),
    (approved_by_somebody_locked, "S23"),
    (approved_by_the_owner_of_who_did_it, "S23"),
    (approves_an_act_of_ones_own, "S23"),
    (needs_a_review_or_none, "S8"),
    (opens_with_a_suspect_clock, "S13"),
    (activates_with_a_suspect_clock, "S13"),
    (raises_with_a_suspect_clock, "S13"),
    (prunes_what_is_not_there_yet, "S27"),
    (prunes_more_than_it_says, "S27"),
    (prunes_what_is_not_over, "S27"),
    (prunes_what_is_asked_for, "S27"),
    (prunes_what_is_held, "S27"),
    (prunes_the_last_that_is_held, "S27"),
)


@pytest.mark.parametrize(("plant", "rule"), EVASIONS, ids=lambda one: getattr(one, "__name__", None))
def test_an_evasion_is_found_by_its_rule_alone(plant: Callable[[Writer], None], rule: str) -> None:
    log = Writer().begin()
    plant(log)
    report = log.check()
    assert report.broken == {rule}, [str(one) for one in report.breaches]
    assert not report.holds()


# Served lists that are none.

STREAM: list[Any] = [[["app", "web"]], "2000", "3000", 3]
WHOLE: Data = {"content_sha256": digest("x"), "pseudonyms": [], "streams": [STREAM]}


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (canonical_bytes(WHOLE), True),
        (b"no list", False),
        (b"\xff\xfe", False),
        (b"", False),
        (b"[]", False),
        (b"3", False),
        (canonical_bytes({"streams": [STREAM]}), False),
        (canonical_bytes(WHOLE | {"more": 1}), False),
        (canonical_bytes(WHOLE | {"streams": {}}), False),
        (canonical_bytes(WHOLE | {"streams": 3}), False),
        (canonical_bytes(WHOLE | {"streams": [3]}), False),
        (canonical_bytes(WHOLE | {"streams": [[*STREAM, 1]]}), False),
        (canonical_bytes(WHOLE | {"streams": [[[], "x", "3000", 3]]}), False),
        (canonical_bytes(WHOLE | {"streams": [[[], "2000", "3000", "3"]]}), False),
        (canonical_bytes(WHOLE | {"streams": [[[], "2000", "3000", True], [[], "2000", "3000", 2]]}), False),
        (canonical_bytes(WHOLE | {"streams": [[[], "2000", "3000", 5], [[], "2000", "3000", -2]]}), False),
        (canonical_bytes(WHOLE | {"streams": [STREAM, [[], "2000", "3000", 0]]}), False),
        (canonical_bytes(WHOLE | {"streams": [[[], "3000", "2000", 3]]}), False),
        (canonical_bytes(WHOLE) + b" ", False),
    ],
)
def test_a_served_list_that_is_none_is_no_served_list(content: bytes, fits: bool) -> None:
    salt = b"s" * SALT_BYTES
    log = Writer().begin()
    session = log.open(log.granted())
    log.batch(session)
    log.close(session, lines=3, settled=log.settled(session, 3, 300, served_c=commitment(salt, content)))
    report = log.check(served=lambda _: (salt, content))
    assert report.broken == (set() if fits else {"S16"})
