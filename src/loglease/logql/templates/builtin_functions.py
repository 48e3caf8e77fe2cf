"""The functions that Go's templates have of themselves."""

from __future__ import annotations

import html
import operator
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus

from loglease.logql.templates.layouts import formatted
from loglease.logql.templates.printing import written
from loglease.logql.templates.values import Labels, Moment, TemplateFailed, Value, count, is_true, text, within_limit

_COMPARABLE: Final = (bool, int, float, str, Moment)


def all_of(*values: Value) -> Value:
    """Return the first value that is not true, else the last."""
    return next((one for one in values if not is_true(one)), values[-1])


def any_of(*values: Value) -> Value:
    """Return the first value that is true, else the last."""
    return next((one for one in values if is_true(one)), values[-1])


def negated(value: Value) -> bool:
    """Say whether a value is not true."""
    return not is_true(value)


def equal(first: Value, *others: Value) -> bool:
    """Say whether the first equals any of the others; kinds that do not go together are an error."""
    return any(_comparable(first, one) and first == one for one in others)


def unequal(first: Value, second: Value) -> bool:
    """Say whether two values differ."""
    return not equal(first, second)


def ordering(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], bool]:
    """Return a comparison of two texts or two numbers of one kind."""

    def compared(first: Value, second: Value) -> bool:
        if isinstance(first, (bool, Moment)) or None in (first, second) or not _comparable(first, second):
            raise TemplateFailed
        return compare(first, second)

    return compared


less: Final = ordering(operator.lt)
less_or_equal: Final = ordering(operator.le)
greater: Final = ordering(operator.gt)
greater_or_equal: Final = ordering(operator.ge)


def _comparable(first: Value, second: Value) -> bool:
    if first is None or second is None:
        return True
    if type(first) is not type(second) or not isinstance(first, _COMPARABLE):
        raise TemplateFailed
    return True


def length(value: Value) -> int:
    """Return the length: of a text in bytes."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, dict)):
        return len(value)
    raise TemplateFailed


def element(value: Value, *keys: Value) -> Value:
    """Return an element by number or key, one key after the other; a missing key gives nothing."""
    if value is None:
        raise TemplateFailed
    for key in keys:
        if isinstance(value, dict):
            value = value[text(key)] if isinstance(value, Labels) else value.get(text(key))
            continue
        if not isinstance(value, (list, str)):
            raise TemplateFailed
        whole = list(value.encode()) if isinstance(value, str) else value
        if not 0 <= count(key) < len(whole):
            raise TemplateFailed
        value = whole[key]
    return value


def part(value: Value, *bounds: Value) -> Value:
    """Return a part of a list or, by bytes, of a text."""
    if not isinstance(value, (list, str)):
        raise TemplateFailed
    whole = value.encode() if isinstance(value, str) else value
    first = count(bounds[0]) if bounds else 0
    last = count(bounds[1]) if len(bounds) > 1 else len(whole)
    capacity = count(bounds[2]) if len(bounds) > 2 else last  # noqa: PLR2004 - the bound that only Go's lists have
    if not 0 <= first <= last <= capacity <= len(whole) or (isinstance(value, str) and len(bounds) > 2):  # noqa: PLR2004
        raise TemplateFailed
    cut = whole[first:last]
    return cut.decode("utf-8", "replace") if isinstance(cut, bytes) else cut


def joined(*values: Value) -> str:
    """Write values one after another, with a space between two that are no texts."""
    shown = ""
    for number, one in enumerate(values):
        apart = number and not isinstance(one, str) and not isinstance(values[number - 1], str)
        shown += (" " if apart else "") + written(one)
        within_limit(len(shown))
    return shown


def line_of(*values: Value) -> str:
    """Write values with spaces between them and a newline at the end."""
    shown = " ".join(map(written, values)) + "\n"
    within_limit(len(shown))
    return shown


def filled(layout: Value, *values: Value) -> str:
    """Fill values into a layout with verbs."""
    return formatted(text(layout), values)


def _shown(values: tuple[Value, ...]) -> str:
    return joined(*("<no value>" if one is None else one for one in values))


def for_html(*values: Value) -> str:
    """Escape for HTML."""
    return html.escape(_shown(values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


_SCRIPT: Final = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "<": "\\u003C",
        ">": "\\u003E",
        "&": "\\u0026",
        "=": "\\u003D",
        **{chr(code): f"\\u{code:04X}" for code in range(0x20)},
    }
)


def for_script(*values: Value) -> str:
    """Escape for JavaScript."""
    return "".join(
        one if one.isascii() or one.isprintable() else f"\\u{ord(one):04X}" for one in _shown(values).translate(_SCRIPT)
    )


def for_query(*values: Value) -> str:
    """Escape for the query of a URL."""
    return quote_plus(_shown(values), safe="")
