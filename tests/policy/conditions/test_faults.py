"""What cannot be had and what does not exist are two things; errors are absorbed as CEL absorbs them."""

from __future__ import annotations

import itertools

import pytest
from tests.policy.conditions.facts import ABSENT, FAULT, OPEN_TICKET, PARENT, answer, condition, values

from loglease.policy.conditions import Fault

NOT_EVALUABLE = [
    "ctx.mfa",
    "!ctx.mfa",
    "ctx.mfa == true",
    "true != ctx.mfa",
    "ctx.mfa == ctx.mfa",
    "ctx.mfa in [true, false]",
    "ctx.mfa in ctx.flags",
    "ctx.mfa && true",
    "true && ctx.mfa",
    "ctx.mfa || false",
    "false || ctx.mfa",
    "ctx.mfa && ctx.mfa",
    "ctx.counts.exists(c, ctx.mfa)",
    "ctx.counts.all(c, ctx.mfa)",
]
ABSORBED = [
    ("ctx.mfa && false", False),
    ("false && ctx.mfa", False),
    ("ctx.mfa || true", True),
    ("true || ctx.mfa", True),
    ("ctx.mfa && true && false && ctx.mfa", False),
    ("ctx.mfa || false || true || ctx.mfa", True),
    ("!(ctx.mfa && false)", True),
    ("ctx.mfa && ctx.mfa || true", True),
    ("(ctx.mfa || ctx.mfa) && false", False),
    ("ctx.counts.exists(c, c == 5 || ctx.mfa)", True),
    ("ctx.counts.all(c, c == 5 && ctx.mfa)", False),
    ("ctx.ages.exists(a, ctx.mfa)", False),
    ("ctx.ages.all(a, ctx.mfa)", True),
]


@pytest.mark.parametrize("text", NOT_EVALUABLE)
def test_a_fault_is_passed_on(text: str) -> None:
    assert answer(text, ctx_mfa=FAULT) == "fault"


@pytest.mark.parametrize(("text", "expected"), ABSORBED)
def test_a_fault_that_cannot_matter_is_absorbed_in_either_order(text: str, expected: bool) -> None:
    assert answer(text, ctx_mfa=FAULT) is expected


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("ctx.risk < 5", "ctx_risk"), ("5 < ctx.risk", "ctx_risk"), ("-ctx.risk == 1", "ctx_risk"),
        ("ctx.risk + 1 > 2", "ctx_risk"), ("1 - ctx.risk > 2", "ctx_risk"), ("ctx.risk in [1, 2]", "ctx_risk"),
        ("ctx.risk in []", "ctx_risk"), ("ctx.risk in ctx.counts", "ctx_risk"), ("1 in ctx.counts", "ctx_counts"),
        ("size(ctx.counts) > 0", "ctx_counts"), ("ctx.counts.exists(c, true)", "ctx_counts"),
        ("ctx.counts.all(c, true)", "ctx_counts"), ("ctx.note.size() > 0", "ctx_note"),
        ("ctx.note.startsWith('')", "ctx_note"), ("'a'.contains(ctx.note)", "ctx_note"),
        ("ctx.note.endsWith(ctx.short)", "ctx_short"), ("ctx.age > ctx.limit", "ctx_limit"),
        ("ctx.age + ctx.limit > ctx.age", "ctx_limit"), ("ctx.device.level == 3", "ctx_device"),
        ("ctx.device.level == 3", "ctx_device__level"), ("ctx.device.id == 'd-1'", "ctx"),
        ("'prod' in req.labels.env", "req_labels__env"), ("'prod' in req.labels['env']", "req_labels"),
    ],
)  # fmt: skip
def test_every_operation_passes_a_fault_on(text: str, changed: str) -> None:
    assert answer(text) in {True, False}
    assert answer(text, **{changed: FAULT}) == "fault"


def test_the_reason_is_that_of_the_first_fault() -> None:
    first, second = Fault("one"), Fault("two")
    changed = values(ctx_mfa=first, ctx_on_call=second)
    assert condition("ctx.mfa && ctx.on_call").answer(changed) == first
    assert condition("ctx.on_call || ctx.mfa").answer(changed) == second
    assert condition("ctx.mfa == ctx.on_call").answer(changed) == first


HAS = "has(opt.net)"
READ = 'has(opt.net) && opt.net == "vpn"'
UNLESS = '!has(opt.net) || opt.net == "vpn"'


def test_an_absent_value_is_known_not_to_be_there() -> None:
    assert answer(HAS) is True
    assert answer(HAS, opt_net=ABSENT) is False
    assert answer(f"!{HAS}", opt_net=ABSENT) is True
    assert answer(READ, opt_net=ABSENT) is False
    assert answer(UNLESS, opt_net=ABSENT) is True


def test_of_a_value_in_fault_nobody_knows_whether_it_is_there() -> None:
    for text in (HAS, f"!{HAS}", f"!!{HAS}", f"{HAS} == false", READ, UNLESS, f"!({READ})"):
        assert answer(text, opt_net=FAULT) == "fault", text
        assert answer(text, opt=FAULT) == "fault", text
    assert answer(f"{READ} && false", opt_net=FAULT) is False
    assert answer(f"{UNLESS} || true", opt_net=FAULT) is True


NOTE = "has(opt.ticket) && has(opt.ticket.note)"
LATE = f"{NOTE} && opt.ticket.note == 'late'"
STATE = "has(opt.ticket) && opt.ticket.state == 'open'"


