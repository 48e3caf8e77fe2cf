"""From records of VictoriaLogs to rows: ``_stream`` has the labels, ``_msg`` the line, ``_time`` the event time."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

import orjson

from loglease.model.errors import Malformed
from loglease.model.instant import parse_event_time
from loglease.model.labels import Labels, labels_of
from loglease.sources.interface import Metadata, SourceLimit, SourceProtocol
from loglease.sources.paging import Row

MAX_LABELS: Final = 100
MAX_FIELDS: Final = 2_000
_OWN: Final = frozenset({"_msg", "_time", "_stream", "_stream_id"})
_PAIR: Final = re.compile(r'([^="\x00-\x1f]+)="((?:[^"\\\n]|\\.)*)"')
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))", re.DOTALL
)
_LETTERS: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def row_of(record: bytes) -> Row:
    """Return the row of one record.

    Raises:
        SourceProtocol: it is no flat object of texts with a stream and a time.
        SourceLimit: it has more fields or labels than a line may have.
    """
    fields = _fields(record)
    try:
        labels = labels_in(fields["_stream"])
        ts = parse_event_time(fields["_time"])
    except (KeyError, Malformed):
        raise nonsense() from None
    own = dict(labels)
    metadata: Metadata = tuple(
        sorted((name, value) for name, value in fields.items() if name not in _OWN and own.get(name) != value)
    )
    return Row(ts, labels, bytes_of(fields.get("_msg", "")).removesuffix(b"\n"), metadata)


def _fields(record: bytes) -> dict[str, str]:
    try:
        found = orjson.loads(record)
    except orjson.JSONDecodeError:
        found = _lenient(record)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise nonsense()
    if len(found) > MAX_FIELDS:
        raise SourceLimit(f"The source gave a line with more than {MAX_FIELDS} fields.", next_step="Tell an operator.")
    return found


def _lenient(record: bytes) -> object:
    """Read a record with bytes that are no UTF-8: the line keeps them, names and values of fields do not."""
    try:
        found = json.loads(record.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise nonsense() from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise nonsense()
    return {_clean(name): value if name == "_msg" else _clean(value) for name, value in found.items()}


def _clean(text: str) -> str:
    return bytes_of(text).decode("utf-8", "replace")


def bytes_of(text: str) -> bytes:
    """Return the bytes of a text from JSON, also of one that is no Unicode."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=20_000)
def labels_in(text: str) -> Labels:
    """Read ``{name="value",…}`` as the store writes it, with the escapes of Go.

    Raises:
        SourceProtocol: it is not written like that, or names a label twice.
        SourceLimit: it has more than 100 labels.
    """
    if not (text.startswith("{") and text.endswith("}")):
        raise nonsense()
    found: dict[str, str] = {}
    place, end = 1, len(text) - 1
    while place < end:
        pair = _PAIR.match(text, place, end)
        if pair is None or pair[1] in found:
            raise nonsense()
        found[pair[1]] = _unescaped(pair[2])
        place = pair.end()
        if place < end:
            if text[place] != "," or place + 1 == end:
                raise nonsense()
            place += 1
    if len(found) > MAX_LABELS:
        raise SourceLimit(f"The source has a stream of more than {MAX_LABELS} labels.", next_step="Tell an operator.")
    return labels_of(found)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        letter, byte, short, long, octal, other = match.groups()
        if letter is not None:
            return _LETTERS[letter]
        if other is not None:
            raise nonsense()
        if byte is not None or octal is not None:
            code = int(byte, 16) if byte is not None else int(octal, 8)
            return chr(code) if code < 0x80 else "\ufffd"  # noqa: PLR2004 - a byte that is no letter by itself
        code = int(short or long, 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"  # noqa: PLR2004 - Unicode

    return _ESCAPE.sub(one, text)


def streams_in(document: bytes) -> list[Labels]:
    """Return the streams that ``/select/logsql/streams`` lists.

    Raises:
        SourceProtocol: it is no such list.
    """
    try:
        values = orjson.loads(document)["values"]
        return [labels_in(one["value"]) for one in values]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise nonsense() from None


def nonsense() -> SourceProtocol:
    """Return the error for an answer that cannot be VictoriaLogs'."""
    return SourceProtocol("The source answered what VictoriaLogs does not.", next_step="Tell an operator.")
