"""The queries of other projects' tests; corpora/NOTICE says whose, corpora/differences.toml where we differ and why."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from loglease.logql import ParseError, parse, print_query

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
    lines = query.split("\n")
    assert 1 <= refused.value.line <= len(lines)
    assert 1 <= refused.value.column <= len(lines[refused.value.line - 1]) + 1
    assert refused.value.message.startswith(f"parse error at line {refused.value.line}, col {refused.value.column}: ")


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
