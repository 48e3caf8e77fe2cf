"""Logfmt read character by character: ``key=value key="quoted \\" value" key``."""

from __future__ import annotations

from dataclasses import dataclass

from tests.logql.reference.json_text import Broken, Reader


@dataclass
class Pair:
    """A pair; `escaped` says whether the value was written with an escape."""

    key: str
    value: str
    escaped: bool = False


def pairs(text: str) -> list[Pair | None]:
    """Return the pairs of a line, None for each place that is none.

    After a bad pair reading goes on behind the next white space; an open quote takes the rest of the line.
    """
    found: list[Pair | None] = []
    at = 0
    while True:
        while at < len(text) and text[at] <= " ":
            at += 1
        if at == len(text):
            return found
        pair, at = _pair(text, at)
        found.append(pair)


def _pair(text: str, at: int) -> tuple[Pair | None, int]:
    start = at
    while at < len(text) and text[at] > " " and text[at] not in '="':
        at += 1
    key = text[start:at]
    if at == len(text) or text[at] <= " ":
        return Pair(key, ""), at
    if text[at] == '"' or not key:
        return None, _behind(text, at)
    at += 1
    if text[at : at + 1] == '"':
        return _quoted(text, key, at)
    start = at
    while at < len(text) and text[at] > " ":
        if text[at] in '="':
            return None, _behind(text, at)
        at += 1
    return Pair(key, text[start:at]), at


def _behind(text: str, at: int) -> int:
    while at < len(text) and text[at] > " ":
        at += 1
    return at


def _quoted(text: str, key: str, at: int) -> tuple[Pair | None, int]:
    end = at + 1
    while text[end : end + 1] != '"':
        if end >= len(text):
            return None, len(text)
        end += 2 if text[end] == "\\" else 1
    # The next pair may begin right behind the quote, as with go-logfmt.
    end += 1
    reader = Reader(text[at:end])
    try:
        value, escaped = reader.string()
    except Broken:
        return None, end
    return Pair(key, value, escaped), end
