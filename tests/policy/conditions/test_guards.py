"""An optional value takes a guard to its left: ``has(x) && …`` or ``!has(x) || …``."""

from __future__ import annotations

import itertools

import pytest
from tests.policy.conditions.facts import ABSENT, answer, condition, refusal, values

from loglease.policy.conditions import ConditionRefused

GUARDED = [
    'has(opt.net) && opt.net == "vpn"',
    '!has(opt.net) || opt.net == "vpn"',
    'ctx.mfa && has(opt.net) && ctx.risk > 0 && opt.net == "vpn"',
    '!has(opt.net) || ctx.on_call || opt.net == "vpn"',
    'has(opt.net) && (ctx.on_call || opt.net == "vpn")',
    '(has(opt.net) && ctx.mfa) && opt.net == "vpn"',
    '(has(opt.net)) && opt.net == "vpn"',
    'has((opt.net)) && (opt.net) == "vpn"',
    '!!has(opt.net) && opt.net == "vpn"',
    '!(!has(opt.net) || ctx.on_call) && opt.net == "vpn"',
    '!(has(opt.net) && ctx.mfa) || opt.net == "vpn"',
    '!(!(has(opt.net) && ctx.mfa)) && opt.net == "vpn"',
    'has(opt.net) && !(opt.net == "corp")',
    "has(opt.net) && has(opt.count) && opt.count > 2 && opt.net in ['vpn']",
    "has(opt.net) && has(opt.count) && (!has(opt.name) || opt.name != opt.net) && opt.count < 5",
    '!has(opt.net) || !has(opt.count) || opt.count > 2 && opt.net == "vpn"',
    "has(opt.names) && ctx.flags.exists(f, opt.names.size() == 1)",
    "ctx.flags.exists(f, f && has(opt.count) && opt.count == 3)",
    "has(opt.names) && opt.names.all(n, n == 'a')",
    'has(span.age) && span.age + span.age == duration("1m")',
    "has(opt.count) && -opt.count == -3",
    "has(opt.count) && opt['count'] == 3",
    "has(opt.ticket) && opt.ticket.state == 'open'",
    "has(opt.ticket) && has(opt.ticket.note) && opt.ticket.note == 'late'",
    "has(opt.ticket) && (!has(opt.ticket.note) || opt.ticket.note == 'late')",
    "!(has(opt.ticket) && has(opt.ticket.note)) || opt.ticket.note == 'late'",
    "has(opt.ticket) && has(opt.ticket.parent) && opt.ticket.parent.id == 1",
    "has(opt.ticket) && has(opt['ticket'].note) && opt.ticket.note == 'late'",
]


@pytest.mark.parametrize("text", GUARDED)
def test_guarded_values_are_read_where_they_are_there(text: str) -> None:
    assert answer(text) is True


@pytest.mark.parametrize("text", GUARDED)
def test_a_guard_answers_where_they_are_absent(text: str) -> None:
    absent = dict.fromkeys(("opt_net", "opt_count", "opt_names", "opt_name", "opt_ticket", "span_age"), ABSENT)
    assert answer(text, **absent) is text.startswith(("!has", "!(has"))


UNGUARDED = [
    ('«opt.net» == "vpn"', "opt.net"),
    ('«opt.net» == "vpn" && has(opt.net)', "opt.net"),
    ('has(opt.net) || «opt.net» == "vpn"', "opt.net"),
    ('!has(opt.net) && «opt.net» == "vpn"', "opt.net"),
    ('has(opt.count) && «opt.net» == "vpn"', "opt.net"),
    ('(has(opt.net) || ctx.mfa) && «opt.net» == "vpn"', "opt.net"),
    ('(has(opt.net) && ctx.mfa) || «opt.net» == "vpn"', "opt.net"),
    ('!(has(opt.net) || ctx.mfa) || «opt.net» == "vpn"', "opt.net"),
    ('(!has(opt.net) && ctx.mfa) || «opt.net» == "vpn"', "opt.net"),
    ('!(!has(opt.net) && ctx.mfa) && «opt.net» == "vpn"', "opt.net"),
    ('!!has(opt.net) || «opt.net» == "vpn"', "opt.net"),
    ('has(opt.net) && ctx.mfa || «opt.net» == "vpn"', "opt.net"),
    ('(has(opt.net) && opt.net == "vpn") || «opt.net» == "corp"', "opt.net"),
    ('has(opt.net) == true && «opt.net» == "vpn"', "opt.net"),
    ('ctx.flags.all(f, has(opt.net)) && «opt.net» == "vpn"', "opt.net"),
    ("«opt.net» in ctx.nets", "opt.net"),
    ("«opt.names».exists(n, true)", "opt.names"),
    ("size(«opt.names») == 1", "opt.names"),
    ("«opt.flag»", "opt.flag"),
    ("«(opt.flag)»", "opt.flag"),
    ("«opt.ticket».state == 'open'", "opt.ticket"),
    ("has(«opt.ticket».note)", "opt.ticket"),
    ("has(opt.ticket) && «opt.ticket.note» == 'late'", "opt.ticket.note"),
    ("has(opt.ticket) && «opt.ticket.parent».id == 1", "opt.ticket.parent"),
    ("has(opt.ticket) && has(opt.ticket.note) && «opt.ticket.parent».id == 1", "opt.ticket.parent"),
    ("!has(opt.ticket) || opt.ticket.points > 1 || has(opt.ticket.note) || «opt.ticket.note» == ''", "opt.ticket.note"),
]


@pytest.mark.parametrize(("marked", "name"), UNGUARDED)
def test_an_optional_value_without_a_guard_to_its_left_is_refused(marked: str, name: str) -> None:
    before, _, rest = marked.partition("«")
    wrong, _, after = rest.partition("»")
    refused = refusal(before + wrong + after)
    assert (refused.code, str(refused)) == ("P203", f"'{name}' may be absent")
    assert refused.help == f"guard it: has({name}) && …"
    assert (refused.start, refused.end) == (len(before), len(before) + len(wrong))


def small_conditions() -> list[str]:
    """Every way to put a guard, a value that needs it and one that does not together, up to three of them."""
    single = ["has(opt.flag)", "!has(opt.flag)", "opt.flag", "!opt.flag", "ctx.mfa"]
    pairs = [f"({one} {op} {other})" for one, op, other in itertools.product(single, ("&&", "||"), single)]
    pairs += [f"!{pair}" for pair in pairs]
    triples = itertools.chain(
        itertools.product(pairs, ("&&", "||"), single), itertools.product(single, ("&&", "||"), pairs)
    )
    return single + pairs + [f"{one} {op} {other}" for one, op, other in triples]


def test_a_small_condition_that_is_accepted_never_relies_on_what_is_not_there() -> None:
    """All of them are tried: where a value is read although it is absent, the condition has to be refused."""
    absent = [values(opt_flag=ABSENT, ctx_mfa=mfa) for mfa in (True, False)]
    accepted = 0
    for text in small_conditions():
        try:
            found = condition(text)
        except ConditionRefused as refused:
            assert refused.code == "P203"
            assert "opt.flag" in text.replace("has(opt.flag)", "")
            continue
        accepted += 1
        assert {found.answer(roots) for roots in absent} <= {True, False}, text
    assert accepted > 300
