"""Where rules begin and end: what lies just outside is found by its rule alone, what lies just inside is no breach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.audit.semantic.test_evasions import elevated
from tests.audit.semantic.twins import RAISE, REVEAL
from tests.audit.semantic.writer import HOUR, ONE, ORIGIN, START, Granted, Writer, digest

from loglease.audit.semantic import BreachKind, SignedSize
from loglease.model.instant import Instant, after, instant_text

# Broken.


def an_extension_of_what_ended_early(log: Writer) -> None:
    first = log.granted()
    asked = log.ask(wish={"extends": first.id})
    log.review(asked)
    begins = instant_text(first.until)
    second = log.approve(asked, not_before_at=begins, activate_by_at=instant_text(after(first.until, 600)))
    log.end(first)
    log.now = first.until
    log.activate(second)


def goes_on_after_somebody_suspended_what_it_extends(log: Writer) -> None:
    first = log.granted()
    asked = log.ask(wish={"extends": first.id})
    log.review(asked)
    begins = instant_text(first.until)
    second = log.approve(asked, not_before_at=begins, activate_by_at=instant_text(after(first.until, 600)))
    log.suspend(first)
    log.end(first, "expired")
    log.close(log.open(log.activate(second)))


def reveals_under_a_grant_that_reveals_nothing(log: Writer) -> None:
    session = log.open(log.granted())
    shown = {name: value for name, value in REVEAL.items() if name != "grant"} | {"rule": "email"}
    log.write("reveal.served", session.actor, shown, log.ref(session.grant, session=session.id))
    log.close(session)


def resumed_by_the_agent_that_holds_it(log: Writer) -> None:
    granted = log.granted("sub_bot")
    log.suspend(granted)
    log.resume(granted, by="sub_bot")


def resumed_by_an_agent_of_its_holder(log: Writer) -> None:
    granted = log.granted()
    log.suspend(granted)
    log.resume(granted, by="sub_bot")


def resumed_by_the_owner_of_the_agent_that_holds_it(log: Writer) -> None:
    granted = log.granted("sub_bot")
    log.suspend(granted)
    log.resume(granted, by="sub_alice")


def an_offer_that_reveals_what_nobody_asked_for(log: Writer) -> None:
    wanted = REVEAL | {"grant": log.granted().id}
    log.granted(wish={"reveal": wanted}, offer={"reveal": wanted | {"class": "iban"}}, duration_s=60)


def denied_by_a_review_that_is_not_there(log: Writer) -> None:
    asked = log.ask()
    log.write("request.denied", "sub_bob", {"by": "review", "review": log.id("rev")}, {"request": asked.id})


def denied_by_an_approval(log: Writer) -> None:
    asked = log.ask()
    one = log.review(asked)
    log.write("request.denied", "sub_bob", {"by": "review", "review": one}, {"request": asked.id})


def counts_one_reviewer_twice(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.review(asked)
    log.approve(asked)


def a_total_of_bytes_that_falls(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.batch(session, lines=10, size=1_000)
    log.close(session, total={"lines": 10, "bytes": 999})


def a_crash_after_too_short_a_silence(log: Writer) -> None:
    session = log.open(log.granted())
    log.wait(29.999)
    log.close(session, "crash")


def opened_before_activation_and_closed_after_its_time(log: Writer) -> None:
    session = log.open(log.approve(log.ask(plans=(), outcome="auto")))
    log.wait(2 * HOUR)
    log.close(session)


def restored_twice_in_one_epoch(log: Writer) -> None:
    log.stop()
    for _ in range(2):
        _restored(log, 1)
    log.start("stop")


def _restored(log: Writer, epoch: int, source: str = "backup") -> None:
    data = {"from": source, "old_origin": ORIGIN, "old_size": 10, "old_root": "unknown", "epoch": epoch, "suspended": 0}
    log.epoch = epoch
    log.write("log.restored", "system", data)


def _closes_late_after_a_lock_on(on: str, thing: str) -> Callable[[Writer], None]:
    def plant(log: Writer) -> None:
        log.change("sub_alice", "groups", ["group:oncall"])
        granted = log.granted()
        session = log.open(granted)
        named = {"request": granted.asked.id, "grant": granted.id}.get(thing, thing)
        log.lock(on, named)
        log.wait(3.5)
        log.close(session, "locked")

    plant.__name__ = f"closes_late_after_a_lock_on_{on}"
    return plant


def closes_late_after_its_holder_was_disabled(log: Writer) -> None:
    session = log.open(log.granted())
    log.change("sub_alice", "disabled")
    log.wait(3.5)
    log.close(session, "locked")


def closes_late_after_a_suspension(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.suspend(granted)
    log.wait(3.5)
    log.close(session, "suspended")


def acts_while_one_of_two_is_unlocked(log: Writer) -> None:
    lock = log.lock("principal", "sub_alice")
    log.write("principal.locked", "sub_admin", {"lock": lock, "subject": "sub_bob", "cause": "lock"}, {"lock": lock})
    log.lift(lock, "sub_alice")
    _sign_in(log, "sub_alice")
    _sign_in(log, "sub_bob")


def _sign_in(log: Writer, who: str) -> None:
    auth = {"method": "password", "mfa": False, "age_s": 1}
    log.write("signin.succeeded", who, {"auth": auth, "issuer": "local"})


def unlocks_who_was_not_locked(log: Writer) -> None:
    log.lift(log.lock("principal", "sub_alice"), "sub_bob")


def a_policy_approved_on_another_digest(log: Writer) -> None:
    proposal = log.propose()
    log.review_policy(proposal, digest_sha256=digest("another"))
    log.accept(proposal)


def reviews_an_act_that_nobody_proposed(log: Writer) -> None:
    auth = {"method": "password", "mfa": False, "age_s": 1}
    data = {"verdict": "approve", "digest_sha256": digest("x"), "channel": "api", "auth": auth}
    log.write("act.reviewed", "sub_bob", data, {"proposal": log.id("prp")})


def withdraws_twice(log: Writer) -> None:
    one, _ = log.propose()
    for _ in range(2):
        log.write("policy.withdrawn", "sub_admin", {"why": "author"}, {"proposal": one})


def _names_another_request(write: Callable[[Writer, Granted], None]) -> Callable[[Writer], None]:
    def plant(log: Writer) -> None:
        granted, other = log.granted(), log.ask()
        write(log, replace(granted, asked=replace(granted.asked, id=other.id)))

    plant.__name__ = write.__name__
    return plant


def suspends_a_grant_of_another_request(log: Writer, granted: Granted) -> None:
    log.suspend(granted)


def ends_a_grant_of_another_request(log: Writer, granted: Granted) -> None:
    log.end(granted)


def opens_a_session_under_another_request(log: Writer, granted: Granted) -> None:
    log.open(granted)


def proposes_a_policy_twice(log: Writer) -> None:
    one, data = log.propose()
    log.write("policy.proposed", "sub_admin", data, {"proposal": one})


def reviews_a_policy_with_a_review_of_before(log: Writer) -> None:
    proposal = log.propose()
    for who in ("sub_bob", "sub_carol"):
        log.review_policy(proposal, who)
    last = log.entries.pop().draft
    ref = {**last.ref, "review": log.entries[-1].draft.ref["review"]}
    log.write(last.type, last.actor, last.data, ref)


def loads_what_was_accepted_once_more(log: Writer) -> None:
    proposal = log.propose()
    log.review_policy(proposal)
    log.accept(proposal)
    log.accept(proposal)


def reviews_a_policy_while_locked(log: Writer) -> None:
    proposal = log.propose()
    log.lock("principal", "sub_bob")
    log.review_policy(proposal, verdict="deny")


def _decides(log: Writer, who: str, *, times: int = 1) -> None:
    one, terms = log.id("prp"), digest("terms")
    data = {"kind": "prune", "digest_sha256": terms, "comment_c": digest("why")}
    log.write("act.proposed", "sub_admin", data, {"proposal": one})
    auth = {"method": "password", "mfa": False, "age_s": 1}
    given = {"verdict": "approve", "digest_sha256": terms, "channel": "api", "auth": auth}
    for _ in range(times):
        log.write("act.reviewed", who, given, {"proposal": one})


def decides_an_act_twice(log: Writer) -> None:
    _decides(log, "sub_bob", times=2)


def an_agent_decides_an_act(log: Writer) -> None:
    _decides(log, "sub_bot")


def decides_an_act_while_locked(log: Writer) -> None:
    log.lock("principal", "sub_bob")
    _decides(log, "sub_bob")


def changes_settings_alone(log: Writer) -> None:
    data = {"keys": ["audit.retain"], "before_sha256": digest("before"), "after_sha256": digest("after")}
    log.write("config.changed", "sub_admin", data)


def approved_by_the_new_owner_of_the_agent_that_asked(log: Writer) -> None:
    log.change("sub_bot", "owner", other="sub_bob")
    log.granted("sub_bot")


def an_older_revision_after_one_that_was_loaded_since_a_restore(log: Writer) -> None:
    log.load()
    log.stop()
    _restored(log, 1)
    log.start("stop")
    for _ in range(2):
        log.revision = 4
        log.load()


def still_open_though_its_process_is_gone(log: Writer) -> None:
    log.open(log.granted())
    log.stop()
    _restored(log, 1)
    log.start("stop")
    log.close(log.open(log.granted()))


def _takes_back(lines: int, size: int) -> Callable[[Writer], None]:
    def plant(log: Writer) -> None:
        session = log.open(log.granted())
        log.batch(session)
        log.batch(session, reserved={"lines": 100 - lines, "bytes": 10_000 - size})
        log.close(session)

    plant.__name__ = f"takes_back_{lines}_lines_and_{size}_bytes"
    return plant


def offers_twice(log: Writer) -> None:
    asked = log.ask()
    log.write("offer.made", asked.by, asked.offer, {"request": asked.id})


def denies_what_was_approved(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.approve(asked)
    log.entries.pop()
    log.deny(asked, "sub_carol")


def counters_what_nobody_asked(log: Writer) -> None:
    log.write("request.countered", "sub_bob", {"counter": 1, "terms_sha256": digest("terms")}, {"request": "req_none"})


def _glass(log: Writer) -> Granted:
    due: dict[str, Any] = {"review_by_at": instant_text(after(log.now, 24 * HOUR))}
    return log.activate(log.approve(log.ask(plans=(), outcome="break_glass"), by="system", **due))


def looks_on_after_a_verdict_stands(log: Writer) -> None:
    granted = _glass(log)
    log.look(granted, "not_justified")
    log.look(granted, "follow_up", by="sub_dave")


def says_justified_and_lets_something_else_stand(log: Writer) -> None:
    log.look(_glass(log), "justified", stands="follow_up")


def activates_while_suspended(log: Writer) -> None:
    granted = log.approve(log.ask(plans=(), outcome="auto"))
    log.suspend(granted)
    log.activate(granted)


def an_older_bundle_once_another_was_loaded_after_a_restore(log: Writer) -> None:
    bundle = log.bundle
    log.load()
    log.stop()
    _restored(log, 1, "tiles")
    log.start("stop")
    log.load()
    log.wait(60)
    fresh, revision = log.bundle, log.revision
    log.revision, log.bundle = 1, bundle
    asked = log.ask()
    log.revision, log.bundle = revision, fresh
    log.review(asked)
    log.approve(asked)


def raised_for_longer_than_allowed(log: Writer) -> None:
    granted = log.granted(wish={"elevation": SHORT}, offer={"elevation": SHORT})
    log.revert(granted, log.elevate(granted, until_at=instant_text(after(log.now, 300.001))))


def raised_for_longer_than_it_was_to_be(log: Writer) -> None:
    granted = log.granted(wish={"elevation": SHORT}, offer={"elevation": SHORT})
    one = log.id("elv")
    ref = log.ref(granted, elevation=one)
    until = after(log.now, 300)
    log.write("elevation.pending", "sub_alice", log.lever(granted, until_at=instant_text(until)), ref)
    log.wait(1)
    late = instant_text(after(until, 1))
    log.write("elevation.raised", "system", log.lever(granted, after="debug", until_at=late), ref)
    log.revert(granted, one)


def raises_under_a_grant_that_raises_nothing(log: Writer) -> None:
    granted = log.granted()
    log.revert(granted, log.elevate(granted))


def raises_a_logger_that_was_not_named(log: Writer) -> None:
    granted = elevated(log)
    log.revert(granted, log.elevate(granted, logger="shop"), logger="shop")


def starts_with_a_key_that_no_rotation_named(log: Writer) -> None:
    log.stop()
    log.start("stop", vkey=log.vkey.replace("1f0c", "2f0c"))
    log.stop()
    log.start("stop", vkey=log.vkey.replace("1f0c", "2f0c"))


SHORT = RAISE | {"duration_s": 300}


def approved_twice(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    data = {"digest_sha256": asked.digest, "reviews": list(asked.reviews)}
    log.write("request.approved", "sub_bob", data, {"request": asked.id})
    log.approve(asked)


def approved_when_its_time_was_over(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.wait(2 * HOUR)
    data = {"digest_sha256": asked.digest, "reviews": list(asked.reviews)}
    log.write("request.approved", "sub_bob", data, {"request": asked.id})


def closes_late_after_the_first_of_two_ends(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.suspend(granted)
    log.wait(2)
    log.revoke(granted)
    log.wait(2)
    log.close(session, "suspended")


def raised_above_the_level_that_is_allowed(log: Writer) -> None:
    granted = log.granted(wish={"elevation": SHORT}, offer={"elevation": SHORT})
    one = log.id("elv")
    log.write("elevation.pending", "sub_alice", log.lever(granted), log.ref(granted, elevation=one))
    log.write("elevation.raised", "system", log.lever(granted, after="trace"), log.ref(granted, elevation=one))
    log.revert(granted, one)


BROKEN: tuple[tuple[Callable[[Writer], None], str], ...] = (
    (approved_twice, "S3"),
    (approved_when_its_time_was_over, "S3"),
    (closes_late_after_the_first_of_two_ends, "S19"),
    (raised_above_the_level_that_is_allowed, "S21"),
    (an_extension_of_what_ended_early, "S11"),
    (goes_on_after_somebody_suspended_what_it_extends, "S13"),
    (reveals_under_a_grant_that_reveals_nothing, "S20"),
    (resumed_by_the_agent_that_holds_it, "S3"),
    (resumed_by_an_agent_of_its_holder, "S3"),
    (resumed_by_the_owner_of_the_agent_that_holds_it, "S3"),
    (an_offer_that_reveals_what_nobody_asked_for, "S10"),
    (denied_by_a_review_that_is_not_there, "S3"),
    (denied_by_an_approval, "S3"),
    (counts_one_reviewer_twice, "S7"),
    (a_total_of_bytes_that_falls, "S16"),
    (a_crash_after_too_short_a_silence, "S18"),
    (opened_before_activation_and_closed_after_its_time, "S14"),
    (restored_twice_in_one_epoch, "S27"),
    (_closes_late_after_a_lock_on("grant", "grant"), "S19"),
    (_closes_late_after_a_lock_on("request", "request"), "S19"),
    (_closes_late_after_a_lock_on("everything", ""), "S19"),
    (_closes_late_after_a_lock_on("group", "group:oncall"), "S19"),
    (_closes_late_after_a_lock_on("principal", "sub_alice"), "S19"),
    (closes_late_after_its_holder_was_disabled, "S19"),
    (closes_late_after_a_suspension, "S19"),
    (acts_while_one_of_two_is_unlocked, "S24"),
    (unlocks_who_was_not_locked, "S3"),
    (a_policy_approved_on_another_digest, "S22"),
    (reviews_an_act_that_nobody_proposed, "S3"),
    (withdraws_twice, "S3"),
    (_names_another_request(suspends_a_grant_of_another_request), "S3"),
    (_names_another_request(ends_a_grant_of_another_request), "S3"),
    (_names_another_request(opens_a_session_under_another_request), "S3"),
    (proposes_a_policy_twice, "S3"),
    (reviews_a_policy_with_a_review_of_before, "S3"),
    (loads_what_was_accepted_once_more, "S3"),
    (reviews_a_policy_while_locked, "S24"),
    (decides_an_act_twice, "S3"),
    (an_agent_decides_an_act, "S22"),
    (decides_an_act_while_locked, "S24"),
    (changes_settings_alone, "S23"),
    (approved_by_the_new_owner_of_the_agent_that_asked, "S7"),
    (an_older_revision_after_one_that_was_loaded_since_a_restore, "S22"),
    (still_open_though_its_process_is_gone, "S18"),
    (_takes_back(1, 0), "S16"),
    (_takes_back(0, 1), "S16"),
    (offers_twice, "S3"),
    (denies_what_was_approved, "S3"),
    (counters_what_nobody_asked, "S3"),
    (looks_on_after_a_verdict_stands, "S3"),
    (says_justified_and_lets_something_else_stand, "S3"),
    (activates_while_suspended, "S3"),
    (an_older_bundle_once_another_was_loaded_after_a_restore, "S5"),
    (raised_for_longer_than_allowed, "S21"),
    (raised_for_longer_than_it_was_to_be, "S21"),
    (raises_under_a_grant_that_raises_nothing, "S21"),
    (raises_a_logger_that_was_not_named, "S21"),
    (starts_with_a_key_that_no_rotation_named, "S2"),
)


@pytest.mark.parametrize(("plant", "rule"), BROKEN, ids=lambda one: getattr(one, "__name__", None))
def test_what_lies_just_outside_is_found_by_its_rule_alone(plant: Callable[[Writer], None], rule: str) -> None:
    log = Writer().begin()
    plant(log)
    report = log.check()
    assert report.broken == {rule}, [str(one) for one in report.breaches]


# Whole.


def a_late_revocation_that_nobody_sent(log: Writer) -> None:
    log.revoke(log.granted(), "system", cause="principal", object="sub_alice", late=True)


def denied_by_policy(log: Writer) -> None:
    log.write("request.denied", "system", {"by": "policy", "rule": "never"}, {"request": log.ask().id})


def a_crash_after_a_long_silence(log: Writer) -> None:
    session = log.open(log.granted())
    log.wait(30)
    log.close(session, "crash")


def closes_at_once_after_a_lock(log: Writer) -> None:
    session = log.open(log.granted())
    log.lock("everything", until=after(log.now, 60))
    log.wait(1)
    log.close(session, "locked")


def a_lock_on_something_else(log: Writer) -> None:
    session = log.open(log.granted())
    log.lock("grant", log.granted("sub_carol").id)
    log.wait(10)
    log.batch(session)
    log.close(session)


def acts_after_all_are_unlocked(log: Writer) -> None:
    lock = log.lock("principal", "sub_alice")
    log.write("principal.locked", "sub_admin", {"lock": lock, "subject": "sub_bob", "cause": "lock"}, {"lock": lock})
    for who in ("sub_alice", "sub_bob"):
        log.lift(lock, who)
        _sign_in(log, who)


def an_older_bundle_after_a_restore_from_tiles(log: Writer) -> None:
    bundle = log.bundle
    log.load()
    log.wait(60)
    log.stop()
    _restored(log, 1, "tiles")
    log.start("stop")
    log.revision, log.bundle = 1, bundle
    log.granted()


def raised_for_as_long_as_allowed(log: Writer) -> None:
    granted = log.granted(wish={"elevation": SHORT}, offer={"elevation": SHORT})
    log.revert(granted, log.elevate(granted, until_at=instant_text(after(log.now, 300))))


def starts_without_a_key_and_then_with_one(log: Writer) -> None:
    log.stop()
    log.start("stop", vkey="none")
    log.stop()
    log.start("stop")


def everything_unlocked_by_somebody_else(log: Writer) -> None:
    log.lift(log.lock("everything", by="sub_admin"), by="sub_erin")


def looked_at_in_time_and_justified_later(log: Writer) -> None:
    asked = log.ask(plans=(), outcome="break_glass")
    granted = log.activate(log.approve(asked, by="system", review_by_at=instant_text(after(log.now, HOUR))))
    log.end(granted)
    log.look(granted, "follow_up")
    log.wait(2 * HOUR)
    log.look(granted)


def reverted_while_another_one_is_raised(log: Writer) -> None:
    one, other = (log.granted(wish={"elevation": SHORT}, offer={"elevation": SHORT}) for _ in range(2))
    first, second = log.elevate(one), log.elevate(other)
    log.revert(one, first, after="debug")
    log.revert(other, second)


WHOLE = (
    everything_unlocked_by_somebody_else,
    looked_at_in_time_and_justified_later,
    reverted_while_another_one_is_raised,
    a_late_revocation_that_nobody_sent,
    denied_by_policy,
    a_crash_after_a_long_silence,
    closes_at_once_after_a_lock,
    a_lock_on_something_else,
    acts_after_all_are_unlocked,
    an_older_bundle_after_a_restore_from_tiles,
    raised_for_as_long_as_allowed,
    starts_without_a_key_and_then_with_one,
)


@pytest.mark.parametrize("act", WHOLE, ids=lambda one: one.__name__)
def test_what_lies_just_inside_is_no_breach(act: Callable[[Writer], None]) -> None:
    log = Writer().begin()
    act(log)
    report = log.check()
    assert report.holds(strict=True), [str(one) for one in report.breaches]


# Beginnings.


@pytest.mark.parametrize("after_what", ["stop", "crash"])
def test_a_first_start_comes_after_none(after_what: str) -> None:
    log = Writer()
    log.start(after_what)
    report = log.check()
    assert report.broken == {"S26"}
    assert "the log has no start of it before" in report.breaches[0].text


def test_who_stops_and_had_not_started_is_seen_by_what_runs_instead() -> None:
    log = Writer().begin()
    log.stop()
    started = len(log.entries)
    log.start("stop")
    log.replica, running = "another", log.replica
    log.stop()
    report = log.check()
    assert [(one.rule, one.entries) for one in report.breaches] == [("S26", (started, started + 1))]
    log = Writer()
    log.replica = running
    log.stop()
    assert [(one.rule, one.entries) for one in log.check().breaches if "stops" in one.text] == [("S26", (0,))]


def test_a_session_that_the_database_forgot_is_a_finding() -> None:
    log = Writer().begin()
    log.open(log.granted())
    log.stop()
    _restored(log, 1, "tiles")
    log.start("stop")
    log.close(log.open(log.granted()))
    assert [(one.rule, one.kind) for one in log.check().breaches] == [("S18", BreachKind.FINDING)]


def test_a_review_that_narrows_what_was_never_offered_is_found() -> None:
    log = Writer().begin()
    whole = Writer().begin().ask()
    asked = log.ask()
    log.write(
        "request.submitted",
        asked.by,
        {**whole.wish, "digest_sha256": whole.digest, "channel": "api"},
        {"request": "req_2"},
    )
    narrowed = {name: whole.offer[name] for name in ("scopes", "duration_s", "limits")}
    log.review(replace(asked, id="req_2"), narrowed=narrowed)
    assert "S10" in log.check().broken


def test_a_level_that_is_raised_for_too_long_is_a_finding_also_when_it_is_reverted_in_the_end() -> None:
    log = Writer().begin()
    granted = elevated(log)
    one = log.elevate(granted)
    log.write("elevation.overdue", "system", log.lever(granted), log.ref(granted, elevation=one))
    log.revert(granted, one)
    assert [(one.rule, one.kind) for one in log.check().breaches] == [("S21", BreachKind.FINDING)]


def test_in_a_part_of_a_log_the_bundle_of_an_offer_need_not_be_known() -> None:
    log = Writer(first=256)
    log.start("stop")
    log.ask()
    report = log.check()
    assert not report.broken
    assert "which bundle was in force before the first entry that is there" in {
        one.text for one in report.unchecked if one.rule == "S5"
    }
    log.load()
    log.bundle = digest("another")
    log.ask()
    assert log.check().broken == {"S5"}


def test_in_a_part_of_a_log_what_is_disclosed_need_not_be_there() -> None:
    log = Writer(first=256)
    log.start("stop")
    data = {"field": "reason_c", "to": "sub_erin", "purpose_c": digest("inquiry")}
    log.write("log.disclosed", "sub_admin", data, {"entry": "ent_of_before"})
    report = log.check()
    assert not report.broken
    assert "what was introduced before the first entry that is there" in {
        one.text for one in report.unchecked if one.rule == "S3"
    }


def test_in_a_part_of_a_log_who_reviews_a_policy_need_not_be_known() -> None:
    log = Writer(first=256)
    log.start("stop")
    log.load()
    proposal = log.propose()
    log.review_policy(proposal)
    log.accept(proposal)
    assert not log.check().broken
    log.person("sub_bot", kind="agent")
    log.review_policy(log.propose(), "sub_bot")
    assert log.check().broken == {"S22"}


def test_nothing_serves_where_nothing_started() -> None:
    log = Writer()
    _restored(log, 0)
    log.load()
    for name in ("admin", "alice", "bob"):
        log.person(f"sub_{name}", by="system")
    granted = log.granted()
    log.close(log.open(granted))
    assert log.check().broken == {"S26"}


def test_a_log_without_a_key_tells_that_its_heads_were_not_checked() -> None:
    log = Writer()
    log.vkey = "none"
    log.begin()
    report = log.check(checkpoints=lambda: [SignedSize(3, frozenset({"any"}))])
    assert report.holds()
    assert any("the log names no key" in one.text for one in report.unchecked)


def test_in_a_part_of_a_log_a_review_of_another_request_does_not_count() -> None:
    log = Writer(first=256)
    log.start("stop")
    log.load()
    other = log.ask()
    one = log.review(other)
    asked = log.ask()
    log.review(asked)
    log.approve(asked, reviews=[one, *asked.reviews])
    assert log.check().broken == {"S6"}
    log = Writer(first=256)
    log.start("stop")
    log.load()
    asked = log.ask()
    log.review(asked)
    log.approve(asked, reviews=["rev_of_before", *asked.reviews])
    assert not log.check().broken


def test_a_level_is_raised_once_more_under_the_same_grant() -> None:
    log = Writer().begin()
    granted: Granted = elevated(log)
    for _ in range(2):
        log.revert(granted, log.elevate(granted))
    assert log.check().holds(strict=True)


@pytest.mark.parametrize(("seconds", "word"), [(23.9 * HOUR, None), (24 * HOUR, "missing"), (30 * HOUR, "missing")])
def test_an_after_review_is_missing_from_the_moment_it_is_due(seconds: float, word: str | None) -> None:
    log = Writer().begin()
    due: dict[str, Any] = {"review_by_at": instant_text(after(log.now, 24 * HOUR))}
    log.activate(log.approve(log.ask(plans=(), outcome="break_glass"), by="system", **due))
    log.now = Instant(START + round(seconds * 1_000_000))
    log.write("signin.ended", "sub_bob", {"why": "logout"})
    found = [one.text.rpartition(" ")[2] for one in log.check().breaches]
    assert found == ([] if word is None else [word])


def test_broken_glass_at_which_nobody_has_to_look_is_a_finding() -> None:
    log = Writer().begin()
    log.activate(log.approve(log.ask(plans=(), outcome="break_glass"), by="system"))
    report = log.check()
    assert [(one.rule, one.kind) for one in report.breaches] == [("S25", BreachKind.FINDING)]


def test_what_one_plan_asks_for_does_not_fill_another() -> None:
    log = Writer().begin()
    asked = log.ask(plans=(ONE, [{"from": ["group:leads"], "need": 1}]))
    log.review(asked)
    log.activate(log.approve(asked))
    report = log.check()
    assert report.broken == {"S8"}
    assert "plan 2 of its offer" in report.breaches[0].text
