"""JSON bodies, read once and strictly: size and depth before parsing, no doubled key, no NaN, no half character."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from loglease.model.errors import Malformed
from loglease.server.problems import TooLarge

MAX_BODY: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_INTEGER: Final = 2**53 - 1
# SECURITY: an open string runs to the end, so that no start is tried twice (tests/server/test_strict_json.py).
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.?)*(?:"|\Z)', re.DOTALL)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"{}[]")
_NEXT: Final = "Send one JSON object in UTF-8."


def strict_json(body: bytes) -> Any:
    """Return the value of a body.

    Raises:
        TooLarge: more than 256 KiB, or nested deeper than 16.
        Malformed: no JSON, or with a doubled key, NaN, a huge number, a lone surrogate, or NUL.
    """
    if len(body) > MAX_BODY:
        raise TooLarge(f"The body has more than {MAX_BODY} bytes.", next_step="Send less.")
    if _depth(body) > MAX_DEPTH:
        raise TooLarge(f"The body is nested deeper than {MAX_DEPTH} levels.", next_step="Send it flatter.")
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8 at byte {error.start}.", next_step=_NEXT) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Malformed(f"The body is not JSON: {error.msg} at {where}.", next_step=_NEXT) from error
    except RecursionError as error:
        raise TooLarge("The body is nested too deep.", next_step="Send it flatter.") from error
    _check_texts(value)
    return value


def _depth(body: bytes) -> int:
    """Return how deep brackets nest outside strings; what is no JSON may be judged too deep, never too flat."""
    deepest = depth = 0
    for byte in _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Malformed(f"The key {key[:60]!r} comes twice.", next_step="Send each key once.")
        found[key] = value
    return found


def _constant(name: str) -> Any:
    raise Malformed(f"{name} is no JSON number.", next_step=_NEXT)


def _integer(text: str) -> int:
    if len(text) > len(str(MAX_INTEGER)) + 1 or abs(int(text)) > MAX_INTEGER:
        raise Malformed("A number is beyond 2^53-1.", next_step="Send event times as strings.")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Malformed("A number is too large.", next_step=_NEXT)
    return number


def _check_texts(value: Any) -> None:
    match value:
        case str():
            if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise Malformed("A text holds NUL or half a character.", next_step=_NEXT)
        case dict():
            for key, item in value.items():
                _check_texts(key)
                _check_texts(item)
        case list():
            for item in value:
                _check_texts(item)
        case _:
            return
