"""Templates filled for one line."""

from __future__ import annotations

from collections.abc import Mapping

from loglease.logql.templates import Surroundings, Template

NS = 1_700_000_000_123_456_789
NOW = 1_700_000_100_000_000_000
LINE = "the quick <brown> fox"
LABELS = {
    "a": "alpha",
    "n": "42",
    "u": "héllo",
    "j": '{"k":"v","n":1.5,"big":12345678,"l":[1,"two",null,true,{"x":"y"}],"o":{"z":null}}',
}


def filled(text: str | Template, labels: Mapping[str, str] = LABELS, line: str = LINE) -> str:
    """Return what a template makes of a line whose decoded values hide nothing."""
    template = text if isinstance(text, Template) else Template(text)
    return template.fill(labels, Surroundings(line=line, ns=NS, now=NOW, rescan=lambda decoded: decoded))