def test_a_record_and_its_members_are_absent_or_in_fault_each_by_itself() -> None:
    assert [answer(text) for text in (NOTE, LATE, STATE)] == [True, True, True]
    assert [answer(text, opt_ticket=ABSENT) for text in (NOTE, LATE, STATE)] == [False, False, False]
    assert [answer(text, opt_ticket=FAULT) for text in (NOTE, LATE, STATE)] == ["fault", "fault", "fault"]
    assert [answer(text, opt_ticket__note=ABSENT) for text in (NOTE, LATE, STATE)] == [False, False, True]
    assert [answer(text, opt_ticket__note=FAULT) for text in (NOTE, LATE, STATE)] == ["fault", "fault", True]
    assert [answer(text, opt_ticket__state=FAULT) for text in (NOTE, LATE, STATE)] == [True, True, "fault"]


def test_a_record_in_a_record_is_absent_or_in_fault_by_itself() -> None:
    text = "has(opt.ticket) && (!has(opt.ticket.parent) || opt.ticket.parent.id == 1)"
    assert answer(text) is True
    assert answer(text, opt_ticket__parent={**PARENT, "id": 2}) is False
    assert answer(text, opt_ticket__parent=ABSENT) is True
    assert answer(text, opt_ticket__parent=FAULT) == "fault"
    assert answer(text, opt_ticket__parent={"id": FAULT}) == "fault"
    assert answer(text, opt_ticket={**OPEN_TICKET, "parent": ABSENT, "state": FAULT}) is True


def test_a_part_that_relies_on_the_guard_of_another_is_no_answer_by_itself() -> None:
    parts = condition("has(opt.ticket) && opt.ticket.state == 'open' && has(opt.ticket.note)").parts
    absent = values(opt_ticket=ABSENT)
    assert [part.answer(absent) for part in parts] == [False, Fault("opt.ticket.state is absent"), False]


def test_a_guard_holds_although_something_beside_it_is_in_fault() -> None:
    text = "!(has(opt.count) && ctx.mfa) || opt.count == 3"
    assert answer(text, ctx_mfa=FAULT) is True
    assert answer(text, ctx_mfa=FAULT, opt_count=4) == "fault"
    assert answer(text, ctx_mfa=FAULT, opt_count=ABSENT) is True


MOST, LEAST = "9223372036854775807", "-9223372036854775808"
OVERFLOWS = [
    f"{MOST} + 1",
    f"1 + {MOST}",
    f"{LEAST} - 1",
    f"{LEAST} + -1",
    f"-({LEAST})",
    f"0 - {LEAST}",
    f"{MOST} - {LEAST}",
    f"{MOST} + 1 - 1",
    f"{LEAST} + {LEAST}",
    "-ctx.least",
    "ctx.least - 1",
    f"-({MOST}) - 2",
]
FITS = [
    (f"{MOST} + 0", MOST),
    (f"{MOST} - 1 + 1", MOST),
    (f"-({MOST}) - 1", LEAST),
    (f"{LEAST} + {MOST}", "-1"),
    (f"-1 - {LEAST}", MOST),
    (f"{LEAST} - {LEAST}", "0"),
    (f"-({LEAST} + 1)", MOST),
]


@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_a_number_that_leaves_64_bits_is_an_error_and_absorbed_like_others(overflow: str) -> None:
    for text in (
        f"{overflow} == 0",
        f"{overflow} != 0",
        f"0 < {overflow}",
        f"{overflow} in [0]",
        f"{overflow} in ctx.counts",
    ):
        assert answer(text) == "fault", text
        assert answer(f"{text} && false") is False
        assert answer(f"false && {text}") is False
        assert answer(f"{text} || true") is True
        assert answer(f"true || {text}") is True
        assert answer(f"{text} || false") == "fault"
    assert answer(f"ctx.counts.exists(c, c == 5 || {overflow} == c)") is True
    assert answer(f"ctx.counts.all(c, c == 5 && {overflow} == c)") is False


@pytest.mark.parametrize(("text", "value"), FITS)
def test_a_number_that_stays_within_64_bits_is_none(text: str, value: str) -> None:
    assert answer(f"{text} == {value}") is True


def test_an_overflow_inside_a_quantifier_counts_only_where_nothing_decides() -> None:
    assert answer("ctx.counts.exists(c, c + 1 == 2)") is True
    assert answer("ctx.counts.exists(c, c + 1 == 7)") == "fault"
    assert answer("ctx.counts.all(c, c + 1 > 0)") == "fault"
    assert answer("ctx.counts.all(c, c + 1 == 2)") is False
    assert answer("ctx.counts.exists(c, c + 1 == 2)", ctx_counts=(2**63 - 1, 1)) is True
    assert answer("ctx.counts.all(c, c + 1 == 2)", ctx_counts=(2**63 - 1, 2)) is False


@pytest.mark.parametrize("joiner", ["&&", "||"])
def test_any_three_of_true_false_and_fault_in_every_order(joiner: str) -> None:
    named = {"ctx.mfa": True, "ctx.on_call": False, "opt.flag": FAULT}
    for texts in itertools.product(named, repeat=3):
        said = [named[text] for text in texts]
        decided = said.count(joiner == "||")
        rest: bool | str = "fault" if FAULT in said else joiner == "&&"
        text = f" {joiner} ".join("has(opt.flag)" if one == "opt.flag" else one for one in texts)
        assert answer(text, opt_flag=FAULT) == ((joiner == "||") if decided else rest), text
