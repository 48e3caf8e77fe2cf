"""The log-query language over iterables of lines: parse, print, evaluate. Pure, and imports nothing of ours.

This version reads log queries made of a stream selector and the line filters ``|=`` and ``!=``. All else of LogQL is
refused by name. Public: `parse`, `print_query`, `LogQuery` with its parts, `Filters` (evaluation), `level_of`.
"""

from loglease.logql.errors import LogqlError, NotYet, ParseError
from loglease.logql.level import LEVELS, level_of
from loglease.logql.parser import parse
from loglease.logql.pipeline import Filters, Streams, holds_literal
from loglease.logql.printer import print_query
from loglease.logql.syntax import FilterOp, LabelTest, LineFilter, LogQuery, MatchOp

__all__ = [
    "LEVELS",
    "FilterOp",
    "Filters",
    "LabelTest",
    "LineFilter",
    "LogQuery",
    "LogqlError",
    "MatchOp",
    "NotYet",
    "ParseError",
    "Streams",
    "holds_literal",
    "level_of",
    "parse",
    "print_query",
]
