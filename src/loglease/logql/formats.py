"""The stages that write lines and labels anew, or take labels away."""

from __future__ import annotations

import re
from collections.abc import Callable

from loglease.logql.entry import Entry, Fault, Kind
from loglease.logql.extraction import Rescan, Step
from loglease.logql.label_filters import value_test
from loglease.logql.syntax import Drop, Keep, LabelFormat, LabelTest, LineFormat, Renaming
from loglease.logql.templates import Surroundings, Template, TemplateFailed

# Redaction shows the escape character as its picture.
_COLOUR = re.compile(rb"(?:\x1b|\xe2\x90\x9b)\[[0-?]*[ -/]*[@-~]")


def line_format_step(stage: LineFormat, rescan: Rescan, now: int) -> Step:
    """Return the step of ``| line_format``."""
    fill = _filler(stage.template, rescan, now)

    def write(entry: Entry) -> bool:
        made = fill(entry, entry.labels())
        if made is not None:
            entry.replace_line(made.encode())
        return True

    return write


def _filler(source: str, rescan: Rescan, now: int) -> Callable[[Entry, dict[str, str]], str | None]:
    template = Template(source)

    def again(text: str) -> str:
        return rescan("", text)

    def fill(entry: Entry, labels: dict[str, str]) -> str | None:
        surroundings = Surroundings(line=entry.line.decode(), ns=entry.ns, now=now, rescan=again)
        try:
            return template.fill(labels, surroundings)
        except TemplateFailed:
            entry.fail(Fault.TEMPLATE)
            return None

    return fill


def label_format_step(stage: LabelFormat, rescan: Rescan, now: int) -> Step:
    """Return the step of ``| label_format``: its templates all see the labels as the first of them finds them."""
    first = next((n for n, one in enumerate(stage.sets) if not isinstance(one, Renaming)), len(stage.sets))
    before, after = (
        [
            _renaming(one) if isinstance(one, Renaming) else _templating(one.target, _filler(one.template, rescan, now))
            for one in some
        ]
        for some in (stage.sets[:first], stage.sets[first:])
    )

    def write(entry: Entry) -> bool:
        for step in before:
            step(entry, {})
        if after:
            labels = entry.labels()
            for step in after:
                step(entry, labels)
        return True

    return write


def _renaming(one: Renaming) -> Callable[[Entry, dict[str, str]], None]:
    def rename(entry: Entry, _labels: dict[str, str]) -> None:
        value = entry.get(one.source)
        if value is not None:
            kind = entry.kind_of(one.source) or Kind.STREAM
            entry.set(one.target, value, kind)
            entry.take_away(one.source)

    return rename


def _templating(
    target: str, fill: Callable[[Entry, dict[str, str]], str | None]
) -> Callable[[Entry, dict[str, str]], None]:
    def write(entry: Entry, labels: dict[str, str]) -> None:
        made = fill(entry, labels)
        if made is not None:
            entry.set(target, made)

    return write


def decolorize_step(entry: Entry) -> bool:
    """Take colour sequences out of the line."""
    if b"[" in entry.line:
        plain = _COLOUR.sub(b"", entry.line)
        if len(plain) != len(entry.line):
            entry.replace_line(plain)
    return True


def drop_step(stage: Drop) -> Step:
    """Return the step of ``| drop``."""
    tests = [_named(one) for one in stage.names]

    def drop(entry: Entry) -> bool:
        for name, fits in tests:
            value = entry.get_with_error(name)
            if value is not None and fits(value):
                entry.take_away(name)
        return True

    return drop


def keep_step(stage: Keep) -> Step:
    """Return the step of ``| keep``; the error stays in any case."""
    tests: dict[str, list[Callable[[str], bool]]] = {}
    for name, fits in map(_named, stage.names):
        tests.setdefault(name, []).append(fits)

    def keep(entry: Entry) -> bool:
        for name, value, _ in list(entry.items()):
            if not any(fits(value) for fits in tests.get(name, ())):
                entry.take_away(name)
        return True

    return keep


def _named(one: str | LabelTest) -> tuple[str, Callable[[str], bool]]:
    if isinstance(one, str):
        return one, lambda _: True
    return one.name, value_test(one)
