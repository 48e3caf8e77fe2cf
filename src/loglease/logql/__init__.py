"""The log-query language over iterables of lines: parse, print, evaluate. Pure, and imports nothing of ours."""

from loglease.logql.entry import Entry, Kind, MaskSpan
from loglease.logql.errors import LogqlError, Malformed, ParseError, QueryFailed
from loglease.logql.extraction import Rescan, label_name
from loglease.logql.joined import JoinedLines
from loglease.logql.label_filters import Streams
from loglease.logql.level import LEVELS, level_of, named_level
from loglease.logql.line_filters import EarlyTest, early_test
from loglease.logql.literals import required_literals
from loglease.logql.parser import parse
from loglease.logql.pipeline import Pipeline, may_read, split_filters
from loglease.logql.printer import print_query
from loglease.logql.rewriting import rewrites
from loglease.logql.syntax import FilterOp, LabelTest, LineFilter, LogQuery, MatchOp, Metric, Query

__all__ = [
    "LEVELS",
    "EarlyTest",
    "Entry",
    "FilterOp",
    "JoinedLines",
    "Kind",
    "LabelTest",
    "LineFilter",
    "LogQuery",
    "LogqlError",
    "Malformed",
    "MaskSpan",
    "MatchOp",
    "Metric",
    "ParseError",
    "Pipeline",
    "Query",
    "QueryFailed",
    "Rescan",
    "Streams",
    "early_test",
    "label_name",
    "level_of",
    "may_read",
    "named_level",
    "parse",
    "print_query",
    "required_literals",
    "rewrites",
    "split_filters",
]
