"""The paths of the parser ``json``, such as ``a.b[0]["c d"]``."""

from __future__ import annotations

import re
from typing import Final

import orjson

from loglease.logql.errors import Malformed

MAX_STEPS: Final = 64

_NAME = re.compile(r"[^\W\d][\w-]*")
_INDEX = re.compile(r"\[(\d{1,9})\]", re.ASCII)
_KEY = re.compile(r'\[("(?:[^"\\]|\\.)*")\]', re.DOTALL)


def parse_path(text: str) -> tuple[str | int, ...]:
    """Return the steps of a path: names of members and numbers of elements.

    Raises:
        Malformed: it is none.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text) or not steps:
        step, position = _step(text, position, first=not steps)
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise Malformed(f"a path has at most {MAX_STEPS} steps")
    return tuple(steps)


def _step(text: str, position: int, *, first: bool) -> tuple[str | int, int]:
    if (index := _INDEX.match(text, position)) is not None:
        return int(index[1]), index.end()
    if (key := _KEY.match(text, position)) is not None:
        try:
            return str(orjson.loads(key[1])), key.end()
        except orjson.JSONDecodeError as error:
            raise Malformed(f"the key at character {position + 1} of this path is no JSON string") from error
    start = position if first else position + 1
    name = _NAME.match(text, start) if first or text[position] == "." else None
    if name is None:
        raise Malformed(f'this is no path of JSON at character {position + 1}; write it like a.b[0]["c d"]')
    return name[0], name.end()
