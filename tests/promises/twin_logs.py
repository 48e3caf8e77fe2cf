"""Pairs of logs that differ only outside a scope and under masks, and queries of the whole language about them.

A secret has a twin of another value and another length. Where its treatment shows a pseudonym, the twins get one and the
same: pseudonyms are random to whoever has no key, and which values are equal is conceded. So answers are compared byte
for byte also where a query takes tokens to pieces.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from hypothesis import strategies as st
from tests.gateway.world import Line, line
from tests.logql import queries as grammar
from tests.promises.twins import Twins, card

from loglease.logql import LogQuery, print_query
from loglease.redaction import Redactor, pseudonym
from loglease.redaction.tokens import canonical_of

WINDOW_NS = 40
SECRETS = 5
_FAR = 50


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number * 2_654_435_761 % 10**10:010d}")


def secret(cls: str, number: int) -> str:
    """Return a value of a class; its length varies with the number, as far as the class allows."""
    letters = _letters(number + 1)
    match cls:
        case "email":
            return f"{letters[: 3 + number % 7]}.x@{letters[:4]}.example.org"
        case "card":
            return card(number * 2_654_435_761 % 10**10)
        case "bearer":
            return f"Bearer {letters}7{letters.upper()}Zq{letters[: number % 7]}"
        case "password":
            return f"{letters[: 5 + number % 5]}1{letters[:3]}"
        case "ip":
            return f"203.0.{113 + number % 2}.{number * 7 % 200 + 1}"
        case _:
            return "AKIA" + (letters + letters).upper()[:12] + "2345"


CLASSES = ("email", "card", "bearer", "password", "ip", "aws")
_TWIN_OF = {
    canonical_of(cls, secret(value, number + _FAR).encode()): canonical_of(cls, secret(value, number).encode())
    for value, cls in (("email", "pii.email"), ("ip", "net.ip.public"))
    for number in range(SECRETS)
}


def twin_pseudonym(canonical: bytes, *, cls: str, label: str, key: bytes) -> str:
    """Stand in for `pseudonym`: twins get one token."""
    return pseudonym(_TWIN_OF.get(canonical, canonical), cls=cls, label=label, key=key)


# What a line may look like; names in angle brackets stand for secrets, all of one number.
_TEXTS = (
    "pay <email> timeout",
    "level=error pay",
    "warn: pay <card> by <email>, <email>",
    '{"level":"error","user":"<email>","status":500,"ip":"<ip>","msg":"pay \\"now\\" <email>"}',
    '{"level":"warn","password":"<password>","duration":"5ms","bytes":"3KB","user":{"mail":"<email>","n":1}}',
    '{"level":"info","card":<card>,"tags":["<email>","pay"]}',
    '{"_entry":"pay <email> \\"error\\"","user":"<email>","pod":"p9"}',
    '{"msg":"{\\"password\\":\\"<password>\\",\\"level\\":\\"error\\"}","level":"warn pay"}',
    'level=warn user=<email> ip=<ip> duration=5ms bytes=3KB msg="pay \\"<email>\\"" password="<password>"',
    "level=error pay Authorization: <bearer> from <ip>",
    "GET /x?user=<email-url>&password=<password> 500 pay error",
    *("level=warn pay value=<number> user=<email>", "level=error value=<number> pay") * 2,
    *('{"level":"error","value":"<number>","msg":"pay","mail":"<email>"}', '{"value":"<number>","level":"warn pay"}')
    * 2,
    "pay key=<aws> error 4111",
    "pay \x1b[31m<email>\x1b[0m warn",
    "error pay <basic>",
    '{"b":"<password-base64>","level":"error","msg":"pay"}',
    "",
    "ok",
    "⟦email⟧ pay error",
    '{"level":"error",',
    "pay\nerror <email>",
    "\xff pay warn",
)
_OWNERS = ("", "<email>", "team <email>", "<bearer>", "<ip>")
_METADATA: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (),
    (("user", "<email>"),),
    (("trace", "7"), ("password", "<password>")),
    (("<email>", "1"), ("<ip>", "2"), ("d", "p3")),
    (("detected_level", "fatal"), ("level", "error")),
)


def _filled(text: str, number: int) -> str:
    for cls in CLASSES:
        if f"<{cls}" in text:
            text = text.replace(f"<{cls}>", secret(cls, number))
    return (
        text.replace("<email-url>", quote(secret("email", number), safe=""))
        .replace("<password-base64>", base64.b64encode(f"password={secret('password', number)}".encode()).decode())
        .replace("<basic>", f"https://user:{secret('password', number)}@host/")
    )


@lru_cache(maxsize=10_000)
def _twin(text: str, number: int, redactors: tuple[Redactor, ...], key: str | None = None) -> tuple[str, str]:
    """Return a text and its twin; the text twice where redaction, looking at it alone, tells the two apart."""
    one, other = _filled(text, number), _filled(text, number + _FAR)
    for redactor in redactors:
        if key is not None:
            seen = [redactor.value(key or None, side.encode()) for side in (one, other)]
        else:
            seen = [redactor.open().feed(side.encode() + b"\n", [len(side.encode()) + 1]) for side in (one, other)]
        if (seen[0].out, seen[0].spans) != (seen[1].out, seen[1].spans):
            return one, one
    return one, other


_HIDDEN = ("pay <email> error", "level=error pay <password>", "", "x" * 300, "-----BEGIN PRIVATE KEY-----", '{"a":1}')
_HIDDEN += ('{"level":"error","pay":', "level=warn pay value=9 user=<email>")
_BODY = ("secretbody{}AbCdEfGh", "x7{}QqRrSsTt", "{}ABCDefgh1234")
_NUMBERS = ("0.1", "0.2", "0.3", "1e16", "-1e16", "7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a scope covers, as far as lines are drawn for it.

    Attributes:
        start: where its event window begins, in nanoseconds; lines are drawn for `WINDOW_NS` from there.
        is_open: the window has no end.
        inside: labels of streams that it covers.
        outside: labels of streams that it does not.
        below: texts that its line rules hide; none if there are no rules.
        redactors: of all the profiles that the lines are read with.
    """

    start: int
    is_open: bool = False
    inside: Sequence[Mapping[str, str]] = (
        {"service": "a"},
        {"service": "a", "pod": "p1"},
        {"service": "a", "pod": "p2"},
    )
    outside: Sequence[Mapping[str, str]] = (
        {"service": "b"},
        {"service": "a-eu"},
        {"app": "a"},
        {},
        {"service": "b", "owner": "x"},
    )
    below: Sequence[str] = ()
    redactors: tuple[Redactor, ...]


