"""Functions on text, with the argument orders of the library whose names they carry."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus, unquote_to_bytes

from loglease.logql.errors import Malformed
from loglease.logql.expressions import Expression, Spans, all_matches, expander, within_line
from loglease.logql.quantities import SPACE
from loglease.logql.templates.values import TemplateFailed, Value, count, is_true, text, within_limit

_MAX_EXPRESSIONS: Final = 64
_expressions: Final[dict[str, Expression]] = {}


def trunc(size: Value, value: Value) -> str:
    """Keep so many characters from the start, or from the end if the number is negative."""
    kept, whole = count(size), text(value)
    if kept >= 0:
        return whole[:kept]
    return whole[kept:] if -kept < len(whole) else whole


def substr(start: Value, end: Value, value: Value) -> str:
    """Cut out characters from start to before end; below 0 they mean the text's start and its end.

    Nothing is left of what begins at or past its end, or has both below 0.
    """
    first, last, whole = count(start), count(end), text(value)
    if first < 0:
        return whole[: max(0, last)]
    return whole[first:] if last < 0 else whole[first:last]


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def replace(old: Value, new: Value, value: Value) -> str:
    """Replace all."""
    return replace_some(value, old, new, -1)


def replace_some(value: Value, old: Value, new: Value, times: Value) -> str:
    """Replace the first so many, all if negative."""
    whole, before, after, most = text(value), text(old), text(new), count(times)
    hits = whole.count(before) if most < 0 else min(most, whole.count(before))
    within_limit(len(whole) + hits * max(0, len(after) - len(before)))
    return whole.replace(before, after, most)


def repeat(times: Value, value: Value) -> str:
    """Repeat a text."""
    one, often = text(value), count(times)
    if often < 0:
        raise TemplateFailed
    within_limit(len(one.encode()) * often)
    return one * often


def indent(spaces: Value, value: Value) -> str:
    """Put spaces before each line."""
    lines = text(value).split("\n")
    if count(spaces) < 0:
        raise TemplateFailed
    pad = " " * within_limit(spaces)
    within_limit(sum(map(len, lines)) + len(pad) * len(lines))
    return "\n".join(pad + one for one in lines)


def nindent(spaces: Value, value: Value) -> str:
    """Begin a new line and put spaces before each."""
    return "\n" + indent(spaces, value)


def align_left(size: Value, value: Value) -> str:
    """Cut or fill up to so many characters, the text to the left; a number below 0 leaves it as it is."""
    whole, width = text(value), within_limit(count(size))
    return whole if width < 0 else whole[:width].ljust(width)


def align_right(size: Value, value: Value) -> str:
    """Cut or fill up to so many characters, the text to the right; a number below 0 leaves it as it is."""
    whole, width = text(value), within_limit(count(size))
    return whole if width < 0 else whole[max(0, len(whole) - width) :].rjust(width)


def lower(value: Value) -> str:
    """Write in small letters."""
    whole = text(value)
    return whole.lower() if whole.isascii() else "".join(map(_small, whole))


def upper(value: Value) -> str:
    """Write in capitals."""
    whole = text(value)
    return whole.upper() if whole.isascii() else "".join(map(_capital, whole))


def title(value: Value) -> str:
    """Begin each word with a capital."""
    shown, before = [], " "
    for one in text(value):
        shown.append(_titled(one) if _separates(before) else one)
        before = one
    return "".join(shown)


def _separates(one: str) -> bool:
    if one.isascii():
        return not (one.isalnum() or one == "_")
    return one in SPACE


def _small(one: str) -> str:
    """Return the small letter as Unicode maps single characters."""
    shown = one.lower()
    return shown if len(shown) == 1 else shown[0]


def _capital(one: str) -> str:
    shown = one.upper()
    return shown if len(shown) == 1 else _titled(one)


def _titled(one: str) -> str:
    shown = one.title()
    return shown if len(shown) == 1 else one


def trim(value: Value) -> str:
    """Remove white space on both sides."""
    return text(value).strip(SPACE)


def trim_all(characters: Value, value: Value) -> str:
    """Remove these characters on both sides."""
    return text(value).strip(text(characters)) if text(characters) else text(value)


def trim_prefix(prefix: Value, value: Value) -> str:
    """Remove a prefix."""
    return text(value).removeprefix(text(prefix))


def trim_suffix(suffix: Value, value: Value) -> str:
    """Remove a suffix."""
    return text(value).removesuffix(text(suffix))


def go_trim(value: Value, characters: Value) -> str:
    """Remove these characters on both sides; the text comes first."""
    return trim_all(characters, value)


def go_trim_left(value: Value, characters: Value) -> str:
    """Remove these characters at the start."""
    return text(value).lstrip(text(characters)) if text(characters) else text(value)


def go_trim_right(value: Value, characters: Value) -> str:
    """Remove these characters at the end."""
    return text(value).rstrip(text(characters)) if text(characters) else text(value)


def go_trim_prefix(value: Value, prefix: Value) -> str:
    """Remove a prefix; the text comes first."""
    return trim_prefix(prefix, value)


def go_trim_suffix(value: Value, suffix: Value) -> str:
    """Remove a suffix; the text comes first."""
    return trim_suffix(suffix, value)


def contains(inner: Value, value: Value) -> bool:
    """Say whether a text holds another."""
    return text(inner) in text(value)


def has_prefix(prefix: Value, value: Value) -> bool:
    """Say whether a text begins so."""
    return text(value).startswith(text(prefix))


def has_suffix(suffix: Value, value: Value) -> bool:
    """Say whether a text ends so."""
    return text(value).endswith(text(suffix))


def default(fallback: Value, value: Value = None, *_: Value) -> Value:
    """Return the value, or the fallback where it is empty."""
    return value if is_true(value) else fallback


def count_matches(pattern: Value, value: Value) -> int:
    """Count what an expression matches."""
    return sum(1 for _ in all_matches(_expression(pattern), text(value).encode()))


def regex_replace_all(pattern: Value, value: Value, replacement: Value) -> str:
    """Replace what an expression matches; ``$1`` and ``${name}`` stand for its groups."""
    expression = _expression(pattern)
    return _replaced(expression, text(value), expander(expression, text(replacement)))


def regex_replace_all_literal(pattern: Value, value: Value, replacement: Value) -> str:
    """Replace what an expression matches by a text as it stands."""
    literal = text(replacement).encode()
    return _replaced(_expression(pattern), text(value), lambda _raw, _spans: literal)


def _expression(pattern: Value) -> Expression:
    wanted = text(pattern)
    found = _expressions.get(wanted)
    if found is None:
        try:
            found = within_line(wanted)
        except Malformed as error:
            raise TemplateFailed from error
        if len(_expressions) >= _MAX_EXPRESSIONS:
            _expressions.clear()
        _expressions[wanted] = found
    return found


def _replaced(expression: Expression, value: str, fill: Callable[[bytes, Spans], bytes]) -> str:
    raw = value.encode()
    made = bytearray()
    at = 0
    for spans in all_matches(expression, raw):
        start, end = spans[0]
        made += raw[at:start] + fill(raw, spans)
        within_limit(len(made))
        at = end
    return _decoded(bytes(made + raw[at:]))


def b64enc(value: Value) -> str:
    """Encode as Base64."""
    return base64.b64encode(text(value).encode()).decode()


def b64dec(value: Value) -> str:
    """Decode Base64; what is none gives the library's complaint, which says nothing but where."""
    raw = text(value).encode()
    fault = _base64_fault(raw)
    if fault is not None:
        return f"illegal base64 data at input byte {fault}"
    return _decoded(base64.b64decode(raw))


