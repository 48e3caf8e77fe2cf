"""Strategies for queries that mean something on the lines of `records`."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from tests.logql.queries import EITHER_FUNCTIONS, GROUPED_FUNCTIONS, LINE_FUNCTIONS, can_be_written
from tests.logql.records import SECOND, TOKEN

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

NAMES = ["service", "pod", "level", "status", "took", "size", "ip", "user", "msg", "trace_id"]
RARE_NAMES = ["service_extracted", "status_extracted", "user_status", "_9lives", "dot_ted", "missing", "fresh"]
names = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(RARE_NAMES))
exact = st.sampled_from(
    [
        "",
        "pay",
        "web",
        "info",
        "GET",
        "err",
        "200",
        "1.50",
        "10KiB",
        "10.0.0.7",
        TOKEN,
        "secret",
        "⟦secret⟧",
        "meta",
        "é",
    ]
)
expressions = st.sampled_from(
    ["pay|web", ".+", ".*", "", "[0-9.]+", r"\d+", "(?i)ERR(or)?", "x.y", "é.*", "⟦.*⟧", "10.*"]
)
addresses = st.sampled_from(["10.0.0.7", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "fe80::/10", "192.168.0.0-192.169.0.0"])

text_tests = st.one_of(
    st.builds(LabelTest, names, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), exact),
    st.builds(LabelTest, names, st.sampled_from([MatchOp.MATCHES, MatchOp.NOT_MATCHES]), expressions),
)
ERRORS = ["", "JSONParserErr", "LogfmtParserErr", "LabelFilterErr", "TemplateFormatErr", "SampleExtractionErr"]
error_tests = st.builds(
    LabelTest, st.just("__error__"), st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), st.sampled_from(ERRORS)
)
compares = st.sampled_from(CompareOp)
value_filters = st.one_of(
    st.builds(
        ValueFilter,
        st.sampled_from(["status", "status", "user", "took"]),
        compares,
        st.just(Unit.NUMBER),
        st.sampled_from([0.0, 1.5, 42.0, 200.0, 1000.0, -3.0]),
    ),
    st.builds(
        ValueFilter,
        st.sampled_from(["took", "took", "size", "status"]),
        compares,
        st.just(Unit.DURATION),
        st.sampled_from([0, SECOND // 4, 3 * SECOND // 2, 120 * SECOND, -5 * SECOND]),
    ),
    st.builds(
        ValueFilter,
        st.sampled_from(["size", "size", "status", "took"]),
        compares,
        st.just(Unit.BYTES),
        st.sampled_from([0, 512, 1024, 1500, 10240, 2_000_000]),
    ),
)
address_filters = st.builds(AddressFilter, st.sampled_from(["ip", "ip", "user", "pod"]), st.booleans(), addresses)
label_filters = st.recursive(
    st.one_of(text_tests, value_filters, value_filters, address_filters, error_tests),
    lambda inner: st.one_of(st.builds(BothFilters, inner, inner), st.builds(EitherFilter, inner, inner)),
    max_leaves=4,
)
literals = st.sampled_from(
    [
        "",
        "a",
        "err",
        "email",
        "⟦email",
        TOKEN,
        f"to {TOKEN} cc",
        "⟦ip⟧",
        "⟧",
        "ip",
        " ",
        '"',
        "é",
        "q3f7",
        "secret",
        "}",
    ]
)
line_filters = st.one_of(
    st.builds(
        LineFilter,
        st.sampled_from([FilterOp.HOLDS, FilterOp.LACKS]),
        st.lists(st.one_of(literals, literals, st.builds(Address, addresses)), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        LineFilter,
        st.sampled_from([FilterOp.MATCHES, FilterOp.NOT_MATCHES]),
        st.lists(
            st.sampled_from(["err.*fail", "^a", "b$", r"\d{3}", "(?i)GET", "⟦⟧", "email", "x.y", "line.*at", ""]),
            min_size=1,
            max_size=2,
        ).map(tuple),
    ),
    st.builds(
        LineFilter,
        st.sampled_from([FilterOp.FITS, FilterOp.NOT_FITS]),
        st.lists(
            st.sampled_from(
                ["<_>", "a<_>b<_>", "<_>=<_> <_>", "error: <_>", "<_>⟦⟧<_>", "{<_>}", "<_>email<_>", "<_>b"]
            ),
            min_size=1,
            max_size=2,
        ).map(tuple),
    ),
)
paths = st.sampled_from(
    [
        "status",
        "user",
        "user.status",
        '["dot.ted"]',
        "size[0]",
        "msg[2].user",
        "[0]",
        '["é-x"]',
        "user.user.ip",
        "level",
    ]
)
keys = st.sampled_from(["status", "user", "dot.ted", "9lives", "é-x", "alone", "msg"])


def _extractions(of: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Extraction, ...]]:
    found = st.lists(st.builds(Extraction, names, of), max_size=3, unique_by=lambda one: one.name).map(tuple)
    return st.one_of(st.just(()), found)


FIELDS = ["." + name for name in [*NAMES, "missing", "fresh"]]
CALLS = [
    "lower", "upper", "ToUpper", "trim", "TrimSpace", 'trimPrefix "G"', 'trimSuffix "r"', 'trimAll "er"',
    'replace "e" "é"', "repeat 2", 'default "none"', "substr 1 3", "substr -1 2", "substr 2 -1", "trunc 2", "trunc -2", "trunc 1", "substr 1 -1", "substr 3 1",
    "alignLeft 4", "alignRight 4", "indent 2", 'regexReplaceAll "([a-z])" "<${1}>"',
    "b64enc", "b64enc | b64dec", "urlencode", "urlencode | urldecode", 'printf "%-6s|"', 'printf "%s %5s" "x"',
    "len", "int", "float64", "int | add 1", "mul 2 3", "float64 | addf 0.5", "int | sub 10", "int | div 7", "int | mod 7",
    "floor", "ceil", "max 3", "min 3", "divf 1", "not", 'eq "GET"', 'ne "GET"', 'hasPrefix "1"', 'contains "r"',
    'count "[a-z]"', "print 1", "lower | upper",
]  # fmt: skip


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Draw a template: fields through functions, conditions, text between."""
    field, other = draw(st.sampled_from([*FIELDS, "__line__"])), draw(st.sampled_from(FIELDS))
    call, another = draw(st.sampled_from(CALLS)), draw(st.sampled_from(CALLS))
    form = draw(
        st.sampled_from(
            [
                "{{@1}}",
                "a {{ @1 }} b",
                "{{@1 | @3}}",
                "{{@1 | @3}}-{{- @2 | @4 -}} x",
                "{{if @1}}{{@1}}{{else}}none{{end}}",
                '{{if eq @2 "GET"}}get{{else if @1 | @3}}b{{ @2 }}{{else}}c{{end}}',
                "{{with @2}}[{{.}}]{{else}}-{{end}}",
                '{{if and @2 (ne @2 "200")}}yes{{end}}',
                '{"status": "{{.status}}", "fresh": "{{@2}}"}',
                "user={{.user}} fresh={{@1 | @3}}",
                "plain",
                "{{.}}",
            ]
        )
    )
    for mark, text in (("@1", field), ("@2", other), ("@3", call), ("@4", another)):
        form = form.replace(mark, text)
    return form