@st.composite
def _hidden(draw: st.DrawFn, bounds: Bounds) -> list[Line]:
    """Draw lines that the scope does not cover: of other streams, at other times, or below its line rules."""
    found: list[Line] = []
    for _ in range(draw(st.integers(0, 5))):
        text = _filled(draw(st.sampled_from(_HIDDEN)), draw(st.integers(0, SECRETS)))
        where = draw(st.integers(-3, WINDOW_NS - 1 if bounds.is_open else WINDOW_NS + 3))
        if 0 <= where < WINDOW_NS:
            labels = dict(draw(st.sampled_from(bounds.outside)))
            if bounds.below and draw(st.booleans()):
                text = _filled(draw(st.sampled_from(bounds.below)), draw(st.integers(0, SECRETS)))
                labels = dict(draw(st.sampled_from(bounds.inside)))
        else:
            labels = dict(draw(st.sampled_from(bounds.inside)))
        if draw(st.integers(0, 3)) == 0:
            labels |= {"unit": draw(st.sampled_from(("u1", "u2"))), "owner": secret("email", draw(st.integers(0, 9)))}
        found += [line(bounds.start + where, text, **labels)] * draw(st.sampled_from((1, 1, 1, 1, 4, 4, 4, 300)))
    return found


@st.composite
def twin_logs(draw: st.DrawFn, bounds: Bounds) -> tuple[Twins, bool]:
    """Draw twins, in the order in which they arrive, and whether a key over several lines is in them."""
    one, other = draw(_hidden(bounds)), draw(_hidden(bounds))
    has_key = draw(st.integers(0, 5)) == 5 and all(one.block_marks for one in bounds.redactors)
    times = st.integers(0, WINDOW_NS - 1)
    if draw(st.booleans()):
        times = st.sampled_from((3, 11))
    templates = st.sampled_from(_TEXTS)
    if draw(st.booleans()):  # lines of few kinds meet more often in one answer
        templates = st.sampled_from(draw(st.lists(templates, min_size=1, max_size=2)))
    owned = st.sampled_from(_OWNERS)
    if draw(st.integers(0, 5)) == 5:  # numbers at one time, in the order of hidden labels alone
        times, templates, owned = st.just(3), st.just("level=warn pay value=<number>"), st.sampled_from(_OWNERS[1:])
    for _ in range(draw(st.integers(0, 8))):
        number = draw(st.integers(0, SECRETS - 1))
        at = bounds.start + draw(times)
        labels = dict(draw(st.sampled_from(bounds.inside)))
        text = draw(templates).replace("<number>", draw(st.sampled_from(_NUMBERS)))
        texts = _twin(text, number, bounds.redactors)
        owners = _twin(draw(owned), number, bounds.redactors, "owner")
        names = draw(st.sampled_from(_METADATA))
        metadata = [
            (_twin(name, number, bounds.redactors, ""), _twin(value, number, bounds.redactors, name))
            for name, value in names
        ]
        for side, lines in enumerate((one, other)):
            named = labels | ({"owner": owners[side]} if owners[side] else {})
            beside = tuple(sorted((name[side], value[side]) for name, value in metadata))
            lines.append(line(at, texts[side], beside or None, **named))
    if has_key:
        _add_key(one, other, bounds, bounds.start + draw(st.integers(0, 5)))
    return Twins(_in_order(one), _in_order(other)), has_key


