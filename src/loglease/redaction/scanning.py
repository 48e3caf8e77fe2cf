"""From whole lines to edits: scan, look closer only around hits, decode marked lines, merge, prove, return.

State between calls is the block state alone; carrying partial lines is the stream's work (`redactor`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.redaction.blocks import BlockState
from loglease.redaction.confirm import Find
from loglease.redaction.controls import control_edits, is_valid
from loglease.redaction.disguises import View, escape_views, first_steps, is_text, run_views
from loglease.redaction.edits import Chosen, Edit, TokenWriter, checked, combined, merged, quote_around
from loglease.redaction.engine import Hit
from loglease.redaction.errors import Withheld
from loglease.redaction.json_lines import within_values
from loglease.redaction.kept import covered
from loglease.redaction.marks import MARK
from loglease.redaction.plan import LIMIT_BINARY, LIMIT_ENCODED, LIMIT_LINE, Plan
from loglease.redaction.result import Counters
from loglease.redaction.rules import Rule
from loglease.redaction.tokens import TOKEN, Keys, mask_token
from loglease.redaction.treating import Ranges, treated

MAX_LINE: Final = 1 << 20
MAX_FINDS: Final = 10_000
BINARY_SHARE: Final = 10


class Line:
    """What is known about one line with a hit.

    Finds are relative to it. `rules` says for each tripwire that fired where in the text: from the first hit's
    beginning to the last hit's end.
    """

    __slots__ = ("end", "escaped", "finds", "has_fields", "limit", "rules", "runs", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.rules: dict[int, tuple[int, int]] = {}
        self.finds: list[Find] = []
        self.escaped = False
        self.runs = False
        self.has_fields = False
        self.limit: Rule | None = None


@dataclass(slots=True)
class Marked:
    """A view of a line that is to be scanned, and how it came to be: from inside a run, with its escapes undone."""

    line: Line
    view: View
    in_run: bool = False
    is_undone: bool = False

    def found(self, find: Find, offset: int) -> None:
        """Add what was found so far behind the view's beginning to the line, at its raw place."""
        start, end = self.view.raw_range(find.start + offset, find.end + offset)
        self.line.finds.append(Find(start, end, find.rule, find.value))


def edits_of(
    data: bytes,
    *,
    plan: Plan,
    keys: Keys | None,
    state: BlockState,
    keep_tokens: bool,
    counters: Counters,
    seen: list[Find] | None = None,
) -> list[Edit]:
    """Return the edits of at most a little over 1 MiB of whole lines, each ended by LF; sorted and proved.

    Args:
        seen: takes the finds that the edits are made of; for the reveal of a value, which has to know all of them.

    Raises:
        Withheld: an engine, a rule or a check failed; nothing of the data may leave.
    """
    text = (covered(data, plan.payload_labels) if keep_tokens else data) + plan.canary
    lines = lines_hit(text, plan)
    _walk_blocks(text, len(data), lines, plan, state)
    if plan.active:
        _limit_binary(data, lines)
        _look_into_views(text, lines, plan)
    if plan.paths is not None:
        _take_all_lines(data, lines)
    masks: list[Edit] = []
    writer = TokenWriter(keys)
    for start in sorted(lines):
        masks += _line_edits(text, lines[start], plan, writer, seen)
    _take_canary(masks, len(data), len(text))
    counters.canaries += 1
    controls = _controls(data, lines, plan)
    edits = combined(masks, controls)
    if keep_tokens:
        edits = _outside_tokens(edits, data)
    checked(edits, data)
    _count(data, edits, counters)
    return edits


def lines_hit(text: bytes, plan: Plan) -> dict[int, Line]:
    """Scan whole lines and the canary once; return the lines with hits by their start.

    Raises:
        Withheld: ``engine_error`` or ``canary_lost``.
    """
    lines: dict[int, Line] = {}
    size, marks, run_marks, canary_number = len(text), plan.marks, plan.run_marks, plan.canary_number
    line = Line(0, -1)
    rules = line.rules
    proved = False
    for number, start, end in _scanned(text, plan):
        if number == canary_number:
            if end == size:
                proved = True
                _line_at(text, size - len(plan.canary), lines)
            continue
        if start < 0 or end > size:
            raise Withheld("engine_error")
        at = start
        while at < end:
            if not line.start <= at <= line.end:
                line = _line_at(text, at, lines)
                rules = line.rules
            if number in marks:
                # A hit over several lines says that one of them has a mark. What a mark does to the others would differ
                # from engine to engine.
                line.escaped = line.escaped or (start == at and end <= line.end + 1) or _has_mark(text, line)
            elif number in run_marks:
                line.runs = True
            elif (known := rules.get(number)) is None:
                rules[number] = (start, end)
            else:
                rules[number] = (min(known[0], start), max(known[1], end))
            at = line.end + 1
    _leave_canary_alone(lines.get(size - len(plan.canary)) if proved else None, plan)
    return lines


