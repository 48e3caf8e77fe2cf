"""The level of a line, found in what is left of it after redaction: labels, metadata, keys in the text, first word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import orjson

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "critical", "fatal", "unknown")
"""All levels in ascending order, `unknown` last; it ranks as `info`."""

KEYS: Final = ("level", "severity", "lvl")
_IN_JSON: Final = tuple((key, key.upper(), key.title()) for key in KEYS)
SEARCHED: Final = 4_096
"""Bytes of a line in which a level is looked for."""

_WORDS: Final = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "warn": "warn",
    "warning": "warn",
    "wrn": "warn",
    "error": "error",
    "err": "error",
    "eror": "error",
    "critical": "critical",
    "crit": "critical",
    "alert": "critical",
    "fatal": "fatal",
    "panic": "fatal",
    "emerg": "fatal",
    "emergency": "fatal",
}
_IN_TEXT: Final = (
    "trace",
    "debug",
    "info",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "critical",
    "crit",
    "fatal",
    "panic",
)
_TOKEN = re.compile(rb"\xe2\x9f\xa6[^\xe2]*(?:\xe2(?!\x9f\xa7)[^\xe2]*)*\xe2\x9f\xa7")
_LOGFMT = re.compile(rb'(?:\A|[\s,])(?:level|severity|lvl)=(?:"([^"\s]{1,20})"|([^\s",]{1,20}))', re.IGNORECASE)
_WORD = re.compile(
    rb"(?<![A-Za-z0-9_])("
    + b"|".join(word.encode() for word in sorted(_IN_TEXT, key=len, reverse=True))
    + rb")(?![A-Za-z0-9_])",
    re.IGNORECASE,
)


def level_of(line: bytes, labels: Iterable[tuple[str, str]], metadata: Iterable[tuple[str, str]] = ()) -> str:
    """Return the level of a redacted line, one of `LEVELS`.

    Args:
        line: redacted text; a level inside a token is not seen.
        labels: redacted labels of its stream.
        metadata: its redacted metadata; a level that a source derived itself must not be among it.
    """
    named = (named_level(labels) if labels else None) or (named_level(metadata) if metadata else None)
    if named is not None:
        return named
    head = line[:SEARCHED]
    if head.startswith(b"{") and (found := _in_json(line)) is not None:
        return found
    if b"\xe2\x9f\xa6" in head:
        head = _TOKEN.sub(b"\xe2\x9f\xa6\xe2\x9f\xa7", head)
    if (match := _LOGFMT.search(head)) is not None and (word := _word(match[1] or match[2])) is not None:
        return word
    match = _WORD.search(head)
    return "unknown" if match is None else _word(match[1]) or "unknown"


def named_level(pairs: Iterable[tuple[str, str]]) -> str | None:
    """Return the level that labels or metadata name; where several do, the first of `KEYS` counts."""
    found = {name: value for name, value in pairs if name in KEYS}
    if not found:
        return None
    levels = (_WORDS.get(found[key].strip().lower()) for key in KEYS if key in found)
    return next((level for level in levels if level is not None), None)


def _in_json(line: bytes) -> str | None:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    for key, upper, title in _IN_JSON:
        value = fields[key] if key in fields else fields.get(upper, fields.get(title))
        if isinstance(value, str):
            found = _WORDS.get(value) or _WORDS.get(value.strip().lower())
            if found is not None:
                return found
    return None


def _word(text: bytes) -> str | None:
    return _WORDS.get(text.decode("utf-8", "replace").strip().lower())
