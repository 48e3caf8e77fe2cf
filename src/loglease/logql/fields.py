"""What fields lines have: found in JSON, else in logfmt, each with its type and how it is reached."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loglease.logql.extraction import Rescan, json_members, label_name, logfmt_pairs
from loglease.logql.quantities import go_duration, number, size

JSON: Final = "json"
LOGFMT: Final = "logfmt"


class Found(NamedTuple):
    """One field of one line.

    Attributes:
        parser: what makes a label of it; empty for metadata, which is one already.
        path: the keys that lead to it in JSON.
    """

    name: str
    value: str
    parser: str = ""
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class Field:
    """A field of several lines."""

    values: set[str] = field(default_factory=set)
    parsers: list[str] = field(default_factory=list)
    path: tuple[str, ...] = ()

    def add(self, found: Found) -> bool:
        """Take what one line has; return whether the value is new."""
        if found.parser and found.parser not in self.parsers:
            self.parsers.append(found.parser)
        self.path = self.path or found.path
        is_new = found.value not in self.values
        self.values.add(found.value)
        return is_new

    @property
    def type(self) -> str:
        """What all of its values are: `int`, `float`, `boolean`, `duration`, `bytes`, else `string`."""
        return next((name for name, fits in _TYPES if all(map(fits, self.values))), "string")


def fields_of(text: str, *, taken: Collection[str], rescan: Rescan) -> Iterator[Found]:
    """Yield the fields of a redacted line: of its JSON object, or else of its logfmt pairs.

    Args:
        taken: names that a label of the line has already, so that a parser would extend them.
        rescan: redacts what is decoded here.
    """
    members, whole = json_members(text)
    found = _of_json(members, text, rescan) if whole else _of_logfmt(text, rescan)
    for one in found:
        if not one.name:
            continue
        yield one._replace(name=f"{one.name}_extracted") if one.name in taken else one


def _of_json(members: Iterable[tuple[tuple[str, ...], str]], text: str, rescan: Rescan) -> Iterator[Found]:
    has_escapes = "\\" in text
    seen: set[str] = set()
    for keys, decoded in members:
        # SECURITY: an escape may hide from the redactor what a key or a value holds;
        # tested in tests/logql/test_fields.py.
        path = tuple(key if key in text else rescan("", key) for key in keys) if has_escapes else keys
        name = label_name("_".join(path))
        if name in seen:
            continue
        seen.add(name)
        yield Found(name, rescan(name, decoded) if has_escapes and decoded not in text else decoded, JSON, path)


def _of_logfmt(text: str, rescan: Rescan) -> Iterator[Found]:
    seen: set[str] = set()
    for key, value, was_escaped in logfmt_pairs(text):
        name = label_name(key)
        if value and name not in seen:
            seen.add(name)
            yield Found(name, rescan(name, value) if was_escaped else value, LOGFMT)


def _is_float(text: str) -> bool:
    value = number(text)
    return value is not None and math.isfinite(value)


_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_TYPES: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("int", lambda text: _INTEGER.fullmatch(text) is not None),
    ("float", _is_float),
    ("boolean", lambda text: text.lower() in ("true", "false")),
    ("duration", lambda text: go_duration(text) is not None),
    ("bytes", lambda text: size(text) is not None),
)