def _leave_canary_alone(line: Line | None, plan: Plan) -> None:
    """Let the canary's line be tried for the canary and nothing else."""
    if line is None:
        raise Withheld("canary_lost")
    line.rules = {plan.canary_number: (line.start, line.end)}
    line.escaped = line.runs = False


def _scanned(text: bytes, plan: Plan) -> Sequence[Hit]:
    """Scan; whatever goes wrong in an engine is its error.

    Raises:
        Withheld: ``engine_error`` or ``canary_lost``.
    """
    try:
        return plan.scanner.scan(text)
    except Withheld:
        raise
    except Exception:  # noqa: BLE001 - half a scan looks like a clean one, whatever broke it
        raise Withheld("engine_error") from None


def _has_mark(text: bytes, line: Line) -> bool:
    return MARK.search(text, line.start, line.end) is not None


def _line_at(text: bytes, at: int, lines: dict[int, Line] | None) -> Line:
    """Return the line that holds an offset; the LF counts to its line."""
    start = text.rfind(b"\n", 0, at) + 1
    if lines is not None and start in lines:
        return lines[start]
    end = text.find(b"\n", at)
    line = Line(start, len(text) if end < 0 else end)
    if lines is not None:
        lines[start] = line
    return line


def _controls(data: bytes, lines: Mapping[int, Line], plan: Plan) -> list[tuple[int, int, bytes]]:
    """Return the control edits of lines where their tripwire fired; of all lines where the bytes are no text."""
    if not is_valid(data):
        return list(control_edits(data, keep_colour=plan.keep_colour))
    return [
        (start + begun, end + begun, text)
        for begun in sorted(begun for begun, line in lines.items() if plan.control_number in line.rules)
        for start, end, text in control_edits(data[begun : lines[begun].end], keep_colour=plan.keep_colour)
    ]


def _take_canary(masks: list[Edit], start: int, end: int) -> None:
    """Take the canary's edit off the end; it went the way of every find, to exactly this place."""
    if not masks or (masks[-1].start, masks[-1].end, masks[-1].rule) != (start, end, "canary"):
        raise Withheld("canary_lost")
    masks.pop()
    if masks and masks[-1].end > start:
        raise Withheld("canary_lost")


def _walk_blocks(text: bytes, size: int, lines: dict[int, Line], plan: Plan, state: BlockState) -> None:
    """Walk the lines of blocks in order, from the state of the stream and from each begin mark on.

    One block is open at a time; in a line where it ends, one of a later rule may begin.
    """
    numbers = plan.block_numbers
    begins = sorted(start for start, line in lines.items() if not numbers.isdisjoint(line.rules))
    if state.rule is not None:
        begins.insert(0, 0)
    done = 0
    for begin in begins:
        at = begin
        while done <= at < size:
            line = lines.get(at) or _line_at(text, at, None)
            content = text[at : line.end]
            for matcher, number in plan.blocks:
                rule = plan.active[number].rule
                if state.rule == rule.id or (state.rule is None and number in line.rules):
                    for start, end in matcher.line(content, state):
                        lines.setdefault(at, line).finds.append(Find(start, end, rule, content[start:end]))
            at = done = line.end + 1
            if state.rule is None:
                break


def _limit_binary(data: bytes, lines: dict[int, Line]) -> None:
    """Mark lines with more than a tenth of NUL bytes."""
    at = data.find(b"\0")
    while at >= 0:
        line = _line_at(data, at, None)
        if data.count(b"\0", line.start, line.end) * BINARY_SHARE > line.end - line.start:
            lines.setdefault(line.start, line).limit = LIMIT_BINARY
        at = data.find(b"\0", line.end)


def _take_all_lines(data: bytes, lines: dict[int, Line]) -> None:
    """Add the lines without a hit: their fields are looked at, too."""
    at = 0
    while at < len(data):
        if at not in lines:
            lines[at] = Line(at, data.index(b"\n", at))
        lines[at].has_fields = True
        at = lines[at].end + 1


