"""Log queries, one line at a time: every stage by its definition, nothing prepared and nothing left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.logql.reference import templates, values
from tests.logql.reference.json_text import Reader, Value, follow, read, steps
from tests.logql.reference.logfmt_text import Pair, pairs
from tests.logql.reference.template_functions import Failed

from loglease.logql.syntax import (
    Address,
    AddressFilter,
    BothFilters,
    CompareOp,
    Decolorize,
    Drop,
    EitherFilter,
    FilterOp,
    JsonParser,
    Keep,
    LabelFilter,
    LabelFilterStage,
    LabelFormat,
    LabelTest,
    LineFilter,
    LineFormat,
    LogfmtParser,
    MatchOp,
    PatternParser,
    RegexpParser,
    Renaming,
    Stage,
    Unit,
    Unpack,
    ValueFilter,
)

ERROR, DETAILS = "__error__", "__error_details__"
READERS: dict[Unit, Callable[[str], float | int | None]] = {
    Unit.NUMBER: values.number,
    Unit.DURATION: values.duration,
    Unit.BYTES: values.size,
}
COMPARISONS: dict[CompareOp, Callable[[float, float], bool]] = {
    CompareOp.EQUAL: lambda left, right: left == right,
    CompareOp.NOT_EQUAL: lambda left, right: left != right,
    CompareOp.LESS: lambda left, right: left < right,
    CompareOp.LESS_OR_EQUAL: lambda left, right: left <= right,
    CompareOp.GREATER: lambda left, right: left > right,
    CompareOp.GREATER_OR_EQUAL: lambda left, right: left >= right,
}
# The redactor writes ESC as the character that stands for it.
COLOUR = re.compile("[\x1b␛]\\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Record:
    """A redacted line as a reader hands it over; `masks` are the bytes of its tokens."""

    ns: int
    text: str
    stream: Mapping[str, str]
    metadata: Mapping[str, str]

    @property
    def masks(self) -> list[tuple[int, int]]:
        """Where tokens are, in bytes: in these tests every mark belongs to one."""
        return marked(self.text)


@dataclass
class Line:
    """A line between two stages.

    Attributes:
        labels: a value and a kind for each name.
        base: names of stream and metadata, whatever stages do.
        made: names that stages have set, and not taken away since.
    """

    ns: int
    text: str
    labels: dict[str, tuple[str, str]]
    base: frozenset[str]
    made: set[str] = field(default_factory=set)
    error: str | None = None

    def get(self, name: str) -> str | None:
        """Return the value of a label, None if it is missing."""
        if name == ERROR and self.error is not None:
            return self.error
        return self.labels[name][0] if name in self.labels else None

    def parsed(self, name: str, value: str) -> None:
        """Add what a parser found."""
        if name in self.base:
            name += "_extracted"
        if name not in self.made:
            self.set(name, value, "parsed")

    def set(self, name: str, value: str, kind: str) -> None:
        """Set a label, whatever there was of that name."""
        self.labels[name] = (value, kind)
        self.made.add(name)

    def remove(self, name: str) -> None:
        """Take a label away."""
        self.labels.pop(name)
        self.made.discard(name)

    def fail(self, error: str) -> None:
        """Take note of an error; the first one stays."""
        self.error = self.error or error

    def all_labels(self) -> dict[str, str]:
        """Return the labels without their kinds, and without the error."""
        return {name: value for name, (value, _) in self.labels.items()}


Rescan = Callable[[str, str], str]


def marked(text: str) -> list[tuple[int, int]]:
    """Return where tokens are in a text, in bytes."""
    found = []
    for match in re.finditer("⟦.*?⟧", text, re.DOTALL):
        start = len(text[: match.start()].encode())
        found.append((start, start + len(match[0].encode())))
    return found


def line_of(record: Record) -> Line:
    """Return a line before the first stage."""
    labels = {name: (value, "stream") for name, value in record.stream.items()}
    for name, value in record.metadata.items():
        taken = name in record.stream
        labels[f"{name}_extracted" if taken else name] = (value, "metadata")
    return Line(record.ns, record.text, labels, frozenset(labels))


def selects(selector: Sequence[LabelTest], stream: Mapping[str, str]) -> bool:
    """Say whether a stream passes every matcher; a dot is any character."""
    return all(_test(test, stream.get(test.name, "")) for test in selector)


def evaluate(stages: Sequence[Stage], record: Record, rescan: Rescan) -> Line | None:
    """Return the line after all stages, None if one of them drops it."""
    line = line_of(record)
    for stage in stages:
        if not apply(stage, line, rescan):
            return None
    return line


def apply(stage: Stage, line: Line, rescan: Rescan) -> bool:
    """Change a line as a stage does; False if the stage drops it."""
    match stage:
        case LineFilter():
            return line_filter(stage, line.text)
        case LabelFilterStage(test):
            return label_filter(test, line)
        case LineFormat() | LabelFormat():
            _format(stage, line, rescan)
        case Decolorize():
            line.text = COLOUR.sub("", line.text)
        case Drop(names):
            _drop(names, line)
        case Keep(names):
            for name in list(line.labels):
                if not any(_named(one, name, line) for one in names):
                    line.remove(name)
        case _:
            _parse(stage, line, rescan)
    return True


def _parse(
    stage: JsonParser | LogfmtParser | RegexpParser | PatternParser | Unpack, line: Line, rescan: Rescan
) -> None:
    match stage:
        case JsonParser() if stage.extractions:
            _json_paths(stage, line, rescan)
        case JsonParser():
            _json(line, rescan)
        case LogfmtParser():
            _logfmt(stage, line, rescan)
        case RegexpParser(pattern):
            found = re.search(pattern, line.text, re.ASCII)
            for name, value in (found.groupdict() if found else {}).items():
                line.parsed(name, value or "")
        case PatternParser(pattern):
            for name, value in captured(pattern, line.text):
                line.parsed(name, value)
        case Unpack():
            _unpack(line, rescan)


def _test(test: LabelTest, value: str) -> bool:
    if test.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL):
        found = value == test.value
    else:
        found = re.fullmatch(test.value, value, re.ASCII | re.DOTALL) is not None
    return found is (test.op in (MatchOp.EQUAL, MatchOp.MATCHES))


def line_filter(stage: LineFilter, text: str) -> bool:
    """Say whether a text passes a line filter; tokens are atoms."""
    any_fits = any(_operand_fits(stage.op, operand, text) for operand in stage.operands)
    return any_fits is (stage.op in (FilterOp.HOLDS, FilterOp.MATCHES, FilterOp.FITS))


def _operand_fits(op: FilterOp, operand: str | Address, text: str) -> bool:
    atomic = re.sub("⟦.*?⟧", "⟦⟧", text, flags=re.DOTALL)
    if isinstance(operand, Address):
        return holds_address(operand.pattern, atomic)
    if op in (FilterOp.HOLDS, FilterOp.LACKS):
        return holds(operand.encode(), text)
    if op in (FilterOp.MATCHES, FilterOp.NOT_MATCHES):
        return re.search(operand, atomic, re.ASCII) is not None
    return covers(operand, atomic.encode())


def holds(literal: bytes, text: str) -> bool:
    """Say whether a literal occurs where it covers each token that it touches."""
    line = text.encode()
    if not literal:
        return True
    for start in range(len(line) - len(literal) + 1):
        end = start + len(literal)
        if line[start:end] != literal:
            continue
        touched = [mask for mask in marked(text) if mask[0] < end and start < mask[1]]
        if all(start <= mask[0] and mask[1] <= end for mask in touched):
            return True
    return False


def covers(pattern: str, line: bytes) -> bool:
    """Say whether a pattern covers a line, each ``<_>`` at least one byte."""
    if not pattern:
        return not line
    if pattern.startswith("<_>"):
        return any(covers(pattern[3:], line[count:]) for count in range(1, len(line) + 1))
    literal = pattern.partition("<_>")[0]
    found = line.startswith(literal.encode())
    return found and covers(pattern[len(literal) :], line[len(literal.encode()) :])


def holds_address(pattern: str, text: str) -> bool:
    """Say whether a text holds an address that is the pattern's, in its network, or in its range."""
    for run in [*re.findall(r"[0-9.]+", text), *re.findall(r"[0-9A-Fa-f:.]+", text)]:
        try:
            address = ip_address(run.rstrip("."))
        except ValueError:
            continue
        if "-" in pattern:
            first, last = (ip_address(part) for part in pattern.split("-"))
            if address.version == first.version and int(first) <= int(address) <= int(last):
                return True
        elif address in ip_network(pattern):
            return True
    return False


