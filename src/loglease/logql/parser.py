"""From the text of a query to its tree. There is no lenient mode: what is not understood is an error."""

from __future__ import annotations

from loglease.logql.cursor import MAX_NESTING, Cursor
from loglease.logql.depth import depth
from loglease.logql.errors import ParseError
from loglease.logql.lexer import TokenKind
from loglease.logql.log_parser import LINE_OPERATORS, log_query, stages
from loglease.logql.metric_parser import MAX_SELECTORS, metric
from loglease.logql.syntax import BinaryOp, LogQuery, Query, log_ranges


def parse(text: str) -> Query:
    """Read a query. Without a selector, as in ``|= "timeout"``, a log query is about every stream.

    Raises:
        ParseError: the text is no query; the error has line, column and caret.
    """
    cursor = Cursor(text)
    query: Query
    if cursor.next.kind is TokenKind.END or cursor.at_sign("|", *LINE_OPERATORS):
        query = LogQuery((), stages(cursor))
    elif _is_log(cursor):
        query = log_query(cursor)
    else:
        query = metric(cursor)
    if cursor.next.kind is not TokenKind.END:
        raise _left_over(cursor, query)
    if depth(query) > MAX_NESTING:
        raise ParseError(text, 0, f"a query is nested at most {MAX_NESTING} deep, chains of operators included")
    if not isinstance(query, LogQuery) and sum(1 for _ in log_ranges(query)) > MAX_SELECTORS:
        raise cursor.error(f"a query has at most {MAX_SELECTORS} selectors")
    return query


def _is_log(cursor: Cursor) -> bool:
    """Say whether a selector comes first, behind any parentheses."""
    count = 0
    while cursor.after(count).kind is TokenKind.SIGN and cursor.after(count).text == "(":
        count += 1
    token = cursor.after(count)
    return token.kind is TokenKind.SIGN and token.text == "{"


def _left_over(cursor: Cursor, query: Query) -> Exception:
    if not isinstance(query, LogQuery):
        return cursor.unexpected("an operator such as + or the end")
    if cursor.at_sign("["):
        return cursor.error("a range needs a function around it, such as count_over_time({…} [5m])")
    if cursor.at_sign("|") and cursor.after().text.lower() == "unwrap":
        return cursor.error("unwrap belongs into a metric, such as sum_over_time({…} | unwrap LABEL [5m])")
    if cursor.next.text.lower() in list(BinaryOp):
        return cursor.error(f"both sides of '{cursor.next.text}' must be metrics, this is a log query")
    return cursor.unexpected('a stage such as |= "…" or | json, or the end')
