"""Canonical bytes, digests and salted commitments: what reviews, entries and proofs are bound to.

The encoding is the subset of RFC 8785 that `audit.md` 2 defines: sorted keys, no spare white space, strings, integers,
booleans, arrays and objects; no null, no float. Equal values have equal bytes, so a digest names exactly one value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from loglease.model.errors import InvalidField

Canonical = str | int | bool | Sequence["Canonical"] | Mapping[str, "Canonical"]

MAX_DEPTH: Final = 8
MAX_INTEGER: Final = 2**53 - 1
SALT_BYTES: Final = 16

_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")


def canonical_bytes(value: Canonical) -> bytes:
    """Encode a value in the canonical subset.

    Raises:
        InvalidField: a float, null, integer beyond ±(2^53−1), lone surrogate, foreign key or deeper than 8 levels.
    """
    _check(value, 0)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _check(value: object, depth: int) -> None:  # noqa: C901 - one case per type of the subset
    if depth > MAX_DEPTH:
        raise InvalidField(f"A record is nested deeper than {MAX_DEPTH} levels.")
    if type(value) is str and value.isascii():
        return  # most of what records hold
    match value:
        case bool():
            return
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise InvalidField("A text holds half a character (a lone surrogate).") from error
        case int():
            if abs(value) > MAX_INTEGER:
                raise InvalidField("A number is too large for a record.")
        case dict() | Mapping():
            for key, item in value.items():
                if not isinstance(key, str) or not _KEY.fullmatch(key):
                    raise InvalidField("A record has a key of a wrong form.")
                _check(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case _:
            raise InvalidField(f"A record cannot hold a {type(value).__name__}.")


def sha256_hex(content: bytes) -> str:
    """Return the SHA-256 digest as 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()


def commitment(salt: bytes, content: bytes) -> str:
    """Return the salted commitment to a text: SHA-256(salt ‖ bytes), 64 lower-case hex digits.

    Without the salt nobody can test a guess, so erasing the salt erases the text from the record.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
    return sha256_hex(salt + content)
