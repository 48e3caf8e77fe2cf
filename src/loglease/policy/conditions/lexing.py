"""From the text of a condition to its tokens."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from loglease.policy.conditions.errors import ConditionRefused
from loglease.policy.conditions.values import MOST

MAX_CHARACTERS: Final = 4096

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][0-9A-Za-z_.]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<sign>&&|\|\||[=!<>]=|[<>!+\-().,\[\]])""",
    re.VERBOSE,
)
_INTEGER: Final = re.compile(r"0|[1-9][0-9]*")
_ESCAPE: Final = re.compile(r"\\(?:u(?P<code>[0-9A-Fa-f]{4})|(?P<sign>[\\\"'nt])|(?P<other>.?))", re.DOTALL)
_SIGNS: Final = {"n": "\n", "t": "\t"}
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HALF: Final = re.compile("[\ud800-\udfff]")


class Token(NamedTuple):
    """A name, a number, a text or a sign; the last one is an `end`.

    Attributes:
        sign: the text of a name or sign, by which the grammar goes on; empty for all others.
        value: what a number or text means.
    """

    kind: str
    text: str
    start: int
    end: int
    sign: str = ""
    value: int | str = 0


def tokens_of(text: str) -> list[Token]:
    """Cut a condition into tokens.

    Raises:
        ConditionRefused: P201, too long; P202, a number out of range; P200, a character or text that the language does
            not have.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConditionRefused(
            "P201", 0, 1, f"the condition has {len(text):,} characters", f"at most {MAX_CHARACTERS:,}"
        )
    found: list[Token] = []
    at = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        kind = match.lastgroup
        if start != at or kind is None:
            break
        if kind != "space":
            found.append(_token(kind, match[0], start, end))
        at = end
    if at < len(text):
        raise _unknown(text, at)
    found.append(Token("end", "", len(text), len(text)))
    return found


def _token(kind: str, text: str, start: int, end: int) -> Token:
    if kind == "number":
        return Token(kind, text, start, end, value=_integer(text, start, end))
    if kind == "text":
        return Token(kind, text, start, end, value=_unescaped(text, start, end))
    return Token(kind, text, start, end, text)


def _integer(text: str, start: int, end: int) -> int:
    """Return the number; the one beyond the largest is for `-` to make sense of."""
    if not _INTEGER.fullmatch(text):
        help_text = "use per mille" if "." in text or "e" in text.lower() else "plain decimals, no leading zero"
        raise ConditionRefused("P200", start, end, f"{text[:40]!r} is no whole number", help_text)
    number = int(text)
    if number > MOST + 1:
        raise ConditionRefused("P202", start, end, "the number is too large", f"at most {MOST}")
    return number


def _unescaped(text: str, start: int, end: int) -> str:
    if found := _CONTROL.search(text):
        at = start + found.start()
        raise ConditionRefused("P200", at, at + 1, "a control character stands in a text", r"write it like \u0007")
    if _HALF.search(text):
        raise _half(start, end)

    def plain(found: re.Match[str]) -> str:
        if found["code"] is not None:
            char = chr(int(found["code"], 16))
            if _HALF.match(char):
                raise _half(start, end)
            return char
        if found["other"] is not None:
            at = start + 1 + found.start()
            raise ConditionRefused(
                "P200", at, at + len(found[0]), f"unknown escape {found[0]!r}", r"one of \\ \" \' \n \t \uXXXX"
            )
        return _SIGNS.get(found["sign"], found["sign"])

    return _ESCAPE.sub(plain, text[1:-1]) if "\\" in text else text[1:-1]


def _half(start: int, end: int) -> ConditionRefused:
    return ConditionRefused("P200", start, end, "half of a surrogate pair is no character")


def _unknown(text: str, at: int) -> ConditionRefused:
    char = text[at]
    if char in "\"'":
        return ConditionRefused("P200", at, len(text), "the text does not end", f"close it with {char}")
    remedies = {
        "=": "== compares",
        "&": "&& is 'and'",
        "|": "|| is 'or'",
        "?": "write two conditions with && and ||",
        "{": "there are no maps",
        "*": "only + and - are there",
        "/": "only + and - are there",
        "%": "only + and - are there",
    }
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return ConditionRefused("P200", at, at + 1, f"unknown character {shown!r}", remedies.get(char))
