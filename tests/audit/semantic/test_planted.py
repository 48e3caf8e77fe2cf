"""What an auditor asks for: each wrong that can be done, planted once into the honest log of a busy server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.audit.semantic import twins
from tests.audit.semantic.honest import Server
from tests.audit.semantic.writer import HOUR, Granted, Opened, Writer, scope

from loglease.audit.semantic import BreachKind
from loglease.model.instant import after, instant_text


def served_without_grant(log: Writer) -> None:
    asked = log.ask()
    granted = Granted(log.id("grt"), asked, {"holder": "sub_alice", "scopes": [scope()]}, log.now)
    session = log.open(granted)
    log.batch(session)
    log.close(session, lines=5)


def served_after_revocation(log: Writer) -> None:
    granted = log.granted()
    session: Opened = log.open(granted)
    log.revoke(granted)
    log.batch(session)
    log.close(session, "revoked", lines=5)


def served_outside_the_scope(log: Writer) -> None:
    session = log.open(log.granted(), query={"scopes": [scope("pay")]})
    log.batch(session)
    log.close(session, lines=5)


def served_over_budget(log: Writer) -> None:
    session = log.open(log.granted(limits={"lines": 100, "bytes": 1_000_000}))
    log.batch(session)
    log.batch(session, lines=100, reserve=1)
    log.close(session, lines=1)


def granted_without_approvals(log: Writer) -> None:
    log.approve(log.ask())


def approved_by_oneself(log: Writer) -> None:
    asked = log.ask()
    log.review(asked, "sub_alice")
    log.approve(asked, by="sub_alice")


def activated_when_a_stand_in_was_over(log: Writer) -> None:
    data = {"subject": "sub_bob", "stand_in": "sub_carol", "until_at": instant_text(after(log.now, 60))}
    log.write("stand_in.named", "sub_bob", data)
    asked = log.ask()
    log.review(asked, "sub_carol", stands_for="sub_bob")
    granted = log.approve(asked, by="sub_carol")
    log.wait(60)
    log.activate(granted)


def broke_the_glass_and_nobody_looked(log: Writer) -> None:
    asked = log.ask(plans=(), outcome="break_glass")
    granted = log.activate(log.approve(asked, by="system", review_by_at=instant_text(after(log.now, HOUR))))
    log.end(granted)
    log.wait(2 * HOUR)
    log.write("clock.trusted", "system", {"replica": log.replica, "skew_ms": 0})


def changed_the_policy_unapproved(log: Writer) -> None:
    log.load("managed", needed=1)


def restarted_unrecorded(log: Writer) -> None:
    log.close(log.open(log.granted(), replica="node-that-nobody-started"))


def restarted_without_a_stop(log: Writer) -> None:
    log.start("crash")


PLANTED: tuple[tuple[Callable[[Writer], object], str, BreachKind], ...] = (
    (served_without_grant, "S3", BreachKind.VIOLATION),
    (served_after_revocation, "S13", BreachKind.VIOLATION),
    (served_outside_the_scope, "S15", BreachKind.VIOLATION),
    (served_over_budget, "S17", BreachKind.VIOLATION),
    (granted_without_approvals, "S8", BreachKind.VIOLATION),
    (approved_by_oneself, "S7", BreachKind.VIOLATION),
    (activated_when_a_stand_in_was_over, "S11", BreachKind.VIOLATION),
    (broke_the_glass_and_nobody_looked, "S25", BreachKind.FINDING),
    (changed_the_policy_unapproved, "S22", BreachKind.VIOLATION),
    (restarted_unrecorded, "S26", BreachKind.VIOLATION),
    (restarted_without_a_stop, "S26", BreachKind.FINDING),
)


def quiet(seed: int) -> Writer:
    """Return the log of a busy server on which no lock is left and nobody has crashed."""
    server = Server(seed)
    server.weights = (*server.weights[:-4], 0, 0, *server.weights[-2:])
    log = server.run(20)
    while server.locks:
        server.lift()
    return log


@pytest.mark.parametrize(("plant", "rule", "kind"), PLANTED, ids=lambda one: getattr(one, "__name__", None))
def test_a_planted_wrong_is_found(plant: Callable[[Writer], object], rule: str, kind: BreachKind) -> None:
    log = quiet(3)
    before = len(log.entries)
    plant(log)
    report = log.check()
    assert {(one.rule, one.kind) for one in report.breaches} == {(rule, kind)}
    assert all(one.index >= before - 1 for one in report.breaches)
    assert report.holds() is (kind is BreachKind.FINDING)
    assert not report.holds(strict=True)


def late(log: Writer) -> None:
    granted = log.granted()
    session = log.open(granted)
    log.revoke(granted)
    log.wait(1.4)
    log.close(session, "revoked")


def late_after_review(log: Writer) -> None:
    asked = log.ask(plans=(), outcome="break_glass")
    granted = log.activate(log.approve(asked, by="system", review_by_at=instant_text(after(log.now, HOUR))))
    log.end(granted)
    log.wait(2 * HOUR)
    log.look(granted)


def widens_with_one_approval(log: Writer) -> None:
    proposal = log.propose(needed=1, widens=True)
    log.review_policy(proposal)
    log.accept(proposal)


def gives_a_role_alone(log: Writer) -> None:
    log.change("sub_bob", "roles", ["auditor"])


def still_raised(log: Writer) -> None:
    log.elevate(log.granted(wish={"elevation": twins.RAISE}, offer={"elevation": twins.RAISE}))


FINDINGS = (
    (late, "S19"),
    (late_after_review, "S25"),
    (widens_with_one_approval, "S22"),
    (gives_a_role_alone, "S23"),
    (still_raised, "S21"),
)


@pytest.mark.parametrize(("plant", "rule"), FINDINGS, ids=lambda one: getattr(one, "__name__", None))
def test_what_a_person_should_look_at_is_a_finding(plant: Callable[[Writer], object], rule: str) -> None:
    log = Writer().begin()
    plant(log)
    report = log.check()
    assert [(one.rule, one.kind) for one in report.breaches] == [(rule, BreachKind.FINDING)]
    assert report.holds()
    assert not report.holds(strict=True)


def test_a_late_session_is_named_with_what_ended_it() -> None:
    log = Writer().begin()
    late(log)
    (found,) = log.check().breaches
    last = len(log.entries) - 1
    session, grant = (log.entries[-1].draft.ref[name] for name in ("session", "grant"))
    assert str(found) == f"S19 {session} closed 1.4 s after {grant} was revoked (#{last - 1}, #{last})"


@pytest.mark.parametrize(
    ("replica", "begins_s", "ends_s", "found"),
    [
        ("node-0", 0, 20, BreachKind.FINDING),
        ("node-0", 3, 17, BreachKind.FINDING),
        ("node-0", 3.001, 20, BreachKind.VIOLATION),
        ("node-0", 0, 16.999, BreachKind.VIOLATION),
        ("node-1", 0, 20, BreachKind.VIOLATION),
    ],
)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_close_that_could_not_be_recorded_sooner_is_a_finding(
    replica: str, begins_s: float, ends_s: float, found: BreachKind, *, is_before: bool
) -> None:
    """Whether the outage is on the record before the close or after it."""
    log = Writer().begin()
    granted = log.granted()
    session = log.open(granted)
    log.revoke(granted)
    revoked_at = log.now
    resumed = {
        "replica": replica,
        "from_at": instant_text(after(revoked_at, begins_s)),
        "until_at": instant_text(after(revoked_at, ends_s)),
        "refused": 1,
        "late": 0,
    }
    log.wait(20)
    if is_before:
        log.write("audit.resumed", "system", resumed)
    log.close(session, why="revoked")
    if not is_before:
        log.write("audit.resumed", "system", resumed)
    assert [(one.rule, one.kind) for one in log.check().breaches] == [("S19", found)]


@pytest.mark.parametrize(("seconds", "found"), [(1, None), (1.001, "finding"), (3, "finding"), (3.001, "violation")])
def test_how_late_a_session_may_close(seconds: float, found: str | None) -> None:
    log = Writer().begin()
    granted = log.granted()
    session = log.open(granted)
    log.revoke(granted)
    log.wait(seconds)
    log.close(session, "revoked")
    assert [one.kind for one in log.check().breaches] == ([] if found is None else [found])


def test_one_item_may_be_larger_than_what_is_reserved_at_once() -> None:
    log = Writer().begin()
    session = log.open(log.granted())
    log.batch(session, reserved={"lines": 1, "bytes": 900_000})
    session.ceiling = 1, 900_000
    log.close(session, total={"lines": 0, "bytes": 0})
    assert log.check().holds(strict=True)


def test_a_value_is_shown_until_the_grant_of_its_line_ends() -> None:
    log = Writer().begin()
    parent = log.granted(duration_s=60)
    wanted = twins.REVEAL | {"grant": parent.id}
    asked = log.ask(wish={"reveal": wanted}, offer={"reveal": wanted}, duration_s=60)
    log.wait(10)
    log.review(asked)
    log.activate(log.approve(asked), until_at=instant_text(parent.until))
    assert log.check().holds(strict=True)
    log.activate(log.approve(log.ask(plans=(), outcome="auto")))
    late = log.ask(wish={"reveal": wanted}, offer={"reveal": wanted}, duration_s=60)
    log.review(late)
    log.activate(log.approve(late), until_at=instant_text(after(parent.until, 1)))
    assert log.check().broken == {"S11"}
