"""What somebody approves in another's place counts while they stand in for them: at the approval and at the activation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.audit.semantic.writer import HOUR, TWO, Asked, Granted, Writer

from loglease.model.instant import after, instant_text

BOB, CAROL, DAVE = "sub_bob", "sub_carol", "sub_dave"


def name(log: Writer, by: str, *, member: str = BOB, for_s: float = HOUR) -> None:
    data = {"subject": member, "stand_in": by, "until_at": instant_text(after(log.now, for_s))}
    log.write("stand_in.named", member, data)


def end(log: Writer, by: str, *, member: str = BOB) -> None:
    log.write("stand_in.ended", member, {"subject": member, "stand_in": by})


def approve_in_place(log: Writer, asked: Asked | None = None) -> Granted:
    """Write an approval by Carol in the place of Bob, and the grant."""
    asked = asked or log.ask()
    log.review(asked, CAROL, stands_for=BOB)
    return log.approve(asked, by=CAROL)


def activated_at_its_end(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    granted = approve_in_place(log)
    log.wait(60)
    log.activate(granted)


def activated_after_it_was_ended(log: Writer) -> None:
    name(log, CAROL)
    granted = approve_in_place(log)
    end(log, CAROL)
    log.activate(granted)


def activated_once_another_one_stands_in(log: Writer) -> None:
    name(log, CAROL)
    granted = approve_in_place(log)
    end(log, CAROL)
    name(log, DAVE)
    log.activate(granted)


def activated_by_one_who_was_named_anew(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    log.wait(1)
    granted = approve_in_place(log)
    log.wait(10)
    name(log, CAROL)
    log.wait(60)
    log.activate(granted)


def approved_at_its_end(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    asked = log.ask(plans=[TWO])
    log.review(asked, CAROL, stands_for=BOB)
    log.wait(60)
    log.review(asked, DAVE)
    log.approve(asked, by=DAVE)


def named_after_the_submit(log: Writer) -> None:
    asked = log.ask()
    log.wait(0.000001)
    name(log, CAROL)
    approve_in_place(log, asked)


def stands_in_for_nobody(log: Writer) -> None:
    approve_in_place(log)


BROKEN = (
    (activated_at_its_end, "S11"),
    (activated_after_it_was_ended, "S11"),
    (activated_once_another_one_stands_in, "S11"),
    (activated_by_one_who_was_named_anew, "S11"),
    (approved_at_its_end, "S8"),
    (named_after_the_submit, "S8"),
    (stands_in_for_nobody, "S8"),
)


@pytest.mark.parametrize(("plant", "rule"), BROKEN, ids=lambda one: getattr(one, "__name__", None))
def test_what_nobody_stands_behind_any_more_does_not_count(plant: Callable[[Writer], object], rule: str) -> None:
    log = Writer().begin()
    plant(log)
    report = log.check()
    assert report.broken == {rule}, [str(one) for one in report.breaches]
    assert "does not have the approvals of plan 1" in report.breaches[0].text


def activated_just_before_its_end(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    granted = approve_in_place(log)
    log.wait(59.999999)
    log.activate(granted)


def activated_with_the_approval_of_somebody_else(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    asked = log.ask()
    log.review(asked, CAROL, stands_for=BOB)
    own = log.review(asked, DAVE)
    granted = log.approve(asked, by=DAVE)
    log.wait(60)
    log.activate(granted, reviews=[own])


def stands_in_for_a_second_member(log: Writer) -> None:
    name(log, CAROL)
    name(log, CAROL, member="sub_erin")
    granted = approve_in_place(log)
    end(log, CAROL)
    log.activate(granted)


def reviewed_on_their_own_and_stood_in_besides(log: Writer) -> None:
    name(log, CAROL, for_s=60)
    asked = log.ask()
    log.review(asked, CAROL)
    granted = log.approve(asked, by=CAROL)
    log.wait(60)
    log.activate(granted)


WHOLE = (
    activated_just_before_its_end,
    activated_with_the_approval_of_somebody_else,
    stands_in_for_a_second_member,
    reviewed_on_their_own_and_stood_in_besides,
)


@pytest.mark.parametrize("act", WHOLE, ids=lambda one: one.__name__)
def test_what_somebody_stands_behind_counts(act: Callable[[Writer], object]) -> None:
    log = Writer().begin()
    act(log)
    report = log.check()
    assert report.holds(strict=True), [str(one) for one in report.breaches]


def test_in_a_part_of_a_log_who_stands_in_need_not_be_known() -> None:
    log = Writer(first=256)
    log.start("stop")
    log.load()
    log.activate(approve_in_place(log))
    report = log.check()
    assert not report.broken
    assert any("named as a stand-in before" in one.text for one in report.unchecked if one.rule == "S8")
    name(log, CAROL, member="sub_erin")
    activated_at_its_end(log)
    assert not log.check().broken, "for Erin Carol still stands in"
