"""What label filters let through."""

from __future__ import annotations

import pytest
from tests.logql.running import run


def outcome(test: str, line: str) -> str | None:
    """Return `dropped`, the error, or None if the line just passes."""
    found = run(f"{{}} | logfmt --keep-empty | {test}", line)
    return "dropped" if found is None else found.error


@pytest.mark.parametrize(
    ("test", "line", "expected"),
    [
        ('a="x"', "a=x", None),
        ('a="x"', "b=x", "dropped"),
        ('a=""', "b=x", None),
        ('a!="x"', "b=x", None),
        ('a=~"x|y"', "a=xy", "dropped"),
        ('a=~"x.*"', "a=xy", None),
        ('a!~"x.*"', "a=xy", "dropped"),
        # A dot is any character in values, a newline too: as in selectors, not as in line filters.
        ('a=~"x.y"', 'a="x\\ny"', None),
        ('a="⟦email:q3f7k2p9xa⟧"', "a=⟦email:q3f7k2p9xa⟧", None),
        ("a > 1.5", "a=1.50", "dropped"),
        ("a >= 1.5", "a=1.50", None),
        ("a == 1000", "a=1e3", None),
        ("a != 5", "a=6", None),
        ("a > 1", "b=2", "dropped"),
        ("a > 1", "a=x", "LabelFilterErr"),
        ("a > 1", "a=", "LabelFilterErr"),
        ("a > 1", "a=1e999", "LabelFilterErr"),
        ("a > 250ms", "a=0.5s", None),
        ("a > 250ms", "a=1h0.5s", None),
        ("a > 250ms", "a=1d", "LabelFilterErr"),
        ("a < -1s", "a=-2s", None),
        ("a >= 1KB", "a=1,000", None),
        ("a >= 1KiB", "a=1.5kb", None),
        ("a > 1B", 'a="3 kb"', None),
        ("a > 1B", "a=-3b", "LabelFilterErr"),
        ('a=ip("10.0.0.0/8")', "a=10.1.2.3", None),
        ('a=ip("10.0.0.0/8")', "a=10.1.2.3:80", None),
        ('a=ip("10.0.0.0/8")', "a=11.1.2.3", "dropped"),
        ('a!=ip("10.0.0.0/8")', "a=11.1.2.3", None),
        ('a!=ip("10.0.0.0/8")', "a=x", None),
        ('a!=ip("10.0.0.0/8")', "b=x", "dropped"),
        ('a=ip("fe80::-fe80::9")', "a=fe80::3", None),
        ('a="1" and b="2" or c="3"', "c=3", None),
        ('a="1", b="2" or c="3"', "a=1 c=3", None),
        ('a="1", b="2" or c="3"', "c=3", "dropped"),
        # The side that does not decide leaves no error.
        ('a="1" or b > 2', "a=1 b=x", None),
        ('(a="1" and b > 2) or c="3"', "a=0 b=x c=3", None),
    ],
)
def test_label_filters(test, line, expected):
    assert outcome(test, line) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('__error__="JSONParserErr"', "JSONParserErr"),
        ('__error__=""', "dropped"),
        ("a > 5", "JSONParserErr"),
        ("missing > 5", "JSONParserErr"),
        ('a=ip("::1")', "JSONParserErr"),
        ('a="2"', "dropped"),
    ],
)
def test_only_filters_on_text_drop_a_line_with_an_error(test, expected):
    found = run(f"{{}} | logfmt | json | {test}", "a=1")
    assert (found.error if found else "dropped") == expected
