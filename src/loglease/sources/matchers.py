"""What a selector asks of one label, printed as stores with selectors like Prometheus' read it.

Every value is quoted in plain ASCII, so that it can only be a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from loglease.model.labels import Matcher

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_PLAIN: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


def quoted(value: str) -> str:
    """Write a string literal of Go, nothing in it but printable ASCII."""
    return '"' + "".join(letter if letter in _PLAIN else _escape(ord(letter)) for letter in value) + '"'


def _escape(code: int) -> str:
    if code < 0x80:  # noqa: PLR2004 - ASCII; above, \x would be a byte and not a letter
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def literal_pattern(text: str) -> str:
    """Write a regular expression that means just this text."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def label_tests(name: str, matcher: Matcher, *, present: str) -> Iterator[str]:
    """Write the tests of one label; a store takes them together.

    A missing label is an empty value to these stores, and no pattern of ours matches it.

    Args:
        name: as it is written in a selector.
        present: the test that a label is there, with its operator.
    """
    if len(matcher.exact) == 1 and not matcher.prefixes:
        yield f"{name}={quoted(next(iter(matcher.exact)))}"
    elif matcher.exact or matcher.prefixes:
        yield f"{name}=~{quoted(_pattern(matcher.exact, matcher.prefixes))}"
    else:
        yield f"{name}{present}"
    if matcher.except_exact or matcher.except_prefixes:
        yield f"{name}!~{quoted(_pattern(matcher.except_exact, matcher.except_prefixes))}"


def _pattern(exact: Iterable[str], prefixes: Iterable[str]) -> str:
    alternatives = [literal_pattern(value) for value in sorted(exact)]
    alternatives += [f"{literal_pattern(prefix)}(?s:.*)" for prefix in sorted(prefixes)]
    return "|".join(alternatives)
