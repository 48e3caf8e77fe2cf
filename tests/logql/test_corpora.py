"""The queries of other projects' tests; corpora/NOTICE says whose, corpora/differences.toml where we differ and why."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.logql import ParseError, parse, print_query

ROUNDS = int(os.environ.get("PARSER_ROUNDS", volume(300, 1500)))
CORPORA = Path(__file__).parent / "corpora"
DIFFERENCES = tomllib.loads((CORPORA / "differences.toml").read_text())


def queries_of(kind: str) -> list[tuple[str, str]]:
    """Return the queries of one kind, valid or invalid, each with an id."""
    found = []
    for path in sorted(CORPORA.glob(f"*-{kind}.txt")):
        for number, query in enumerate(path.read_text().removesuffix("\n").split("\n---\n"), start=1):
            found.append((f"{path.stem}-{number}", query))
    return found


def listed(kind: str) -> set[str]:
    return {query for difference in DIFFERENCES[kind] for query in difference["queries"]}


def cases(queries: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("query", [query for _, query in queries], ids=[name for name, _ in queries])


VALID, INVALID = queries_of("valid"), queries_of("invalid")
REFUSED, ACCEPTED = listed("refused"), listed("accepted")


def reads_back(query: str) -> None:
    read = parse(query)
    printed = print_query(read)
    assert parse(printed) == read
    assert print_query(parse(printed)) == printed


def is_refused(query: str) -> None:
    with pytest.raises(ParseError) as refused:
        parse(query)
    has_a_place(query, refused.value)


def has_a_place(query: str, error: ParseError) -> None:
    lines = query.split("\n")
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    assert error.message.startswith(f"parse error at line {error.line}, col {error.column}: ")


@cases(VALID)
def test_a_valid_query_reads_back(query: str) -> None:
    if query in REFUSED:
        is_refused(query)
    else:
        reads_back(query)


@cases(INVALID)
def test_an_invalid_query_is_refused_at_a_place(query: str) -> None:
    if query in ACCEPTED:
        reads_back(query)
    else:
        is_refused(query)


def test_every_difference_is_about_a_query_of_a_corpus() -> None:
    assert {query for _, query in VALID} >= REFUSED
    assert {query for _, query in INVALID} >= ACCEPTED


BYTES = [query.encode() for _, query in VALID + INVALID]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a query of a corpus and cut, double, replace or mix its bytes."""
    found = draw(st.sampled_from(BYTES))
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(found)))
        behind = draw(st.integers(first, min(len(found), first + 20)))
        other = draw(st.sampled_from(BYTES))
        start = draw(st.integers(0, len(other)))
        part = draw(
            st.one_of(
                st.just(b""),
                st.just(found[first:behind] * 2),
                st.just(other[start : start + 20]),
                st.binary(min_size=1, max_size=3),
                st.sampled_from([b"(", b")", b",", b"|", b"[1m]", b'"', b"`", b"\\", b"\xff", b"\0"]),
            )
        )
        found = found[:first] + part + found[behind:]
    return found


@pytest.mark.volume
@settings(max_examples=ROUNDS)
@given(damaged(), st.sampled_from(["replace", "surrogateescape"]))
def test_a_damaged_query_reads_back_or_is_refused_at_a_place(found: bytes, errors: str) -> None:
    query = found.decode("utf-8", errors)
    try:
        read = parse(query)
    except ParseError as error:
        has_a_place(query, error)
    else:
        printed = print_query(read)
        assert print_query(parse(printed)) == printed
        assert parse(printed) == read or "nan" in repr(read)
