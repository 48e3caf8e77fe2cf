"""`--narrow`: what a reviewer allows instead of all that was asked, in a few words.

Parts are separated by spaces: a selector, ``level=error``, ``window=15m``, ``from=…``, ``to=…``, ``live=no``,
``contains="text"``, ``for=10m``, ``lines=1000``, ``bytes=1MiB``, ``subjects=20``. What is not named stays as it was
asked; the server proves that the result is a subset.
"""

from __future__ import annotations

import re
from typing import Any, Final

from loglease.cli.errors import Usage
from loglease.model.instant import EventWindow, parse_duration, parse_event_time
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector_at, selector_text

_PART = re.compile(r"""([a-z]+)\s*(?:>=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))""")
_SIZE = re.compile(r"(\d{1,15})\s*(KiB|MiB|GiB|B|)")
_FACTORS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_NS: Final = 1_000_000_000
_EXAMPLE: Final = "Write it like --narrow '{env=\"prod\"} level=error window=15m live=no for=10m lines=1000'."


def narrowing(text: str, window: EventWindow) -> dict[str, Any]:
    """Return the body of a narrowing.

    Args:
        text: see the module.
        window: the event window that was asked; a shorter one is taken from its end.

    Raises:
        Usage: a part is not known, given twice, or has no such value.
        ScopeInvalid: the selector is not well-formed; also ScopeUndecidable.
        DurationInvalid: a duration is not; Malformed: a time is not.
    """
    body: dict[str, Any] = {}
    times: dict[str, str] = {}
    position = 0
    while (position := _skipped(text, position)) < len(text):
        if text[position] == "{":
            selector, position = parse_selector_at(text, position)
            _put(body, "selector", selector_text(selector))
            continue
        part = _PART.match(text, position)
        if part is None:
            raise Usage(f"--narrow is broken at column {position + 1}.", next_step=_EXAMPLE)
        position = part.end()
        value = part[3] if part[2] is None else re.sub(r"\\(.)", r"\1", part[2])
        _one(body, times, part[1], value)
    if times:
        body["window"] = _window(times, window)
    if not body:
        raise Usage("--narrow says nothing.", next_step=_EXAMPLE)
    return body


def size_of(text: str, flag: str) -> int:
    """Read a number of bytes: ``1000``, ``64KiB``, ``256MiB``.

    Raises:
        Usage: another form, or zero.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(match[1]) * _FACTORS[match[2]] if match else 0
    if not size:
        raise Usage(f"{flag}: {text[:40]!r} is no size.", next_step="Write it like 1000, 64KiB or 256MiB.")
    return size


def level_of(text: str) -> str:
    """Return the name of a level.

    Raises:
        Usage: there is none of that name.
    """
    if text not in set(Level) - {Level.UNKNOWN}:
        known = ", ".join(level for level in Level if level is not Level.UNKNOWN)
        raise Usage(f"{text[:40]!r} is no level.", next_step=f"Choose one of {known}.")
    return text


def _one(body: dict[str, Any], times: dict[str, str], name: str, value: str) -> None:
    match name:
        case "level":
            _put(body, "level_from", level_of(value))
        case "contains":
            body.setdefault("contains", []).append(value)
        case "for":
            _put(body, "duration_s", parse_duration(value))
        case "lines" | "subjects":
            _put(body.setdefault("limits", {}), name, _count(value))
        case "bytes":
            _put(body.setdefault("limits", {}), "bytes", size_of(value, "bytes"))
        case "window" | "from" | "to" | "live":
            _put(times, name, value)
        case _:
            raise Usage(f"--narrow does not know {name!r}.", next_step=_EXAMPLE)


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    if name in body:
        raise Usage(f"--narrow says twice what {name} is.", next_step="Say it once.")
    body[name] = value


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise Usage(f"{text[:40]!r} is no number.", next_step="Write a whole number, 1 or more.")
    return int(text)


def _window(times: dict[str, str], asked: EventWindow) -> dict[str, Any]:
    live = times.get("live", "yes" if asked.live else "no")
    if live not in ("yes", "no"):
        raise Usage(f"live={live!r} is neither yes nor no.", next_step="Write live=no.")
    if live == "yes" and not asked.live:
        raise Usage("live=yes is more than was asked.", next_step="Leave it out.")
    stays_live = live == "yes" and "to" not in times
    body: dict[str, Any] = {"live": stays_live}
    if "to" in times:
        body["to_ns"] = str(parse_event_time(times["to"]))
    elif asked.end_ns is not None:
        body["to_ns"] = str(asked.end_ns)
    if "from" in times:
        body["from_ns"] = str(parse_event_time(times["from"]))
    elif "window" not in times:
        body["from_ns"] = str(asked.start_ns)
    elif "to_ns" in body:
        body["from_ns"] = str(max(asked.start_ns, int(body["to_ns"]) - parse_duration(times["window"]) * _NS))
    else:
        body["lookback_s"] = parse_duration(times["window"])
    return body


def _skipped(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t,":
        position += 1
    return position