def _add_key(one: list[Line], other: list[Line], bounds: Bounds, at: int) -> None:
    """Add a key in a stream of its own: only its beginning tells that its lines are part of one."""
    labels = {**bounds.inside[0], "unit": "key"}
    for side, lines in enumerate((one, other)):
        lines.append(line(at, "-----BEGIN RSA PRIVATE KEY-----", **labels))
        lines += [
            line(at + 3 * n + 3, body.format(_letters(n + _FAR * side)), **labels) for n, body in enumerate(_BODY)
        ]
        lines.append(line(at + 15, "-----END RSA PRIVATE KEY-----", **labels))


def _in_order(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda one: one.ts))


# Queries about them.

NAMES = ("service", "pod", "level", "status", "user", "owner", "ip", "duration", "bytes", "msg", "password", "card")
NAMES += ("detected_level", "user_mail", "b", "trace", "missing", "level_extracted", "__error__", "a")
LITERALS = ("pay", "error", "email", "⟦", "⟦email", "⟦email⟧", "⟦⟧", ":", "a", "7", "q", "@", "", "500", "card …4242")
LITERALS += tuple(secret(cls, number)[a:b] for cls in CLASSES for number in (0, _FAR) for a, b in ((0, 6), (-6, None)))
_EXPRESSIONS = (
    ".*",
    ".+",
    ".*email.*",
    "[a-e].*",
    ".*@.*",
    "(?i)PAY|err(or)?",
    "⟦.",
    "⟦⟧",
    ".{9,30}",
    "\\\\d+",
    "^pay",
)
_VALUES = (
    *(f".{name}" for name in ("user", "owner", "ip", "msg", "password", "card", "b", "user_mail", "a")),
    "__line__",
    "printf `%s %q` .user .owner",
)
_FUNCTIONS = (
    *("b64enc", "urlencode", "upper", "lower", "title", "trim", "html", "js", "urlquery", "printf `%x`", "len"),
    *("trunc 5", "trunc -5", "substr 2 9", "count `[a-m]`", "replace `e` `3`", "repeat 2", "alignRight 9", "bytes"),
    *(
        "b64dec",
        "urldecode",
        "fromJson",
        "b64enc | b64dec",
        "trimPrefix `⟦`",
        "regexReplaceAll `[0-9]`",
        "hasPrefix `⟦e`",
    ),
    *("contains `a`", "b64enc | trunc 7", "printf `%q`", "int", "float64", "duration", "eq `x`", "lt `⟦email:m`"),
)
_STAGES = (
    *("| json", "| logfmt", "| unpack", "| decolorize", "| logfmt --strict", "| logfmt --keep-empty"),
    *('| json <N>="<P>"', '| logfmt <N>="<N>"', "| drop <N>", "| keep <N>,<N>", '| drop <N>=~"<R>"'),
    *('| regexp "(?P<a>.{4})(?P<b>.*)"', '| regexp "(?P<a>[a-z]+)[:@=](?P<b>[a-z0-9]{3})"', '| pattern "<a>:<b>"'),
    *('| pattern "<_>⟦<a>⟧<b>"', '| <N>="<L>"', '| <N>!="<L>"', '| <N>=~"<R>"', '| <N>!~"<R>"', "| <N> > 5"),
    *("| <N> <= 10ms or <N> > 2KB", '| <N>=ip("203.0.113.0/24")', '| <N>="<L>" or <N>=~"<R>", <N> != 3'),
    *('|= "<L>"', '!= "<L>"', '|~ "<R>"', '!~ "<R>"', '|> "<L><_>"', '!> "<_><L>"', '|= "<L>" or "<L>"'),
    *('|= ip("203.0.113.0/24")', "| line_format `<T>`", "| line_format `<T> <T>`", "| label_format a=`<T>`"),
    *("| label_format <N>=<N>", "| label_format <N>=`<T>`"),
    "| line_format `{{ range $k, $v := fromJson __line__ }}{{ $k }}={{ $v }};{{ end }}`",
    "| line_format `{{ if gt (len .user) 14 }}long{{ else }}short{{ end }}`",
    '| line_format `{{ if contains "<L>" __line__ }}x{{ end }}`',
)
_TESTS = (
    'service="a"',
    'pod="p1"',
    'owner=""',
    'owner=~"<R>"',
    'owner!~"<R>"',
    '<N>="<L>"',
    '<N>!="<L>"',
    'pod=~"k.*"',
)


