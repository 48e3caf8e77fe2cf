"""What the modes `fields` and `allow` mean, written to be read: the line is parsed as a whole and put together anew.

Shares nothing with the product but how a token is written. For profiles without packs: nothing is found by scanning.
"""

from __future__ import annotations

import json
import re
from typing import Any

from loglease.redaction import KEY_BYTES, pseudonym

KEY = bytes(range(KEY_BYTES))
LINE = "⟦line⟧"
TOKENS = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')
PAIR = re.compile(r"""[ \t\r]*([^\s="]+)=("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^\s"]*)(?=[ \t\r]|\Z)""")


def same(name: str) -> str:
    return re.sub("[-_]", "", name.casefold())


def fits(pattern: str, path: list[str]) -> bool:
    names = [same(one) for one in pattern.split(".")]

    def from_(at: int, place: int) -> bool:
        if at == len(names):
            return place == len(path)
        if names[at] == "**":
            return any(from_(at + 1, later) for later in range(place, len(path) + 1))
        return place < len(path) and names[at] in ("*", path[place]) and from_(at + 1, place + 1)

    return from_(0, 0)


def said(profile: dict[str, Any], path: list[str]) -> Any:
    """Return `hidden`, None, or a treatment."""
    if profile["mode"] == "allow" and not any(fits(one, path) for one in profile["allow"]):
        return "hidden"
    found = []
    for pattern, treatment in profile.get("fields", {}).items():
        above = [count for count in range(len(path) + 1) if fits(pattern, path[:count])]
        if above and (max(above) == len(path) or treatment != "keep"):
            names = pattern.split(".")
            found.append(((names.count("**"), names.count("*"), -len(names)), treatment))
    if not found:
        return None
    best = [treatment for rank, treatment in found if rank == min(found, key=lambda one: one[0])[0]]
    return "mask" if "mask" in best else "pseudonym" if "pseudonym" in best else best[0]


def token(treatment: Any, value: str) -> str:
    if treatment == "hidden":
        return "⟦masked⟧"
    if treatment == "pseudonym":
        return pseudonym(value.encode("utf-8", "replace"), cls="field", label="field", key=KEY)
    return "⟦field⟧"


def leaves(value: Any, path: list[str], depth: int = 1) -> Any:
    """Yield path and value of everything that is no object and no array, in the order in which it is written."""
    if isinstance(value, (Pairs, list)):
        if depth > 64:
            raise RecursionError
        for one in value:
            name, inner = one if isinstance(value, Pairs) else ("", one)
            more = [*path, *map(same, name.split("."))] if isinstance(value, Pairs) else path
            if len(more) > 64:
                raise RecursionError
            yield from leaves(inner, more, depth + 1)
    else:
        yield path, value


class Pairs(list):
    """An object, with the keys that it repeats."""


def of_json(profile: dict[str, Any], line: str) -> str:
    """Return a line of JSON after redaction."""
    try:
        found = iter(list(leaves(json.loads(line, object_pairs_hook=Pairs, strict=False), [])))
    except RecursionError:
        return LINE
    tokens = list(TOKENS.finditer(line))
    parts, at = [], 0
    for number, one in enumerate(tokens):
        text = one[0]
        is_key = number + 1 < len(tokens) and tokens[number + 1][0] == ":"
        if text in "{}[],:" or is_key:
            continue
        path, value = next(found)
        treatment = said(profile, path)
        if treatment in (None, "keep") or text == '""':
            continue
        parts += [line[at : one.start()], '"' + token(treatment, value if text[0] == '"' else text) + '"']
        at = one.end()
    return "".join([*parts, line[at:]])


def of_logfmt(profile: dict[str, Any], line: str) -> str:
    """Return a line of nothing but pairs after redaction."""
    parts, at = [], 0
    for pair in PAIR.finditer(line):
        text = pair[2]
        is_quoted = text[:1] in tuple("\"'`") and len(text) > 1
        value = text[1:-1] if is_quoted else text
        treatment = said(profile, [same(one) for one in pair[1].split(".")])
        if treatment in (None, "keep") or not value:
            continue
        start = pair.start(2) + is_quoted
        parts += [line[at:start], token(treatment, _read(value))]
        at = start + len(value)
    return "".join([*parts, line[at:]])


def _read(value: str) -> str:
    try:
        return str(json.loads(f'"{value}"', strict=False)) if "\\" in value else value
    except ValueError:
        return value
