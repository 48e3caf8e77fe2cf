"""Logs that break one rule and keep all others: each function writes an honest log up to one act that is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.audit.semantic.writer import (
    APPROVERS,
    HOUR,
    LEADS,
    ORIGIN,
    START,
    TWO,
    Asked,
    Granted,
    Writer,
    digest,
    scope,
)

from loglease.audit.semantic import SignedSize
from loglease.model.instant import Instant, after, instant_text

Inputs = dict[str, Any]
Twin = Callable[[Writer], Inputs | None]

REVEAL = {"grant": "", "class": "email", "line_c": digest("line"), "pseudonym": "⟦email:q3f7k2p9xa⟧"}
RAISE = {
    "targets": ["shop-1"],
    "loggers": ["shop.pay"],
    "level": "debug",
    "match": [],
    "follow": False,
    "delivery": "gateway",
    "on_disconnect": "revert",
    "duration_s": 600,
}


def _elevated(log: Writer) -> Any:
    return log.granted(wish={"elevation": RAISE}, offer={"elevation": RAISE})


def _revealing(log: Writer) -> tuple[Any, Any]:
    """Return the grant of a line, and an active one that shows a value of it."""
    parent = log.granted()
    wanted = REVEAL | {"grant": parent.id}
    return parent, log.granted(wish={"reveal": wanted}, offer={"reveal": wanted}, duration_s=60)


def _shown(log: Writer, granted: Any, **changes: Any) -> Any:
    session = log.open(granted, kind="reveal")
    data = {name: value for name, value in REVEAL.items() if name != "grant"} | {"rule": "email"} | changes
    log.write("reveal.served", session.actor, data, log.ref(granted, session=session.id))
    return session


# S1 to S3


def an_id_twice(log: Writer) -> None:
    log.granted()
    first = log.entries[5]
    log.entries[-1] = replace(log.entries[-1], draft=replace(log.entries[-1].draft, id=first.draft.id))


def time_goes_back(log: Writer) -> None:
    log.granted()
    log.entries[-1] = replace(log.entries[-1], at=Instant(log.entries[-2].at - 1))


def begins_otherwise(log: Writer) -> None:
    del log.entries[0]


def another_origin(log: Writer) -> None:
    log.stop()
    log.start("stop", origin="loglease.test/other/1")


def signed_by_a_key_that_was_rotated_away(log: Writer) -> Inputs:
    log.wait(60)
    new = "loglease.test/semantic/2+2f0c2d9a+AbT9"
    until = instant_text(after(log.now, 60))
    data = {"use": "log", "old_id": "1f0c2d9a", "new_id": "2f0c2d9a", "vkey": new, "overlap_until_at": until}
    log.write("key.rotated", "system", data)
    log.granted()
    log.wait(120)
    log.granted()
    old = frozenset({_vkey(log)})
    return {"checkpoints": lambda: [SignedSize(4, old), SignedSize(len(log.entries), old)]}


def _vkey(log: Writer) -> str:
    return str(log.entries[0].draft.data["vkey"])


def another_key_at_a_start(log: Writer) -> None:
    log.stop()
    log.start("stop", vkey="loglease.test/semantic/2+3f0c2d9a+AbT9")


def a_review_of_nothing(log: Writer) -> None:
    asked = log.ask()
    log.review(replace(asked, id=log.id("req")))
    asked.reviews.clear()


def ended_twice(log: Writer) -> None:
    granted = log.granted()
    log.end(granted)
    log.end(granted)


def approved_after_it_was_cancelled(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.cancel(asked)
    log.write(
        "request.approved", "sub_bob", {"digest_sha256": asked.digest, "reviews": asked.reviews}, {"request": asked.id}
    )


def granted_without_approval(log: Writer) -> None:
    asked = log.ask(plans=(), outcome="auto")
    log.approve(asked, is_written=False)


def resumed_though_not_suspended(log: Writer) -> None:
    log.resume(log.granted())


def resumed_by_its_holder(log: Writer) -> None:
    granted = log.granted()
    log.suspend(granted)
    log.resume(granted, by="sub_alice")


def a_lock_lifted_twice(log: Writer) -> None:
    lock = log.lock("source", "other")
    log.lift(lock)
    log.lift(lock)


def discloses_what_is_not_there(log: Writer) -> None:
    data = {"field": "reason_c", "to": "sub_erin", "purpose_c": digest("inquiry")}
    log.write("log.disclosed", "sub_admin", data, {"entry": log.entries[3].draft.id})
    log.write("log.disclosed", "sub_admin", data, {"entry": log.id("ent")})


# S4 to S10


def another_digest(log: Writer) -> None:
    log.ask(wrong_digest=True)


def approved_another_digest(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.write(
        "request.approved", "sub_bob", {"digest_sha256": digest("x"), "reviews": asked.reviews}, {"request": asked.id}
    )


def a_bundle_that_was_not_in_force(log: Writer) -> None:
    log.ask(offer={"bundle_sha256": digest("never loaded")})


def a_bundle_that_was_replaced(log: Writer) -> None:
    before, revision = log.bundle, log.revision
    log.load()
    log.wait(11)
    log.ask(offer={"bundle_sha256": before, "revision": revision})


def an_offer_that_its_bundle_does_not_give(log: Writer) -> Inputs:
    log.ask()
    return {"recompute": lambda submitted, made: f"{submitted.type} {made.type}"}


def a_review_on_another_digest(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, digest_sha256=digest("what was shown"))
    log.approve(asked)


def a_grant_with_other_reviews(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.review(asked, "sub_carol")
    log.approve(asked, approved_reviews=asked.reviews[:1])


def a_review_of_another_request(log: Writer) -> None:
    other = log.ask()
    review = log.review(other)
    asked = log.ask()
    log.approve(asked, reviews=[review])


def approved_by_who_asked(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, "sub_alice")
    log.approve(asked)


def approved_by_an_agent(log: Writer) -> None:
    log.person("sub_reviewbot", kind="agent", owner="sub_carol")
    asked = log.ask()
    log.review(asked, "sub_reviewbot")
    log.approve(asked)


def approved_by_somebody_who_was_never_added(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, "sub_nobody")
    log.approve(asked, by="sub_nobody")


def approved_by_the_owner(log: Writer) -> None:
    asked = log.ask("sub_bot")
    log.review(asked, "sub_alice")
    log.approve(asked)


def approved_by_a_suspected_twin(log: Writer) -> None:
    for one, other in (("sub_alice", "sub_carol"), ("sub_carol", "sub_dave")):
        log.change(one, "suspected", other=other)
    asked = log.ask()
    log.review(asked, "sub_dave")
    log.approve(asked)


def approved_by_a_stand_in_of_who_asked(log: Writer) -> None:
    data = {"subject": "sub_alice", "stand_in": "sub_carol", "until_at": instant_text(after(log.now, HOUR))}
    log.write("stand_in.named", "sub_alice", data)
    asked = log.ask()
    log.review(asked, "sub_carol")
    log.approve(asked)


def approved_by_who_was_locked_since(log: Writer) -> None:
    asked = log.ask(plans=[TWO])
    log.review(asked)
    log.lock("principal", "sub_bob")
    log.review(asked, "sub_carol")
    log.approve(asked, by="sub_carol")


def one_review_of_two(log: Writer) -> None:
    asked = log.ask(plans=[TWO])
    log.review(asked)
    log.approve(asked)


def two_reviews_of_one_person(log: Writer) -> None:
    log.change("sub_bob", "linked", other="sub_carol", approved_by="sub_erin")
    asked = log.ask(plans=[TWO])
    log.review(asked)
    log.review(asked, "sub_carol")
    log.approve(asked)


def one_person_in_two_stages(log: Writer) -> None:
    asked = log.ask(plans=[[{"from": [APPROVERS], "need": 1}, {"from": [LEADS], "need": 1}]])
    log.review(asked, names=[APPROVERS, LEADS])
    log.approve(asked)


def under_a_name_that_nobody_asked_for(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, names=[LEADS])
    log.approve(asked)


def no_approval_at_all(log: Writer) -> None:
    log.approve(log.ask())


def a_stand_in_beside_their_member(log: Writer) -> None:
    data = {"subject": "sub_bob", "stand_in": "sub_carol", "until_at": instant_text(after(log.now, HOUR))}
    log.write("stand_in.named", "sub_bob", data)
    asked = log.ask(plans=[TWO])
    log.review(asked)
    log.review(asked, "sub_carol", stands_for="sub_bob")
    log.approve(asked)


def granted_although_denied(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, "sub_carol", "deny")
    log.review(asked)
    log.approve(asked)


def automatic_although_reviews_were_asked_for(log: Writer) -> None:
    asked = log.ask()
    log.review(asked)
    log.approve(asked, basis="auto")


def _with(name: str, value: Any) -> Twin:
    def twin(log: Writer) -> None:
        asked = log.ask()
        log.review(asked)
        log.approve(asked, **{name: value})

    twin.__name__ = f"a_grant_with_other_{name}"
    return twin


def an_offer_of_more_than_was_asked(log: Writer) -> None:
    log.ask(offer={"duration_s": 601})


def a_review_of_more_than_was_offered(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, narrowed={"scopes": [scope()], "duration_s": 601, "limits": {"lines": 1, "bytes": 1}})


def a_grant_of_more_than_a_review(log: Writer) -> None:
    asked = log.ask()
    narrowed = {"scopes": [scope(rules_c=[digest("level")])], "duration_s": 600, "limits": asked.offer["limits"]}
    log.review(asked, narrowed=narrowed)
    log.approve(asked)


def a_grant_that_reveals_another_value(log: Writer) -> None:
    parent = log.granted()
    wanted = REVEAL | {"grant": parent.id}
    asked = log.ask(wish={"reveal": wanted}, offer={"reveal": wanted})
    log.review(asked)
    log.approve(asked, reveal=wanted | {"class": "phone"})


def a_grant_that_raises_more(log: Writer) -> None:
    asked = log.ask(wish={"elevation": RAISE}, offer={"elevation": RAISE})
    log.review(asked)
    log.approve(asked, elevation=RAISE | {"level": "trace"})


# S11 to S13, S20


def activated_too_late(log: Writer) -> None:
    granted = log.approve(_reviewed(log))
    log.wait(HOUR)
    log.activate(granted)


def _reviewed(log: Writer, **changes: Any) -> Any:
    asked = log.ask(**changes)
    log.review(asked)
    return asked


def active_for_too_long(log: Writer) -> None:
    granted = log.approve(_reviewed(log))
    log.activate(granted, until_at=instant_text(after(log.now, 601)))


def activated_after_its_approver_was_disabled(log: Writer) -> None:
    granted = log.approve(_reviewed(log))
    log.change("sub_bob", "disabled")
    log.activate(granted)


def activated_without_its_reviews(log: Writer) -> None:
    granted = log.approve(_reviewed(log))
    log.activate(granted, reviews=[])


def a_window_longer_than_offered(log: Writer) -> None:
    log.approve(_reviewed(log), activate_by_at=instant_text(after(log.now, HOUR + 1)))


def an_extension_before_its_turn(log: Writer) -> None:
    first = log.granted()
    asked = _reviewed(log, wish={"extends": first.id})
    begins = first.until
    second = log.approve(
        asked, not_before_at=instant_text(begins), activate_by_at=instant_text(after(begins, asked.offer["duration_s"]))
    )
    log.wait(10)
    log.activate(second, from_at=instant_text(log.now), until_at=instant_text(after(log.now, 600)))


def expired_before_its_time(log: Writer) -> None:
    log.end(log.granted(), "expired", early=True)


def revoked_in_the_future(log: Writer) -> None:
    log.revoke(log.granted(), effective_at=instant_text(after(log.now, 1)))


def revoked_by_nobody(log: Writer) -> None:
    log.revoke(log.granted(), "system", cause="person", object="per_alice")


def opened_after_revocation(log: Writer) -> None:
    granted = log.granted()
    log.read(granted)
    log.revoke(granted)
    log.close(log.open(granted))


def reserved_after_revocation(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.batch(session)
    log.revoke(granted)
    log.batch(session, lines=10)
    log.close(session, "revoked")


def reserved_while_suspended(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.suspend(granted)
    log.batch(session)
    log.close(session, "suspended")


def _reserved_while_locked(on: str, thing: str) -> Twin:
    def twin(log: Writer) -> None:
        granted = log.granted()
        session = log.open(granted)
        log.lock(on, {"": granted.id, "request": granted.asked.id}.get(thing, thing))
        log.batch(session)
        log.close(session, "locked")

    twin.__name__ = f"reserved_while_{on}_is_locked"
    return twin


def reserved_after_its_time(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.now = granted.until
    log.batch(session)
    log.close(session, "expired")


def raised_after_revocation(log: Writer) -> None:
    granted = _elevated(log)
    session = log.open(granted)
    log.revoke(granted)
    log.revert(granted, log.elevate(granted))
    log.close(session, "revoked")


def another_value_revealed(log: Writer) -> None:
    _, granted = _revealing(log)
    log.close(_shown(log, granted, line_c=digest("another line")))


def revealed_twice(log: Writer) -> None:
    _, granted = _revealing(log)
    for _ in range(2):
        log.close(_shown(log, granted))


def revealed_without_the_grant_of_its_line(log: Writer) -> None:
    parent, granted = _revealing(log)
    session = log.open(granted, kind="reveal")
    log.revoke(parent)
    data = {name: value for name, value in REVEAL.items() if name != "grant"} | {"rule": "email"}
    log.write("reveal.served", session.actor, data, log.ref(granted, session=session.id))
    log.close(session)


# S14 to S19


def opened_by_another(log: Writer) -> None:
    log.close(log.open(log.granted(), actor="sub_carol"))


def opened_before_activation(log: Writer) -> None:
    log.close(log.open(log.approve(_reviewed(log))))


def opened_under_another_epoch(log: Writer) -> None:
    log.close(log.open(log.granted(), epoch=7))


def reads_outside_of_the_scope(log: Writer) -> None:
    log.close(log.open(log.granted(), query={"scopes": [scope("pay")]}))


def _reads(name: str, **changes: Any) -> Twin:
    def twin(log: Writer) -> None:
        granted = log.granted(scopes=[scope(rules_c=[digest("level")], to_ns="9000", live=False)])
        log.close(log.open(granted, query={"scopes": [granted.data["scopes"][0] | changes]}))

    twin.__name__ = f"reads_with_another_{name}"
    return twin


def a_batch_is_missing(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.batch(session, seq=3)
    log.close(session)


def settles_more_than_was_reserved(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session, reserve=5)
    log.close(session, lines=6)


def reserves_too_much(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session, reserve=257)
    log.close(session)


def reserves_less_than_before(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session, reserve=10)
    log.batch(session, reserve=9)
    log.close(session)


def reserves_too_many_bytes(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session, reserved={"lines": 2, "bytes": 65_537})
    session.ceiling = 2, 65_537
    session.grant.bytes = 65_537
    log.close(session)


def a_total_that_is_no_sum(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.close(session, lines=3, total={"lines": 2, "bytes": 300})


def serves_other_event_times(log: Writer) -> None:
    session = log.open(log.granted(), query={"end_ns": "3000"})
    log.batch(session)
    log.close(session, lines=1)


def keeps_back_what_a_crash_left(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.start("crash")
    log.close(session, "crash", uncertain={"lines": 1, "bytes": 10_000})


def a_grant_ends_with_another_total(log: Writer) -> None:
    granted = log.granted()
    log.read(granted)
    log.end(granted, total={"lines": 1, "bytes": 1})


def another_served_list(log: Writer) -> Inputs:
    session = log.open(log.granted())
    log.batch(session)
    log.close(session, lines=3)
    return {"served": lambda _entry: (b"s" * 16, b"{}")}


def _spends(name: str) -> Twin:
    def twin(log: Writer) -> None:
        granted = log.granted(limits={"lines": 150, "bytes": 1_000_000} if name == "lines" else {"bytes": 15_000})
        one, two = log.open(granted), log.open(granted)
        log.batch(one, reserve=100)
        log.batch(two, reserve=100)
        log.close(one)
        log.close(two)

    twin.__name__ = f"spends_too_many_{name}"
    return twin


def closed_twice(log: Writer) -> None:
    session = log.open(log.granted())
    log.close(session)
    log.close(session)


def a_crash_without_a_restart(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.wait(29)
    log.close(session, "crash")


def left_open_by_a_crash(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.start("crash")
    log.read(granted)
    log.close(session, "crash")


def closes_late(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.revoke(granted)
    log.wait(3.1)
    log.close(session, "revoked")


def closes_late_after_its_time(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.now = after(granted.until, 4)
    log.close(session, "expired")


# S21 to S27


def raised_on_another_target(log: Writer) -> None:
    granted = _elevated(log)
    log.revert(granted, log.elevate(granted, target="shop-2"), target="shop-2")


def reverted_twice(log: Writer) -> None:
    granted = _elevated(log)
    one = log.elevate(granted)
    log.revert(granted, one)
    log.revert(granted, one)


def not_reverted_to_its_baseline(log: Writer) -> None:
    granted = _elevated(log)
    log.revert(granted, log.elevate(granted), after="debug")


def a_policy_nobody_proposed(log: Writer) -> None:
    log.load("managed", needed=1)


def a_policy_its_author_approved(log: Writer) -> None:
    proposal = log.propose()
    log.review_policy(proposal, "sub_admin")
    log.accept(proposal, ["sub_admin"])


def a_policy_that_nobody_approved(log: Writer) -> None:
    log.accept(log.propose(), ["sub_bob"])


def a_policy_with_too_few_approvals(log: Writer) -> None:
    proposal = log.propose(needed=2, widens=True)
    log.review_policy(proposal)
    log.accept(proposal)


def another_policy_than_proposed(log: Writer) -> None:
    proposal = log.propose()
    log.review_policy(proposal)
    log.accept(proposal, bundle_sha256=digest("other documents"))


def a_policy_that_was_denied(log: Writer) -> None:
    proposal = log.propose()
    log.review_policy(proposal)
    log.review_policy(proposal, "sub_carol", "deny")
    log.accept(proposal)


def an_older_revision(log: Writer) -> None:
    log.load(revision=1)


def too_few_signers(log: Writer) -> None:
    log.load("signed", signers=["key-1"], needed=2)


def pruned_by_one_person(log: Writer) -> None:
    data = {"min_index": 0, "before_at": instant_text(START), "approved_by": "sub_admin"}
    log.write("log.pruned", "sub_admin", data)


def linked_by_one_person(log: Writer) -> None:
    log.change("sub_bob", "linked", other="sub_erin")


def everything_unlocked_by_who_locked_it(log: Writer) -> None:
    log.lift(log.lock("everything", by="sub_erin"), by="sub_erin")


def signs_in_while_locked(log: Writer) -> None:
    log.lock("principal", "sub_carol")
    data = {"auth": {"method": "password", "mfa": False, "age_s": 0}, "issuer": "local"}
    log.write("signin.succeeded", "sub_carol", data)


def reviews_while_disabled(log: Writer) -> None:
    asked = log.ask()
    log.change("sub_carol", "disabled")
    log.review(asked, "sub_carol")


def gets_a_token_while_a_group_is_locked(log: Writer) -> None:
    log.change("sub_carol", "groups", ["sre"])
    log.lock("group", "sre")
    token = log.id("tok")
    data = {"token": token, "subject": "sub_carol", "rights": [], "expires_at": instant_text(after(log.now, 60))}
    log.write("token.issued", "sub_admin", data, {"token": token})


def opens_while_locked(log: Writer) -> None:
    granted = log.granted()
    log.lock("principal", "sub_alice")
    log.close(log.open(granted))


def reserves_while_locked(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.lock("principal", "sub_alice", until=after(log.now, 60))
    log.batch(session)
    log.close(session, "locked")


def _broken_glass(log: Writer) -> Any:
    asked = log.ask(plans=(), outcome="break_glass")
    return log.activate(log.approve(asked, by="system", review_by_at=instant_text(after(log.now, 24 * HOUR))))


def looks_at_it_oneself(log: Writer) -> None:
    log.look(_broken_glass(log), by="sub_alice")


def an_agent_looks_at_it(log: Writer) -> None:
    log.look(_broken_glass(log), by="sub_bot")


def calls_it_justified_after_all(log: Writer) -> None:
    granted = _broken_glass(log)
    log.look(granted, "not_justified")
    log.look(granted, "justified")


def a_stop_that_was_none(log: Writer) -> None:
    log.start("stop")


def a_first_start_again(log: Writer) -> None:
    log.stop()
    log.start("none")


def serves_without_a_start(log: Writer) -> None:
    log.close(log.open(log.granted(), replica="node-unknown"))


def used_before_a_late_revocation(log: Writer) -> None:
    granted = log.granted()
    effective = log.now
    log.wait(10)
    log.read(granted)
    log.revoke(granted, effective_at=instant_text(effective), late=True)


def prunes_back(log: Writer) -> None:
    for _ in range(300):
        log.write("clock.trusted", "system", {"replica": "node-0", "skew_ms": 0})
    for low in (256, 0):
        data = {"min_index": low, "before_at": instant_text(START), "approved_by": "sub_bob"}
        log.write("log.pruned", "sub_admin", data)


def prunes_too_early(log: Writer) -> Inputs:
    log.wait(100)
    data = {"min_index": 0, "before_at": instant_text(START), "approved_by": "sub_bob"}
    log.write("log.pruned", "sub_admin", data)
    return {"retain_s": 101}


def restore(log: Writer, epoch: int, *grants: Any, old_origin: str = ORIGIN) -> None:
    data = {
        "from": "backup",
        "old_origin": old_origin,
        "old_size": 10,
        "old_root": "unknown",
        "epoch": epoch,
        "suspended": len(grants),
    }
    log.epoch = epoch
    log.write("log.restored", "system", data)
    for granted in grants:
        log.suspend(granted, "restore", "system")


def restored_without_a_new_epoch(log: Writer) -> None:
    log.stop()
    restore(log, 0)
    log.start("stop")


def served_before_it_was_resumed(log: Writer) -> None:
    granted = log.granted()
    log.stop()
    restore(log, 1)
    log.start("stop")
    log.read(granted)


EARLIER = ORIGIN.removesuffix("2") + "1"


def goes_on_from_another_log(log: Writer) -> None:
    log.stop()
    restore(log, 1, old_origin="elsewhere/1")
    log.start("stop")


def goes_on_from_a_later_generation(log: Writer) -> None:
    log.stop()
    restore(log, 1, old_origin=ORIGIN.removesuffix("2") + "3")
    log.start("stop")


def begins_a_generation_in_the_middle(log: Writer) -> None:
    log.ask()
    log.stop()
    restore(log, 1, old_origin=EARLIER)
    log.start("stop")


def carried(log: Writer) -> Granted:
    """Return a grant of the generation before, which the log knows by its suspension alone."""
    asked = Asked(log.id("req"), "sub_alice", {}, {}, "00" * 32)
    granted = Granted(log.id("grt"), asked, {"holder": "sub_alice", "scopes": [scope()]}, after(log.now, HOUR))
    restore(log, 1, granted, old_origin=EARLIER)
    return granted


def serves_what_the_generation_before_granted(log: Writer) -> None:
    log.read(carried(log))


def serves_what_was_resumed_before_another_restore(log: Writer) -> None:
    granted = carried(log)
    log.resume(granted, "restore", by="sub_bob")
    restore(log, 2, granted)
    log.read(granted)


TWINS: dict[str, tuple[Twin, ...]] = {
    "S1": (an_id_twice, time_goes_back),
    "S2": (
        begins_otherwise,
        another_origin,
        signed_by_a_key_that_was_rotated_away,
        another_key_at_a_start,
        goes_on_from_another_log,
        goes_on_from_a_later_generation,
        begins_a_generation_in_the_middle,
    ),
    "S3": (
        a_review_of_nothing,
        ended_twice,
        approved_after_it_was_cancelled,
        granted_without_approval,
        resumed_though_not_suspended,
        resumed_by_its_holder,
        a_lock_lifted_twice,
        discloses_what_is_not_there,
    ),
    "S4": (another_digest, approved_another_digest),
    "S5": (a_bundle_that_was_not_in_force, a_bundle_that_was_replaced, an_offer_that_its_bundle_does_not_give),
    "S6": (a_review_on_another_digest, a_grant_with_other_reviews, a_review_of_another_request),
    "S7": (
        approved_by_who_asked,
        approved_by_an_agent,
        approved_by_somebody_who_was_never_added,
        approved_by_the_owner,
        approved_by_a_suspected_twin,
        approved_by_a_stand_in_of_who_asked,
        approved_by_who_was_locked_since,
    ),
    "S8": (
        one_review_of_two,
        two_reviews_of_one_person,
        one_person_in_two_stages,
        under_a_name_that_nobody_asked_for,
        no_approval_at_all,
        a_stand_in_beside_their_member,
    ),
    "S9": (granted_although_denied, automatic_although_reviews_were_asked_for),
    "S10": (
        an_offer_of_more_than_was_asked,
        a_review_of_more_than_was_offered,
        a_grant_of_more_than_a_review,
        a_grant_that_reveals_another_value,
        a_grant_that_raises_more,
        _with("scopes", [scope("pay")]),
        _with("scopes", [scope(from_ns="999")]),
        _with("scopes", [scope(profiles=[{"name": "raw@1", "sha256": "ab" * 32}])]),
        _with("scopes", [scope(source="other")]),
        _with("limits", {"lines": 1_000}),
        _with("limits", {"lines": 1_001, "bytes": 1}),
        _with("duration_s", 601),
        _with("holder", "sub_carol"),
    ),
    "S11": (
        activated_too_late,
        active_for_too_long,
        activated_after_its_approver_was_disabled,
        activated_without_its_reviews,
        a_window_longer_than_offered,
        an_extension_before_its_turn,
    ),
    "S12": (expired_before_its_time, revoked_in_the_future, revoked_by_nobody),
    "S13": (
        opened_after_revocation,
        reserved_after_revocation,
        reserved_while_suspended,
        reserved_after_its_time,
        raised_after_revocation,
        revealed_without_the_grant_of_its_line,
        _reserved_while_locked("grant", ""),
        _reserved_while_locked("request", "request"),
        _reserved_while_locked("policy", "one-approval"),
        _reserved_while_locked("source", "files"),
        _reserved_while_locked("everything", "everything"),
    ),
    "S14": (opened_by_another, opened_before_activation, opened_under_another_epoch),
    "S15": (
        reads_outside_of_the_scope,
        _reads("window", to_ns="9001"),
        _reads("rule", rules_c=[]),
        _reads("profile", profiles=[]),
        _reads("time", live=True),
    ),
    "S16": (
        a_batch_is_missing,
        settles_more_than_was_reserved,
        reserves_too_much,
        reserves_less_than_before,
        reserves_too_many_bytes,
        a_total_that_is_no_sum,
        serves_other_event_times,
        keeps_back_what_a_crash_left,
        a_grant_ends_with_another_total,
        another_served_list,
    ),
    "S17": (_spends("lines"), _spends("bytes")),
    "S18": (closed_twice, a_crash_without_a_restart, left_open_by_a_crash),
    "S19": (closes_late, closes_late_after_its_time),
    "S20": (another_value_revealed, revealed_twice),
    "S21": (raised_on_another_target, reverted_twice, not_reverted_to_its_baseline),
    "S22": (
        a_policy_nobody_proposed,
        a_policy_its_author_approved,
        a_policy_that_nobody_approved,
        a_policy_with_too_few_approvals,
        another_policy_than_proposed,
        a_policy_that_was_denied,
        an_older_revision,
        too_few_signers,
    ),
    "S23": (pruned_by_one_person, linked_by_one_person, everything_unlocked_by_who_locked_it),
    "S24": (
        signs_in_while_locked,
        reviews_while_disabled,
        gets_a_token_while_a_group_is_locked,
        opens_while_locked,
        reserves_while_locked,
    ),
    "S25": (looks_at_it_oneself, an_agent_looks_at_it, calls_it_justified_after_all),
    "S26": (a_stop_that_was_none, a_first_start_again, serves_without_a_start, used_before_a_late_revocation),
    "S27": (
        prunes_back,
        prunes_too_early,
        restored_without_a_new_epoch,
        served_before_it_was_resumed,
        serves_what_the_generation_before_granted,
        serves_what_was_resumed_before_another_restore,
    ),
}
"""Logs that break exactly one rule, by that rule."""
