"""The entries of each type as a regular language.

A type fixes keys, their order and the form of each value, and the canonical encoding has one spelling. So for each
type a pattern is made from the list that `types` checks with. What matches is an entry of that type; what does not may
still be one, with a letter beyond ASCII or an escape in a text, or a very large number.

Where a text, a number or a key that may be absent ends can be seen from where it begins, so no pattern goes back on its
steps: repeats are possessive, which takes a tenth of the time away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from loglease.audit.field_types import MAX_TEXT_BYTES, Field
from loglease.audit.types import ENTRY_TYPES, ON_TEXT, SHAPES

Matcher = Callable[[bytes], object]
"""Return something if bytes match, None if they do not."""

_CHARACTER: Final = r"[ !#-\[\]-~]"
_TEXT: Final = rf'"{_CHARACTER}{{0,{MAX_TEXT_BYTES}}}+"'
_INTEGER: Final = "(?>[1-9][0-9]{0,14}+|0|-[1-9][0-9]{0,14}+)"
_TRUTH: Final = "(?>true|false)"
_DIGEST: Final = '"[0-9a-f]{64}"'
_DAY: Final = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_AT: Final = rf'"20[0-9]{{2}}-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z"'
_SUBJECT: Final = rf'"(?>sub_{_CHARACTER}{{0,124}}+|system)"'
_ID: Final = rf'"ent_{_CHARACTER}{{0,124}}+"'
_SIMPLE: Final[Mapping[str, str]] = {"#": _INTEGER, "!": _TRUTH}
_BY_ENDING: Final = (
    ("_at", _AT),
    ("_ns", '"(?>[1-9][0-9]{0,18}+|0|-[1-9][0-9]{0,18}+)"'),
    ("sha256", _DIGEST),
    ("_c", _DIGEST),
    ("_ms", _INTEGER),
    ("_s", _INTEGER),
)


@cache
def matcher_of(name: str) -> Matcher:
    """Return what matches the bytes of entries of a type; of their size it says nothing.

    Raises:
        KeyError: there is no such type.
    """
    return _pattern(name, frozenset()).fullmatch


def capturing(name: str, *paths: str) -> Callable[[bytes], re.Match[bytes] | None]:
    """Return a matcher as `matcher_of`, with a group for each of some values, in the order in which entries have them.

    Args:
        name: of the type.
        paths: to the values, such as ``data.total.lines``; of a text the group has no quotes.

    Raises:
        KeyError: there is no such type.
    """
    return _pattern(name, frozenset(paths)).fullmatch


def _pattern(name: str, taken: frozenset[str]) -> re.Pattern[bytes]:
    kind = ENTRY_TYPES[name]
    parts = (
        ("actor", _SUBJECT),
        ("at", _AT),
        ("data", _object(kind.data, "data", taken)),
        ("id", _ID),
        ("ref", _object(kind.ref, "ref", taken)),
        ("type", re.escape(f'"{name}"')),
        ("v", "1"),
    )
    keys = ",".join(f'"{key}":{_grouped(form, key, taken)}' for key, form in parts)
    return re.compile(rf'\{{{keys}(?:,"via":{_SUBJECT})?+\}}'.encode("ascii"))


def _grouped(form: str, path: str, taken: frozenset[str]) -> str:
    if path not in taken:
        return form
    return f'"({form[1:-1]})"' if form.startswith('"') else f"({form})"


def _object(fields: Sequence[Field], path: str = "", taken: frozenset[str] = frozenset()) -> str:
    """Return the pattern of an object; keys that may be absent take their comma with them."""
    ordered = sorted(fields, key=lambda field: field.name)
    members = [f'"{field.name}":{_member(field, f"{path}.{field.name}", taken)}' for field in ordered]
    fixed = next((place for place, field in enumerate(ordered) if not field.optional), None)
    if fixed is None:
        # Without a key that is always there, each may be the first one.
        starts = [
            member + "".join(f"(?:,{later})?+" for later in members[place + 1 :])
            for place, member in enumerate(members)
        ]
        return rf"\{{(?:{'|'.join(starts)})?+\}}" if starts else r"\{\}"
    before = "".join(f"(?:{member},)?+" for member in members[:fixed])
    after = "".join(
        f"(?:,{member})?+" if field.optional else f",{member}"
        for member, field in zip(members[fixed + 1 :], ordered[fixed + 1 :], strict=True)
    )
    return rf"\{{{before}{members[fixed]}{after}\}}"


def _member(field: Field, path: str, taken: frozenset[str]) -> str:
    if any(one.startswith(f"{path}.") for one in taken):
        return _object(SHAPES[field.form[1:]], path, taken)
    return _grouped(_value(field), path, taken)


def _value(field: Field) -> str:
    form = field.form
    if form in _SIMPLE:
        return _SIMPLE[form]
    if form.startswith("{"):
        return _words(form)
    if form.startswith(":["):
        inner = form[2:-1]
        return _array(_shape(inner) if inner else _text(field.name))
    return _shape(form[1:]) if form.startswith(":") else _text(field.name)


@cache
def _shape(name: str) -> str:
    if name == "On":
        return _words(ON_TEXT)
    if name == "Plan":
        slots = _object(SHAPES["Slots"])
        return _array(rf'(?:{slots}|\{{"(?:all_of|any_of)":{_array(slots)}\}})')
    return _object(SHAPES[name])


def _array(item: str) -> str:
    return rf"\[(?:{item}(?:,{item})*+)?+\]"


def _words(form: str) -> str:
    return f'"(?:{"|".join(re.escape(word) for word in form.strip("{}").split("|"))})"'


def _text(name: str) -> str:
    return next((form for ending, form in _BY_ENDING if name.endswith(ending)), _TEXT)
