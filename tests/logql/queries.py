"""Strategies that build query trees of every kind, for tests of the parser, the printer and the evaluator."""

from __future__ import annotations

import itertools
import math

from hypothesis import strategies as st

from loglease.logql.syntax import (
    Address,
    AddressFilter,
    Binary,
    BinaryOp,
    BothFilters,
    CompareOp,
    Conversion,
    Decolorize,
    Drop,
    EitherFilter,
    Extraction,
    FilterOp,
    Grouping,
    JsonParser,
    Keep,
    LabelFilterStage,
    LabelFormat,
    LabelReplace,
    LabelTest,
    LineFilter,
    LineFormat,
    LogfmtParser,
    LogQuery,
    LogRange,
    Many,
    Matching,
    MatchOp,
    Number,
    PatternParser,
    RangeAggregation,
    RangeFunction,
    RegexpParser,
    Renaming,
    Templating,
    Unit,
    Unpack,
    Unwrap,
    ValueFilter,
    Vector,
    VectorAggregation,
    VectorFunction,
)
from loglease.logql.words import NOT_PART, RESERVED

MAX_NS = (1 << 63) - 1

names = st.one_of(
    st.sampled_from(["service", "pod", "level", "status", "rate", "count", "bytes", "duration", "ip", "vector", "é"]),
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(
        lambda name: name.lower() not in RESERVED | NOT_PART.keys()
    ),
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
expressions = st.sampled_from(["a|b", ".+", "x.*", "", r"\d+\.\d", "(?i)err(or)?", "é"])
addresses = st.sampled_from(["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "::1", "fe80::/10"])
templates = st.sampled_from(
    ["", "{{.a}}", "{{ .a | upper }} x", '{{if eq .a "b"}}c{{else}}d{{end}}', "{{ __line__ }}", '{{- "x" -}}', 'a\n"`']
)
finite = st.floats(allow_nan=False, allow_infinity=False)

label_tests = st.one_of(
    st.builds(LabelTest, names, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), texts),
    st.builds(LabelTest, names, st.sampled_from([MatchOp.MATCHES, MatchOp.NOT_MATCHES]), expressions),
)
value_filters = st.one_of(
    st.builds(ValueFilter, names, st.sampled_from(CompareOp), st.just(Unit.NUMBER), finite),
    st.builds(ValueFilter, names, st.sampled_from(CompareOp), st.just(Unit.DURATION), st.integers(-MAX_NS, MAX_NS)),
    st.builds(ValueFilter, names, st.sampled_from(CompareOp), st.just(Unit.BYTES), st.integers(0, 1 << 63)),
)
label_filters = st.recursive(
    st.one_of(label_tests, value_filters, st.builds(AddressFilter, names, st.booleans(), addresses)),
    lambda inner: st.one_of(st.builds(BothFilters, inner, inner), st.builds(EitherFilter, inner, inner)),
    max_leaves=5,
)


def line_filters() -> st.SearchStrategy[LineFilter]:
    def of(ops: list[FilterOp], operands: st.SearchStrategy) -> st.SearchStrategy[LineFilter]:
        return st.builds(LineFilter, st.sampled_from(ops), st.lists(operands, min_size=1, max_size=3).map(tuple))

    return st.one_of(
        of([FilterOp.HOLDS, FilterOp.LACKS], st.one_of(texts, st.builds(Address, addresses))),
        of([FilterOp.MATCHES, FilterOp.NOT_MATCHES], expressions),
        of([FilterOp.FITS, FilterOp.NOT_FITS], st.sampled_from(["<_>", "a<_>", "<_> b <_>", "plain", "<_>é"])),
    )


paths = st.sampled_from(["a", "a.b", 'a["c d"][0]', "[0].x", "é"])
keys = st.sampled_from(["a", "a.b", "@ts", "é-x"])


def extractions(of: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Extraction, ...]]:
    return st.lists(st.builds(Extraction, names, of), max_size=3).map(tuple)


def formats() -> st.SearchStrategy[LabelFormat]:
    sets = st.one_of(st.builds(Renaming, names, names), st.builds(Templating, names, templates))
    return st.lists(sets, min_size=1, max_size=3, unique_by=lambda one: one.target).map(
        lambda found: LabelFormat(tuple(found))
    )


named = st.lists(st.one_of(names, label_tests), min_size=1, max_size=3).map(tuple)
stages = st.one_of(
    line_filters(),
    line_filters(),
    st.builds(JsonParser, extractions(paths)),
    st.builds(LogfmtParser, st.booleans(), st.booleans(), extractions(keys)),
    st.builds(RegexpParser, st.sampled_from([r"(?P<a>\d+)", "(?P<x_1>.)(?P<y>.*)"])),
    st.builds(PatternParser, st.sampled_from(["<a>", "<_> <b>", "x<a> - <_>\n"])),
    st.just(Unpack()),
    st.builds(LabelFilterStage, label_filters),
    st.builds(LineFormat, templates),
    formats(),
    st.just(Decolorize()),
    st.builds(Drop, named),
    st.builds(Keep, named),
)
selectors = st.lists(label_tests, max_size=3).map(tuple)


def can_be_written(found: list) -> bool:
    """Say no where text reads otherwise: in ``| drop a != "x"`` the rest is a matcher of the drop."""
    return not any(
        isinstance(first, (Drop, Keep))
        and isinstance(first.names[-1], str)
        and isinstance(second, LineFilter)
        and second.op in (FilterOp.LACKS, FilterOp.NOT_MATCHES)
        for first, second in itertools.pairwise(found)
    )


log_queries = st.builds(LogQuery, selectors, st.lists(stages, max_size=4).filter(can_be_written).map(tuple))
groupings = st.builds(Grouping, st.lists(names, max_size=3).map(tuple), st.booleans())
ranges_ns = st.one_of(
    st.integers(1, 10**7).map(lambda ms: ms * 10**6), st.sampled_from([5 * 60 * 10**9, 86400 * 10**9, 10**6])
)
unwraps = st.builds(
    Unwrap,
    names,
    st.one_of(st.none(), st.sampled_from(Conversion)),
    st.lists(label_filters, max_size=2).map(tuple),
)


def log_ranges(unwrap: st.SearchStrategy) -> st.SearchStrategy[LogRange]:
    offsets = st.one_of(st.just(0), st.integers(-(10**15), 10**15))
    return st.builds(LogRange, log_queries, ranges_ns, offsets, unwrap)


LINE_FUNCTIONS = [RangeFunction.COUNT, RangeFunction.BYTES, RangeFunction.BYTES_RATE]
EITHER_FUNCTIONS = [RangeFunction.RATE, RangeFunction.ABSENT]
GROUPED_FUNCTIONS = [
    RangeFunction.AVG,
    RangeFunction.MIN,
    RangeFunction.MAX,
    RangeFunction.STDDEV,
    RangeFunction.STDVAR,
    RangeFunction.FIRST,
    RangeFunction.LAST,
]
range_aggregations = st.one_of(
    st.builds(RangeAggregation, st.sampled_from(LINE_FUNCTIONS + EITHER_FUNCTIONS), log_ranges(st.none())),
    st.builds(
        RangeAggregation,
        st.sampled_from([*EITHER_FUNCTIONS, RangeFunction.SUM, RangeFunction.RATE_COUNTER]),
        log_ranges(unwraps),
    ),
    st.builds(
        RangeAggregation,
        st.sampled_from(GROUPED_FUNCTIONS),
        log_ranges(unwraps),
        st.none(),
        st.one_of(st.none(), groupings),
    ),
    st.builds(
        RangeAggregation,
        st.just(RangeFunction.QUANTILE),
        log_ranges(unwraps),
        finite,
        st.one_of(st.none(), groupings),
    ),
)
GROUPED_VECTORS = [
    VectorFunction.SUM,
    VectorFunction.AVG,
    VectorFunction.MIN,
    VectorFunction.MAX,
    VectorFunction.COUNT,
    VectorFunction.STDDEV,
    VectorFunction.STDVAR,
]
maybe_grouping = st.one_of(st.none(), groupings)
how_many = st.integers(1, 1 << 30)


def _aggregated(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.builds(VectorAggregation, st.sampled_from(GROUPED_VECTORS), inner, st.none(), maybe_grouping),
        st.builds(
            VectorAggregation,
            st.sampled_from([VectorFunction.TOPK, VectorFunction.BOTTOMK]),
            inner,
            how_many,
            maybe_grouping,
        ),
        st.builds(VectorAggregation, st.just(VectorFunction.APPROX_TOPK), inner, how_many),
        st.builds(VectorAggregation, st.sampled_from([VectorFunction.SORT, VectorFunction.SORT_DESC]), inner),
        st.builds(LabelReplace, inner, st.sampled_from(["a", "b_1"]), texts, texts, expressions),
    )


@st.composite
def _joined(draw: st.DrawFn, inner: st.SearchStrategy) -> Binary:
    op = draw(st.sampled_from(BinaryOp))
    sides = inner if op.of_sets else st.one_of(inner, st.builds(Number, finite))
    left, right = draw(sides), draw(sides)
    if isinstance(left, Number) and isinstance(right, Number):
        left = draw(inner)
    if isinstance(left, Number) or isinstance(right, Number):
        return Binary(op, left, right, op.comparing and draw(st.booleans()))
    many = st.none() if op.of_sets else st.one_of(st.none(), st.sampled_from(Many))
    label_names = st.lists(names, max_size=2).map(tuple)
    matching = None
    if draw(st.booleans()):
        chosen = draw(many)
        on, matched = draw(st.booleans()), draw(label_names)
        included = draw(label_names) if chosen else ()
        matching = Matching(on, matched, chosen, tuple(name for name in included if not (on and name in matched)))
    return Binary(op, left, right, op.comparing and draw(st.booleans()), matching)


vectors = st.one_of(range_aggregations, st.builds(Vector, finite.map(abs)))
metrics = st.one_of(
    st.recursive(vectors, lambda inner: st.one_of(_aggregated(inner), _joined(inner)), max_leaves=4),
    st.builds(Number, st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf]))),
)
queries = st.one_of(log_queries, metrics)
