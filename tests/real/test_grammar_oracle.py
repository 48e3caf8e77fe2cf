"""What our parser takes against what the grammar of Grafana's editor takes, over queries as generated and as damaged.

The grammar (lezer-logql) goes on behind an error and marks its place. It knows no types, and nothing of the languages
within strings. Differences are sorted into the classes below, each with its reason; one that fits no class is a fault.
"""

from __future__ import annotations

import itertools
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.logql.queries import queries
from tests.logql.test_corpora import INVALID, VALID, damaged
from tests.real.oracle import Oracle

from loglease.logql import ParseError, parse, print_query
from loglease.logql.lexer import Token, TokenKind, tokens_of

pytestmark = pytest.mark.real_node


def is_sign(token: Token, *texts: str) -> bool:
    return token.kind is TokenKind.SIGN and token.text in texts


def in_pieces(text: str) -> list[tuple[Token, str]]:
    """Return the tokens of a query, each with what stands between it and the next one."""
    pairs = itertools.pairwise(tokens_of(text))
    return [(token, text[token.position : following.position]) for token, following in pairs]


def without_what_only_we_have(text: str) -> str:
    """Rewrite what is frequent and ours only, so that it hides no other difference.

    Selectors without matchers; names with letters beyond ASCII, or ``vector``, which the grammar reserves; a quantile
    with a sign.
    """
    pieces = in_pieces(text)
    written: list[str] = []
    others: dict[str, str] = {}  # two names stay two: nothing may be set twice
    for number, (token, source) in enumerate(pieces):
        following = pieces[number + 1][0] if number + 1 < len(pieces) else None
        reserved = token.text.lower() == "vector" and (following is None or following.text != "(")
        if is_sign(token, "{") and following is not None and is_sign(following, "}"):
            written.append('{a="b"')
        elif token.kind is TokenKind.NAME and (reserved or not token.text.isascii()):
            written.append(others.setdefault(token.text, f"other{len(others)} "))
        elif not (is_sign(token, "+", "-") and number > 1 and pieces[number - 2][0].text == "quantile_over_time"):
            written.append(source)
    return "".join(written)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Draw a query in which tokens are missing, doubled, or replaced by others of it."""
    sources = [source for _, source in in_pieces(without_what_only_we_have(print_query(draw(queries))))]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(sources)))
        sources[at : at + draw(st.integers(0, 1))] = draw(st.lists(st.sampled_from(sources or ["("]), max_size=1))
    return "".join(source if source[-1] in " +-" else f"{source} " for source in sources)


COMPARISONS = ("=", "!=", "=~", "!~", "==", "<", "<=", ">", ">=")
NO_SELECTOR = "A query without a selector is about every stream."
NO_COMMA = "Label filters may follow each other without a word or a comma between them."
LAST_OFFSET = "The grammar has no rule for stages, an unwrap, a range and an offset in this order."
OR_BEHIND_IP = "The grammar takes `or` behind `ip(…)` in the first line filter only."
UNWRAP_INSIDE = "The grammar takes no unwrap within parentheses before the range."
UNWRAP_BEHIND = "The grammar takes no unwrap behind the range where stages are before it."
UNIT = "The grammar knows the units of sizes in one case only, and with a B."
COMMENT = "The grammar knows no comments but `#`."
APART = "The grammar takes no space between a sign and a duration."


def ours_alone(text: str, error: int) -> str | None:
    """Say why we take what the grammar does not, by the tokens around its first error; None if nothing explains it."""
    tokens = list(tokens_of(text))
    at = max((number for number, token in enumerate(tokens) if token.position <= error), default=0)
    here, following = tokens[at], tokens[min(at + 1, len(tokens) - 1)]
    before, earlier = tokens[max(at - 1, 0)], tokens[max(at - 2, 0)]
    if tokens[0].kind is TokenKind.END or is_sign(tokens[0], "|", "|=", "|~", "|>", "!=", "!~", "!>"):
        return NO_SELECTOR
    if text[error - 1 : error + 1] in ("//", "/*"):
        return COMMENT
    if here.kind is TokenKind.NUMBER:
        return APART if is_sign(before, "-", "+") else UNIT
    if here.text.lower() == "offset":
        return LAST_OFFSET
    if (here.text.lower() == "or" and is_sign(before, ")")) or (before.text.lower() == "or" and is_sign(earlier, ")")):
        return OR_BEHIND_IP
    if is_sign(here, ")") and is_sign(following, "["):
        return UNWRAP_INSIDE
    if is_sign(here, "|") and following.text.lower() == "unwrap":
        return UNWRAP_BEHIND
    if (here.kind is TokenKind.NAME and is_sign(following, *COMPARISONS)) or is_sign(here, "("):
        return NO_COMMA
    return None


CHARACTERS = "The grammar takes NUL in strings, and more characters as space."
IN_A_STRING = "The grammar does not look into strings: expressions, templates, patterns, paths, addresses, escapes."
TYPES = "The grammar knows no types, and not what a function takes."
TYPE_ERRORS = re.compile(
    "takes no (parameter|grouping|unwrap)|takes a quantile|needs numbers|whole number from 1|joins series"
    "|a metric is expected here|must be metrics|goes? with|goes? between|at once|sets .* twice|cannot be set"
    "|longer than 0|at most \\d+|subqueries"
)
RESERVED = "The grammar takes some reserved words as names."
FLAGS = "The grammar takes a flag of logfmt twice, and one that runs into a word."
FLAG_ERROR = re.compile("found '--(strict|keep-empty)")


def theirs_alone(text: str, refusal: ParseError) -> str | None:
    """Say why the grammar takes what we do not; None if nothing explains it."""
    lines = text.split("\n")[: refusal.line - 1]
    position = sum(len(line) + 1 for line in lines) + refusal.column - 1
    try:
        tokens = list(tokens_of(text))
    except ParseError:
        if "escape" in refusal.message:
            return IN_A_STRING
        return CHARACTERS if text[position] == "\0" or text[position].isspace() else None
    here = next(token for token in tokens if token.position >= position)
    message = refusal.message.partition(": ")[2]
    if here.kind is TokenKind.STRING and not message.startswith("expected "):
        return IN_A_STRING
    if "is reserved" in message:
        return RESERVED
    if FLAG_ERROR.search(message):
        return FLAGS
    return TYPES if TYPE_ERRORS.search(message) else None


def difference(grammar: Oracle, text: str) -> str | None:
    """Return the reason of a difference, an empty text if there is none."""
    errors = grammar.ask("parse", text)["errors"]
    try:
        parse(text)
    except ParseError as refusal:
        return "" if errors else theirs_alone(text, refusal)
    if not errors:
        return ""
    behind = text.encode("utf-16-le", "surrogatepass")[: errors[0][0] * 2]
    return ours_alone(text, len(behind.decode("utf-16-le", "surrogatepass")))


EXAMPLES = [
    ('|= "x"', NO_SELECTOR),
    ("", NO_SELECTOR),
    ('{a="b"} | c="d" e="f"', NO_COMMA),
    ('{a="b"} | (c="d") (e="f")', NO_COMMA),
    ('rate({a="b"} | json | unwrap c [5m] offset 1m)', LAST_OFFSET),
    ('{a="b"} |= "c" |= ip("10.0.0.1") or "d"', OR_BEHIND_IP),
    ('{a="b"} |= "c" |= ip("10.0.0.1") or ip("10.0.0.2")', OR_BEHIND_IP),
    ('rate(({a="b"} | json | unwrap c) [5m])', UNWRAP_INSIDE),
    ('rate({a="b"} |= "c" [5m] | unwrap d)', UNWRAP_BEHIND),
    ('{a="b"} | c > 10kb', UNIT),
    ('{a="b"} // c', COMMENT),
    ('{a="b"} /* c */ | json', COMMENT),
    ('{a="b"} | c > - 5m', APART),
    ('{a="b"}\x0b', CHARACTERS),
    ('{a="b\0"}', CHARACTERS),
    ('{a="b"} |~ "("', IN_A_STRING),
    ('{a="b"} | line_format "{{"', IN_A_STRING),
    ('{a="b"} |= "\\q"', IN_A_STRING),
    ('sum(3, rate({a="b"}[5m]))', TYPES),
    ('{a="b"} + {a="b"}', TYPES),
    ('{or="b"} |= "c"', RESERVED),
    ('{a="b"} | logfmt --strict --strict', FLAGS),
    ('{a="b"} | logfmt --strictly', FLAGS),
    ('{a="b"} | logfmt --lenient', ""),
    ('{a="b"} | json | c="d"', ""),
    ('{a="b"', ""),
    ('{a="b"} | distinct c', ""),
    ('{a="b"} @ 5', ""),
    ('{a="b",}', ""),
    ('rate({a="b"}[5m:1m])', ""),
    ('variants(rate({a="b"}[5m])) of ({a="b"}[5m])', ""),
]


@pytest.mark.parametrize(("text", "reason"), EXAMPLES)
def test_differences_are_for_these_reasons(grammar: Oracle, text: str, reason: str) -> None:
    assert difference(grammar, text) == reason


@pytest.mark.parametrize("text", ["{}", '{é="x"}', '{vector="x"}', 'quantile_over_time(-1, {a="b"} | unwrap c [5m])'])
def test_what_is_rewritten_is_ours_only(grammar: Oracle, text: str) -> None:
    parse(text)
    assert grammar.ask("parse", text)["errors"]
    assert difference(grammar, without_what_only_we_have(text)) == ""


@pytest.mark.parametrize("text", [query for _, query in VALID + INVALID], ids=[name for name, _ in VALID + INVALID])
def test_queries_of_the_corpora(grammar: Oracle, text: str) -> None:
    assert difference(grammar, text) is not None


def test_the_grammar_agrees_with_its_own_corpus(grammar: Oracle) -> None:
    marked = {name: bool(grammar.ask("parse", query)["errors"]) for name, query in VALID + INVALID if "lezer" in name}
    assert marked == {name: name.startswith("lezer-logql-invalid") for name in marked}


ROUNDS = int(os.environ.get("GRAMMAR_ROUNDS", "1000"))
# The same queries each time, since whether the grammar has one more oddity is no fault of a change; rounds look for more.
searched = settings(max_examples=ROUNDS, deadline=None, derandomize="GRAMMAR_ROUNDS" not in os.environ)


@searched
@given(queries.map(print_query).map(without_what_only_we_have))
def test_what_we_print_is_a_query_there(grammar: Oracle, text: str) -> None:
    assert difference(grammar, text) in ("", LAST_OFFSET, OR_BEHIND_IP)


@searched
@given(st.one_of(mutated(), damaged().map(lambda found: found.decode("utf-8", "replace"))))
def test_mutated_queries(grammar: Oracle, text: str) -> None:
    try:
        asked = without_what_only_we_have(text)
    except ParseError:
        asked = text
    assert difference(grammar, asked) is not None, asked