def captured(pattern: str, text: str) -> list[tuple[str, str]]:
    """Return what the captures of a pattern find. It begins where the line begins."""
    parts = re.split(r"<([A-Za-z_]\w*)>", pattern)
    # Literals are at even places, names at odd ones.
    if not text or not text.startswith(parts[0]):
        return []
    rest = text[len(parts[0]) :]
    found = []
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        at = rest.find(literal) if literal else -1
        found.append((name, rest if at < 0 else rest[:at]))
        if at < 0:
            break
        rest = rest[at + len(literal) :]
    return [(name, value) for name, value in found if name != "_"]


def label_filter(test: LabelFilter, line: Line) -> bool:
    """Say whether the labels of a line pass; a value that cannot be compared leaves an error and passes."""
    match test:
        case LabelTest():
            return _test(test, line.get(test.name) or "")
        case BothFilters(left, right):
            # What does not decide leaves no error. (Loki itself is said to evaluate both sides.)
            return label_filter(left, line) and label_filter(right, line)
        case EitherFilter(left, right):
            return label_filter(left, line) or label_filter(right, line)
    if line.error is not None:
        # Only filters on text can drop a line that has an error.
        return True
    value = line.labels.get(test.name, (None, ""))[0]
    if value is None:
        return False
    if isinstance(test, AddressFilter):
        return holds_address(test.pattern, value) is test.positive
    assert isinstance(test, ValueFilter)
    converted = READERS[test.unit](value)
    if converted is None:
        line.fail("LabelFilterErr")
        return True
    return COMPARISONS[test.op](converted, test.value)


