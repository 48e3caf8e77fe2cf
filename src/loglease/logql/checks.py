"""What the parser asks of the parts of a query that have a language of their own. Each raises `Malformed`."""

from __future__ import annotations

import re

from loglease.logql.addresses import address_test
from loglease.logql.errors import Malformed
from loglease.logql.expressions import within_line
from loglease.logql.json_paths import parse_path
from loglease.logql.patterns import CapturingPattern, line_pattern
from loglease.logql.templates import parse_template

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def require_expression(text: str) -> int:
    """Require a regular expression; return how many instructions it is."""
    return within_line(text).instructions


def require_capturing(text: str) -> int:
    """Require an expression with a named group or more, all fit to name labels; return its instructions."""
    expression = within_line(text)
    names = [name.decode() for name in expression.groupindex]
    if not names:
        raise Malformed("this expression needs a named group such as (?P<status>\\d+)")
    for name in names:
        require_label(name)
    return expression.instructions


def require_address(text: str) -> None:
    """Require an address, a network or a range."""
    address_test(text)


def require_path(text: str) -> None:
    """Require a path into JSON."""
    parse_path(text)


def require_key(text: str) -> None:
    """Require the key of a logfmt pair."""
    if not text or any(character.isspace() or character in '="' for character in text):
        raise Malformed("this is no key of logfmt")


def require_pattern(text: str) -> None:
    """Require a pattern with named captures."""
    CapturingPattern(text)


def require_line_pattern(text: str) -> int:
    """Require a pattern without named captures; return how many instructions its expression is."""
    return line_pattern(text).instructions


def require_template(text: str) -> None:
    """Require a template."""
    parse_template(text)


def require_label(text: str) -> None:
    """Require the name of a label."""
    if not _LABEL.fullmatch(text):
        raise Malformed("this is no name of a label")
