"""From entries of the journal to rows, and from selectors to matches.

Labels are fields that journald sets itself, which begin with one ``_``; what a process can write is metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlencode

import orjson

from loglease.model.labels import Labels, Selector, labels_of, selector_of
from loglease.sources.interface import Metadata, SourceLimit, SourceProtocol
from loglease.sources.paging import Row

MAX_FIELDS: Final = 2_000
MAX_DIGITS: Final = 16
MATCHES_BYTES: Final = 4_096
"""Longer matches are left to us: the gateway daemon takes no long addresses."""

_UNREADABLE: Final = (("unreadable", "too_large"),)


class Entry(NamedTuple):
    """One entry: where it is, and what it says."""

    cursor: str
    row: Row


@dataclass(frozen=True, slots=True)
class Matches:
    """A selector, divided into what the journal tests and what is left to us.

    Repeated matches of one field mean any of them, those of different fields mean all; so a field has one origin only.
    """

    pushed: tuple[tuple[str, str], ...]
    left: Selector


def field_of(label: str) -> str:
    """Return the field that a label is made from."""
    return f"_{label.upper()}"


def matches_of(selector: Selector, names: frozenset[str]) -> Matches:
    """Divide a selector: only exact values of trusted fields are pushed, as far as they fit into an address."""
    pushed: list[tuple[str, str]] = []
    left = dict(selector.matchers)
    for name, matcher in selector.matchers:
        pairs = [(field_of(name), value) for value in sorted(matcher.exact)]
        exact_only = not (matcher.prefixes or matcher.any_value) and name in names
        if exact_only and len(urlencode([*pushed, *pairs])) <= MATCHES_BYTES:
            pushed += pairs
            del left[name]
    return Matches(tuple(pushed), selector_of(left))


def entry_of(record: bytes, names: frozenset[str]) -> Entry:
    """Return one entry.

    Args:
        names: the labels of the source.

    Raises:
        SourceProtocol: it is no entry of a journal.
        SourceLimit: it has too many fields.
    """
    try:
        fields = orjson.loads(record)
    except orjson.JSONDecodeError:
        raise nonsense() from None
    if not isinstance(fields, dict):
        raise nonsense()
    if len(fields) > MAX_FIELDS:
        raise SourceLimit(f"The source gave a line with more than {MAX_FIELDS} fields.", next_step="Tell an operator.")
    cursor, time = fields.get("__CURSOR"), fields.get("__REALTIME_TIMESTAMP")
    if not isinstance(cursor, str) or not isinstance(time, str) or not cursor.isascii() or not cursor.isprintable():
        raise nonsense()
    if not time.isascii() or not time.isdecimal() or len(time) > MAX_DIGITS:
        raise nonsense()
    line, unreadable = _line(fields.get("MESSAGE", ""))
    return Entry(cursor, Row(int(time) * 1_000, _labels(fields, names), line, _metadata(fields, names) + unreadable))


def _labels(fields: dict[str, object], names: frozenset[str]) -> Labels:
    """Return the labels; a field with several values is none, since it could not be tested as one."""
    found = {}
    for name in names:
        texts = _texts(fields.get(field_of(name)))
        if len(texts) == 1:
            found[name] = texts[0].decode("utf-8", "replace")
    return labels_of(found)


def _metadata(fields: dict[str, object], names: frozenset[str]) -> Metadata:
    labels = {field_of(name) for name in names}
    pairs = []
    for name, value in fields.items():
        if name.startswith("__") or name == "MESSAGE" or name in labels:
            continue
        pairs += [(name.lower(), text.decode("utf-8", "replace")) for text in _texts(value)]
    return tuple(sorted(pairs))


def _line(value: object) -> tuple[bytes, Metadata]:
    if value is None:
        return b"", _UNREADABLE
    return b"\n".join(_texts(value)).removesuffix(b"\n"), ()


def _texts(value: object) -> list[bytes]:
    """Return the values of a field: a text, the bytes of one as numbers, or a list of these; null was withheld.

    Raises:
        SourceProtocol: it is something else.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value.encode()]
    if not isinstance(value, list):
        raise nonsense()
    if value and all(isinstance(one, int) for one in value):
        return [_bytes(value)]
    texts = []
    for one in value:
        if isinstance(one, str):
            texts.append(one.encode())
        elif isinstance(one, list):
            texts.append(_bytes(one))
        elif one is not None:
            raise nonsense()
    return texts


def _bytes(numbers: list[object]) -> bytes:
    try:
        return bytes(numbers)  # type: ignore[arg-type] # whatever is no byte raises
    except (TypeError, ValueError):
        raise nonsense() from None


def nonsense() -> SourceProtocol:
    """Return the error for an answer that cannot be systemd-journal-gatewayd's."""
    return SourceProtocol("The source answered what systemd-journal-gatewayd does not.", next_step="Tell an operator.")