def sanitized(key: str, *, first: bool = True) -> str:
    """Return a key as the name of a label."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", key.strip())
    return f"_{name}" if first and name[:1].isdigit() else name


def _decoded(name: str, value: Value | Pair, rescan: Rescan) -> str:
    text = value.text if isinstance(value, Value) else value.value
    return rescan(name, text) if value.escaped else text


def _json(line: Line, rescan: Rescan) -> None:
    def report(keys: tuple[str, ...], value: Value) -> None:
        if value.kind != "null":
            name = "_".join([sanitized(keys[0]), *(sanitized(key, first=False) for key in keys[1:])])
            if name:
                line.parsed(name, _decoded(name, value, rescan))

    _, is_whole = read(Reader(line.text, report, lambda key: rescan("", key)), "{")
    if not is_whole:
        line.fail("JSONParserErr")


def _json_paths(stage: JsonParser, line: Line, rescan: Rescan) -> None:
    whole, is_whole = read(Reader(line.text), "{[")
    if not is_whole:
        line.fail("JSONParserErr")
    if whole.kind == "null":
        return
    for one in stage.extractions:
        found = follow(whole, steps(one.path))
        missing = found is None or found.kind == "null"
        line.parsed(one.name, "" if missing or found is None else _decoded(one.name, found, rescan))


def _unpack(line: Line, rescan: Rescan) -> None:
    packed, is_whole = read(Reader(line.text), "{")
    if not is_whole:
        line.fail("JSONParserErr")
        return
    texts = [(key, value.text) for key, value in packed.members if value.kind == "string"]
    entries = [text for key, text in texts if key == "_entry"]
    if not entries:
        return
    for key, text in texts:
        name = sanitized(rescan("", key))
        if key != "_entry" and name:
            line.parsed(name, rescan(name, text))
    line.text = rescan("_entry", entries[0])


def _logfmt(stage: LogfmtParser, line: Line, rescan: Rescan) -> None:
    found = pairs(line.text)
    if stage.strict and None in found:
        line.fail("LogfmtParserErr")
        found = found[: found.index(None)]
    read = [pair for pair in found if pair is not None and (pair.value or stage.keep_empty)]
    if not stage.extractions:
        for pair in read:
            name = sanitized(pair.key)
            line.parsed(name, _decoded(name, pair, rescan))
        return
    for one in stage.extractions:
        named = [pair for pair in read if pair.key == one.path]
        if named:
            line.parsed(one.name, _decoded(one.name, named[0], rescan))
        elif stage.keep_empty:
            line.parsed(one.name, "")


def _format(stage: LineFormat | LabelFormat, line: Line, rescan: Rescan) -> None:
    if isinstance(stage, LineFormat):
        try:
            line.text = templates.filled(stage.template, templates.Line(line.all_labels(), line.text, rescan))
        except Failed:
            line.fail("TemplateFormatErr")
        return
    seen: dict[str, str] | None = None
    for one in stage.sets:
        if isinstance(one, Renaming):
            if one.source in line.labels:
                value, kind = line.labels[one.source]
                line.set(one.target, value, kind)
                line.remove(one.source)
            continue
        if seen is None:
            seen = line.all_labels()
        try:
            made = templates.filled(one.template, templates.Line(seen, line.text, rescan))
        except Failed:
            line.fail("TemplateFormatErr")
        else:
            line.set(one.target, made, "parsed")


def _named(one: str | LabelTest, name: str, line: Line) -> bool:
    if isinstance(one, str):
        return one == name
    return one.name == name and _test(one, line.get(name) or "")


def _drop(names: Sequence[str | LabelTest], line: Line) -> None:
    for one in names:
        name = one if isinstance(one, str) else one.name
        if line.get(name) is not None and _named(one, name, line):
            if name == ERROR:
                line.error = None
            else:
                line.remove(name)
