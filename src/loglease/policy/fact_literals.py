"""Reads values of facts that somebody supposes: in policy tests, and for a request that nobody made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.instant import MICROSECONDS, Instant
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import ABSENT, Fault, Listed, Record, Text, Type
from loglease.policy.conditions.types import Bool, Duration, Int
from loglease.policy.conditions.values import Scalar as Plain
from loglease.policy.conditions.values import Value
from loglease.policy.documents import FactRule
from loglease.policy.fact_values import fitting, named
from loglease.policy.fields import Reader
from loglease.policy.observed import FactKey, Facts, Observed
from loglease.policy.problems import did_you_mean, shown
from loglease.policy.roots import label_values
from loglease.policy.tree import Items, Node, Scalar

SUPPOSED: Final = Fault("the test says that it cannot be had")


class FactLiterals:
    """Reads supposed facts against those that a bundle declares."""

    def __init__(self, reader: Reader, rules: Mapping[str, FactRule]) -> None:
        self._reader = reader
        self._rules = rules

    def values(self, node: Node | None) -> dict[str, Value]:
        """Read values by the names of their facts."""
        found: dict[str, Value] = {}
        for key, value in self._reader.table(node, "facts") if node is not None else ():
            rule = self._rule(key)
            if rule is not None:
                found[rule.name] = self._fitting(rule, value)
        return found

    def names(self, node: Node | None, what: str, *, optional: bool = False) -> tuple[str, ...]:
        """Read a list of names of facts; where `optional`, of such as may be absent."""
        found = []
        for item in self._reader.items(node, what):
            rule = self._rule(item) if isinstance(item, Scalar) else None
            if rule is None:
                continue
            if optional and not rule.optional:
                self._reader.problems.add(
                    item.at, "P325", f"{shown(rule.name)} is always there", "only an optional fact may be absent"
                )
            found.append(rule.name)
        return tuple(found)

    def _rule(self, key: Scalar) -> FactRule | None:
        rule = self._rules.get(key.text)
        if rule is None:
            self._reader.problems.add(
                key.at, "P302", f"fact {shown(key.text)} is not declared", did_you_mean(key.text, self._rules)
            )
        return rule

    def _fitting(self, rule: FactRule, node: Node) -> Value:
        """Read a value; what a provider could not say, a test cannot suppose."""
        value = fitting(rule.type, self._value(rule.type, node, rule.name))
        out_of_range = rule.span is not None and isinstance(value, int) and not rule.span[0] <= value <= rule.span[1]
        if isinstance(value, Fault) or out_of_range:
            why = value.reason if isinstance(value, Fault) else "it is out of its range"
            self._reader.problems.add(node.at, "P325", f"{rule.name} cannot be this: {why}", "see where it is declared")
        return value

    def _value(self, kind: Type, node: Node, what: str) -> Value:
        match kind:
            case Record(fields=fields):
                entries = {key.text: (key, value) for key, value in self._reader.table(node, what)}
                for name, (key, _) in entries.items():
                    if name not in fields:
                        self._reader.problems.add(
                            key.at, "P110", f"unknown field {shown(name)} in {what}", did_you_mean(name, fields)
                        )
                return {
                    name: self._value(field.type, entries[name][1], f"{what}.{name}") if name in entries else ABSENT
                    for name, field in fields.items()
                }
            case Listed(of=of):
                items = () if isinstance(node, Items) and not node.items else self._reader.items(node, what)
                return tuple(self._plain(of, item, what) for item in items)
            case _:
                return self._plain(kind, node, what)

    def _plain(self, kind: Type, node: Node, what: str) -> Plain:
        match kind:
            case Bool():
                return self._reader.boolean(node, what)
            case Int():
                return self._reader.number(node, what, least=-(2**53) + 1)
            case Duration():
                return self._duration(node, what)
            case Text(words=words) if words is not None:
                return self._reader.word(node, what, words, min(words, default=""))
            case _:
                return self._reader.text(node, what)

    def _duration(self, node: Node, what: str) -> int:
        """Read a duration in microseconds; no time at all is written 0s."""
        if isinstance(node, Scalar) and node.text == "0s":
            return 0
        return self._reader.duration(node, what) * MICROSECONDS


def supposed_facts(bundle: Bundle, wish: Wish, values: Mapping[str, Value], now: Instant) -> Facts:
    """Return facts as if providers had just said so, for each value of a label the same.

    Args:
        values: by name; what is not among them is in fault.
    """
    labels = label_values(wish, bundle.catalog)
    found: dict[FactKey, Observed] = {}
    for name, value in values.items():
        rule = bundle.facts[name]
        keys: Collection[str | None] = (None,)
        if rule.per is not None:
            asked = named(labels, rule.per)
            keys = () if isinstance(asked, Fault) else asked
        observed = Observed(value, rule.provider, now)
        found |= {(name, key): observed for key in keys}
    return found