_BASE64: Final = frozenset(base64.b64encode(bytes(range(256))).rstrip(b"=")) | frozenset(b"+/0123456789")


def _base64_fault(raw: bytes) -> int | None:
    """Return where a text stops being Base64, None if it does not. Line ends count for nothing."""
    places = [at for at, byte in enumerate(raw) if byte not in b"\r\n"]
    for number, at in enumerate(places):
        if raw[at] in _BASE64:
            continue
        if raw[at] != ord("=") or number % 4 < 2:  # noqa: PLR2004 - one or no character gives no byte
            return at
        after = number + 1
        if number % 4 == 2:  # noqa: PLR2004 - two characters take two signs
            if after == len(places):
                return len(raw)
            if raw[places[after]] != ord("="):
                return places[after] - 1
            after += 1
        return places[after] if after < len(places) else None
    missing = len(places) % 4
    return len(raw) - missing if missing else None


def urlencode(value: Value) -> str:
    """Encode for the query of a URL."""
    return quote_plus(text(value), safe="")


def urldecode(value: Value) -> str:
    """Undo the encoding for a query of a URL."""
    encoded = text(value)
    parts = encoded.split("%")
    if any(len(part) < 2 or not set(part[:2]) <= set("0123456789abcdefABCDEF") for part in parts[1:]):  # noqa: PLR2004
        raise TemplateFailed
    return _decoded(unquote_to_bytes(encoded.replace("+", " ")))
