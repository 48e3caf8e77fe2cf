"""An optional value takes a guard to its left: ``has(x) && …`` or ``!has(x) || …``."""

from __future__ import annotations

import pytest
from tests.policy.conditions.facts import ABSENT, answer, refusal

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
