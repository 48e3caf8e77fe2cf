"""Selectors as people write them, ``{service="pay-api",env=~"prod|staging"}``, and back.

The text is the stream selector of LogQL. Of regular expressions only those are taken that the algebra can decide:
alternatives of plain values, and plain prefixes followed by ``.*``. All others are refused by name.
"""

from __future__ import annotations

import re
from typing import Final

from loglease.model.errors import ScopeInvalid, ScopeUndecidable
from loglease.model.labels import Matcher, Selector, matcher_of, selector_of

MAX_TEXT: Final = 8_192
_DECIDABLE_FORMS: Final = 'Use k="v", k=~"a|b", k=~"prefix.*", k!="v" or k!~"prefix.*".'

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`')
_SPACE = re.compile(r"[ \t\r\n]*")
_SPECIAL = frozenset("\\.+*?()|[]{}^$")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def parse_selector(text: str) -> Selector:
    """Read a stream selector; ``{}`` selects all streams.

    Raises:
        ScopeInvalid: the text is no selector, or no stream can match it; the message has the column.
        ScopeUndecidable: a regular expression goes beyond alternatives and prefixes.
    """
    selector, position = parse_selector_at(text, 0)
    position = _skip(text, position)
    if position != len(text):
        raise _unexpected(text, position, "the end")
    return selector


def parse_selector_at(text: str, position: int) -> tuple[Selector, int]:
    """Read a selector that starts there; return it and the position behind its closing brace.

    Raises:
        ScopeInvalid: as `parse_selector`.
        ScopeUndecidable: as `parse_selector`.
    """
    if len(text) > MAX_TEXT:
        raise ScopeInvalid(f"The selector has more than {MAX_TEXT} characters.", next_step="Use a prefix.")
    position = _skip(text, position)
    if text[position : position + 1] != "{":
        raise _unexpected(text, position, "'{'")
    position = _skip(text, position + 1)
    matchers: dict[str, Matcher] = {}
    if text[position : position + 1] == "}":
        return selector_of(matchers), position + 1
    while True:
        key, matcher, position = _test(text, position)
        both = matchers[key].intersect(matcher) if key in matchers else matcher
        if both is None:
            raise ScopeInvalid(f"No value of {key} can match.", next_step=f"Loosen what is said of {key}.")
        matchers[key] = both
        position = _skip(text, position)
        mark = text[position : position + 1]
        if mark == "}":
            return selector_of(matchers), position + 1
        if mark != ",":
            raise _unexpected(text, position, "',' or '}'")
        position = _skip(text, position + 1)


def _test(text: str, position: int) -> tuple[str, Matcher, int]:
    name = _NAME.match(text, position)
    if name is None:
        raise _unexpected(text, position, "a label name")
    operator = _OPERATOR.match(text, at := _skip(text, name.end()))
    if operator is None:
        raise _unexpected(text, at, "=, !=, =~ or !~")
    string = _STRING.match(text, at := _skip(text, operator.end()))
    if string is None:
        raise _unexpected(text, at, "a value in double quotes")
    value = string[2] if string[2] is not None else _unescaped(string[1])
    return name[0], _matcher(name[0], operator[0], value), string.end()


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        letter = match[1]
        if letter not in _ESCAPES:
            raise ScopeInvalid(f"\\{letter} is no escape that a selector knows.", next_step="Use a raw `…` string.")
        return _ESCAPES[letter]

    return re.sub(r"\\(.)", one, text)


def _matcher(key: str, operator: str, value: str) -> Matcher:
    if not value:
        raise ScopeInvalid(
            f"{key} is compared with an empty value.", next_step=f'Leave {key} out or write {key}=~".+".'
        )
    if operator in ("=", "!="):
        exact, prefixes, any_value = {value}, set[str](), False
    else:
        exact, prefixes, any_value = _alternatives(key, value)
    if operator in ("=", "=~"):
        matcher = matcher_of(exact=exact, prefixes=prefixes, any_value=any_value)
    else:
        if any_value:
            raise ScopeInvalid(f"No stream has a {key} and fits {operator}{value!r}.", next_step=f"Leave {key} out.")
        matcher = matcher_of(any_value=True, except_exact=exact, except_prefixes=prefixes)
    if matcher is None:
        raise ScopeInvalid(f"No value of {key} can match.", next_step=f"Loosen what is said of {key}.")
    return matcher


def _alternatives(key: str, pattern: str) -> tuple[set[str], set[str], bool]:
    """Split ``a|b|c.*`` into exact values and prefixes; escaped characters stand for themselves."""
    if pattern == ".+":
        return set(), set(), True
    exact: set[str] = set()
    prefixes: set[str] = set()
    for part in _split(pattern):
        is_prefix = _ends_in_any(part)
        literal = _literal(part[:-2] if is_prefix else part)
        if literal is None or not literal:
            raise ScopeUndecidable(
                f"{key}=~{pattern!r} cannot be compared with what a policy allows.", next_step=_DECIDABLE_FORMS
            )
        (prefixes if is_prefix else exact).add(literal)
    return exact, prefixes, False


def _ends_in_any(part: str) -> bool:
    """Say whether a part ends in ``.*`` whose dot is not escaped: an even number of backslashes stands before it."""
    head = part.removesuffix(".*")
    return head != part and (len(head) - len(head.rstrip("\\"))) % 2 == 0


def _split(pattern: str) -> list[str]:
    parts, current, escaped = [], "", False
    for character in pattern:
        if character == "|" and not escaped:
            parts.append(current)
            current = ""
            continue
        escaped = character == "\\" and not escaped
        current += character
    return [*parts, current]


def _literal(part: str) -> str | None:
    result, escaped = "", False
    for character in part:
        if escaped:
            if character.isalnum() or character == "_":
                return None
            result, escaped = result + character, False
        elif character == "\\":
            escaped = True
        elif character in _SPECIAL:
            return None
        else:
            result += character
    return None if escaped else result


def selector_text(selector: Selector) -> str:
    """Write a selector so that `parse_selector` reads the same one back."""
    tests = [test for key, matcher in selector.matchers for test in _tests(key, matcher)]
    return "{" + ",".join(tests) + "}"


def _tests(key: str, matcher: Matcher) -> list[str]:
    tests = []
    exact, prefixes = sorted(matcher.exact), sorted(matcher.prefixes)
    if len(exact) == 1 and not prefixes:
        tests.append(f"{key}={_quoted(exact[0])}")
    elif exact or prefixes:
        tests.append(f"{key}=~{_quoted(_pattern(exact, prefixes))}")
    if matcher.any_value and not (matcher.except_exact or matcher.except_prefixes):
        tests.append(f'{key}=~".+"')
    tests += [f"{key}!={_quoted(value)}" for value in sorted(matcher.except_exact)]
    tests += [f"{key}!~{_quoted(_pattern([], [prefix]))}" for prefix in sorted(matcher.except_prefixes)]
    return tests


def _pattern(exact: list[str], prefixes: list[str]) -> str:
    return "|".join([*map(_escaped, exact), *(f"{_escaped(prefix)}.*" for prefix in prefixes)])


def _escaped(literal: str) -> str:
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in literal)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + escaped.replace("\r", "\\r") + '"'


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _unexpected(text: str, position: int, expected: str) -> ScopeInvalid:
    found = repr(text[position : position + 12]) if position < len(text) else "the end"
    return ScopeInvalid(
        f"The selector is broken at column {position + 1}: expected {expected}, found {found}.",
        next_step='Write it like {service="pay-api",env="prod"}.',
    )