_METRICS = (
    *("count_over_time(<Q> [1m])", "sum by (<N>) (rate(<Q> [1m]))", "bytes_over_time(<Q> [1m])"),
    *('sum by (<N>,<N>) (count_over_time(<Q> | __error__="" [1m]))', "count(sum by (<N>) (bytes_rate(<Q> [1m])))"),
    *('max_over_time(<Q> | unwrap <N> | __error__="" [1m]) by (<N>)', "sum_over_time(<Q> | unwrap bytes(<N>) [1m])"),
    *("topk(2, sum by (<N>) (count_over_time(<Q> [1m])))", "absent_over_time(<Q> [1m])", "sum(rate(<Q> [1m])) > 0.05"),
    'label_replace(count_over_time(<Q> [1m]), "x", "$1", "<N>", "(.{9}).*")',
    *("sum(rate(<Q> [5ms])) / count(sum by (<N>) (rate(<Q> [1m])))", "sort_desc(sum by (<N>) (rate(<Q> [1m])))"),
    *(f'{name}_over_time(<Q> <U> | __error__="" [1m])' for name in ("sum", "stddev", "first", "last", "avg")),
    *(f'{name}_over_time(<Q> <U> | __error__="" [1m]) by (<N>)' for name in ("stdvar", "first", "last", "min")),
    *('rate(<Q> <U> | __error__="" [1m])', 'sum(rate_counter(<Q> <U> | __error__="" [1m]))'),
    'quantile_over_time(0.4, <Q> <U> | __error__="" [1m]) by (<N>)',
)
_UNWRAPS = (
    "| logfmt | keep value | unwrap value",
    "| logfmt | unwrap value",
    "| json | unwrap value",
    "| logfmt | unwrap <N>",
    "| json | keep value | unwrap value",
)


@st.composite
def _written(draw: st.DrawFn, text: str) -> str:
    """Fill the places of a piece of a query: names, literals, expressions, templates."""
    places = (("<U>", _UNWRAPS), ("<T>", None), ("<N>", NAMES), ("<R>", _EXPRESSIONS), ("<L>", LITERALS))
    for place, choices in places:
        while place in text:
            if choices is None:
                value, function = draw(st.sampled_from(_VALUES)), draw(st.sampled_from(_FUNCTIONS))
                chosen = f"{{{{ {value} | {function} }}}}".replace("`", '"')
            else:
                chosen = draw(st.sampled_from(choices))
            text = text.replace(place, chosen, 1)
    return text.replace("<P>", "user.mail")


def twin_selectors() -> st.SearchStrategy[str]:
    """Draw selectors alone."""
    tests = st.lists(st.sampled_from(_TESTS).flatmap(_written), max_size=2)
    return tests.map(lambda found: "{" + ",".join(found) + "}")


@st.composite
def twin_lines_queries(draw: st.DrawFn) -> str:
    """Draw log queries over all stages, most of names and texts that the logs have, some of the whole grammar."""
    kind = draw(st.integers(0, 7))
    if kind == 0:
        return "{}"
    if kind == 1:
        return print_query(LogQuery((), draw(st.lists(grammar.stages, min_size=1, max_size=3).map(tuple))))
    tests = [draw(_written(one)) for one in draw(st.lists(st.sampled_from(_TESTS), max_size=1))]
    stages = [draw(_written(one)) for one in draw(st.lists(st.sampled_from(_STAGES), min_size=1, max_size=4))]
    if kind == 2:
        stages[:1] = [f'|= "{draw(st.sampled_from(("pay", "error", "level=")))}"']  # a source may look for it itself
    return " ".join(["{" + ",".join(tests) + "}", *stages])


@st.composite
def twin_metrics(draw: st.DrawFn) -> str:
    """Draw metric queries."""
    metric = draw(_written(draw(st.sampled_from(_METRICS))))
    lines = "{}" if "unwrap" in metric and draw(st.booleans()) else draw(twin_lines_queries())
    return metric.replace("<Q>", lines)


def twin_queries() -> st.SearchStrategy[str]:
    """Draw queries of both kinds."""
    return st.integers(0, 3).flatmap(lambda kind: twin_metrics() if kind == 3 else twin_lines_queries())
