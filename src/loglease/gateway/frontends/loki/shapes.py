"""The JSON of lines and samples as Loki's clients expect it.

A client that asks for categorised labels gets those of metadata and of parsers beside each line; for all others they
are folded into the labels of the stream.
"""

from __future__ import annotations

from typing import Final

import orjson

from loglease.gateway.frontends.encoder import Line
from loglease.gateway.request import Headers
from loglease.logql.metrics import Series
from loglease.logql.quantities import print_sample

FLAG: Final = "categorize-labels"

_EMPTY: Final = b"{}"


def wants_categories(headers: Headers) -> bool:
    """Say whether the client asks for categorised labels."""
    flags = b",".join(value for name, value in headers if name == b"x-loki-response-encoding-flags")
    return FLAG.encode() in {flag.strip() for flag in flags.split(b",")}


def stream_labels(line: Line, *, categorize: bool) -> bytes:
    """Return the labels of the stream that a line is listed under, as a JSON object."""
    if categorize:
        return line.labels
    return joined(line.labels, line.metadata, line.parsed or _EMPTY)


def joined(*objects: bytes) -> bytes:
    """Return one JSON object with the members of several, whose names differ."""
    return b"{" + b",".join(one[1:-1] for one in objects if one != _EMPTY) + b"}"


def value(line: Line, *, categorize: bool) -> bytes:
    """Return one line as a JSON array: time, text, and with categories what is not the stream's."""
    if not categorize:
        return b'["%d",%b]' % (line.event_ns, line.quoted)
    parts = []
    if line.metadata != _EMPTY:
        parts.append(b'"structuredMetadata":' + line.metadata)
    if line.parsed and line.parsed != _EMPTY:
        parts.append(b'"parsed":' + line.parsed)
    return b'["%d",%b,{%b}]' % (line.event_ns, line.quoted, b",".join(parts))


def sample(ns: int, number: float) -> bytes:
    """Return one sample as a JSON array: seconds with at most three decimals, and the number as text."""
    seconds, milliseconds = divmod(ns // 1_000_000, 1_000)
    fraction = f".{milliseconds:03d}".rstrip("0") if milliseconds else ""
    return f'[{seconds}{fraction},"{print_sample(number)}"]'.encode()


def metric(series: Series) -> bytes:
    """Return the labels of a series as a JSON object."""
    return orjson.dumps(dict(series))
