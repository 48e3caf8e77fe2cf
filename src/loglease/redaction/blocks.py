"""Blocks: secrets over several lines, such as private keys. The state is per stream and only ever adds masks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loglease.redaction.rules import BlockRule

MAX_LINES: Final = 400
MAX_WITHOUT: Final = 3
_SHORT: Final = 16
_FIELD: Final = re.compile(
    rb"(?P<field>[A-Za-z0-9+/=_-]{4,8192}|(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset): [^\n]{1,200})"
    rb"[ \t\"',\\\r]{0,8}\Z"
)
_WRITTEN_END: Final = re.compile(rb"(?:\\+[nr])+")
# What names the value that a begin mark begins: a key, its separator and a quote. Payload stands behind the same.
_NAMED: Final = re.compile(rb"[\w.-]{1,64}\\{0,7}[\"']?[ \t]{0,4}[=:][ \t]{0,4}\\{0,7}[\"'`]?\Z")
_VALUE: Final = re.compile(rb"(?P<field>[A-Za-z0-9+/=_-]{0,8192})(?=[\\\"'`]|\Z)")
# A run inside a line that can only be payload: mixed letters and digits without a gap.
_RUN: Final = re.compile(rb"(?<![\w+/.-])(?P<field>[A-Za-z0-9+/]{24,8192}={0,2})(?![\w+/.-])")
_TAIL: Final = re.compile(rb"[ \t\"',\\\r]{0,8}\Z")
_KEY_LINE: Final = re.compile(rb"(?:\A|[ \t\"'>|])(?P<value>[A-Za-z0-9+/]{38,76}={0,2})\r?\Z")
_WRITTEN_BREAK: Final = re.compile(rb"(?:\\{1,8}[rn])+")
_STAMP: Final = re.compile(rb"[\[(]?[0-9][0-9TZ:.,+/ -]{7,39}[\])]?[ \t|]{1,4}")
KEY_LINE_LENGTHS: Final = (40, 76)


@dataclass(slots=True)
class BlockState:
    """Where a stream stands: inside a block or not."""

    rule: str | None = None
    lines: int = 0
    without: int = 0
    last: int = 0
    name: bytes = b""

    def leave(self) -> None:
        """Forget the block."""
        self.rule, self.lines, self.without, self.last, self.name = None, 0, 0, 0, b""


class BlockMatcher:
    """A `BlockRule` compiled."""

    def __init__(self, rule: BlockRule) -> None:
        self.rule = rule
        self._begin = re.compile(rule.begin.encode())
        self._end = re.compile(rule.end.encode())
        payload = rule.payload
        self._field = _FIELD if payload is None else re.compile(b"(?P<field>" + payload.encode() + b")" + _TAIL.pattern)
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
            at = begun.end()
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
        found = self._payload(body, state.name, is_last=ended is not None)
        short = found is not None and len(found["field"]) < self._short
        if found is not None and not (short and state.last < _SHORT):
            ranges.append(found.span("field"))
            state.without = 0
            state.last = len(found["field"])
        else:
            state.without += 1
        if ended:
            state.leave()
            return ended.end()
        if state.lines >= MAX_LINES or state.without >= MAX_WITHOUT:
            state.leave()
        return len(text)

    def _payload(self, body: bytes, name: bytes, *, is_last: bool) -> re.Match[bytes] | None:
        """Return the payload in a line of a block, or in what stands there before the end mark."""
        place = body.find(name) if name else -1
        if place >= 0 and (value := _VALUE.match(body, place + len(name))):
            return value if value["field"] else None
        found = self._field.search(body)
        if found is None:
            return next((run for run in _RUN.finditer(body) if _is_mixed(run["field"])), None)
        if is_last and found["field"].isdigit() and found.end() > found.end("field"):
            return None  # a time stamp or a count before the end mark is the line's own
        return found


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
    if not low <= len(value) <= high:
        return None
    return found.span("value") if _is_mixed(value) else None


def _is_mixed(value: bytes) -> bool:
    """Tell whether capitals, small letters and digits stand in a value."""
    digits = any(48 <= byte < 58 for byte in value)  # noqa: PLR2004 - digits
    return digits and value.upper() != value and value.lower() != value