@st.composite
def formats(draw: st.DrawFn) -> LabelFormat:
    targets = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    return LabelFormat(
        tuple(
            draw(
                st.one_of(
                    st.builds(Renaming, st.just(target), names.filter(lambda name, target=target: name != target)),
                    st.builds(Templating, st.just(target), templates()),
                )
            )
            for target in targets
        )
    )


named = st.lists(st.one_of(names, text_tests, st.just("__error__"), error_tests), min_size=1, max_size=4).map(tuple)
parsers = st.one_of(
    st.builds(JsonParser, _extractions(paths)),
    st.builds(LogfmtParser, st.booleans(), st.booleans(), _extractions(keys)),
    st.builds(
        RegexpParser,
        st.sampled_from(
            [
                r"(?P<status>\d+)",
                r"user=(?P<user>\S*)( size=(?P<size>.+))?",
                "(?P<msg>.)(?P<fresh>.*)",
                r"(?P<ip>10\.[0-9.]+)",
            ]
        ),
    ),
    st.builds(
        PatternParser,
        st.sampled_from(
            ['<ip> - <user> "<_>" <status> <took>', "error: <msg> failed", "<fresh>=<_>", "a<user>b<msg>", "<_> <msg>"]
        ),
    ),
)
stages = st.one_of(
    line_filters,
    parsers,
    parsers,
    st.just(Unpack()),
    st.builds(LabelFilterStage, label_filters),
    st.builds(LabelFilterStage, error_tests),
    st.builds(LineFormat, templates()),
    formats(),
    st.just(Decolorize()),
    st.builds(Drop, named),
    st.builds(Keep, named),
)
selectors = st.one_of(
    st.just(()),
    st.lists(
        st.one_of(
            st.builds(
                LabelTest,
                st.sampled_from(["service", "pod", "level"]),
                st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]),
                exact,
            ),
            st.builds(
                LabelTest,
                st.sampled_from(["service", "pod"]),
                st.sampled_from([MatchOp.MATCHES, MatchOp.NOT_MATCHES]),
                expressions,
            ),
        ),
        max_size=2,
    ).map(tuple),
)