def _look_into_views(text: bytes, lines: dict[int, Line], plan: Plan) -> None:
    """Decode marked lines, scan their views together, and look closer where that hits.

    A view may hold a run, and what a run holds may be escaped in turn; no run is looked for inside a run.
    """
    marked: list[Marked] = []
    for line in lines.values():
        if line.limit is not None or not (line.escaped or line.runs):
            continue
        content = text[line.start : line.end]
        if line.escaped:
            views = escape_views(content)
            if views is None:
                line.limit = LIMIT_ENCODED
                continue
            marked.extend(Marked(line, view) for view in views)
        if line.runs:
            marked.extend(Marked(line, view, in_run=True) for view in run_views(content, every=plan.every_run))
    while marked:
        marked = [more for batch in _batches(marked) for more in _scan_views(batch, text, plan)]


def _batches(marked: Sequence[Marked]) -> Iterator[list[Marked]]:
    """Yield views to be scanned together, at most a little over 1 MiB at once."""
    batch: list[Marked] = []
    size = 0
    for one in marked:
        if size and size + len(one.view.text) > MAX_LINE:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.view.text) + 1
    if batch:
        yield batch


def _scan_views(batch: Sequence[Marked], text: bytes, plan: Plan) -> Iterator[Marked]:
    """Scan views, each as lines of its own, map what is found to the raw lines, and yield the views inside."""
    starts: list[int] = []
    at = 0
    for one in batch:
        starts.append(at)
        at += len(one.view.text) + 1
    buffer = b"\n".join([*(one.view.text for one in batch), plan.canary])
    escaped: set[int] = set()
    runs: set[int] = set()
    begun: set[int] = set()
    for start, part in sorted(lines_hit(buffer, plan).items()):
        if start >= at:
            continue
        place = bisect_right(starts, start) - 1
        one = batch[place]
        if part.escaped:
            escaped.add(place)
        if part.runs:
            runs.add(place)
        if not plan.block_numbers.isdisjoint(part.rules):
            begun.add(place)
        offset = start - starts[place]
        for find in confirmed(buffer[part.start : part.end], part.rules, part.start, plan):
            one.found(find, offset)
    for place in sorted(begun):
        _find_blocks(batch[place], plan)
    for place in sorted(escaped | runs):
        yield from _views_inside(batch[place], text, plan, escaped=place in escaped, runs=place in runs)


def _find_blocks(one: Marked, plan: Plan) -> None:
    """Find the blocks that a view holds from beginning to end."""
    lines = one.view.text.split(b"\n")
    for matcher, number in plan.blocks:
        if not matcher.begins(one.view.text):
            continue
        state, at = BlockState(), 0
        for content in lines:
            for start, end in matcher.line(content, state):
                one.found(Find(start, end, plan.active[number].rule, content[start:end]), at)
            at += len(content) + 1


def _views_inside(one: Marked, text: bytes, plan: Plan, *, escaped: bool, runs: bool) -> Iterator[Marked]:
    line, view = one.line, one.view
    if runs and not one.in_run:
        known = view.parent.text if view.parent is not None else text[line.start : line.end]
        for run in run_views(view.text, view, known=known, every=plan.every_run):
            yield Marked(line, run, in_run=True)
    if escaped and one.in_run and not one.is_undone and is_text(view.text):
        views = escape_views(view.text, view)
        if views is None:
            line.limit = LIMIT_ENCODED
            return
        for inner in views:
            yield Marked(line, inner, in_run=True, is_undone=True)


def confirmed(text: bytes, rules: Mapping[int, tuple[int, int]], offset: int, plan: Plan) -> list[Find]:
    """Return the finds of some rules in one line, in the order of the rules.

    Args:
        text: the line.
        rules: number of each rule whose tripwire fired, and where, counted as the offset is.
        offset: where the line begins.
        plan: the rules.
    """
    finds: list[Find] = []
    size, steps = len(text), plan.steps
    for number in sorted(rules) if len(rules) > 1 else rules:
        step = steps[number]
        if step is not None:
            find, reach, shortest = step
            first, last = rules[number]
            # As `Rule.window` has it.
            low, high = first - offset + 1 - reach, min(last - offset, size) - shortest + 1
            finds += find(text, max(0, low), high)
    return finds


def _line_edits(text: bytes, line: Line, plan: Plan, writer: TokenWriter, seen: list[Find] | None) -> Iterable[Edit]:
    content = text[line.start : line.end]
    if line.limit is None:
        finds: list[Find] | None = confirmed(content, line.rules, line.start, plan)
        if finds or line.finds:
            finds = _finds_in(content, line, finds or [], plan)
            if seen is not None:
                seen += (one._replace(start=one.start + line.start, end=one.end + line.start) for one in finds)
        bare: Ranges = frozenset()
        if line.has_fields and plan.paths is not None and content.strip():
            finds, bare = treated(finds or (), content, plan.paths) or (None, bare)
        if not finds and finds is not None:
            return ()
        if finds and len(finds) <= MAX_FINDS:
            return [_edit(content, line.start, one, writer, bare) for one in merged(finds, plan.treatments)]
        line.limit = LIMIT_LINE
    end = line.end - content.endswith(b"\r")
    return [whole_line(line.start, end, line.limit)] if end > line.start else ()


