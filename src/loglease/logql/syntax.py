"""The typed tree of a query: what `parse` returns, `print_query` writes, and analysis and evaluation walk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class MatchOp(StrEnum):
    """How a selector, or a label filter on text, compares a label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"

    @property
    def positive(self) -> bool:
        """Whether the value has to fit, rather than must not."""
        return self in (MatchOp.EQUAL, MatchOp.MATCHES)

    @property
    def by_expression(self) -> bool:
        """Whether the value is a regular expression."""
        return self in (MatchOp.MATCHES, MatchOp.NOT_MATCHES)


class FilterOp(StrEnum):
    """How a line filter tests the text of a line."""

    HOLDS = "|="
    LACKS = "!="
    MATCHES = "|~"
    NOT_MATCHES = "!~"
    FITS = "|>"
    NOT_FITS = "!>"

    @property
    def positive(self) -> bool:
        """Whether any operand has to fit, rather than none."""
        return self in (FilterOp.HOLDS, FilterOp.MATCHES, FilterOp.FITS)


class CompareOp(StrEnum):
    """How a label filter compares a number, a duration or a size."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class Unit(StrEnum):
    """What a label filter compares: a plain number, nanoseconds, or bytes."""

    NUMBER = "number"
    DURATION = "duration"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class LabelTest:
    """One matcher of a selector. A missing label counts as an empty value; expressions match whole values."""

    name: str
    op: MatchOp
    value: str


@dataclass(frozen=True, slots=True)
class Address:
    """The operand ``ip("…")``: an address, a network in CIDR form, or a range ``a-b``."""

    pattern: str


@dataclass(frozen=True, slots=True)
class LineFilter:
    """One line filter. With several operands a positive one takes lines that fit any, a negative one that fit none."""

    op: FilterOp
    operands: tuple[str | Address, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """One label that ``json`` or ``logfmt`` takes out of a line: its name and where its value is."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class JsonParser:
    """``| json``: every member becomes a label, or only the extractions."""

    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class LogfmtParser:
    """``| logfmt``: every pair becomes a label, or only the extractions."""

    strict: bool = False
    keep_empty: bool = False
    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class RegexpParser:
    """``| regexp "…"``: the named groups of the first match become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class PatternParser:
    """``| pattern "…"``: the named captures between literals become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Unpack:
    """``| unpack``: undo what a packing shipper did to a line."""


@dataclass(frozen=True, slots=True)
class ValueFilter:
    """Compare a label's value as number, duration or size. `value` is in units, nanoseconds or bytes."""

    name: str
    op: CompareOp
    unit: Unit
    value: float | int


@dataclass(frozen=True, slots=True)
class AddressFilter:
    """Compare a label's value, an address, with an address, network or range."""

    name: str
    positive: bool
    pattern: str


@dataclass(frozen=True, slots=True)
class BothFilters:
    """Both label filters have to pass."""

    left: LabelFilter
    right: LabelFilter


@dataclass(frozen=True, slots=True)
class EitherFilter:
    """One of two label filters has to pass."""

    left: LabelFilter
    right: LabelFilter


LabelFilter = LabelTest | ValueFilter | AddressFilter | BothFilters | EitherFilter


@dataclass(frozen=True, slots=True)
class LabelFilterStage:
    """``| name op value …``: keep the line if its labels pass."""

    test: LabelFilter


@dataclass(frozen=True, slots=True)
class LineFormat:
    """``| line_format "…"``: a template becomes the line."""

    template: str


@dataclass(frozen=True, slots=True)
class Renaming:
    """``target=source`` of ``label_format``: the label moves to another name."""

    target: str
    source: str


@dataclass(frozen=True, slots=True)
class Templating:
    """``target="template"`` of ``label_format``."""

    target: str
    template: str


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """``| label_format …``: labels renamed or set by templates."""

    sets: tuple[Renaming | Templating, ...]


@dataclass(frozen=True, slots=True)
class Decolorize:
    """``| decolorize``: colour sequences leave the line."""


