"""What conditions read of facts: for explanations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from loglease.model.instant import MICROSECONDS, Instant, duration_text, iso_duration
from loglease.model.words import plain
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import ABSENT, Fault, Record, Type
from loglease.policy.conditions.types import Duration
from loglease.policy.conditions.values import Value
from loglease.policy.documents import FactRule
from loglease.policy.observed import Facts
from loglease.policy.roots import RISK
from loglease.policy.trace import Seen

Path = tuple[str, ...]
_MAX_SHOWN: Final = 120
_SPAN: Final = re.compile(r"P(?=T?\d)(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?")


def seen_in(
    paths: Iterable[Path], bundle: Bundle, roots: Mapping[str, Value], facts: Facts, now: Instant
) -> list[Seen]:
    """Return the facts among some paths, with their values, who says so, and how old that is; risk with its terms."""
    found: dict[str, Seen] = {}
    for path in sorted(paths):
        name = ".".join(path[:2])
        if name == f"ctx.{RISK}" and bundle.risk:
            found[name] = Seen(name, _risk_words(bundle, roots), RISK, None)
        elif name in bundle.facts:
            rule = bundle.facts[name]
            ages = [now - one.observed_at for (fact, _), one in facts.items() if fact == name]
            leaf = ".".join(path)
            found[leaf] = Seen(leaf, _value_at(rule, path, roots), rule.provider, max(ages, default=None))
    return list(found.values())


def in_words(value: bool | int | str) -> str:  # noqa: FBT001 - one of the values themselves
    """Return a value of `Seen` as people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text.translate({ord("P"): None, ord("T"): None}).lower() if _SPAN.fullmatch(text) else text


def _value_at(rule: FactRule, path: Path, roots: Mapping[str, Value]) -> bool | int | str:
    """Return what a path has as its value; its type is known from the fact."""
    value: Value = dict(roots)
    for name in path:
        value = value.get(name, ABSENT) if isinstance(value, dict) else value
    kind = _type_at(rule.type, path[2:])
    match value:
        case bool():
            return value
        case int():
            return iso_duration(value // MICROSECONDS) if isinstance(kind, Duration) else value
        case _:
            return words_of(kind, value)


def _type_at(kind: Type, names: Path) -> Type:
    for name in names:
        kind = kind.fields[name].type if isinstance(kind, Record) else kind
    return kind


def words_of(kind: Type, value: Value) -> str:
    """Return a value of a type as people read it, in one line."""
    match value:
        case Fault(reason=reason):
            return reason
        case bool():
            return "true" if value else "false"
        case int() if isinstance(kind, Duration):
            return duration_text(value // MICROSECONDS)
        case dict():
            inner = kind.fields if isinstance(kind, Record) else {}
            pairs = (f"{name} {words_of(inner[name].type, one)}" for name, one in value.items() if name in inner)
            return plain(", ".join(pairs))[:_MAX_SHOWN]
        case tuple():
            return plain(", ".join(map(str, value)))[:_MAX_SHOWN]
        case int() | str():
            return plain(str(value))[:_MAX_SHOWN]
        case _:
            return "absent"


def _risk_words(bundle: Bundle, roots: Mapping[str, Value]) -> str:
    context = roots["ctx"]
    total = context[RISK] if isinstance(context, dict) else 0
    return f"{total}: {', '.join(_terms(bundle, roots))}"


def _terms(bundle: Bundle, roots: Mapping[str, Value]) -> Iterator[str]:
    for term in bundle.risk:
        answer = term.condition.answer(roots)
        doubt = ", which cannot be told" if isinstance(answer, Fault) else ""
        yield f"{term.show} {0 if answer is False else term.add}{doubt}"