def _finds_in(content: bytes, line: Line, raw: list[Find], plan: Plan) -> list[Find]:
    """Return what was found in a line's raw text and in its views, as ranges that cut nothing in two."""
    if line.escaped and raw:
        raw = list(at_whole_escapes(raw, line.finds, content))
    # Of two finds that differ in nothing but how their value reads, the one with more disguises undone comes first.
    finds = [*reversed(line.finds), *raw]
    if not content.isascii():
        finds = [_at_whole_characters(find, content) for find in finds]
    finds = within_values(finds, content)
    return [find for find in finds if find.rule.id not in plan.left] if plan.left else finds


def whole_line(start: int, end: int, limit: Rule) -> Edit:
    """Return the edit that hides a line that met a limit."""
    return Edit(start, end, mask_token(limit.label), "mask", limit.id, limit.cls, "mask")


def _edit(content: bytes, offset: int, chosen: Chosen, writer: TokenWriter, bare: Ranges) -> Edit:
    start, end, find, treatment = chosen
    token = writer.token(chosen)
    if quote := b'"' if (start, end) in bare else quote_around(content, start, end):
        token = quote + token + quote
    rule = find.rule
    return Edit(start + offset, end + offset, token, "mask", rule.id, rule.cls, treatment.kind)


def at_whole_escapes(raw: Sequence[Find], seen: Sequence[Find], content: bytes) -> Iterator[Find]:
    r"""Let no find of the raw text cut an escape in two.

    One that does leaves the escape out if the same rule found its value in the decoded text (``\nbob@…`` is not the
    address ``nbob@…``), and takes the escape whole otherwise.
    """
    steps = first_steps(content)
    ranges = _Ranges(seen)
    for find in raw:
        left = next((cut for step in steps if (cut := step.splits(find.start))), None)
        right = next((cut for step in steps if (cut := step.splits(find.end))), None)
        if left is None and right is None:
            yield find
            continue
        inner = ranges.touch(find)
        start = find.start if left is None else left[inner]
        end = find.end if right is None else right[not inner]
        if start < end:
            yield find._replace(start=start, end=end, value=content[start:end])


class _Ranges:
    """Where each rule has finds, made to be asked often."""

    def __init__(self, finds: Sequence[Find]) -> None:
        self._by_rule: dict[str, tuple[list[int], list[int]]] = {}
        for find in sorted(finds, key=lambda one: one.start):
            starts, ends = self._by_rule.setdefault(find.rule.id, ([], []))
            starts.append(find.start)
            ends.append(max(find.end, ends[-1]) if ends else find.end)

    def touch(self, find: Find) -> bool:
        """Tell whether a find of the same rule overlaps this one."""
        starts, ends = self._by_rule.get(find.rule.id, ([], []))
        place = bisect_left(starts, find.end)
        return place > 0 and ends[place - 1] > find.start


def _at_whole_characters(find: Find, content: bytes) -> Find:
    """Let no find cut a character of several bytes in two."""
    start, end = find.start, find.end
    if start < len(content) and 0x80 <= content[start] < 0xC0:  # noqa: PLR2004 - bytes that go on with a character
        while start > 0 and start > find.start - 3 and 0x80 <= content[start] < 0xC0:  # noqa: PLR2004 - the same
            start -= 1
    while end < len(content) and end < find.end + 3 and 0x80 <= content[end] < 0xC0:  # noqa: PLR2004 - the same
        end += 1
    return find if (start, end) == (find.start, find.end) else find._replace(start=start, end=end)


def _outside_tokens(edits: Sequence[Edit], data: bytes) -> list[Edit]:
    """Leave out edits that touch tokens of our own."""
    tokens = [found.span() for found in TOKEN.finditer(data)]
    ends = [end for _, end in tokens]
    kept = []
    for edit in edits:
        place = bisect_right(ends, edit.start)
        if place == len(tokens) or tokens[place][0] >= edit.end:
            kept.append(edit)
    return kept


def _count(data: bytes, edits: Sequence[Edit], counters: Counters) -> None:
    counters.lines += data.count(b"\n")
    line_end = -1
    for edit in edits:
        if edit.kind == "control":
            counters.controls += 1
            continue
        counters.masks[edit.rule] = counters.masks.get(edit.rule, 0) + 1
        if edit.start > line_end:
            counters.lines_touched += 1
            line_end = data.find(b"\n", edit.end)