@dataclass(frozen=True, slots=True)
class Drop:
    """``| drop …``: labels leave, with a matcher only where it matches."""

    names: tuple[str | LabelTest, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """``| keep …``: all other labels leave."""

    names: tuple[str | LabelTest, ...]


Stage = (
    LineFilter
    | JsonParser
    | LogfmtParser
    | RegexpParser
    | PatternParser
    | Unpack
    | LabelFilterStage
    | LineFormat
    | LabelFormat
    | Decolorize
    | Drop
    | Keep
)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A log query: streams that pass every test, then their lines through every stage in turn."""

    selector: tuple[LabelTest, ...] = ()
    stages: tuple[Stage, ...] = ()


class Conversion(StrEnum):
    """How ``unwrap`` reads a label's value as a number."""

    BYTES = "bytes"
    DURATION = "duration"
    DURATION_SECONDS = "duration_seconds"


@dataclass(frozen=True, slots=True)
class Unwrap:
    """``| unwrap label``: samples are the label's numbers instead of lines; filters after it may drop samples."""

    label: str
    conversion: Conversion | None = None
    filters: tuple[LabelFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRange:
    """The lines of a log query within a range before each step. Both durations are nanoseconds."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None


@dataclass(frozen=True, slots=True)
class Grouping:
    """``by (…)``, or ``without (…)``."""

    names: tuple[str, ...]
    without: bool = False


class RangeFunction(StrEnum):
    """What makes a number of the lines or samples in a range."""

    COUNT = "count_over_time"
    RATE = "rate"
    BYTES = "bytes_over_time"
    BYTES_RATE = "bytes_rate"
    ABSENT = "absent_over_time"
    RATE_COUNTER = "rate_counter"
    SUM = "sum_over_time"
    AVG = "avg_over_time"
    MIN = "min_over_time"
    MAX = "max_over_time"
    STDDEV = "stddev_over_time"
    STDVAR = "stdvar_over_time"
    FIRST = "first_over_time"
    LAST = "last_over_time"
    QUANTILE = "quantile_over_time"


class VectorFunction(StrEnum):
    """What makes one number of the numbers of several series, or chooses among them."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    STDDEV = "stddev"
    STDVAR = "stdvar"
    TOPK = "topk"
    BOTTOMK = "bottomk"
    APPROX_TOPK = "approx_topk"
    SORT = "sort"
    SORT_DESC = "sort_desc"


class BinaryOp(StrEnum):
    """The operators between metrics."""

    OR = "or"
    AND = "and"
    UNLESS = "unless"
    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    MODULO = "%"
    POWER = "^"

    @property
    def of_sets(self) -> bool:
        """Whether it works on which series there are, not on their numbers."""
        return self in (BinaryOp.OR, BinaryOp.AND, BinaryOp.UNLESS)

    @property
    def comparing(self) -> bool:
        """Whether its answer is yes or no."""
        return self in _COMPARING


_COMPARING = frozenset(
    (
        BinaryOp.EQUAL,
        BinaryOp.NOT_EQUAL,
        BinaryOp.GREATER,
        BinaryOp.GREATER_OR_EQUAL,
        BinaryOp.LESS,
        BinaryOp.LESS_OR_EQUAL,
    )
)


class Many(StrEnum):
    """Which side of a binary operation may have many series for one of the other side."""

    LEFT = "group_left"
    RIGHT = "group_right"


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two sides find each other: on these labels, or (`on` false) on all but these."""

    on: bool = False
    names: tuple[str, ...] = ()
    many: Many | None = None
    included: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """A range function over a log range."""

    function: RangeFunction
    range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """A vector function over a metric."""

    function: VectorFunction
    inner: Metric
    parameter: int | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation between two metrics; `matching` is None where the query says nothing of it."""

    op: BinaryOp
    left: Metric
    right: Metric
    returns_bool: bool = False
    matching: Matching | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number by itself."""

    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """``vector(n)``: one series without labels."""

    value: float


@dataclass(frozen=True, slots=True)
class LabelReplace:
    """``label_replace(…)``: set a label from what an expression finds in another."""

    inner: Metric
    target: str
    replacement: str
    source: str
    pattern: str


Metric = RangeAggregation | VectorAggregation | Binary | Number | Vector | LabelReplace
Query = LogQuery | Metric


def log_ranges(query: Metric) -> Iterator[LogRange]:
    """Yield each log range of a metric, left to right."""
    match query:
        case RangeAggregation():
            yield query.range
        case VectorAggregation() | LabelReplace():
            yield from log_ranges(query.inner)
        case Binary():
            yield from log_ranges(query.left)
            yield from log_ranges(query.right)
        case Number() | Vector():
            return
