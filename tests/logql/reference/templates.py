"""Templates by direct interpretation of their text: the part of Go's template language that the generated queries use.

Text, trim marks, fields, literals, pipelines, parentheses, ``if``, ``else if``, ``else``, ``with``, and the functions
of `template_functions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.logql.reference.template_functions import FUNCTIONS, Failed, Value, shown, truth

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\.[A-Za-z_][A-Za-z0-9_]*|[-+]?\d+(?:\.\d+)?|[A-Za-z_]\w*|[|().]')
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


@dataclass
class Line:
    """What a template can read of a line. Values that a function decodes go through `rescan`."""

    labels: Mapping[str, str]
    text: str
    rescan: Callable[[str, str], str]


def filled(template: str, line: Line) -> str:
    """Return what a template makes of a line.

    Raises:
        Failed: a function refused its arguments.
    """
    made: list[str] = []
    rest = _run(_pieces(template), 0, line, None, made)
    assert rest is None
    return "".join(made)


def _pieces(template: str) -> list[tuple[str, str]]:
    """Split a template into text and actions, white space already trimmed."""
    found: list[tuple[str, str]] = []
    at = 0
    trims_left = False
    while at <= len(template):
        start = template.find("{{", at)
        text = template[at : len(template) if start < 0 else start]
        if trims_left:
            text = text.lstrip(" \t\r\n")
        trims_left = False
        if start < 0:
            found.append(("text", text))
            return found
        end = start + 2
        inside = ""
        for match in re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\}\}|.', re.DOTALL).finditer(template, end):
            if match[0] == "}}":
                end = match.end()
                break
            inside += match[0]
        if inside.startswith("- "):
            text = text.rstrip(" \t\r\n")
            inside = inside[1:]
        if inside.endswith(" -"):
            trims_left = True
            inside = inside[:-1]
        found.append(("text", text))
        found.append(("action", inside.strip()))
        at = end
    return found


def _run(pieces: list[tuple[str, str]], at: int, line: Line, dot: Value, made: list[str] | None) -> int | None:
    """Execute pieces up to the `else` or `end` of this level and return where that is; None at the end of all."""
    while at < len(pieces):
        kind, text = pieces[at]
        if kind == "text":
            if made is not None:
                made.append(text)
        elif re.match(r"(if|with)\b", text):
            at = _branch(pieces, at, line, dot, made)
        elif re.match(r"(else|end)\b", text):
            return at
        elif made is not None:
            made.append(shown(_pipeline(text, line, dot)))
        at += 1
    return None


def _branch(pieces: list[tuple[str, str]], at: int, line: Line, dot: Value, made: list[str] | None) -> int:
    """Execute an `if` or `with`, and return where its `end` is."""
    word, _, condition = pieces[at][1].partition(" ")
    done = made is None
    while True:
        value = dot
        takes = False
        if not done:
            value = _pipeline(condition, line, dot) if condition else dot
            takes = truth(value) if condition else True
        inner = value if word == "with" and condition else dot
        found = _run(pieces, at + 1, line, inner if takes else dot, made if takes else None)
        assert found is not None
        done = done or takes
        at = found
        text = pieces[at][1]
        if text == "end":
            return at
        condition = text.removeprefix("else").strip()
        if condition:
            word, _, condition = condition.partition(" ")


def _pipeline(text: str, line: Line, dot: Value) -> Value:
    tokens = TOKEN.findall(text)
    value, rest = _commands(tokens, line, dot)
    assert not rest, text
    return value


def _commands(tokens: list[str], line: Line, dot: Value) -> tuple[Value, list[str]]:
    """Evaluate ``a b | c d``: each result is the last argument of the next function."""
    result: list[Value] = []
    while True:
        words: list[Value | Callable[..., Value]] = []
        while tokens and tokens[0] not in ("|", ")"):
            if tokens[0] == "(":
                value, tokens = _commands(tokens[1:], line, dot)
                words.append(value)
                tokens = tokens[1:]
            else:
                words.append(_operand(tokens[0], line, dot))
                tokens = tokens[1:]
        first, arguments = words[0], [*words[1:], *result]
        result = [first(*arguments) if callable(first) else first]
        if not tokens or tokens[0] == ")":
            return result[0], tokens
        tokens = tokens[1:]


def _operand(token: str, line: Line, dot: Value) -> Value | Callable[..., Value]:
    if token == ".":
        return dot if dot is not None else dict(line.labels)
    if token.startswith("."):
        # Inside of `with` the dot is a text, which has no fields.
        if dot is not None:
            raise Failed
        return line.labels.get(token[1:], "")
    if token == "__line__":
        return lambda: line.text
    if token in ("b64dec", "urldecode"):
        return lambda text: line.rescan("", str(FUNCTIONS[token](text)))
    return FUNCTIONS[token] if token in FUNCTIONS else _constant(token)


def _constant(token: str) -> Value:
    if token.startswith("`"):
        return token[1:-1]
    if token.startswith('"'):
        return re.sub(r"\\(.)", lambda match: ESCAPES[match[1]], token[1:-1], flags=re.DOTALL)
    if token in ("true", "false"):
        return token == "true"
    return int(token) if re.fullmatch(r"[-+]?\d+", token) else float(token)
