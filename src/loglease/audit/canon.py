"""The canonical encoding of entries: one value has one sequence of bytes, and nothing else is accepted.

A subset of RFC 8785: sorted keys, no spare white space, text, whole numbers within ±(2^53−1), truth values, arrays and
objects. Encoding is `model.digest.canonical_bytes`; here is the way back, which refuses every other spelling.
"""

from __future__ import annotations

import orjson

from loglease.audit.interface import EntryInvalid
from loglease.model.digest import Canonical, canonical_bytes
from loglease.model.errors import InvalidField


def canonical_value(content: bytes) -> Canonical:
    """Return the value that canonical bytes stand for.

    Raises:
        EntryInvalid: it is no JSON, or not the one canonical spelling of its value.
    """
    try:
        value: Canonical = orjson.loads(content)
        again = canonical_bytes(value)
    except (orjson.JSONDecodeError, InvalidField) as error:
        raise EntryInvalid(f"An entry is not canonical: {error}") from error
    # What a parser forgives (order, space, escapes, a key twice, -0) is gone now, so any difference shows.
    if again != content:
        raise EntryInvalid("An entry is not canonical: it has another spelling of the same value.")
    return value
