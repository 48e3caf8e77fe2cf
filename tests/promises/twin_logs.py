"""Pairs of logs that differ only outside a scope and under masks, and queries of the whole language about them.

A secret has a twin of another value and another length. Where its treatment shows a pseudonym, the twins get one and the
same: pseudonyms are random to whoever has no key, and which values are equal is conceded. So answers are compared byte
for byte also where a query takes tokens to pieces.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from urllib.parse import quote

from hypothesis import strategies as st
from tests.gateway.world import T0, Line, line
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
def _twin(text: str, number: int, redactor: Redactor, key: str | None = None) -> tuple[str, str]:
    """Return a text and its twin; the text twice where redaction, looking at it alone, tells the two apart."""
    one, other = _filled(text, number), _filled(text, number + _FAR)
    if key is not None:
        seen = [redactor.value(key or None, side.encode()) for side in (one, other)]
    else:
        seen = [redactor.open().feed(side.encode() + b"\n", [len(side.encode()) + 1]) for side in (one, other)]
    return (one, other) if (seen[0].out, seen[0].spans) == (seen[1].out, seen[1].spans) else (one, one)


_HIDDEN = ("pay <email> error", "level=error pay <password>", "", "x" * 300, "-----BEGIN PRIVATE KEY-----", '{"a":1}')
_OUTSIDE = ({"service": "b"}, {"service": "a-eu"}, {"app": "a"}, {}, {"service": "b", "owner": "x"})
_BELOW = ("level=debug pay", "level=error", "info pay", "", "level=debug <card>")
_BODY = ("secretbody{}AbCdEfGh", "x7{}QqRrSsTt", "{}ABCDefgh1234")


@st.composite
def _hidden(draw: st.DrawFn) -> list[Line]:
    found: list[Line] = []
    for _ in range(draw(st.integers(0, 5))):
        text = _filled(draw(st.sampled_from(_HIDDEN)), draw(st.integers(0, SECRETS)))
        where = draw(st.integers(-3, WINDOW_NS + 3))
        inside = 0 <= where < WINDOW_NS
        labels = draw(st.sampled_from(_OUTSIDE)) if inside else {"service": "a"}
        found += [line(T0 + where, text, **labels)] * draw(st.sampled_from((1, 1, 1, 4)))
    return found


@st.composite
def twin_logs(draw: st.DrawFn, *, redactor: Redactor, line_rules: bool) -> tuple[Twins, bool]:
    """Draw twins for a scope of service a inside the window, and whether a key over several lines is in them.

    Lines of one time are in the order of their hidden labels, as a source may give them.

    Args:
        line_rules: the scope also demands the level warn and the word pay.
    """
    one, other = draw(_hidden()), draw(_hidden())
    has_key = draw(st.integers(0, 5)) == 0
    for _ in range(draw(st.integers(0, 8))):
        number = draw(st.integers(0, SECRETS - 1))
        at = T0 + draw(st.integers(0, WINDOW_NS - 1))
        labels = {"service": "a"}
        if pod := draw(st.sampled_from(("", "p1", "p2"))):
            labels["pod"] = pod
        if line_rules and not has_key and draw(st.integers(0, 2)) == 0:
            for side, lines in enumerate((one, other)):
                lines.append(line(at, _filled(draw(st.sampled_from(_BELOW)), number + side), **labels))
            continue
        texts = _twin(draw(st.sampled_from(_TEXTS)), number, redactor)
        owners = _twin(draw(st.sampled_from(_OWNERS)), number, redactor, "owner")
        names = draw(st.sampled_from(_METADATA))
        metadata = [(_twin(name, number, redactor, ""), _twin(value, number, redactor, name)) for name, value in names]
        for side, lines in enumerate((one, other)):
            named = labels | ({"owner": owners[side]} if owners[side] else {})
            beside = tuple(sorted((name[side], value[side]) for name, value in metadata))
            lines.append(line(at, texts[side], beside or None, **named))
    if has_key:
        _add_key(draw, one, other)
    return Twins(_in_order(one), _in_order(other)), has_key


def _add_key(draw: st.DrawFn, one: list[Line], other: list[Line]) -> None:
    """Add a key in a stream of its own: only its beginning tells that its lines are part of one."""
    at = T0 + draw(st.integers(0, 5))
    for side, lines in enumerate((one, other)):
        lines.append(line(at, "-----BEGIN RSA PRIVATE KEY-----", service="a", pod="key"))
        lines += [
            line(at + 3 * n + 3, body.format(_letters(n + _FAR * side)), service="a", pod="key")
            for n, body in enumerate(_BODY)
        ]
        lines.append(line(at + 15, "-----END RSA PRIVATE KEY-----", service="a", pod="key"))


def _in_order(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda one: (one.ts, one.labels)))


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
)


@st.composite
def _written(draw: st.DrawFn, text: str) -> str:
    """Fill the places of a piece of a query: names, literals, expressions, templates."""
    for place, choices in (("<T>", None), ("<N>", NAMES), ("<R>", _EXPRESSIONS), ("<L>", LITERALS)):
        while place in text:
            if choices is None:
                value, function = draw(st.sampled_from(_VALUES)), draw(st.sampled_from(_FUNCTIONS))
                chosen = f"{{{{ {value} | {function} }}}}".replace("`", '"')
            else:
                chosen = draw(st.sampled_from(choices))
            text = text.replace(place, chosen, 1)
    return text.replace("<P>", "user.mail")


@st.composite
def twin_queries(draw: st.DrawFn) -> str:
    """Draw queries over all stages, most of names and texts that the logs have, some of the whole grammar."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return "{}"
    if kind == 1:
        return print_query(LogQuery((), draw(st.lists(grammar.stages, min_size=1, max_size=3).map(tuple))))
    tests = [draw(_written(one)) for one in draw(st.lists(st.sampled_from(_TESTS), max_size=1))]
    stages = [draw(_written(one)) for one in draw(st.lists(st.sampled_from(_STAGES), min_size=1, max_size=4))]
    text = " ".join(["{" + ",".join(tests) + "}", *stages])
    return draw(_written(draw(st.sampled_from(_METRICS)))).replace("<Q>", text) if kind in (2, 3) else text
