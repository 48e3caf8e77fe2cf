"""Blocks: secrets over several lines, such as private keys. The state is per stream and only ever adds masks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loglease.redaction.kept import KEPT_PAYLOAD
from loglease.redaction.rules import BlockRule

MAX_LINES: Final = 400
MAX_WITHOUT: Final = 3
_SHORT: Final = 16
# What may stand behind a line of payload: quotes and separators, a written line end, what joins texts in a program.
_BEHIND: Final = rb"(?:\\[nr]|[ \t\"',\\\r+;)}\]]){0,8}\Z"
_FIELD: Final = re.compile(
    rb"(?P<field>[A-Za-z0-9+/=_-]{4,8192}|(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset): [^\n]{1,200})" + _BEHIND
)
_WRITTEN_END: Final = re.compile(rb"(?:\\+[nr])+")
# What names the value that a begin mark begins: a key, its separator and a quote. Payload stands behind the same.
_NAMED: Final = re.compile(rb"[\w.-]{1,64}\\{0,7}[\"']?[ \t]{0,4}[=:][ \t]{0,4}\\{0,7}[\"'`]?\Z")
_VALUE: Final = re.compile(rb"(?P<field>[A-Za-z0-9+/=_-]{0,8192})(?=[\\\"'`]|\Z)")
# A run inside a line that can only be payload: mixed letters and digits without a gap.
_RUN: Final = re.compile(rb"(?<![\w+/.-])[A-Za-z0-9+/]{24,8192}={0,2}(?![\w+/.-])")
_TAIL: Final = re.compile(rb"[ \t\"',\\\r]{0,8}\Z")
_HERE: Final = re.compile(rb"[A-Za-z0-9+/]{2,}={0,2}(?![\w-])")
_LIKE_A_WORD: Final = re.compile(rb"[A-Za-z]?[a-z]*|[A-Z]*")
_KEY_LINE: Final = re.compile(
    rb"(?:\A|[ \t\"'>|])(?P<value>[A-Za-z0-9+/]{38,76}={0,2})(?:(?:[\"'][,;]?)?\r?\Z|(?:\\r)?\\n[\"'])"
)
# What names a value that is no part of a key, or of one that everybody may know.
_KEY_LINE_NAMED: Final = re.compile(rb"(?i)(?:\b|_)(?:id|id-2|public[ _-]?key|peer|etag)[\"']?[ ]?[:=][ ]?[\"']?\Z")
_NO_DIGEST: Final = re.compile(rb"[^0-9A-Fa-f]")
_WRITTEN_BREAK: Final = re.compile(rb"(?:\\{1,8}[rn])+")
_STAMP: Final = re.compile(rb"[\[(]?[0-9][0-9TZ:.,+/ -]{7,39}[\])]?[ \t|]{1,4}")
_DIGIT: Final = re.compile(rb"[0-9]")
KEY_LINE_LENGTHS: Final = (40, 76)


@dataclass(slots=True)
class BlockState:
    """Where a stream stands: inside a block or not."""

    rule: str | None = None
    lines: int = 0
    without: int = 0
    last: int = 0
    name: bytes = b""
    column: int = 0

    def leave(self) -> None:
        """Forget the block."""
        self.rule, self.lines, self.without, self.last, self.name, self.column = None, 0, 0, 0, b"", 0


class BlockMatcher:
    """A `BlockRule` compiled."""

    def __init__(self, rule: BlockRule) -> None:
        self.rule = rule
        self._begin = re.compile(rule.begin.encode())
        self._end = re.compile(rule.end.encode())
        payload = rule.payload
        self._field = _FIELD if payload is None else re.compile(b"(?P<field>" + payload.encode() + b")" + _BEHIND)
        self._short = _SHORT if payload is None else 0

    def begins(self, text: bytes) -> bool:
        """Say whether a block begins in a line."""
        return self._begin.search(text) is not None

    def line(self, text: bytes, state: BlockState) -> list[tuple[int, int]]:
        """Return the ranges to mask in the next line, and move the state on."""
        ranges: list[tuple[int, int]] = []
        at = 0
        if state.rule is not None:
            at = self._inside(text, state, ranges)
        while state.rule is None and (begun := self._begin.search(text, at)):
            at, state.column = begun.end(), begun.start()
            named = _NAMED.search(text, max(0, begun.start() - 96), begun.start())
            ended = self._end.search(text, at)
            stop = ended.start() if ended else _value_end(text, at)
            if stop > at and not _WRITTEN_END.fullmatch(text, at, stop):
                ranges.extend(_without_stamps(text, at, stop))
            if ended:
                at = ended.end()
                continue
            state.rule, state.lines, state.without = self.rule.id, 0, 0
            state.name = named[0] if named else b""
            state.last = stop - at if self._field.fullmatch(text, at, stop) else 0
        return ranges

    def _inside(self, text: bytes, state: BlockState, ranges: list[tuple[int, int]]) -> int:
        state.lines += 1
        ended = self._end.search(text)
        body = text[: ended.start()] if ended else text
        found = self._payload(body, state, ended=ended is not None)
        ranges += found
        longest = max((end - start for start, end in found), default=-1)
        state.last = max(state.last, longest)
        # Short words may be another's, so that they do not keep a block open whose end mark is missing.
        state.without = 0 if longest >= self._short else state.without + 1
        if ended:
            state.leave()
            return ended.end()
        if state.lines >= MAX_LINES or state.without >= MAX_WITHOUT:
            state.leave()
        return len(text)

    def _payload(self, body: bytes, state: BlockState, *, ended: bool) -> list[tuple[int, int]]:
        """Return what is payload in a line of a block, or in what stands there before the end mark.

        What stands behind the name that stood before the begin mark, else runs that can be nothing else, else the last
        field and what begins where the begin mark stood.
        """
        place = body.find(state.name) if state.name else -1
        if place >= 0 and (value := _VALUE.match(body, place + len(state.name))):
            short = value.end("field") - value.start("field") < self._short
            return [] if not value["field"] or (short and state.last < _SHORT) else [value.span("field")]
        runs = [run.span() for run in _RUN.finditer(body) if _is_mixed(run[0])] if self._short else []
        if runs or place >= 0 or KEPT_PAYLOAD.search(body):
            return runs
        here = _HERE.match(body, state.column) if self._short else None
        if here and state.last >= _SHORT and not _LIKE_A_WORD.fullmatch(here[0]):
            runs.append(here.span())
        found = self._field.search(body)
        if found is not None and not (runs and found.start("field") < runs[0][1]):
            runs += self._last_field(found, state, ended=ended)
        return runs

    def _last_field(self, found: re.Match[bytes], state: BlockState, *, ended: bool) -> list[tuple[int, int]]:
        field, (start, end) = found["field"], found.span("field")
        if ended and field.isdigit() and found.end() > end:
            return []  # a time stamp or a count before the end mark is the line's own
        another = start != state.column and _LIKE_A_WORD.fullmatch(field)
        return [(start, end)] if len(field) >= self._short or (state.last >= _SHORT and not another) else []


def _without_stamps(text: bytes, at: int, stop: int) -> list[tuple[int, int]]:
    r"""Return what to mask of a block whose lines are written into one with ``\n``: all but the lines' time stamps."""
    borders = [at, *(border for found in _WRITTEN_BREAK.finditer(text, at, stop) for border in found.span()), stop]
    stamps = [_STAMP.match(text, begin, end) for begin, end in zip(borders[::2], borders[1::2], strict=True)]
    if not any(stamps):
        return [(at, stop)]
    starts = [found.end() if found else begin for begin, found in zip(borders[::2], stamps, strict=True)]
    return [(begin, end) for begin, end in zip(starts, borders[1::2], strict=True) if end > begin]


def _value_end(text: bytes, at: int) -> int:
    """Return where what follows a begin mark on its line ends: before the quotes and separators at the line's end."""
    quote = re.compile(rb"(?<!\\)[\"']").search(text, at)
    end = quote.start() if quote else len(text)
    tail = _TAIL.search(text, at, end)
    return tail.start() if tail else end


def key_line(text: bytes) -> tuple[int, int] | None:
    """Return the last field of a line if it looks like a line of a key whose beginning was not read."""
    found = _KEY_LINE.search(text)
    if found is None:
        return None
    value = found["value"]
    low, high = KEY_LINE_LENGTHS
    if not low <= len(value) <= high or _KEY_LINE_NAMED.search(
        text, max(0, found.start("value") - 24), found.start("value")
    ):
        return None
    # A commit id or digest may have a capital letter, too.
    return found.span("value") if _is_mixed(value) and _NO_DIGEST.search(value) else None


def _is_mixed(value: bytes) -> bool:
    """Tell whether capitals, small letters and digits stand in a value."""
    if value.upper() == value or value.lower() == value:
        return False
    return bool(_DIGIT.search(value))
