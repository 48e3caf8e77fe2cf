"""What the language refuses. The part that is marked as wrong stands between « and »; at the end it is empty."""

from __future__ import annotations

import pytest
from tests.policy.conditions.facts import refusal

from loglease.policy.conditions.errors import HELP

Refused = tuple[str, str, str, str | None]
"""A marked text; code, message and help."""

METHODS = "known: all, contains, endsWith, exists, size, startsWith"
CHAIN = "join two with &&"
GRAMMAR: list[Refused] = [
    ("«»", "P200", "an expression is missing: the condition ends here", None),
    ("ctx.mfa &&«»", "P200", "an expression is missing: the condition ends here", None),
    ("ctx.mfa && «||» true", "P200", "an expression is missing: found '||'", None),
    ("«&&» true", "P200", "an expression is missing: found '&&'", None),
    ("true «true»", "P200", "the condition goes on behind its end: found 'true'", None),
    ("true«)»", "P200", "the condition goes on behind its end: found ')'", None),
    ("(true«»", "P200", "')' is missing: the condition ends here", None),
    ("ctx.risk == 1 «==» true", "P200", "comparisons do not chain: found '=='", CHAIN),
    ("1 < 2 «<» 3", "P200", "comparisons do not chain: found '<'", CHAIN),
    ("1 in [1] «in» [true]", "P200", "comparisons do not chain: found 'in'", CHAIN),
    ("!«-»1", "P200", "an expression is missing: found '-'", None),
    ("-«-»1 == 1", "P200", "an expression is missing: found '-'", None),
    ("-«!»true", "P200", "an expression is missing: found '!'", None),
    ("ctx.«»", "P200", "a member is missing: the condition ends here", None),
    ("ctx.«true»", "P200", "a member is missing: found 'true'", None),
    ("«.»ctx.mfa", "P200", "an expression is missing: found '.'", None),
    ("ctx[«mfa»]", "P200", "only a text stands in brackets: found 'mfa'", 'like req.labels["k8s.io/name"]'),
    ("ctx.counts[«0»] == 1", "P200", "only a text stands in brackets: found '0'", 'like req.labels["k8s.io/name"]'),
    ("ctx['mfa'«)»", "P200", "']' is missing: found ')'", None),
    ("size(ctx.note«»", "P200", "',' is missing: the condition ends here", None),
    ("size(ctx.note «ctx».note)", "P200", "',' is missing: found 'ctx'", None),
    ("size(ctx.note,«)» == 1", "P200", "an expression is missing: found ')'", None),
    ("1 in [1«»", "P200", "',' is missing: the condition ends here", None),
    ("1 in [1,«]»", "P200", "a literal is missing: found ']'", "lists hold texts, numbers, true and false"),
    ("1 in [«ctx»]", "P200", "a literal is missing: found 'ctx'", "lists hold texts, numbers, true and false"),
    ("1 in [-«true»]", "P200", "a literal is missing: found 'true'", "lists hold texts, numbers, true and false"),
    ("1 in [«(»1)]", "P200", "a literal is missing: found '('", "lists hold texts, numbers, true and false"),
    ("1 in [1 «2»]", "P200", "',' is missing: found '2'", None),
    ('"a" «"b"» == "c"', "P200", "the condition goes on behind its end: found '\"b\"'", None),
    ('ctx.note == r«"a"»', "P200", "the condition goes on behind its end: found '\"a\"'", None),
]
CHARACTERS: list[Refused] = [
    ("ctx.mfa «&» true", "P200", "unknown character '&'", "&& is 'and'"),
    ("ctx.mfa «|» true", "P200", "unknown character '|'", "|| is 'or'"),
    ("ctx.risk «=» 1", "P200", "unknown character '='", "== compares"),
    ("ctx.mfa «?» true : false", "P200", "unknown character '?'", "write two conditions with && and ||"),
    ("ctx.risk «*» 2 == 2", "P200", "unknown character '*'", "only + and - are there"),
    ("ctx.risk «/» 2 == 2", "P200", "unknown character '/'", "only + and - are there"),
    ("ctx.risk «%» 2 == 2", "P200", "unknown character '%'", "only + and - are there"),
    ("«{»} == {}", "P200", "unknown character '{'", "there are no maps"),
    ("true «;»", "P200", "unknown character ';'", None),
    ("true «#» so", "P200", "unknown character '#'", None),
    ("«`»a` == 1", "P200", "unknown character '`'", None),
    ("«é» == 1", "P200", "unknown character 'é'", None),
    ("true«\u00a0»", "P200", "unknown character 'U+00A0'", None),
    ("true«\x0c»", "P200", "unknown character 'U+000C'", None),
    ("«\u202e»true", "P200", "unknown character 'U+202E'", None),
    ('ctx.note == «"a»', "P200", "the text does not end", 'close it with "'),
    ("ctx.note == «'a\"»", "P200", "the text does not end", "close it with '"),
    ('ctx.note == «"a\\"»', "P200", "the text does not end", 'close it with "'),
    ('ctx.note == «"a\nb"»', "P200", "the text does not end", 'close it with "'),
    ('ctx.note == "a«\t»b"', "P200", "a control character stands in a text", r"write it like \u0007"),
    ('ctx.note == "a«\u2028»b"', "P200", "a control character stands in a text", r"write it like \u0007"),
    (r'ctx.note == "a«\d»"', "P200", r"unknown escape '\\d'", r"one of \\ \" \' \n \t \uXXXX"),
    (r'ctx.note == "«\u»12"', "P200", r"unknown escape '\\u'", r"one of \\ \" \' \n \t \uXXXX"),
    (r'ctx.note == "«\x»41"', "P200", r"unknown escape '\\x'", r"one of \\ \" \' \n \t \uXXXX"),
    (r'ctx.note == «"\ud83d\ude00"»', "P200", "half of a surrogate pair is no character", None),
    ('ctx.note == «"\ud83d"»', "P200", "half of a surrogate pair is no character", None),
]
NUMBERS: list[Refused] = [
    ("ctx.risk < «1.5»", "P200", "'1.5' is no whole number", "use per mille"),
    ("ctx.risk < «1e3»", "P200", "'1e3' is no whole number", "use per mille"),
    ("ctx.risk < «012»", "P200", "'012' is no whole number", "plain decimals, no leading zero"),
    ("ctx.risk < «0x1F»", "P200", "'0x1F' is no whole number", "plain decimals, no leading zero"),
    ("ctx.risk < «5u»", "P200", "'5u' is no whole number", "plain decimals, no leading zero"),
    ("ctx.risk < «1_000»", "P200", "'1_000' is no whole number", "plain decimals, no leading zero"),
    ("«9223372036854775808» > 1", "P202", "the number is too large", "at most 9223372036854775807"),
    ("-(«9223372036854775808») < 1", "P202", "the number is too large", "at most 9223372036854775807"),
    ("1 - «9223372036854775808» < 1", "P202", "the number is too large", "at most 9223372036854775807"),
    ("-«9223372036854775809» < 1", "P202", "the number is too large", "at most 9223372036854775807"),
    ("1 in [«9223372036854775808»]", "P202", "the number is too large", "at most 9223372036854775807"),
    ("«100000000000000000000» > 1", "P202", "the number is too large", "at most 9223372036854775807"),
    (f"«{'9' * 4000}» > 1", "P202", "the number is too large", "at most 9223372036854775807"),
]
WORDS: list[Refused] = [
    ("«null» == 1", "P209", "'null' is a reserved word of CEL", None),
    ("ctx.«package»", "P209", "'package' is a reserved word of CEL", None),
    ("«if»(true)", "P209", "'if' is a reserved word of CEL", None),
    ("ctx.flags.exists(«for», true)", "P209", "'for' is a reserved word of CEL", None),
    (
        "ctx.flags.exists(«__result__», true)",
        "P209",
        "names that begin with __ are for CEL itself",
        "choose another name",
    ),
]
UNKNOWN: list[Refused] = [
    ("«now» > 1", "P205", "'now' is not known", "known: ctx, opt, req, span"),
    ("«ctx.nett» == 'corp'", "P205", "'ctx.nett' is not known", "did you mean 'net'?"),
    ("«ctx.device.levl» > 1 || true", "P205", "'ctx.device.levl' is not known", "did you mean 'level'?"),
    ("«req.labels.team» == 'a'", "P205", "'req.labels.team' is not known", "known: env, k8s.io/name"),
    ('«req.labels["\u202e"]» == "a"', "P205", "'req.labels.�' is not known", "known: env, k8s.io/name"),
    ("«ctx.risk.value» > 1", "P205", "ctx.risk has no member 'value'", None),
    ("has(«opt.tickets»)", "P205", "'opt.tickets' is not known", "did you mean 'ticket'?"),
    ("ctx.names.exists(n, «m» == 'a')", "P205", "'m' is not known", "known: ctx, opt, req, span"),
    ("ctx.names.exists(n, n == 'a') && «n» == 'a'", "P205", "'n' is not known", "known: ctx, opt, req, span"),
    ("«matches»(ctx.note, 'a')", "P205", "there is no function 'matches'", "known: duration, has, size"),
    ("ctx.note.«matches»('a')", "P205", "there is no method 'matches'", METHODS),
    ("ctx.note.«startswith»('a')", "P205", "there is no method 'startswith'", "did you mean 'startsWith'?"),
    ("ctx.names.«map»(n, n)", "P205", "there is no method 'map'", METHODS),
    ("ctx.«has»(ctx.mfa)", "P205", "there is no method 'has'", METHODS),
    ("«exists»(ctx.names, n, true)", "P205", "there is no function 'exists'", "known: duration, has, size"),
]
TYPES: list[Refused] = [
    ("ctx.mfa && «ctx.risk»", "P204", "a bool is needed, this is an int", "compare it with something"),
    ("«ctx.net» || true", "P204", "a bool is needed, this is one of corp, other, vpn", "compare it with something"),
    ("!«ctx.risk»", "P204", "a bool is needed, this is an int", "compare it with something"),
    ("ctx.names.all(n, «n»)", "P204", "a bool is needed, this is a string", "compare it with something"),
    ("ctx.risk == «'a'»", "P204", "an int and a string cannot be compared", None),
    ("ctx.risk == «ctx.age»", "P204", "an int and a duration cannot be compared", None),
    ("ctx.mfa == «1»", "P204", "a bool and an int cannot be compared", None),
    ("«ctx.note < 'a'»", "P204", "'<' orders numbers and durations, not a string", None),
    ("«ctx.mfa >= true»", "P204", "'>=' orders numbers and durations, not a bool", None),
    ("«ctx.names == ctx.nets»", "P204", "a list of string cannot be compared", "use in, size, exists or all"),
    ("«ctx == ctx»", "P204", "a record cannot be compared", "use in, size, exists or all"),
    ("ctx.names == «['a']»", "P204", "a list of literals stands only behind 'in'", None),
    ("«[]»", "P204", "a list of literals stands only behind 'in'", None),
    ("«[1]».size() == 1", "P204", "a list of literals stands only behind 'in'", None),
    ("1 in [1, «'a'»]", "P204", "an int and a string cannot be compared", None),
    ("ctx.age in [«5»]", "P204", "a duration and an int cannot be compared", None),
    ("«ctx.names in []»", "P204", "a list of string is in no list", "ask for one item"),
    ("1 in «ctx.names»", "P204", "an int and a string cannot be compared", None),
    ("1 in «ctx.risk»", "P204", "'in' takes a list, not an int", None),
    ("'a' in «ctx.note»", "P204", "'in' takes a list, not a string", None),
    ("«ctx.note + 'a'» == 'a'", "P204", "'+' takes two numbers or two durations, not a string and a string", None),
    ("«ctx.risk + ctx.age» > 1", "P204", "'+' takes two numbers or two durations, not an int and a duration", None),
    ("«ctx.age - 1» > 1", "P204", "'-' takes two numbers or two durations, not a duration and an int", None),
    ("«-ctx.age» < ctx.age", "P204", "'-' takes a number, not a duration", None),
    ("«ctx.risk.startsWith('a')»", "P204", "startsWith is for texts, not an int", None),
    ("«ctx.note.contains(1)»", "P204", "contains is for texts, not an int", None),
    ("«size(ctx.risk)» == 1", "P204", "size is for texts and lists, not an int", None),
    ("«ctx.device.size()» == 1", "P204", "size is for texts and lists, not a record", None),
    ("«ctx.note.all(c, true)»", "P204", "all is for lists, not a string", None),
    ("«ctx.note.endsWith()»", "P204", "endsWith takes 1 argument, not 0", None),
    ("«ctx.note.endsWith('a', 'b')»", "P204", "endsWith takes 1 argument, not 2", None),
    ("«size()» == 1", "P204", "size takes 1 argument, not 0", None),
    ("«ctx.note.size('a')» == 1", "P204", "size takes 0 arguments, not 1", None),
    ("«ctx.names.exists(n)»", "P204", "exists takes 2 arguments, not 1", None),
    ("ctx.names.exists(«'n'», true)", "P204", "the first argument of exists is a new name", "like .exists(x, x == 'a')"),
    ("ctx.names.all(«ctx.mfa», true)", "P204", "the first argument of all is a new name", "like .exists(x, x == 'a')"),
    ("ctx.names.exists(n, «n.size» > 1)", "P204", "a string has no members", None),
    ("«true.mfa»", "P204", "only records have members", None),
    ("«(ctx.mfa || true).mfa»", "P204", "only records have members", None),
    ("«has()»", "P204", "has takes 1 argument, not 0", None),
    ("«has(opt)»", "P204", "has() takes one optional value, behind a dot", "like has(ctx.incident)"),
    ("«has(opt['ticket'])»", "P204", "has() takes one optional value, behind a dot", "like has(ctx.incident)"),
    ("«has(1)»", "P204", "has() takes one optional value, behind a dot", "like has(ctx.incident)"),
    ("«has(size(ctx.note).a)»", "P204", "has() takes one optional value, behind a dot", "like has(ctx.incident)"),
    ("has(«ctx.mfa»)", "P204", "ctx.mfa is always there", "has() is for what may be absent"),
    ("has(opt.ticket) && has(«opt.ticket.state»)", "P204", "opt.ticket.state is always there", "has() is for what may be absent"),
]  # fmt: skip
DURATION = "duration() takes a literal of whole hours, minutes and seconds, ten years at most"
DURATIONS: list[Refused] = [
    (f"ctx.age < duration(«{literal}»)", "P204", DURATION, 'like duration("1h30m")')
    for literal in (
        *('""', '"1d"', '"1.5h"', '"-1h"', '"30m1h"', '"1h1h"', '"1ms"', '"30"', '" 1h"', '"1h "', '"1H"', '"٣m"', "5"),
        *("ctx.note", "ctx.age", '"87601h"', '"5256000m1s"', '"9999999999s"'),
    )
]
RESULTS: list[Refused] = [
    ("«ctx.risk»", "P207", "a bool is needed, this is an int", "compare it with something"),
    ("«ctx.risk + 1»", "P207", "a bool is needed, this is an int", "compare it with something"),
    ("«'a'»", "P207", "a bool is needed, this is a string", "compare it with something"),
    ("«ctx.age»", "P207", "a bool is needed, this is a duration", "compare it with something"),
    ("«ctx.names»", "P207", "a bool is needed, this is a list of string", "compare it with something"),
    ("«ctx»", "P207", "a bool is needed, this is a record", "compare it with something"),
]
ENUM_WORDS: list[Refused] = [
    ("ctx.net == «'corb'»", "P206", "'corb' is none of its words", "did you mean 'corp'?"),
    ("«''» != ctx.net", "P206", "'' is none of its words", "known: corp, other, vpn"),
    ("ctx.net in ['vpn', «'x'»]", "P206", "'x' is none of its words", "known: corp, other, vpn"),
    ("«'x'» in ctx.nets", "P206", "'x' is none of its words", "known: corp, other, vpn"),
    ("«'Prod'» in req.labels.env", "P206", "'Prod' is none of its words", "did you mean 'prod'?"),
    (f"ctx.net == «'{'x' * 300}'»", "P206", f"'{'x' * 39}…' is none of its words", "known: corp, other, vpn"),
    (r"ctx.net == «'\u202e'»", "P206", "'�' is none of its words", "known: corp, other, vpn"),
    ("ctx.nets.exists(n, n == «'x'»)", "P206", "'x' is none of its words", "known: corp, other, vpn"),
    ("has(opt.ticket) && «opt.ticket.state == ctx.net»", "P206", "these two have no word in common, so that they are never equal", None),
]  # fmt: skip
VARIABLES: list[Refused] = [
    ("ctx.names.exists(«ctx», true)", "P208", "'ctx' hides what is called so already", "choose another name"),
    ("ctx.names.all(«span», true)", "P208", "'span' hides what is called so already", "choose another name"),
    ("ctx.names.exists(n, «ctx.nets.exists(m, m == n)»)", "P208", "'exists' stands inside another", "write two conditions"),
    ("ctx.names.all(n, true && «ctx.names.all(n, true)»)", "P208", "'all' stands inside another", "write two conditions"),
]  # fmt: skip
ALL = [*GRAMMAR, *CHARACTERS, *NUMBERS, *WORDS, *UNKNOWN, *TYPES, *DURATIONS, *RESULTS, *ENUM_WORDS, *VARIABLES]


@pytest.mark.parametrize(("marked", "code", "message", "remedy"), ALL, ids=lambda value: ascii(value)[:60])
def test_refused(marked: str, code: str, message: str, remedy: str | None) -> None:
    before, _, rest = marked.partition("«")
    wrong, _, after = rest.partition("»")
    refused = refusal(before + wrong + after)
    assert (refused.code, str(refused), refused.help) == (code, message, remedy or HELP.get(code))
    assert (refused.start, refused.end) == (len(before), len(before) + max(1, len(wrong)))
