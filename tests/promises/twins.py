"""Pairs of data sets that look the same to one grant: they differ outside its scope and under its masks, nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypothesis import strategies as st
from tests.gateway.world import T0, Line, line

WINDOW_NS = 1_000
CLASSES = ("email", "card", "bearer", "password", "aws")
WORDS = ("pay", "timeout", "at=3", "level=error", "level=debug", "warn", "ok", "é", "⟦email⟧", "a@", "4111", "Bearer")
TOKEN = re.compile("⟦([a-z_]+):([a-z2-7]{10})⟧".encode())


@dataclass(frozen=True)
class Twins:
    """Two data sets for one grant."""

    one: tuple[Line, ...]
    other: tuple[Line, ...]


def by_pattern(raw: bytes) -> bytes:
    """Number the pseudonyms in the order in which they appear: which value they stand for is conceded to nobody."""
    seen: dict[bytes, int] = {}
    return TOKEN.sub(lambda found: b"<%b %06d>" % (found[1], seen.setdefault(found[0], len(seen))), raw)


def luhn(digits: str) -> int:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10


def card(middle: int) -> str:
    """Return a valid card number that ends in 4242, which the profile shows."""
    for correction in range(10):
        number = f"4{middle:010d}{correction}4242"
        if luhn(number) == 0:
            return number
    raise AssertionError(middle)


def secret(cls: str, number: int) -> str:
    """Return a value of a class; each number gives another one, and all of them are masked in the same way."""
    text = f"{number * 2_654_435_761 % 10**10:010d}"
    letters = "".join(chr(ord("a") + int(digit)) for digit in text)
    match cls:
        case "email":
            return f"{letters[:4]}.{letters[4:]}@{letters[:6]}.example.org"
        case "card":
            return card(int(text))
        case "bearer":
            return f"Authorization: Bearer {letters}{text}{letters.upper()}Zq"
        case "password":
            return f'password="{letters}{text}"'
        case _:
            return "AKIA" + (letters + letters).upper()[:12] + "2345"


@st.composite
def _texts(draw: st.DrawFn, secrets: dict[str, list[tuple[int, int]]]) -> tuple[str, str]:
    """Draw a visible line in two forms that differ only under masks."""
    parts: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            cls = draw(st.sampled_from(CLASSES))
            numbers = draw(st.sampled_from(secrets[cls]))
            parts.append((secret(cls, numbers[0]), secret(cls, numbers[1])))
        else:
            word = draw(st.sampled_from(WORDS))
            parts.append((word, word))
    one, other = (" ".join(part[side] for part in parts) for side in (0, 1))
    return one, other


_HIDDEN_WORDS = (*WORDS, "-----BEGIN PRIVATE KEY-----", "x" * 300, "\n", "\xff", secret("email", 5), secret("card", 7))
_hidden_texts = st.lists(st.sampled_from(_HIDDEN_WORDS), max_size=5).map(" ".join)
_OUTSIDE = ({"service": "b"}, {"service": "a-eu"}, {"app": "a"}, {}, {"service": "b", "owner": "x"})


@st.composite
def _hidden(draw: st.DrawFn) -> list[Line]:
    """Draw lines that no label, or no event time, of the scope covers."""
    found: list[Line] = []
    for _ in range(draw(st.integers(0, 6))):
        text = draw(_hidden_texts)
        if draw(st.booleans()):
            labels = draw(st.sampled_from(_OUTSIDE))
            found.append(line(T0 + draw(st.integers(-20, WINDOW_NS + 20)), text, **labels))
        else:
            beside = draw(st.sampled_from((-1, -10, WINDOW_NS, WINDOW_NS + 1, WINDOW_NS + 7)))
            found.append(line(T0 + beside, text, service="a"))
    return found


@st.composite
def twins(draw: st.DrawFn, *, line_rules: bool) -> Twins:
    """Draw two data sets that are one to whoever may read lines of service a inside the window.

    Args:
        line_rules: the grant also demands the level warn and the word pay; lines without may differ.
    """
    one, other = draw(_hidden()), draw(_hidden())
    secrets = {
        cls: list(zip(*(draw(st.permutations(range(side * 50, side * 50 + 4))) for side in (1, 2)), strict=True))
        for cls in CLASSES
    }
    times = draw(st.lists(st.integers(0, WINDOW_NS - 1), max_size=12, unique=True))
    for at in times:
        labels = {"service": "a"} | draw(st.sampled_from(({}, {"pod": "p1"}, {"pod": "p2"})))
        texts = draw(_texts(secrets))
        owner = draw(st.sampled_from((None, None, *secrets["email"])))
        names = [{} if owner is None else {"owner": secret("email", owner[side])} for side in (0, 1)]
        if line_rules and draw(st.booleans()):
            one.append(line(T0 + at, draw(_below_the_rules), **labels))
            other.append(line(T0 + at, draw(_below_the_rules), **labels))
            continue
        for lines, text, more in zip((one, other), texts, names, strict=True):
            lines.append(line(T0 + at, text, **labels, **more))
    return Twins(_in_order(one), _in_order(other))


_below_the_rules = st.sampled_from(
    ("level=debug pay", "level=error", "info pay", "", f"level=debug {secret('card', 3)}")
)


def _in_order(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda one: one.ts))


_LITERALS = st.sampled_from(
    (
        *WORDS,
        secret("email", 50)[:6],
        secret("card", 51)[:8],
        secret("bearer", 50)[-10:],
        "email",
        ":",
        "a",
        "q",
        "7",
        "@",
        "",
    )
).map(lambda text: text.replace('"', "").replace("\\", ""))
_TESTS = st.sampled_from(
    (
        'service="a"',
        'service=~"a.*"',
        'service!="b"',
        'pod="p1"',
        'pod=~"p.+"',
        'pod!~"p1|p2"',
        'owner=""',
        f'owner="{secret("email", 50)}"',
        'owner=~".*@.*"',
        'owner=~".*email.*"',
        'owner!~"[a-e].*"',
        'service="b"',
        'service=~"b|c"',
        'app="a"',
    )
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """Draw queries of the subset that is evaluated, inside and outside the scope, and a few that are none."""
    if draw(st.integers(0, 2)) == 0:
        return "{}"
    tests = ",".join(draw(st.lists(_TESTS, max_size=2)))
    operators = st.sampled_from(("|=", "!=", "!="))
    filters = draw(st.lists(st.tuples(operators, _LITERALS), max_size=2))
    text = "{" + tests + "}" + "".join(f' {op} "{literal}"' for op, literal in filters)
    return draw(st.sampled_from((text, text, text, text, text + " | json", text[:-1], f"rate({text}[5m])")))