def _pipeline(of: st.SearchStrategy, most: int) -> st.SearchStrategy[LogQuery]:
    return st.builds(LogQuery, selectors, st.lists(of, max_size=most).filter(can_be_written).map(tuple))


log_queries = _pipeline(stages, 5)

groupings = st.builds(
    Grouping, st.lists(st.one_of(names, st.just("__error__")), max_size=2, unique=True).map(tuple), st.booleans()
)
maybe_grouping = st.one_of(st.none(), groupings)
wraps = st.one_of(
    st.tuples(st.sampled_from(["status", "status", "user", "fresh"]), st.none()),
    st.tuples(
        st.sampled_from(["took", "took", "status"]), st.sampled_from([Conversion.DURATION, Conversion.DURATION_SECONDS])
    ),
    st.tuples(st.sampled_from(["size", "size", "status"]), st.just(Conversion.BYTES)),
)
no_error = LabelTest("__error__", MatchOp.EQUAL, "")


@st.composite
def unwraps(draw: st.DrawFn) -> Unwrap:
    label, conversion = draw(wraps)
    extra = draw(st.sampled_from([(), (no_error,), (no_error,), (LabelTest("__error__", MatchOp.NOT_EQUAL, ""),)]))
    filters = draw(st.lists(label_filters, max_size=1))
    return Unwrap(label, conversion, (*extra, *filters))


metric_stages: Sequence[st.SearchStrategy] = [
    parsers, parsers, line_filters, st.builds(LabelFilterStage, label_filters), stages,
]  # fmt: skip


@st.composite
def log_ranges(draw: st.DrawFn, *, unwrapped: bool) -> LogRange:
    query = draw(_pipeline(st.one_of(metric_stages), 2))
    if draw(st.integers(0, 2)):
        first = draw(st.sampled_from([JsonParser(), LogfmtParser(), LogfmtParser(strict=True)]))
        query = LogQuery(query.selector, (first, *query.stages))
    if draw(st.integers(0, 3)):
        query = LogQuery(query.selector, (*query.stages, LabelFilterStage(no_error)))
    seconds = draw(st.sampled_from([5, 10, 30, 60, 120, 3600]))
    offset = draw(st.sampled_from([0, 0, 0, 5, -5, 30, -45]))
    return LogRange(query, seconds * SECOND, offset * SECOND, draw(unwraps()) if unwrapped else None)


NUMBER_FUNCTIONS = [*EITHER_FUNCTIONS, RangeFunction.SUM, RangeFunction.RATE_COUNTER]
range_aggregations = st.one_of(
    st.builds(RangeAggregation, st.sampled_from(LINE_FUNCTIONS + EITHER_FUNCTIONS), log_ranges(unwrapped=False)),
    st.builds(RangeAggregation, st.sampled_from(NUMBER_FUNCTIONS), log_ranges(unwrapped=True)),
    st.builds(
        RangeAggregation, st.sampled_from(GROUPED_FUNCTIONS), log_ranges(unwrapped=True), st.none(), maybe_grouping
    ),
    st.builds(
        RangeAggregation,
        st.just(RangeFunction.QUANTILE),
        log_ranges(unwrapped=True),
        st.sampled_from([0.0, 0.25, 0.5, 0.99, 1.0, -1.0, 2.0]),
        maybe_grouping,
    ),
)
VECTOR_FUNCTIONS = [
    VectorFunction.SUM,
    VectorFunction.SUM,
    VectorFunction.AVG,
    VectorFunction.MIN,
    VectorFunction.MAX,
    VectorFunction.COUNT,
    VectorFunction.STDDEV,
    VectorFunction.STDVAR,
]
CHOICES = [VectorFunction.TOPK, VectorFunction.BOTTOMK]
REPLACEMENTS = ["$1", "${1}x", "", "fixed", "$2$1", "$9", "$$"]


