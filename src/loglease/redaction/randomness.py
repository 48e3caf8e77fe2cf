"""How random a value looks: what tells a token that was drawn from names, words, digests, paths and placeholders."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import Final

UUID: Final = re.compile(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX: Final = re.compile(
    rb"(?i)(?:[a-z0-9]{2,8}[:-])?[0-9a-f]+|[a-z][a-z0-9.]*(?:-[a-z0-9.]+){1,7}-(?:[0-9a-f]{40}|[0-9a-f]{64})"
)
# Of this century up to 2039.
_ULID: Final = re.compile(rb"(?:[a-z]{2,8}_)?01[0-9A-HJKMNP-TV-Z]{24}")
_ONLY_HEX: Final = re.compile(rb"(?i)[0-9a-f]{16,}")
# An address, a path, an object's printed identity, dotted words.
_NO_SECRET: Final = re.compile(
    rb"[a-z][a-z0-9+.-]{1,20}://|/|[\w.$]{1,200}@[0-9a-f]{1,16}\Z|[A-Za-z]+(?:\.[A-Za-z]+)+\Z"
    rb"|(?:[\w.=@+-]{1,255}/){1,32}[\w@+-][\w.@+-]{0,255}\.[a-z][a-z0-9]{1,4}\Z"
)
_UNPRINTABLE: Final = bytes(range(0x20)) + bytes(range(0x7F, 0x100))
_KINDS: Final = (b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_PART: Final = re.compile(rb"[A-Za-z0-9]+")
_LETTER: Final = re.compile(rb"[A-Za-z]")
_DIGIT: Final = re.compile(rb"[0-9]")
_TURNS: Final = re.compile(rb"[a-z][A-Z]|[A-Z]{2}[a-z]|[A-Za-z][0-9]|[0-9][A-Za-z]")
# A parameter of a statement that is not in it: `?`, `$1`, `:password`, `@password`.
_BIND: Final = (
    rb"\?|\$[0-9]{1,3}"
    rb"|[:@](?:p?[0-9]{1,3})|@(?i:[a-z]{0,24}(?:password|passwd|pwd|secret|token|key))"
    rb"|:(?:[a-z]{1,20}_){0,3}(?:pass|password|passwd|pwd|passphrase|secret|token|otp|pin|key)"
)
# What stands where a secret would: a variable, a template, a call, words in angle brackets, nothing but fillers.
_PLACEHOLDER: Final = re.compile(
    rb"\$\{[^\n]*|\$\([^\n]*|\$[A-Za-z_]\w*(?:[/.][^\n]*)?|\{\{[^\n]*|%\{[^\n]*|%\([^\n]*|%[A-Z_]{3,}%"
    rb"|<[A-Za-z][\w .:-]*>?|\[[A-Za-z][\w -]*\]?|[*.xX#?_-]+|(?i:your|my|enter|insert|replace|change)[_-][\w-]*"
    rb"|(?:[A-Za-z_][\w.]*)?\([^\n]*"
    rb"|"
    + _BIND
    + rb"|(?:process|os|secrets|vars|env|config|settings|self|this|data|local|var)\.[A-Za-z_][\w.\[\]\"']*"
)
_TEMPLATE: Final = re.compile(
    rb"\$\{[^\n]*\}|\$\([^\n]*|\$[A-Z][A-Z0-9]*_[A-Z0-9_]+(?:/[^\n]*)?|\{\{[^\n]*\}\}|%\([a-z_]+\)s?"
    rb"|<[A-Za-z][A-Za-z _.-]*>?|" + _BIND
)
_ROUNDING: Final = 1e-9
_SAMPLE_WORDS: Final = frozenset(b"password passwd pass pwd token secret test key apikey api_key api_token".split())


def bits_per_byte(value: bytes) -> float:
    """Return the Shannon entropy of a value's bytes."""
    size = len(value)
    if not size:
        return 0.0
    return math.log2(size) - sum(map(_weight, Counter(value).values())) / size


def has_bits(value: bytes, least: float) -> bool:
    """Tell whether the Shannon entropy of a value's bytes is at least so many bits.

    So many different bytes have at least the entropy that they have if all but one stand once, and at most that of as
    many of each; most values are told from these alone.
    """
    size, different = len(value), len(set(value))
    if different < 2**least - _ROUNDING:
        return False
    often = size - different + 1
    if size and math.log2(size) - often * math.log2(often) / size > least + _ROUNDING:
        return True
    return bits_per_byte(value) >= least


@lru_cache(maxsize=256)
def _weight(count: int) -> float:
    return count * math.log2(count)


def printable(value: bytes) -> bytes:
    """Return what counts of a value: pictures of control characters must not make it longer than it was."""
    return value.translate(None, _UNPRINTABLE)


def has_letter_and_digit(value: bytes) -> bool:
    """Tell whether a value has at least one ASCII letter and one digit."""
    return bool(_LETTER.search(value) and _DIGIT.search(value))


def is_digest(value: bytes) -> bool:
    """Tell whether a value is a UUID or ULID, in hexadecimal alone, or words and a digest of SHA-1 or SHA-256."""
    value = value.rstrip(b"'\".,)")
    return bool(UUID.fullmatch(value) or _HEX.fullmatch(value) or _ULID.fullmatch(value))


def is_named_otherwise(value: bytes) -> bool:
    """Tell whether a value is a UUID, an address, a path, an object's identity or dotted words."""
    return bool(UUID.fullmatch(value) or _NO_SECRET.match(value))


def is_placeholder(value: bytes) -> bool:
    """Tell whether a value only stands for one: a variable, a template, a call, fillers."""
    return bool(_PLACEHOLDER.fullmatch(value))


def is_template(value: bytes) -> bool:
    """Tell whether a value is certainly a variable or a template that nobody filled in."""
    return bool(_TEMPLATE.fullmatch(value))


def is_user_and_password(value: bytes) -> bool:
    """Tell whether a value is a name and a password joined by a colon, neither of them standing for one."""
    parts = [part.strip(b"\"'") for part in value.partition(b":")[::2]]
    if any(is_placeholder(part) for part in parts):
        return False
    name, password = parts
    return password.lower() not in _SAMPLE_WORDS and bool(password or len(name) >= 12)  # noqa: PLR2004 - a key as a name


def is_opaque(value: bytes) -> bool:
    """Tell whether a value of 16 bytes or more may be a credential where a name says so: digests and UUIDs, too."""
    if UUID.fullmatch(value) or _ONLY_HEX.fullmatch(value):
        return len(set(value)) > 3  # noqa: PLR2004 - a filler has fewer
    if _NO_SECRET.match(value) or not has_bits(value, 2.5):
        return False
    parts = _PART.findall(value)
    mixed = [len(part) for part in parts if not part.isalpha() and not part.isdigit()]
    if sum(mixed) * 2 >= sum(map(len, parts)) or max(mixed, default=0) >= 16:  # noqa: PLR2004 - no word
        return True
    longest = max(parts, key=len, default=b"")
    return len(longest) >= 20 and len(_TURNS.findall(longest)) * 4 >= len(longest)  # noqa: PLR2004 - no word is so long


def is_random(value: bytes) -> bool:
    """Tell whether the last part of a value was drawn from capitals, small letters and digits alike."""
    last = value[max(value.rfind(b"_"), value.rfind(b"-")) + 1 :]
    for kind in _KINDS:
        if len(last) - len(last.translate(None, kind)) < 3:  # noqa: PLR2004 - of some 32 characters
            return False
    return has_bits(last, 4.0) and len(_TURNS.findall(last)) * 4 >= len(last)
