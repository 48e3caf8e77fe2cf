"""The small language in which entry types are written down, and the checks that it compiles to.

``name`` text of at most 512 bytes, ``name#`` integer, ``name!`` truth value, ``name{a|b}`` one of these words,
``name:Shape`` an object of a named shape, ``name:{…}`` an object, ``name:[]`` an array of text, ``name:[Shape]`` and
``name:[{…}]`` arrays of objects; a trailing ``?`` means that the key may be absent. The end of a name fixes the form of
its text: ``_at`` a time, ``_s`` and ``_ms`` an integer, ``_ns`` a decimal number, ``_sha256`` and ``_c`` a digest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from loglease.model.digest import MAX_INTEGER

Fault = str | None
Check = Callable[[object], Fault]
"""Return what is wrong with a value, with the path to it in front, or None."""

MAX_TEXT_BYTES: Final = 512
_SHORTEST_MONTH: Final = 28

_AT = re.compile(
    r"(?:19[7-9]|[2-9]\d\d)\d-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z",
    re.ASCII,
)
_NS = re.compile(r"0|-?[1-9]\d{0,19}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELD = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?P<form>#|!|\{[a-z_0-9|]+\}|:.+?)?(?P<optional>\?)?", re.DOTALL)
_CLOSING: Final[Mapping[str, str]] = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object.

    Attributes:
        form: how it is written in the language, without name and question mark; for the reference.
    """

    name: str
    form: str
    optional: bool
    check: Check


class Shapes:
    """Named shapes, in the order in which they are declared; each may use those before it."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def declare(self, name: str, check: Check) -> None:
        """Make a shape known under a capitalised name."""
        self._checks[name] = check

    def object(self, name: str, text: str) -> tuple[Field, ...]:
        """Declare an object from its fields, and return them."""
        found = self.fields(text)
        self.declare(name, object_check(found))
        return found

    def words(self, name: str, text: str) -> None:
        """Declare a closed set of words, written ``{a|b}``."""
        self.declare(name, _one_of(text))

    def fields(self, text: str) -> tuple[Field, ...]:
        """Read fields separated by commas.

        Raises:
            ValueError: the text is not of the language; a fault in the list of types.
        """
        return tuple(self._field(part) for part in _parts(text))

    def _field(self, text: str) -> Field:
        match = _FIELD.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no field")
        name, form = match["name"], match["form"] or ""
        return Field(name, form, match["optional"] is not None, self._check(name, form))

    def _check(self, name: str, form: str) -> Check:
        if form in _SIMPLE:
            return _SIMPLE[form]
        if form.startswith("{"):
            return _one_of(form)
        if form.startswith(":[") and form.endswith("]"):
            inner = form[2:-1]
            return array_check(self._shape(inner) if inner else _text_check(name))
        if form.startswith(":"):
            return self._shape(form[1:])
        return _text_check(name)

    def _shape(self, text: str) -> Check:
        if text.startswith("{"):
            return object_check(self.fields(text[1:-1]))
        return self._checks[text]


def object_check(fields: tuple[Field, ...]) -> Check:
    """Return the check of an object with exactly these keys."""
    checks = {field.name: field.check for field in fields}
    required = frozenset(field.name for field in fields if not field.optional)

    def check(value: object) -> Fault:
        if not isinstance(value, Mapping):
            return " is no object"
        for name, item in value.items():
            known = checks.get(name)
            if known is None:
                return f".{name} is not a key of it"
            fault = known(item)
            if fault is not None:
                return f".{name}{fault}"
        missing = required - value.keys()
        return f".{min(missing)} is missing" if missing else None

    return check


def any_check(*checks: Check) -> Check:
    """Return the check of a value that has one of several forms."""

    def check(value: object) -> Fault:
        return None if any(one(value) is None for one in checks) else " has none of its forms"

    return check


def array_check(item: Check) -> Check:
    """Return the check of an array."""

    def check(value: object) -> Fault:
        if not isinstance(value, list | tuple):
            return " is no array"
        for position, element in enumerate(value):
            fault = item(element)
            if fault is not None:
                return f"[{position}]{fault}"
        return None

    return check


def _one_of(form: str) -> Check:
    words = frozenset(form.strip("{}").split("|"))

    def check(value: object) -> Fault:
        return None if isinstance(value, str) and value in words else f" is not one of {', '.join(sorted(words))}"

    return check


def _integer(value: object) -> Fault:
    return None if type(value) is int and abs(value) <= MAX_INTEGER else " is no integer within ±(2^53−1)"


def _truth(value: object) -> Fault:
    return None if isinstance(value, bool) else " is neither true nor false"


def _text(value: object) -> Fault:
    if not isinstance(value, str):
        return " is no text"
    if len(value) * 4 <= MAX_TEXT_BYTES:
        return None
    try:
        return None if len(value.encode()) <= MAX_TEXT_BYTES else f" has more than {MAX_TEXT_BYTES} bytes"
    except UnicodeEncodeError:
        return " holds half a character"


def _of_form(pattern: re.Pattern[str], name: str) -> Check:
    def check(value: object) -> Fault:
        return None if isinstance(value, str) and pattern.fullmatch(value) else f" is no {name}"

    return check


def _time(value: object) -> Fault:
    match = _AT.fullmatch(value) if isinstance(value, str) else None
    if match is not None and int(match["day"]) <= _SHORTEST_MONTH:
        return None
    try:
        if match is not None:
            date.fromisoformat(match[0][:10])
            return None
    except ValueError:
        pass  # such as the 30th of February
    return " is no time of 27 characters"


_SIMPLE: Final[Mapping[str, Check]] = {"#": _integer, "!": _truth}
_BY_ENDING: Final[tuple[tuple[str, Check], ...]] = (
    ("_at", _time),
    ("_ns", _of_form(_NS, "decimal number")),
    ("sha256", _of_form(_DIGEST, "SHA-256 in 64 hex digits")),
    ("_c", _of_form(_DIGEST, "commitment in 64 hex digits")),
    ("_ms", _integer),
    ("_s", _integer),
)


def _text_check(name: str) -> Check:
    return next((check for ending, check in _BY_ENDING if name.endswith(ending)), _text)


def _parts(text: str) -> list[str]:
    """Split at the commas that are inside no bracket."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in _CLOSING) - (character in _CLOSING.values())
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part for one in (*parts, current) if (part := "".join(one.split()))]