def aggregated(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Draw what stands around a vector."""
    few = st.integers(1, 3)
    return st.one_of(
        st.builds(VectorAggregation, st.sampled_from(VECTOR_FUNCTIONS), inner, st.none(), maybe_grouping),
        st.builds(VectorAggregation, st.sampled_from(VECTOR_FUNCTIONS), inner, st.none(), maybe_grouping),
        st.builds(VectorAggregation, st.sampled_from(CHOICES), inner, few, maybe_grouping),
        st.builds(VectorAggregation, st.just(VectorFunction.APPROX_TOPK), inner, few),
        st.builds(VectorAggregation, st.sampled_from([VectorFunction.SORT, VectorFunction.SORT_DESC]), inner),
        st.builds(
            LabelReplace,
            inner,
            st.sampled_from(["service", "fresh"]),
            st.sampled_from(REPLACEMENTS),
            names,
            st.sampled_from(["(.*)", "(p)ay.*", "", "([a-z]+)-(.)", "x", "(?:.+)()"]),
        ),
    )


label_lists = st.one_of(
    st.lists(st.sampled_from(["service", "pod", "level"]), max_size=2, unique=True).map(tuple),
    st.lists(names, max_size=2, unique=True).map(tuple),
)
# Series whose labels are those of streams, so that there is something to match.
counts = st.builds(
    lambda selector, seconds, by: VectorAggregation(
        VectorFunction.SUM,
        RangeAggregation(RangeFunction.COUNT, LogRange(LogQuery(selector), seconds * SECOND)),
        None,
        Grouping(by),
    ),
    selectors,
    st.sampled_from([10, 60, 3600]),
    st.sampled_from([("service",), ("pod",), ("service", "pod"), ("service", "pod", "level"), ()]),
)
numbers = st.sampled_from([0.0, 1.0, 2.0, 0.5, -1.0, 1000.0])


@st.composite
def joined(draw: st.DrawFn, inner: st.SearchStrategy) -> Binary:
    """Draw an operation between two vectors, often the same ones, or a vector and a number."""
    op = draw(st.sampled_from(BinaryOp))
    inner = st.one_of(inner, counts)
    left = draw(inner)
    right = draw(inner) if draw(st.booleans()) else left
    returns_bool = op.comparing and draw(st.booleans())
    which = draw(st.integers(0, 3))
    if which < 2 and not op.of_sets:
        number = Number(draw(numbers))
        return Binary(op, number, right, returns_bool) if which else Binary(op, left, number, returns_bool)
    matching = None
    if draw(st.booleans()):
        many = None if op.of_sets else draw(st.sampled_from([None, None, Many.LEFT, Many.RIGHT]))
        on, names = draw(st.booleans()), draw(label_lists)
        included = draw(label_lists) if many else ()
        # What is matched on may not be included, too.
        included = tuple(name for name in included if not on or name not in names)
        matching = Matching(on, names, many, included)
    return Binary(op, left, right, returns_bool, matching)


grouped = st.builds(VectorAggregation, st.sampled_from(VECTOR_FUNCTIONS), range_aggregations, st.none(), maybe_grouping)
vectors = st.one_of(
    range_aggregations, range_aggregations, grouped, counts, st.builds(Vector, numbers.filter(lambda one: one >= 0))
)
metrics = st.recursive(vectors, lambda inner: st.one_of(aggregated(inner), joined(inner)), max_leaves=4)
operations = joined(st.one_of(counts, aggregated(counts)))
